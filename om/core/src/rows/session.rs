//! Writes under way.

use minicbor::{Decode, Encode};
use types::{BlockId, BucketId, ObjectId, Replication, Timestamp};

use super::SessionEncryption;

/// ```text
/// OPEN_KEYS  object id be64   → SessionRow
/// ```
/// Lists every block that was handed out for the write, so that they can be freed when its client, its gateway or its leader
/// dies. Object ids grow with time, so the oldest sessions come first.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SessionRow {
    #[n(0)]
    pub bucket: BucketId,
    #[n(1)]
    pub opened: Timestamp,
    #[n(2)]
    pub blocks: Vec<BlockId>,
    /// None if the bytes are stored as they are.
    #[n(3)]
    pub encryption: Option<SessionEncryption>,
    /// None: STANDARD, kept as the bucket says.
    #[n(4)]
    pub storage: Option<Storage>,
}

/// A storage class, and how what is in it is kept. Decided when a write is opened, so that its blocks and its name agree.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Storage {
    #[n(0)]
    pub class: String,
    #[n(1)]
    pub replication: Replication,
}

/// A write as a command names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Session {
    #[n(0)]
    pub object: ObjectId,
    #[n(1)]
    pub bucket: BucketId,
    #[n(2)]
    pub opened: Timestamp,
}

pub(crate) fn session_key(object: ObjectId) -> [u8; 8] {
    object.0.to_be_bytes()
}
