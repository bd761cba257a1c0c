//! Volumes and buckets.

use minicbor::{Decode, Encode};
use types::{BucketId, BucketLock, BucketName, BucketPath, LogIndex, Replication, Timestamp, VolumeName};

use super::UserId;

/// A volume holds buckets: S3's lie in `s3v`, which exists by itself and has no row until something is set on it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct VolumeRow {
    #[n(0)]
    pub owner: UserId,
    #[n(1)]
    pub created: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum BucketLayout {
    #[n(0)]
    ObjectStore,
    #[n(1)]
    FileSystem,
}

/// How a write treats the version before it. Once enabled, a bucket is never unversioned again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Versioning {
    /// One version a key, S3's `null` version; a write replaces it.
    #[n(0)]
    Unversioned,
    /// Every write is a version of its own; a deletion puts a marker on top.
    #[n(1)]
    Enabled,
    /// A write or a deletion replaces the null version, and leaves the others.
    #[n(2)]
    Suspended,
}

/// ```text
/// BUCKET_NAMES  volume \0 name              → BucketId
/// BUCKETS       bucket id be64              → BucketRow
/// USER_BUCKETS  owner \0 volume \0 name     → BucketId
/// ```
/// Everything inside a bucket is keyed by its id, which is the log index that created it: a bucket made again under an old
/// name inherits nothing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BucketRow {
    #[n(0)]
    pub id: BucketId,
    #[n(1)]
    pub volume: VolumeName,
    #[n(2)]
    pub name: BucketName,
    #[n(3)]
    pub owner: UserId,
    #[n(4)]
    pub created: Timestamp,
    /// The LocationConstraint as given.
    #[n(5)]
    pub location: Option<String>,
    #[n(6)]
    pub layout: BucketLayout,
    #[n(7)]
    pub replication: Replication,
    #[n(8)]
    pub versioning: Versioning,
    /// Only of a versioned bucket.
    #[n(9)]
    pub object_lock: Option<BucketLock>,
    /// The entry that last changed who may reach the bucket: its policy, its ACL, who owns what is in it, or the block on public
    /// access. None: nothing of that was ever set, and there is nothing to look up.
    #[n(10)]
    pub guarded: Option<LogIndex>,
    /// The entry that set its lifecycle rules. None: it has none, and there is nothing to look up.
    #[n(11)]
    pub lifecycle: Option<LogIndex>,
    /// The entry that set whom to notify. None: nobody, and there is nothing to look up.
    #[n(12)]
    pub notifies: Option<LogIndex>,
    /// The entry that last gave it, or first gave something in it, an ACL of Ozone's. None: there is none to look up.
    #[n(13)]
    pub native_acls: Option<LogIndex>,
}

impl BucketRow {
    pub fn path(&self) -> BucketPath {
        BucketPath::new(self.volume.clone(), self.name.clone())
    }

    /// As ARNs name it to everybody.
    pub fn arn(&self) -> String {
        self.path().arn()
    }
}

pub(crate) fn name_key(volume: &VolumeName, name: &BucketName) -> Vec<u8> {
    [volume.as_str().as_bytes(), b"\0", name.as_str().as_bytes()].concat()
}

pub(crate) fn bucket_key(id: BucketId) -> [u8; 8] {
    id.0.to_be_bytes()
}

pub(crate) fn user_bucket_prefix(owner: &UserId, volume: &VolumeName) -> Vec<u8> {
    [owner.0.as_bytes(), b"\0", volume.as_str().as_bytes(), b"\0"].concat()
}

pub(crate) fn user_bucket_key(owner: &UserId, volume: &VolumeName, name: &BucketName) -> Vec<u8> {
    let mut key = user_bucket_prefix(owner, volume);
    key.extend_from_slice(name.as_str().as_bytes());
    key
}
