//! The built-in key service: named keys in the namespace, sealed by the key that seals secrets.

use std::fmt;
use std::sync::Arc;

use om_api::DataKey;
use om_core::kms;
use om_core::rows::{KmsKeyId, KmsKeyRow, KmsKeyState, SealedKey};
use runtime::Entropy;

use super::wrap::{WrapError, Wrapping, new_key, of_master};
use super::{KeyService, KeyServiceError, NewDataKey};
use crate::MasterKey;
use crate::machine::OmMachine;

/// Reads this member's own tables: every call that comes here has just made sure that they show what was acknowledged.
pub(crate) struct NamedKeys {
    machine: Arc<OmMachine>,
    material: Material,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for NamedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NamedKeys")
    }
}

/// Makes and opens what the rows of keys hold.
struct Material(Wrapping);

/// Bound to name and number: no row's material can be put into another's place, nor an old version into a new one's.
fn purpose(key: &KmsKeyId, version: u32) -> Vec<u8> {
    [b"kms key\0", key.0.as_bytes(), b"\0", &version.to_be_bytes()].concat()
}

impl Material {
    fn seal(&self, entropy: &dyn Entropy, key: &KmsKeyId, version: u32) -> Result<SealedKey, WrapError> {
        let bytes = self.0.seal(entropy, &purpose(key, version), &new_key(entropy))?;
        Ok(SealedKey { version, bytes })
    }

    fn open(&self, key: &KmsKeyId, sealed: &SealedKey) -> Result<Wrapping, WrapError> {
        self.0.open(&purpose(key, sealed.version), &sealed.bytes).map(Wrapping::new)
    }
}

impl From<WrapError> for KeyServiceError {
    fn from(error: WrapError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl NamedKeys {
    pub(crate) fn new(machine: Arc<OmMachine>, master: &MasterKey, entropy: Arc<dyn Entropy>) -> Result<Self, WrapError> {
        let material = Material(of_master(master, b"trioxide seals the key service's keys")?);
        Ok(Self { machine, material, entropy })
    }

    /// New material for a version of a key, as the rows hold it.
    pub(crate) fn new_material(&self, key: &KmsKeyId, version: u32) -> Result<SealedKey, WrapError> {
        self.material.seal(&*self.entropy, key, version)
    }

    fn row(&self, key: &KmsKeyId) -> Result<KmsKeyRow, KeyServiceError> {
        let row = self.machine.read(|tables, _| kms::key(tables, key));
        let row = row.map_err(|fault| KeyServiceError::Failed(fault.to_string()))?.ok_or(KeyServiceError::NoSuchKey)?;
        match row.state {
            KmsKeyState::Enabled => Ok(row),
            KmsKeyState::Disabled => Err(KeyServiceError::Disabled),
        }
    }

    fn wrapping(&self, row: &KmsKeyRow, version: u32) -> Result<Wrapping, KeyServiceError> {
        let found = row.version(version).filter(|found| found.sealed.version == version);
        let found = found.ok_or_else(|| KeyServiceError::Failed(format!("{} has no version {version}", row.id)))?;
        Ok(self.material.open(&row.id, &found.sealed)?)
    }
}

/// What a data key is sealed for. A context is the client's own text, so it stands last.
fn bound_to(key: &KmsKeyId, context: Option<&str>) -> Vec<u8> {
    match context {
        None => [b"object under\0", key.0.as_bytes()].concat(),
        Some(context) => [b"object under\0", key.0.as_bytes(), b"\0", context.as_bytes()].concat(),
    }
}

#[async_trait::async_trait]
impl KeyService for NamedKeys {
    async fn check(&self, key: &KmsKeyId) -> Result<(), KeyServiceError> {
        self.row(key).map(|_| ())
    }

    async fn new_data_key(&self, key: &KmsKeyId, context: Option<&str>) -> Result<NewDataKey, KeyServiceError> {
        let row = self.row(key)?;
        let (version, data_key) = (row.latest(), new_key(&*self.entropy));
        let bytes = self.wrapping(&row, version)?.seal(&*self.entropy, &bound_to(key, context), &data_key)?;
        Ok(NewDataKey { key: DataKey::new(data_key), sealed: SealedKey { version, bytes } })
    }

    async fn open_data_key(&self, key: &KmsKeyId, context: Option<&str>, sealed: &SealedKey) -> Result<DataKey, KeyServiceError> {
        let row = self.row(key)?;
        let opened = self.wrapping(&row, sealed.version)?.open(&bound_to(key, context), &sealed.bytes)?;
        Ok(DataKey::new(opened))
    }
}
