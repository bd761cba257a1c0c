//! Objects: copying what is stored.

use minicbor::{Decode, Encode};
use types::{BucketPath, ObjectId, ObjectKey, ObjectLock, Precondition, VersionId};

use crate::{
    Denied, EncryptionRejected, EncryptionScheme, EncryptionWanted, KeyCommitted, ObjectAttributes, ObjectChecksum,
    ReadConditions, Requester, WriteCondition,
};

/// What a copy's attributes are.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum CopyAttributes {
    /// The source's.
    #[n(0)]
    Source,
    #[n(1)]
    Replace(#[n(0)] ObjectAttributes),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CopyKey {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub source_bucket: BucketPath,
    #[n(2)]
    pub source_key: ObjectKey,
    #[n(3)]
    pub source_version: Option<VersionId>,
    #[n(4)]
    pub source_conditions: ReadConditions,
    #[n(5)]
    pub bucket: BucketPath,
    #[n(6)]
    pub key: ObjectKey,
    #[n(7)]
    pub attributes: CopyAttributes,
    #[n(8)]
    pub condition: WriteCondition,
    /// The storage class of the copy, STANDARD if absent: a copy never inherits it.
    #[n(9)]
    pub storage_class: Option<String>,
    /// In the place of the source's. The conditions must name the tag of the bytes that it was computed of.
    #[n(10)]
    pub checksum: Option<ObjectChecksum>,
    /// A copy never inherits its source's.
    #[n(11)]
    pub lock: Option<ObjectLock>,
    /// In the place of the source's.
    #[n(12)]
    pub tags: Option<Vec<(String, String)>>,
    /// As the bucket says if absent: a copy never inherits it.
    #[n(13)]
    pub encryption: Option<EncryptionWanted>,
    /// The client brings one key for the source and for the copy, and it is the one of this object.
    #[n(14)]
    pub same_key_as: Option<ObjectId>,
    /// Where readers of a website are sent; a copy never inherits its source's. Where attributes are replaced, it is among them.
    #[n(15)]
    pub website_redirect: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyCopied {
    #[n(0)]
    pub committed: KeyCommitted,
    #[n(1)]
    pub source_version: Option<VersionId>,
    /// The copy's.
    #[n(2)]
    pub encryption: Option<EncryptionScheme>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum CopyRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such source bucket")]
    NoSuchSourceBucket,
    #[n(2)]
    #[error("no such source key")]
    NoSuchSourceKey,
    #[n(3)]
    #[error("no such source version")]
    NoSuchSourceVersion,
    #[n(4)]
    #[error("the source is a delete marker")]
    SourceIsDeleteMarker,
    /// A condition on the source or on the destination does not hold.
    #[n(5)]
    #[error("precondition failed")]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    #[n(6)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(7)]
    #[error("no such key")]
    NoSuchKey,
    /// Onto itself without any change.
    #[n(8)]
    #[error("the copy would change nothing")]
    OntoItself,
    /// Larger than one copy may be.
    #[n(9)]
    #[error("the source is too large for one copy")]
    TooLarge,
    #[n(10)]
    #[error("the bucket has no object lock")]
    NoObjectLock,
    /// What is stored of the source is not what is to be stored of the copy: read the source and write it.
    #[n(11)]
    #[error("the bytes must be read and written anew")]
    NeedsBytes,
    #[n(12)]
    #[error(transparent)]
    Encryption(#[n(0)] EncryptionRejected),
    #[n(13)]
    #[error("there is no such storage class")]
    InvalidStorageClass,
    #[n(14)]
    #[error("another object lies there than the one that was judged")]
    Changed,
}
