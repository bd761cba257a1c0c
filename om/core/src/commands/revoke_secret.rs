//! A user's secrets end, or one of them.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{LogIndex, Timestamp};

use super::Outcome;
use super::ensure_user::access_keys;
use crate::namespace;
use crate::rows::{self, AccessKeyId, RevokedKeyRow, UserId, access_key_of_user};
use crate::tables::{ACCESS_KEYS, REVOKED_KEYS, USER_ACCESS_KEYS};

/// The next call that was signed with one is refused.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RevokeSecret {
    #[n(0)]
    pub user: UserId,
    /// The keys are remembered as revoked. In logs of releases that did not do so there is none.
    #[n(1)]
    pub now: Option<Timestamp>,
    /// This one alone; none: all of them.
    #[n(2)]
    pub access_key: Option<AccessKeyId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum RevokeSecretRejected {
    #[n(0)]
    NoSuchUser,
    #[n(1)]
    NoSecret,
}

impl RevokeSecret {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), RevokeSecretRejected> {
        if namespace::user(tables, &self.user)?.is_none() {
            return Ok(Err(RevokeSecretRejected::NoSuchUser));
        }
        let mut access_keys = access_keys(tables, &self.user)?;
        access_keys.retain(|key| self.access_key.as_ref().is_none_or(|only| only == key));
        if access_keys.is_empty() {
            return Ok(Err(RevokeSecretRejected::NoSecret));
        }
        for access_key in access_keys {
            end(tables, &self.user, &access_key, self.now);
        }
        Ok(Ok(()))
    }
}

/// A pair of the account's own signs nothing more, and no file of before brings it back: it may have ended because others knew it.
pub(super) fn end(tables: &mut dyn WriteTables, user: &UserId, access_key: &AccessKeyId, now: Option<Timestamp>) {
    tables.delete(ACCESS_KEYS, access_key.0.as_bytes());
    tables.delete(USER_ACCESS_KEYS, &access_key_of_user(user, access_key));
    if let Some(revoked) = now {
        rows::put(tables, REVOKED_KEYS, access_key.0.as_bytes(), &RevokedKeyRow { user: user.clone(), revoked });
    }
}
