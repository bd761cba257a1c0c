//! A user gets a secret.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{LogIndex, Timestamp};

use super::Outcome;
use super::ensure_user::{SealedPair, access_keys, put_pair};
use crate::namespace;
use crate::rows::{AccessKeyId, UserId};

/// For a user who has none: a secret is shown once, and another one replaces it only after it was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CreateSecret {
    #[n(0)]
    pub user: UserId,
    #[n(1)]
    pub pair: SealedPair,
    #[n(2)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum CreateSecretRejected {
    #[n(0)]
    NoSuchUser,
    #[n(1)]
    SecretExists,
}

impl CreateSecret {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<AccessKeyId, CreateSecretRejected> {
        if namespace::user(tables, &self.user)?.is_none() {
            return Ok(Err(CreateSecretRejected::NoSuchUser));
        }
        // The leader rolls new access keys; one that exists is somebody's.
        let is_taken = namespace::access_key(tables, &self.pair.access_key)?.is_some();
        if is_taken || !access_keys(tables, &self.user)?.is_empty() {
            return Ok(Err(CreateSecretRejected::SecretExists));
        }
        let access_key = self.pair.access_key.clone();
        put_pair(tables, &self.user, self.pair, None, self.now);
        Ok(Ok(access_key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Namespace;
    use crate::{RevokeSecret, RevokeSecretRejected};

    #[test]
    fn a_secret_is_made_once_and_again_after_it_was_revoked() {
        let mut om = Namespace::with_users(["ada"]);
        let create = |access_key: &str| CreateSecret {
            user: UserId("ada".into()),
            pair: SealedPair { access_key: AccessKeyId(access_key.into()), sealed: vec![1], secret_version: 7 },
            now: Timestamp(5),
        };
        assert_eq!(om.apply(create("AK")), Ok(AccessKeyId("AK".into())));
        assert_eq!(om.apply(create("BK")), Err(CreateSecretRejected::SecretExists));
        let revoke = RevokeSecret { user: UserId("ada".into()), now: Some(Timestamp(6)) };
        assert_eq!(om.apply(revoke.clone()), Ok(()));
        assert_eq!(om.apply(revoke), Err(RevokeSecretRejected::NoSecret));
        assert_eq!(om.apply(create("BK")), Ok(AccessKeyId("BK".into())));
        om.check();
    }
}
