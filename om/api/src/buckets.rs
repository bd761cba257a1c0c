//! Buckets.

use bucket_config::access::ObjectOwnership;
use minicbor::{Decode, Encode};
use types::{BucketId, BucketLock, BucketName, BucketPath, DefaultRetention, Replication, Timestamp, VolumeName};

use crate::{Denied, DisplayUser, Requester};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum BucketLayout {
    /// Keys are flat byte strings.
    #[n(0)]
    ObjectStore,
    /// Keys are paths; renaming or deleting a directory is one row.
    #[n(1)]
    FileSystem,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CreateBucket {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    /// The LocationConstraint as given.
    #[n(2)]
    pub location: Option<String>,
    // 3 was the volume, which is the path's.
    /// The bootstrap names an owner; a client's bucket is its own.
    #[n(4)]
    pub owner: Option<crate::UserId>,
    /// Whether versions in it can be locked; it then begins versioned.
    #[n(5)]
    pub object_lock: bool,
    #[n(6)]
    pub ownership: Option<ObjectOwnership>,
}

/// How a write treats the version before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Versioning {
    #[n(0)]
    Unversioned,
    #[n(1)]
    Enabled,
    #[n(2)]
    Suspended,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BucketInfo {
    #[n(0)]
    pub id: BucketId,
    #[n(1)]
    pub name: BucketName,
    #[n(2)]
    pub volume: VolumeName,
    #[n(3)]
    pub owner: DisplayUser,
    #[n(4)]
    pub created: Timestamp,
    #[n(5)]
    pub location: Option<String>,
    #[n(6)]
    pub layout: BucketLayout,
    #[n(7)]
    pub replication: Replication,
    #[n(8)]
    pub versioning: Versioning,
    #[n(9)]
    pub object_lock: Option<BucketLock>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum CreateBucketRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    /// It is the requester's already, with the same settings; S3 in us-east-1 answers 200.
    #[n(1)]
    #[error("the requester has this bucket already")]
    OwnedByYou(#[n(0)] Box<BucketInfo>),
    #[n(2)]
    #[error("the bucket is somebody else's")]
    Exists,
    #[n(3)]
    #[error("the requester has as many buckets as allowed")]
    TooMany,
    /// ACLs are asked for, and one of them.
    #[n(4)]
    #[error("a bucket without ACLs cannot be given one")]
    AclWithoutAcls,
    #[n(5)]
    #[error("there is no such volume")]
    NoSuchVolume,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeleteBucket {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum DeleteBucketRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    /// Keys or versions are left. Uploads in flight do not count: they end with the bucket.
    #[n(2)]
    #[error("the bucket is not empty")]
    NotEmpty,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GetBucket {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub purpose: BucketPurpose,
}

/// What a bucket is asked for: each is another right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum BucketPurpose {
    /// Whether it is there.
    #[n(0)]
    Head,
    #[n(1)]
    Location,
    #[n(2)]
    Versioning,
    #[n(3)]
    ObjectLock,
}

/// There is no way back to a bucket without versions.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SetVersioning {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    /// Else suspended.
    #[n(2)]
    pub enabled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum SetVersioningRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    /// A bucket whose versions can be locked keeps them.
    #[n(2)]
    #[error("the bucket has object lock")]
    HasObjectLock,
}

/// Gives a versioned bucket object lock, or another default retention.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SetBucketLock {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub default: Option<DefaultRetention>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum SetBucketLockRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("the bucket is not versioned")]
    NotVersioned,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum BucketRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
}

/// The requester's own buckets, by name.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ListBuckets {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub prefix: String,
    /// Only names behind this one.
    #[n(2)]
    pub after: Option<String>,
    #[n(3)]
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BucketPage {
    #[n(0)]
    pub owner: Option<DisplayUser>,
    #[n(1)]
    pub buckets: Vec<BucketInfo>,
    #[n(2)]
    pub more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum ListBucketsRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
}
