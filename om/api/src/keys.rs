//! Objects: writing, reading, deleting, copying.

use minicbor::{Decode, Encode};
use types::{
    BlockId, BlockLocation, BucketPath, Bypass, Checksum, ChecksumType, ETag, ObjectId, ObjectKey, ObjectLock, PartNumber,
    PipelineId, Precondition, Replication, Retention, Timestamp, VersionId,
};

use crate::{Denied, DisplayUser, EncryptionInfo, EncryptionRejected, EncryptionWanted, OpenWith, Requester, SealWith};

/// Headers that S3 keeps with an object and gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum SystemHeader {
    #[n(0)]
    CacheControl,
    #[n(1)]
    ContentDisposition,
    #[n(2)]
    ContentEncoding,
    #[n(3)]
    ContentLanguage,
    #[n(4)]
    ContentType,
    #[n(5)]
    Expires,
    #[n(6)]
    WebsiteRedirectLocation,
}

/// What a client says about an object besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct ObjectAttributes {
    #[n(0)]
    pub headers: Vec<(SystemHeader, String)>,
    /// Names in lower case without `x-amz-meta-`, in the order given.
    #[n(1)]
    pub metadata: Vec<(String, String)>,
    /// STANDARD if absent.
    #[n(2)]
    pub storage_class: Option<String>,
    #[n(3)]
    pub tags: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ObjectChecksum {
    #[n(0)]
    pub checksum: Checksum,
    #[n(1)]
    pub kind: ChecksumType,
}

