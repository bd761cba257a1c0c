//! Objects that change without being written anew: renamed, or made longer.

use minicbor::{Decode, Encode};
use types::{BucketPath, Checksum, ETag, ObjectId, ObjectKey, Precondition};

use crate::{CommittedBlock, Denied, ObjectChecksum, ReadConditions, Requester, WriteCondition, WriteSession};

/// The object gets another name in its bucket.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RenameKey {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub source: ObjectKey,
    #[n(3)]
    pub source_conditions: ReadConditions,
    #[n(4)]
    pub key: ObjectKey,
    #[n(5)]
    pub condition: WriteCondition,
    /// On what is there under the new name, if anything is.
    #[n(6)]
    pub conditions: ReadConditions,
    /// The client's own name for this request: the same again does nothing more.
    #[n(7)]
    pub token: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum RenameRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("no such source key")]
    NoSuchSource,
    #[n(3)]
    #[error("precondition failed")]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    #[n(4)]
    #[error("no such key")]
    NoSuchKey,
    #[n(5)]
    #[error("an object cannot be renamed to its own name")]
    OntoItself,
    /// The client's token was used for something else.
    #[n(6)]
    #[error("the token names another request")]
    TokenOfAnother,
    #[n(7)]
    #[error("another object lies there than the one that was judged")]
    Changed,
}

/// The state of the object that the bytes are to follow.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AppendBase {
    #[n(0)]
    pub object: ObjectId,
    #[n(1)]
    pub etag: ETag,
    #[n(2)]
    pub size: u64,
}

/// Ends a write by adding its blocks to an object.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AppendKey {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub session: WriteSession,
    #[n(2)]
    pub bucket: BucketPath,
    #[n(3)]
    pub key: ObjectKey,
    #[n(4)]
    pub base: AppendBase,
    /// In order; blocks of the session that are not named here are freed.
    #[n(5)]
    pub blocks: Vec<CommittedBlock>,
    /// Of the whole.
    #[n(6)]
    pub etag: ETag,
    #[n(7)]
    pub checksum: Option<ObjectChecksum>,
    /// Of what is added.
    #[n(8)]
    pub part_checksum: Option<Checksum>,
    #[n(9)]
    pub condition: WriteCondition,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum AppendRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("the session has expired")]
    NoSuchSession,
    #[n(3)]
    #[error("no such key")]
    NoSuchKey,
    #[n(4)]
    #[error("precondition failed")]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    #[n(5)]
    #[error("blocks of another session")]
    ForeignBlock,
    /// Somebody wrote the object or added to it meanwhile.
    #[n(6)]
    #[error("the object has changed")]
    BaseChanged,
    #[n(7)]
    #[error("too many parts")]
    TooManyParts,
    #[n(8)]
    #[error("too large")]
    TooLarge,
    #[n(9)]
    #[error("what was written is not sealed as the object is")]
    Encrypted,
}
