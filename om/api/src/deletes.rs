//! Deleting objects and their versions.

use minicbor::{Decode, Encode};
use types::{BucketPath, Bypass, ObjectKey, Precondition, Timestamp, VersionId};

use crate::{Denied, Requester, WriteCondition};

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyDeletion {
    #[n(0)]
    pub key: ObjectKey,
    #[n(1)]
    pub version: Option<VersionId>,
    #[n(2)]
    pub condition: WriteCondition,
    /// To the second.
    #[n(3)]
    pub if_modified: Option<Timestamp>,
    #[n(4)]
    pub if_size: Option<u64>,
    /// Whether a retention of governance mode is to be bypassed, which is a right of its own.
    #[n(5)]
    pub bypass: Bypass,
}

impl KeyDeletion {
    /// As [`WriteCondition::probes`].
    pub fn probes(&self) -> bool {
        self.condition.probes() || self.if_modified.is_some() || self.if_size.is_some()
    }

    /// Of the current version, whatever it is.
    pub fn of(key: ObjectKey) -> Self {
        Self { key, version: None, condition: WriteCondition::Always, if_modified: None, if_size: None, bypass: Bypass::No }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeleteKey {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub deletion: KeyDeletion,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeleteKeys {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub deletions: Vec<KeyDeletion>,
}

/// What a deletion did; an absent key is deleted well enough.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct DeletedKey {
    /// The version removed, or the delete marker made.
    #[n(0)]
    pub version: Option<VersionId>,
    /// A delete marker was made, or removed.
    #[n(1)]
    pub delete_marker: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum DeleteKeyRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("precondition failed")]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    /// A retention or a legal hold keeps the version.
    #[n(3)]
    #[error("the version is locked")]
    Locked,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum DeleteKeysRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
}