/// When a write may take effect, decided against the current version in the state machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub enum WriteCondition {
    #[default]
    #[n(0)]
    Always,
    /// `If-None-Match: *`
    #[n(1)]
    IfAbsent,
    /// `If-Match: *`
    #[n(2)]
    IfPresent,
    /// `If-Match: "etag"`
    #[n(3)]
    IfMatch(#[n(0)] ETag),
    /// `If-None-Match: "etag"`
    #[n(4)]
    IfNoneMatch(#[n(0)] ETag),
}

impl WriteCondition {
    /// Its answer says something of what the object is, beyond whether it is there.
    pub fn probes(&self) -> bool {
        matches!(self, Self::IfMatch(_) | Self::IfNoneMatch(_))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OpenKey {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub key: ObjectKey,
    /// How many bytes will come, if the client said so.
    #[n(3)]
    pub size: Option<u64>,
    /// Looked at early, to spare the client the upload; the commit decides.
    #[n(4)]
    pub condition: WriteCondition,
    /// Whether the commit will bring a lock, which needs a bucket that has them.
    #[n(5)]
    pub locks: bool,
    /// As the bucket says if absent.
    #[n(6)]
    pub encryption: Option<EncryptionWanted>,
    /// STANDARD if absent.
    #[n(7)]
    pub storage_class: Option<String>,
    /// What is written is to follow the bytes of this object: it is kept and sealed as they are, whatever else is said here.
    #[n(8)]
    pub appends_to: Option<ObjectId>,
}

/// A write under way. Opaque to the gateway; ends with a commit, by being abandoned, or by age.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct WriteSession {
    #[n(0)]
    pub object: ObjectId,
    #[n(1)]
    pub bucket: types::BucketId,
    #[n(2)]
    pub opened: Timestamp,
    /// How its blocks are kept; as its bucket's if absent.
    #[n(3)]
    pub replication: Option<Replication>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OpenedKey {
    #[n(0)]
    pub session: WriteSession,
    /// Enough for `size` up to a bound, at least one unless `size` is zero; more by `allocate_blocks`.
    #[n(1)]
    pub blocks: Vec<BlockLocation>,
    /// The most that one block takes.
    #[n(2)]
    pub block_size: u64,
    /// None if the bytes are stored as they are.
    #[n(3)]
    pub encryption: Option<SealWith>,
    /// Told of a request that is logged: nothing but an ACL let it in.
    #[n(4)]
    pub needed_acl: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum OpenKeyRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("precondition failed")]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    /// `If-Match` on a key that does not exist.
    #[n(3)]
    #[error("no such key")]
    NoSuchKey,
    #[n(4)]
    #[error("too large")]
    TooLarge,
    /// No blocks can be had: safe mode, no pipeline, no room.
    #[n(5)]
    #[error("no blocks available: {0}")]
    NoBlocks(#[n(0)] String),
    #[n(6)]
    #[error("the bucket has no object lock")]
    NoObjectLock,
    #[n(7)]
    #[error(transparent)]
    Encryption(#[n(0)] EncryptionRejected),
    #[n(8)]
    #[error("there is no such storage class")]
    InvalidStorageClass,
    /// The object that was to be made longer is not the one under the key any more.
    #[n(9)]
    #[error("the object has changed")]
    BaseChanged,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AllocateBlocks {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub session: WriteSession,
    #[n(2)]
    pub count: u32,
    /// Pipelines that failed this writer.
    #[n(3)]
    pub exclude: Vec<PipelineId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum AllocateRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    /// Expired, committed or abandoned.
    #[n(1)]
    #[error("no such session")]
    NoSuchSession,
    #[n(2)]
    #[error("no blocks available: {0}")]
    NoBlocks(#[n(0)] String),
}

/// A block that holds bytes of the object, put and durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct CommittedBlock {
    #[n(0)]
    pub block: BlockId,
    #[n(1)]
    pub length: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CommitKey {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub session: WriteSession,
    #[n(2)]
    pub bucket: BucketPath,
    #[n(3)]
    pub key: ObjectKey,
    /// In the object's order; blocks of the session that are not named here are freed.
    #[n(4)]
    pub blocks: Vec<CommittedBlock>,
    #[n(5)]
    pub etag: ETag,
    #[n(6)]
    pub checksum: Option<ObjectChecksum>,
    #[n(7)]
    pub attributes: ObjectAttributes,
    #[n(8)]
    pub condition: WriteCondition,
    #[n(9)]
    pub lock: Option<ObjectLock>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyCommitted {
    #[n(0)]
    pub etag: ETag,
    #[n(1)]
    pub last_modified: Timestamp,
    /// Present in a versioned bucket.
    #[n(2)]
    pub version: Option<VersionId>,
    #[n(3)]
    pub size: u64,
    #[n(4)]
    pub checksum: Option<ObjectChecksum>,
    /// When a lifecycle rule will end it.
    #[n(5)]
    pub ends: Option<LifecycleEnd>,
}

/// When something ends, and by which of its bucket's lifecycle rules.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LifecycleEnd {
    #[n(0)]
    pub at: Timestamp,
    #[n(1)]
    pub rule: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum CommitRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    /// Deleted since the write began, whether or not it was made again.
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    /// The session expired: its blocks are being freed, the client must write again.
    #[n(2)]
    #[error("the session has expired")]
    NoSuchSession,
    #[n(3)]
    #[error("precondition failed")]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    #[n(4)]
    #[error("no such key")]
    NoSuchKey,
    /// Names blocks that were not handed out to this session.
    #[n(5)]
    #[error("blocks of another session")]
    ForeignBlock,
    #[n(6)]
    #[error("the bucket has no object lock")]
    NoObjectLock,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AbandonKey {
    #[n(0)]
    pub session: WriteSession,
}

/// A byte range as asked for, before the size is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ByteRange {
    /// First and last, both included.
    #[n(0)]
    Span(#[n(0)] u64, #[n(1)] u64),
    #[n(1)]
    From(#[n(0)] u64),
    /// The last so many.
    #[n(2)]
    Suffix(#[n(0)] u64),
}

/// Which bytes a read wants located.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum BlocksWanted {
    #[n(0)]
    None,
    #[n(1)]
    All,
    #[n(2)]
    Range(#[n(0)] ByteRange),
    #[n(3)]
    Part(#[n(0)] PartNumber),
    /// None, but the parts behind a number, at most so many.
    #[n(4)]
    PartList {
        #[n(0)]
        after: u16,
        #[n(1)]
        limit: u16,
    },
    /// Of an encrypted object: stored bytes, from one and up to another, to go on with a read under way.
    #[n(5)]
    Stored(#[n(0)] u64, #[n(1)] u64),
}

/// What an object is looked up for: each is another right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum LookupPurpose {
    #[default]
    #[n(0)]
    Object,
    #[n(1)]
    Attributes,
    #[n(2)]
    Tagging,
    #[n(3)]
    Retention,
    #[n(4)]
    LegalHold,
    /// To add to it from its first byte on, or to make it if there is none: the right to write it and, if it is there, to read it.
    #[n(5)]
    Append,
    /// To add to it behind bytes that it must have: that it is not there is then told as to a reader.
    #[n(6)]
    AppendBehind,
}

/// Conditions on a read or on a copy's source, as S3 ranks them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct ReadConditions {
    /// None of the tags: `*` is an empty list in `Some`.
    #[n(0)]
    pub if_match: Option<Vec<ETag>>,
    #[n(1)]
    pub if_none_match: Option<Vec<ETag>>,
    #[n(2)]
    pub if_modified_since: Option<Timestamp>,
    #[n(3)]
    pub if_unmodified_since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LookupKey {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub key: ObjectKey,
    #[n(3)]
    pub version: Option<VersionId>,
    #[n(4)]
    pub wanted: BlocksWanted,
    /// A read under way goes on with this object; another under the same key is not it.
    #[n(5)]
    pub pinned: Option<ObjectId>,
    /// The locations given before failed: ask the SCM anew.
    #[n(6)]
    pub refresh: bool,
    #[n(7)]
    pub purpose: LookupPurpose,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PartInfo {
    #[n(0)]
    pub number: PartNumber,
    #[n(1)]
    pub size: u64,
    #[n(2)]
    pub checksum: Option<Checksum>,
}

/// An object without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ObjectInfo {
    #[n(0)]
    pub object: ObjectId,
    #[n(1)]
    pub size: u64,
    #[n(2)]
    pub etag: ETag,
    #[n(3)]
    pub last_modified: Timestamp,
    #[n(4)]
    pub attributes: ObjectAttributes,
    #[n(5)]
    pub checksum: Option<ObjectChecksum>,
    #[n(6)]
    pub owner: DisplayUser,
    /// Present in a bucket that has been versioned.
    #[n(7)]
    pub version: Option<VersionId>,
    /// How many parts it was completed from; none if it was put whole.
    #[n(8)]
    pub parts: Option<u16>,
    /// The part that `BlocksWanted::Part` asked for.
    #[n(9)]
    pub part: Option<PartInfo>,
    /// Where that part begins in the object.
    #[n(10)]
    pub part_offset: Option<u64>,
    #[n(11)]
    pub lock: Option<ObjectLock>,
    /// None if its bytes are stored as they are.
    #[n(12)]
    pub encryption: Option<EncryptionInfo>,
    /// When a lifecycle rule will end it.
    #[n(13)]
    pub ends: Option<LifecycleEnd>,
}

/// Consecutive bytes of an object as they are stored, and the block that holds them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BlockPiece {
    /// Where these bytes begin in the object, or in what is stored of it if it is encrypted.
    #[n(0)]
    pub object_offset: u64,
    /// Where they begin in the block.
    #[n(1)]
    pub block_offset: u64,
    #[n(2)]
    pub length: u64,
    #[n(3)]
    pub location: BlockLocation,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ObjectRead {
    #[n(0)]
    pub info: ObjectInfo,
    /// The blocks under the wanted bytes, in order, perhaps only the first of them.
    #[n(1)]
    pub pieces: Vec<BlockPiece>,
    /// More follow: look up from the end of the last piece, pinned to this object.
    #[n(2)]
    pub more: bool,
    /// What `BlocksWanted::PartList` asked for.
    #[n(3)]
    pub parts: Vec<PartInfo>,
    /// If the object is encrypted and bytes are wanted that it has.
    #[n(4)]
    pub open_with: Option<OpenWith>,
    /// Told of a request that is logged: nothing but an ACL let it in.
    #[n(5)]
    pub needed_acl: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum LookupRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("no such key")]
    NoSuchKey,
    #[n(3)]
    #[error("no such version")]
    NoSuchVersion,
    /// The version, or the current one, is a delete marker.
    #[n(4)]
    #[error("a delete marker")]
    DeleteMarker(#[n(0)] VersionId),
    #[n(5)]
    #[error("no such part")]
    NoSuchPart,
    /// The pinned object is gone from this key.
    #[n(6)]
    #[error("the object was replaced")]
    Replaced,
    /// Asked for a lock where there can be none.
    #[n(7)]
    #[error("the bucket has no object lock")]
    NoObjectLock,
    #[n(8)]
    #[error(transparent)]
    Encryption(#[n(0)] EncryptionRejected),
}

/// What is said about a version changes; its bytes, tag and time stay.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UpdateVersion {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub key: ObjectKey,
    /// The current one if absent.
    #[n(3)]
    pub version: Option<VersionId>,
    #[n(4)]
    pub change: VersionChange,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum VersionChange {
    /// None at all is what DeleteObjectTagging asks for, which is another right.
    #[n(0)]
    Tags(#[n(0)] Option<Vec<(String, String)>>),
    #[n(1)]
    Retention {
        #[n(0)]
        retention: Option<Retention>,
        #[n(1)]
        bypass: Bypass,
    },
    #[n(2)]
    LegalHold(#[n(0)] bool),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct VersionUpdated {
    /// Present in a bucket that has been versioned.
    #[n(0)]
    pub version: Option<VersionId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum UpdateVersionRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("no such key")]
    NoSuchKey,
    #[n(3)]
    #[error("no such version")]
    NoSuchVersion,
    #[n(4)]
    #[error("a delete marker")]
    DeleteMarker(#[n(0)] VersionId),
    #[n(5)]
    #[error("the bucket has no object lock")]
    NoObjectLock,
    /// The retention that is there may not be loosened.
    #[n(6)]
    #[error("the version is locked")]
    Locked,
    #[n(7)]
    #[error("another object lies there than the one that was judged")]
    Changed,
}
