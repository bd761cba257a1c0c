//! The keys of the built-in key service.

use tables::{ReadTables, StorageFault, Visit};

use crate::rows::{self, KmsKeyId, KmsKeyRow};
use crate::tables::KMS_KEYS;

pub fn key(tables: &dyn ReadTables, id: &KmsKeyId) -> Result<Option<KmsKeyRow>, StorageFault> {
    rows::get(tables, KMS_KEYS, id.0.as_bytes())
}

/// All of them, by name: an administrator makes a few.
pub fn keys(tables: &dyn ReadTables) -> Result<Vec<KmsKeyRow>, StorageFault> {
    let mut found = Vec::new();
    tables.scan(KMS_KEYS, b"", &mut |_, value| {
        found.push(tables::decode(value, KMS_KEYS.name)?);
        Ok(Visit::Next)
    })?;
    Ok(found)
}
