//! A key of the built-in key service gets a new version, or is disabled or enabled.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{LogIndex, Timestamp};

use super::Outcome;
use crate::kms;
use crate::rows::{self, KmsKeyId, KmsKeyRow, KmsKeyState, KmsKeyVersion, SealedKey};
use crate::tables::KMS_KEYS;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChangeKmsKey {
    #[n(0)]
    pub id: KmsKeyId,
    #[n(1)]
    pub change: KmsKeyChange,
    #[n(2)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum KmsKeyChange {
    /// Seals from now on; the versions before it go on opening what they sealed. Its number must be the next one.
    #[n(0)]
    Rotate(#[n(0)] SealedKey),
    #[n(1)]
    State(#[n(0)] KmsKeyState),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ChangeKmsKeyRejected {
    #[n(0)]
    NoSuchKey,
    /// It was rotated since the new version was sealed, and sealed bytes are bound to their number.
    #[n(1)]
    NotTheNextVersion,
    #[n(2)]
    TooManyVersions,
}

/// A row is read as a whole with every object under its key. At one rotation a month it lasts for 80 years.
const MOST_VERSIONS: usize = 1000;

impl ChangeKmsKey {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<KmsKeyRow, ChangeKmsKeyRejected> {
        let Some(mut row) = kms::key(tables, &self.id)? else {
            return Ok(Err(ChangeKmsKeyRejected::NoSuchKey));
        };
        match self.change {
            KmsKeyChange::Rotate(sealed) if sealed.version != row.latest().saturating_add(1) => {
                return Ok(Err(ChangeKmsKeyRejected::NotTheNextVersion));
            }
            KmsKeyChange::Rotate(_) if row.versions.len() >= MOST_VERSIONS => {
                return Ok(Err(ChangeKmsKeyRejected::TooManyVersions));
            }
            KmsKeyChange::Rotate(sealed) => row.versions.push(KmsKeyVersion { sealed, created: self.now }),
            KmsKeyChange::State(state) => row.state = state,
        }
        rows::put(tables, KMS_KEYS, row.id.0.as_bytes(), &row);
        Ok(Ok(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CreateKmsKey;
    use crate::testing::Namespace;

    fn sealed(version: u32) -> SealedKey {
        SealedKey { version, bytes: vec![version as u8] }
    }

    fn change(change: KmsKeyChange) -> ChangeKmsKey {
        ChangeKmsKey { id: KmsKeyId("k".into()), change, now: Timestamp(5) }
    }

    #[test]
    fn a_rotated_key_keeps_its_earlier_versions() {
        let mut om = Namespace::default();
        om.apply(CreateKmsKey { id: KmsKeyId("k".into()), sealed: sealed(1), now: Timestamp(1) }).expect("new");
        let row = om.apply(change(KmsKeyChange::Rotate(sealed(2)))).expect("the next one");
        assert_eq!(row.latest(), 2);
        assert_eq!(row.version(1).map(|version| version.sealed.clone()), Some(sealed(1)));
        assert_eq!((row.version(0), row.version(3)), (None, None));
        assert_eq!(om.apply(change(KmsKeyChange::Rotate(sealed(2)))), Err(ChangeKmsKeyRejected::NotTheNextVersion));
    }

    #[test]
    fn a_key_is_disabled_and_enabled_and_must_be_there() {
        let mut om = Namespace::default();
        let disable = change(KmsKeyChange::State(KmsKeyState::Disabled));
        assert_eq!(om.apply(disable.clone()), Err(ChangeKmsKeyRejected::NoSuchKey));
        om.apply(CreateKmsKey { id: KmsKeyId("k".into()), sealed: sealed(1), now: Timestamp(1) }).expect("new");
        assert_eq!(om.apply(disable).map(|row| row.state), Ok(KmsKeyState::Disabled));
        let enable = change(KmsKeyChange::State(KmsKeyState::Enabled));
        assert_eq!(om.apply(enable).map(|row| row.state), Ok(KmsKeyState::Enabled));
    }
}
