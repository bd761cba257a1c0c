//! Temporary credentials begin and end, and what is noted of the use of keys.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{IamError, IamErrorCode, LogIndex, Timestamp};

use super::{Never, Outcome, delegation};
use crate::namespace;
use crate::rows::{self, AccessKeyId, CredentialRow, KeyUseRow, expiry_key};
use crate::tables::{ACCESS_KEYS, KEY_USES, SESSIONS, SESSIONS_BY_EXPIRY};

/// A temporary credential is there from now on. The leader has decided that it may be, and rolled it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OpenCredential {
    #[n(0)]
    pub access_key: AccessKeyId,
    #[n(1)]
    pub row: CredentialRow,
}

impl OpenCredential {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<AccessKeyId, IamError> {
        let Self { access_key, mut row } = self;
        let is_known =
            namespace::access_key(tables, &access_key)?.is_some() || namespace::credential(tables, &access_key)?.is_some();
        if is_known {
            return Ok(Err(IamError::new(IamErrorCode::EntityAlreadyExists, "the access key exists")));
        }
        if let Err(error) = delegation::issue(log, tables, &access_key, &mut row)? {
            return Ok(Err(error));
        }
        rows::put(tables, SESSIONS, access_key.0.as_bytes(), &row);
        tables.put(SESSIONS_BY_EXPIRY, &expiry_key(row.expires, &access_key), Vec::new());
        Ok(Ok(access_key))
    }
}

/// Forgets temporary credentials that are over, the oldest first. How many there were.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EndCredentials {
    #[n(0)]
    pub until: Timestamp,
    #[n(1)]
    pub most: u32,
}

impl EndCredentials {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<u32, Never> {
        let most = usize::try_from(self.most).unwrap_or(usize::MAX);
        let (keys, _) = rows::keys_under(tables, SESSIONS_BY_EXPIRY, b"", most)?;
        let mut ended = 0;
        for key in keys {
            if rows::be64(SESSIONS_BY_EXPIRY, &key, 0)? > self.until.0 {
                break;
            }
            if let Some(row) = rows::get::<CredentialRow>(tables, SESSIONS, &key[8..])? {
                delegation::forget(tables, &row);
            }
            tables.delete(SESSIONS, &key[8..]);
            tables.delete(SESSIONS_BY_EXPIRY, &key);
            ended += 1;
        }
        Ok(Ok(ended))
    }
}

/// When keys were last used, as far as it is worth writing down.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RecordKeyUses {
    #[n(0)]
    pub uses: Vec<(AccessKeyId, Timestamp)>,
}

impl RecordKeyUses {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), Never> {
        for (key, last) in self.uses {
            // Of keys that are gone nothing is kept.
            if tables.get(ACCESS_KEYS, key.0.as_bytes())?.is_some() {
                rows::put(tables, KEY_USES, key.0.as_bytes(), &KeyUseRow { last });
            }
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{CredentialHolder, TokenDigest, UserId};
    use crate::testing::Namespace;

    fn open(access_key: &str, expires: u64) -> OpenCredential {
        let row = CredentialRow {
            account: UserId("ada".into()),
            holder: CredentialHolder::Root,
            sealed: vec![1],
            secret_version: 7,
            token: TokenDigest([3; 32]),
            created: Timestamp(1),
            expires: Timestamp(expires),
            policies: Vec::new(),
            tags: Vec::new(),
            claims: Vec::new(),
            provider: None,
            parent: None,
            delegation: None,
            parent_version: None,
        };
        OpenCredential { access_key: AccessKeyId(access_key.into()), row }
    }

    #[test]
    fn credentials_are_forgotten_when_they_are_over_and_no_earlier() {
        let mut om = Namespace::with_users(["ada"]);
        for (key, expires) in [("A", 30), ("B", 10), ("C", 20)] {
            assert_eq!(om.apply(open(key, expires)), Ok(AccessKeyId(key.into())));
        }
        assert!(om.apply(open("A", 40)).is_err());
        assert_eq!(om.apply(EndCredentials { until: Timestamp(9), most: 10 }), Ok(0));
        assert_eq!(om.apply(EndCredentials { until: Timestamp(20), most: 1 }), Ok(1));
        let is_there =
            |om: &Namespace, key: &str| namespace::credential(&om.tables, &AccessKeyId(key.into())).expect("memory").is_some();
        assert!(is_there(&om, "A") && is_there(&om, "C") && !is_there(&om, "B"));
        assert_eq!(om.apply(EndCredentials { until: Timestamp(20), most: 9 }), Ok(1));
        assert!(is_there(&om, "A") && !is_there(&om, "C"));
    }
}
