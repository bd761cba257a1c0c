//! A user is as the operator says.

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, WriteTables};
use types::{LogIndex, Timestamp};

use super::Outcome;
use crate::namespace;
use crate::rows::{
    self, AccessKeyId, AccessKeyRow, UserId, UserRow, access_key_of_user, access_key_prefix, email_key, keys_under, malformed,
};
use crate::tables::{ACCESS_KEYS, EMAILS, USER_ACCESS_KEYS, USERS};

/// A secret that the leader has sealed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SealedPair {
    #[n(0)]
    pub access_key: AccessKeyId,
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
    #[n(2)]
    pub secret_version: u64,
}

/// Creates the user or changes names and rights to those given. A pair is added, or replaces the secret of its access key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EnsureUser {
    #[n(0)]
    pub user: UserId,
    #[n(1)]
    pub display_name: String,
    #[n(2)]
    pub email: Option<String>,
    #[n(3)]
    pub is_admin: bool,
    #[n(4)]
    pub pair: Option<SealedPair>,
    #[n(5)]
    pub now: Timestamp,
}

/// A user with the access keys that sign for them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UserAccount {
    #[n(0)]
    pub user: UserRow,
    #[n(1)]
    pub access_keys: Vec<AccessKeyId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum EnsureUserRejected {
    #[n(0)]
    AccessKeyTaken,
    #[n(1)]
    EmailTaken,
}

impl EnsureUser {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<UserAccount, EnsureUserRejected> {
        if let Some(pair) = &self.pair
            && namespace::access_key(tables, &pair.access_key)?.is_some_and(|row| row.user != self.user)
        {
            return Ok(Err(EnsureUserRejected::AccessKeyTaken));
        }
        if let Some(email) = &self.email
            && rows::get::<UserId>(tables, EMAILS, &email_key(email))?.is_some_and(|user| user != self.user)
        {
            return Ok(Err(EnsureUserRejected::EmailTaken));
        }
        let before = namespace::user(tables, &self.user)?;
        if let Some(email) = before.as_ref().and_then(|row| row.email.as_deref()) {
            tables.delete(EMAILS, &email_key(email));
        }
        if let Some(email) = &self.email {
            rows::put(tables, EMAILS, &email_key(email), &self.user);
        }
        let user = UserRow {
            id: self.user,
            display_name: self.display_name,
            email: self.email,
            is_admin: self.is_admin,
            created: before.map_or(self.now, |row| row.created),
        };
        rows::put(tables, USERS, user.id.0.as_bytes(), &user);
        if let Some(pair) = self.pair {
            put_pair(tables, &user.id, pair, self.now);
        }
        let access_keys = access_keys(tables, &user.id)?;
        Ok(Ok(UserAccount { user, access_keys }))
    }
}

pub(super) fn put_pair(tables: &mut dyn WriteTables, user: &UserId, pair: SealedPair, now: Timestamp) {
    let row = AccessKeyRow { user: user.clone(), sealed: pair.sealed, secret_version: pair.secret_version, created: now };
    rows::put(tables, ACCESS_KEYS, pair.access_key.0.as_bytes(), &row);
    tables.put(USER_ACCESS_KEYS, &access_key_of_user(user, &pair.access_key), Vec::new());
}

/// The access keys that sign for a user.
pub(crate) fn access_keys(tables: &dyn ReadTables, user: &UserId) -> Result<Vec<AccessKeyId>, StorageFault> {
    let prefix = access_key_prefix(user);
    let (keys, _) = keys_under(tables, USER_ACCESS_KEYS, &prefix, usize::MAX)?;
    let parse = |key: Vec<u8>| {
        let name = std::str::from_utf8(&key[prefix.len()..]).map_err(|_| malformed(USER_ACCESS_KEYS, "a key is not text"))?;
        Ok(AccessKeyId(name.to_owned()))
    };
    keys.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Namespace;

    fn ensure(user: &str, access_key: &str, email: Option<&str>) -> EnsureUser {
        EnsureUser {
            user: UserId(user.into()),
            display_name: format!("{user} of Trioxide"),
            email: email.map(str::to_owned),
            is_admin: false,
            pair: Some(SealedPair { access_key: AccessKeyId(access_key.into()), sealed: vec![1, 2], secret_version: 7 }),
            now: Timestamp(5),
        }
    }

    #[test]
    fn ensuring_twice_is_ensuring_once() {
        let mut om = Namespace::default();
        let first = om.apply(ensure("ada", "AK", Some("ada@example.com"))).expect("free names");
        let rows = om.tables.clone();
        assert_eq!(om.apply(ensure("ada", "AK", Some("ada@example.com"))), Ok(first));
        assert!(om.tables == rows);
        om.check();
    }

    #[test]
    fn access_keys_and_addresses_belong_to_one_user() {
        let mut om = Namespace::default();
        om.apply(ensure("ada", "AK", Some("Ada@example.com"))).expect("free names");
        assert_eq!(om.apply(ensure("bob", "AK", None)), Err(EnsureUserRejected::AccessKeyTaken));
        assert_eq!(om.apply(ensure("bob", "BK", Some("ada@Example.com"))), Err(EnsureUserRejected::EmailTaken));
        om.apply(ensure("ada", "AK", None)).expect("an address may be given up");
        om.apply(ensure("bob", "BK", Some("ada@example.com"))).expect("it is free again");
        om.check();
    }

    #[test]
    fn a_second_pair_stands_beside_the_first() {
        let mut om = Namespace::default();
        om.apply(ensure("ada", "AK", None)).expect("free names");
        let account = om.apply(ensure("ada", "BK", None)).expect("free names");
        assert_eq!(account.access_keys, [AccessKeyId("AK".into()), AccessKeyId("BK".into())]);
        om.check();
    }
}
