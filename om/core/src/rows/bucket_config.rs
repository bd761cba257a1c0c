//! What an owner set on a bucket.

use bucket_config::{BucketDocument, ConfigKind};
use minicbor::{Decode, Encode};
use types::{BucketId, Timestamp};

use super::bucket_key;

/// ```text
/// BUCKET_CONFIGS  bucket id be64 · kind     → BucketConfigRow
/// ```
/// One row a kind: a request reads the one that concerns it, and setting one leaves the others alone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BucketConfigRow {
    #[n(0)]
    pub document: BucketDocument,
    #[n(1)]
    pub changed: Timestamp,
}

pub(crate) fn config_key(bucket: BucketId, kind: ConfigKind) -> Vec<u8> {
    [bucket_key(bucket).as_slice(), &[kind.number()]].concat()
}
