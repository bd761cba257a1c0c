//! A user gets a secret.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{LogIndex, Timestamp};

use super::Outcome;
use super::ensure_user::{SealedPair, access_keys, put_pair};
use crate::namespace;
use crate::rows::{AccessKeyId, UserId};

/// For a user who has none: a secret is shown once. Beside one that there is only to take its place: until that is revoked both sign.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CreateSecret {
    #[n(0)]
    pub user: UserId,
    #[n(1)]
    pub pair: SealedPair,
    #[n(2)]
    pub now: Timestamp,
    /// Beside one that there is. `None` is no.
    #[n(3)]
    pub rotates: Option<bool>,
}

/// Of an account's own, as of a user's in IAM.
const MOST_PAIRS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum CreateSecretRejected {
    #[n(0)]
    NoSuchUser,
    #[n(1)]
    SecretExists,
    /// One has to be revoked first.
    #[n(2)]
    TooMany,
    /// It is somebody's, or once was.
    #[n(3)]
    AccessKeyTaken,
}

impl CreateSecret {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<AccessKeyId, CreateSecretRejected> {
        if namespace::user(tables, &self.user)?.is_none() {
            return Ok(Err(CreateSecretRejected::NoSuchUser));
        }
        let access_key = &self.pair.access_key;
        let is_known =
            namespace::access_key(tables, access_key)?.is_some() || namespace::credential(tables, access_key)?.is_some();
        if is_known || namespace::is_revoked(tables, access_key)? {
            return Ok(Err(CreateSecretRejected::AccessKeyTaken));
        }
        match (access_keys(tables, &self.user)?.len(), self.rotates == Some(true)) {
            (0, _) => {}
            (_, false) => return Ok(Err(CreateSecretRejected::SecretExists)),
            (has, true) if has >= MOST_PAIRS => return Ok(Err(CreateSecretRejected::TooMany)),
            (_, true) => {}
        }
        let access_key = self.pair.access_key.clone();
        put_pair(tables, &self.user, self.pair, None, self.now)?;
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
            rotates: None,
        };
        assert_eq!(om.apply(create("AK")), Ok(AccessKeyId("AK".into())));
        assert_eq!(om.apply(create("BK")), Err(CreateSecretRejected::SecretExists));
        let revoke = RevokeSecret { user: UserId("ada".into()), now: Some(Timestamp(6)), access_key: None };
        assert_eq!(om.apply(revoke.clone()), Ok(()));
        assert_eq!(om.apply(revoke), Err(RevokeSecretRejected::NoSecret));
        assert_eq!(om.apply(create("AK")), Err(CreateSecretRejected::AccessKeyTaken), "it was revoked");
        assert_eq!(om.apply(create("BK")), Ok(AccessKeyId("BK".into())));
        om.check();
    }

    #[test]
    fn a_rotation_leaves_the_old_secret_until_it_is_revoked() {
        let mut om = Namespace::with_users(["ada", "bob"]);
        let rotate = |user: &str, access_key: &str| CreateSecret {
            user: UserId(user.into()),
            pair: SealedPair { access_key: AccessKeyId(access_key.into()), sealed: vec![1], secret_version: 7 },
            now: Timestamp(5),
            rotates: Some(true),
        };
        let revoke = |access_key: &str| RevokeSecret {
            user: UserId("ada".into()),
            now: Some(Timestamp(6)),
            access_key: Some(AccessKeyId(access_key.into())),
        };
        for access_key in ["AK", "BK"] {
            om.apply(rotate("ada", access_key)).expect("room");
        }
        assert_eq!(om.apply(rotate("ada", "CK")), Err(CreateSecretRejected::TooMany));
        assert_eq!(om.apply(rotate("bob", "BK")), Err(CreateSecretRejected::AccessKeyTaken));
        om.apply(rotate("bob", "DK")).expect("room");
        assert_eq!(om.apply(revoke("DK")), Err(RevokeSecretRejected::NoSecret), "it is Bob's");
        assert_eq!(om.apply(revoke("AK")), Ok(()));
        let has =
            |om: &Namespace, key: &str| namespace::access_key(&om.tables, &AccessKeyId(key.into())).expect("memory").is_some();
        assert!(!has(&om, "AK") && has(&om, "BK") && has(&om, "DK"));
        om.apply(rotate("ada", "CK")).expect("room again");
        om.check();
    }
}
