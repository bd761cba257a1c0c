//! A key of the built-in key service is made.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{LogIndex, Timestamp};

use super::Outcome;
use crate::kms;
use crate::rows::{self, KmsKeyId, KmsKeyRow, KmsKeyState, KmsKeyVersion, SealedKey};
use crate::tables::KMS_KEYS;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CreateKmsKey {
    #[n(0)]
    pub id: KmsKeyId,
    /// Rolled and sealed by the leader.
    #[n(1)]
    pub sealed: SealedKey,
    #[n(2)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum CreateKmsKeyRejected {
    /// Objects may lie under it, so it is never replaced.
    #[n(0)]
    Exists,
}

impl CreateKmsKey {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<KmsKeyRow, CreateKmsKeyRejected> {
        if kms::key(tables, &self.id)?.is_some() {
            return Ok(Err(CreateKmsKeyRejected::Exists));
        }
        let row = KmsKeyRow {
            id: self.id,
            state: KmsKeyState::Enabled,
            created: self.now,
            versions: vec![KmsKeyVersion { sealed: self.sealed, created: self.now }],
        };
        rows::put(tables, KMS_KEYS, row.id.0.as_bytes(), &row);
        Ok(Ok(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Namespace;

    #[test]
    fn a_key_is_made_once_and_never_replaced() {
        let mut om = Namespace::default();
        let create = |bytes: u8| CreateKmsKey {
            id: KmsKeyId("k".into()),
            sealed: SealedKey { version: 1, bytes: vec![bytes] },
            now: Timestamp(1),
        };
        assert_eq!(om.apply(create(1)).map(|row| (row.latest(), row.state)), Ok((1, KmsKeyState::Enabled)));
        assert_eq!(om.apply(create(2)), Err(CreateKmsKeyRejected::Exists));
        let kept = kms::keys(&om.tables).expect("memory");
        assert_eq!(kept.iter().map(|row| row.versions[0].sealed.bytes[0]).collect::<Vec<_>>(), [1]);
    }
}
