//! The keys behind encrypted objects.
//!
//! Every object (every upload, with all its parts) has a data key of its own. It lies beside the object, sealed by a key that
//! lies elsewhere: SSE-S3's by a key derived from the one that seals secrets, SSE-KMS's by a named key of a key service. Data keys
//! are made and opened here, while a call is answered, and leave inside the answer; nothing of it is stored in the clear.

mod named;
mod wrap;

use std::fmt;

use om_api::DataKey;
use om_core::rows::{KmsKeyId, SealedKey};

pub(crate) use named::NamedKeys;
pub(crate) use wrap::{StoreKey, WrapError};

/// A data key, in the clear and as it is kept.
#[derive(Debug)]
pub(crate) struct NewDataKey {
    pub(crate) key: DataKey,
    pub(crate) sealed: SealedKey,
}

/// Why a key service does not serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyServiceError {
    #[error("there is no such key")]
    NoSuchKey,
    #[error("the key is disabled")]
    Disabled,
    /// It does not answer, or answers what it should not.
    #[error("the key service fails: {0}")]
    Failed(String),
}

/// Keeps keys that never leave it, and seals other keys with them. What is built in keeps them in the namespace
/// ([`NamedKeys`]); one that runs elsewhere would be called here.
#[async_trait::async_trait]
pub(crate) trait KeyService: Send + Sync + fmt::Debug {
    /// Whether the key could seal now.
    async fn check(&self, key: &KmsKeyId) -> Result<(), KeyServiceError>;

    /// A new data key, bound to `context`: with another it does not open.
    async fn new_data_key(&self, key: &KmsKeyId, context: Option<&str>) -> Result<NewDataKey, KeyServiceError>;

    async fn open_data_key(&self, key: &KmsKeyId, context: Option<&str>, sealed: &SealedKey) -> Result<DataKey, KeyServiceError>;
}
