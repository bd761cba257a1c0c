//! Multipart uploads.

use minicbor::{Decode, Encode};
use types::{
    BucketPath, Checksum, ChecksumAlgorithm, ChecksumType, ETag, ObjectId, ObjectKey, PartNumber, Precondition, Timestamp,
    UploadId, VersionId,
};

use crate::{
    ByteRange, CommittedBlock, Denied, DisplayUser, EncryptionInfo, EncryptionRejected, EncryptionWanted, LifecycleEnd,
    ObjectAttributes, ObjectChecksum, ReadConditions, Requester, WriteCondition, WriteSession,
};

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CreateUpload {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub key: ObjectKey,
    #[n(3)]
    pub attributes: ObjectAttributes,
    #[n(4)]
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    #[n(5)]
    pub lock: Option<types::ObjectLock>,
    /// As the bucket says if absent.
    #[n(6)]
    pub encryption: Option<EncryptionWanted>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UploadCreated {
    #[n(0)]
    pub upload: UploadId,
    /// None if its parts are stored as they are.
    #[n(1)]
    pub encryption: Option<EncryptionInfo>,
    /// When a lifecycle rule will abort it.
    #[n(2)]
    pub ends: Option<LifecycleEnd>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum CreateUploadRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("the bucket has no object lock")]
    NoObjectLock,
    #[n(3)]
    #[error(transparent)]
    Encryption(#[n(0)] EncryptionRejected),
    #[n(4)]
    #[error("there is no such storage class")]
    InvalidStorageClass,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OpenPart {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub key: ObjectKey,
    #[n(3)]
    pub upload: UploadId,
    #[n(4)]
    pub part: PartNumber,
    #[n(5)]
    pub size: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum OpenPartRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("no such upload")]
    NoSuchUpload,
    #[n(3)]
    #[error("too large")]
    TooLarge,
    #[n(4)]
    #[error("no blocks available: {0}")]
    NoBlocks(#[n(0)] String),
    #[n(5)]
    #[error(transparent)]
    Encryption(#[n(0)] EncryptionRejected),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CommitPart {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub session: WriteSession,
    #[n(2)]
    pub bucket: BucketPath,
    #[n(3)]
    pub key: ObjectKey,
    #[n(4)]
    pub upload: UploadId,
    #[n(5)]
    pub part: PartNumber,
    #[n(6)]
    pub blocks: Vec<CommittedBlock>,
    #[n(7)]
    pub etag: ETag,
    #[n(8)]
    pub checksum: Option<Checksum>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PartCommitted {
    #[n(0)]
    pub etag: ETag,
    #[n(1)]
    pub last_modified: Timestamp,
    #[n(2)]
    pub size: u64,
    /// Of a copied part: the version that was read.
    #[n(3)]
    pub source_version: Option<VersionId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum CommitPartRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("no such upload")]
    NoSuchUpload,
    #[n(3)]
    #[error("the session has expired")]
    NoSuchSession,
    #[n(4)]
    #[error("blocks of another session")]
    ForeignBlock,
}

/// Only for uploads without a checksum algorithm and where nothing is encrypted: the bytes are not looked at. The part's ETag is derived from the source's
/// and the range, since no MD5 of the range exists.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CopyPart {
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
    /// Must lie within the source.
    #[n(5)]
    pub range: Option<ByteRange>,
    #[n(6)]
    pub bucket: BucketPath,
    #[n(7)]
    pub key: ObjectKey,
    #[n(8)]
    pub upload: UploadId,
    #[n(9)]
    pub part: PartNumber,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum CopyPartRejected {
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
    #[n(5)]
    #[error("precondition failed")]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    #[n(6)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(7)]
    #[error("no such upload")]
    NoSuchUpload,
    /// The range reaches beyond the source's `size`.
    #[n(8)]
    #[error("range beyond the source")]
    InvalidRange,
    #[n(9)]
    #[error("too large")]
    TooLarge,
    /// The upload wants checksums, or one of the two is encrypted: read the source and write the part.
    #[n(10)]
    #[error("the bytes must be read and written anew")]
    NeedsBytes,
    #[n(11)]
    #[error("another object lies there than the one that was judged")]
    Changed,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ListParts {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub key: ObjectKey,
    #[n(3)]
    pub upload: UploadId,
    /// Only numbers above this one; 0 for all.
    #[n(4)]
    pub after: u16,
    #[n(5)]
    pub limit: u32,
    /// Asked on the way to writing into the upload: who may write need not be allowed to list.
    #[n(6)]
    pub to_write: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PartSummary {
    #[n(0)]
    pub number: PartNumber,
    #[n(1)]
    pub size: u64,
    #[n(2)]
    pub etag: ETag,
    #[n(3)]
    pub last_modified: Timestamp,
    #[n(4)]
    pub checksum: Option<Checksum>,
    /// Changes when the part is written again.
    #[n(5)]
    pub object: ObjectId,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UploadInfo {
    #[n(0)]
    pub initiator: DisplayUser,
    #[n(1)]
    pub owner: DisplayUser,
    #[n(2)]
    pub initiated: Timestamp,
    #[n(3)]
    pub storage_class: Option<String>,
    #[n(4)]
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    /// The upload was completed before, with this outcome; S3 answers a second identical completion as the first.
    #[n(5)]
    pub completed: Option<Box<crate::KeyCommitted>>,
    #[n(6)]
    pub encryption: Option<EncryptionInfo>,
    /// When a lifecycle rule will abort it; told of one upload, not of those in a list.
    #[n(7)]
    pub ends: Option<LifecycleEnd>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PartPage {
    #[n(0)]
    pub upload: UploadInfo,
    #[n(1)]
    pub parts: Vec<PartSummary>,
    #[n(2)]
    pub more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum UploadRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("no such upload")]
    NoSuchUpload,
}

/// A part as the client named it and as `list_parts` showed it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CompletedPart {
    #[n(0)]
    pub number: PartNumber,
    #[n(1)]
    pub etag: ETag,
    /// The write that the checksums below were computed from; the completion is refused if the part was written again since.
    #[n(2)]
    pub object: ObjectId,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CompleteUpload {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub key: ObjectKey,
    #[n(3)]
    pub upload: UploadId,
    /// Ascending. Parts not named are freed.
    #[n(4)]
    pub parts: Vec<CompletedPart>,
    /// Computed from the parts' by the gateway.
    #[n(5)]
    pub etag: ETag,
    #[n(6)]
    pub checksum: Option<ObjectChecksum>,
    #[n(7)]
    pub condition: WriteCondition,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum CompleteUploadRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("no such upload")]
    NoSuchUpload,
    /// Missing, or with another ETag.
    #[n(3)]
    #[error("part {0} is not as named")]
    InvalidPart(#[n(0)] u16),
    #[n(4)]
    #[error("parts are not in ascending order")]
    InvalidPartOrder,
    /// A part before the last is below 5 MiB.
    #[n(5)]
    #[error("part {0} is too small")]
    PartTooSmall(#[n(0)] u16),
    /// A part was written again since it was listed: list and complete again.
    #[n(6)]
    #[error("part {0} has changed")]
    PartChanged(#[n(0)] u16),
    #[n(7)]
    #[error("precondition failed")]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    #[n(8)]
    #[error("no such key")]
    NoSuchKey,
    #[n(9)]
    #[error("the object is too large")]
    TooLarge,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AbortUpload {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub key: ObjectKey,
    #[n(3)]
    pub upload: UploadId,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum AbortUploadRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("no such upload")]
    NoSuchUpload,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ListUploads {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub prefix: String,
    #[n(3)]
    pub delimiter: Option<String>,
    #[n(4)]
    pub key_marker: Option<String>,
    /// Only uploads behind this one under the marker's own key.
    #[n(5)]
    pub upload_marker: Option<UploadId>,
    #[n(6)]
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UploadSummary {
    #[n(0)]
    pub key: ObjectKey,
    #[n(1)]
    pub upload: UploadId,
    #[n(2)]
    pub info: UploadInfo,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UploadPage {
    #[n(0)]
    pub uploads: Vec<UploadSummary>,
    #[n(1)]
    pub common_prefixes: Vec<String>,
    #[n(2)]
    pub next_key_marker: Option<String>,
    #[n(3)]
    pub next_upload_marker: Option<UploadId>,
}
