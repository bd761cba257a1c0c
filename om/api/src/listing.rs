//! One page of a bucket's keys, or of all its versions.

use minicbor::{Decode, Encode};
use types::{BucketPath, ChecksumAlgorithm, ChecksumType, ETag, ObjectKey, Timestamp, VersionId};

use crate::{Denied, DisplayUser, Requester};

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ListStart {
    #[n(0)]
    Beginning,
    /// Behind this text, which need not be a key: v1's marker, v2's start-after. If it is a common prefix under the
    /// delimiter, behind everything in it.
    #[n(1)]
    After(#[n(0)] String),
    /// At the first key not below this text: how a page goes on.
    #[n(2)]
    At(#[n(0)] String),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ListKeys {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub prefix: String,
    /// Any text; none if it was empty.
    #[n(3)]
    pub delimiter: Option<String>,
    #[n(4)]
    pub start: ListStart,
    /// Keys and common prefixes together, at most 1,000.
    #[n(5)]
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeySummary {
    #[n(0)]
    pub key: ObjectKey,
    #[n(1)]
    pub size: u64,
    #[n(2)]
    pub etag: ETag,
    #[n(3)]
    pub last_modified: Timestamp,
    #[n(4)]
    pub storage_class: Option<String>,
    #[n(5)]
    pub owner: DisplayUser,
    #[n(6)]
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ListEntry {
    #[n(0)]
    Key(#[n(0)] KeySummary),
    /// Everything up to and with the first delimiter behind the prefix.
    #[n(1)]
    CommonPrefix(#[n(0)] String),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyPage {
    /// In byte order, keys and common prefixes interleaved.
    #[n(0)]
    pub entries: Vec<ListEntry>,
    /// Where the next page begins; none if this is the last.
    #[n(1)]
    pub next: Option<ListStart>,
    /// Positions looked up in the tables for this page: the cost apart from the rows returned.
    #[n(2)]
    pub seeks: u64,
    /// Told of a request that is logged: nothing but an ACL let it in.
    #[n(3)]
    pub needed_acl: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum ListRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
}

/// Where a page of versions begins.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum VersionStart {
    #[n(0)]
    Beginning,
    /// Behind all versions of this key, which need not be one. If it is a common prefix under the delimiter, behind everything
    /// in it.
    #[n(1)]
    AfterKey(#[n(0)] String),
    /// Behind this version, whether or not it is still there.
    #[n(2)]
    AfterVersion(#[n(0)] ObjectKey, #[n(1)] VersionId),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ListVersions {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub prefix: String,
    /// Any text; none if it was empty.
    #[n(3)]
    pub delimiter: Option<String>,
    #[n(4)]
    pub start: VersionStart,
    /// Versions and common prefixes together, at most 1,000.
    #[n(5)]
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MarkerSummary {
    #[n(0)]
    pub key: ObjectKey,
    #[n(1)]
    pub last_modified: Timestamp,
    #[n(2)]
    pub owner: DisplayUser,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum VersionEntry {
    #[n(0)]
    Object {
        #[n(0)]
        object: KeySummary,
        #[n(1)]
        version: VersionId,
        #[n(2)]
        is_latest: bool,
    },
    #[n(1)]
    DeleteMarker {
        #[n(0)]
        marker: MarkerSummary,
        #[n(1)]
        version: VersionId,
        #[n(2)]
        is_latest: bool,
    },
    #[n(2)]
    CommonPrefix(#[n(0)] String),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct VersionPage {
    /// Keys in byte order, the versions of each from the newest on.
    #[n(0)]
    pub entries: Vec<VersionEntry>,
    /// More follow behind the last entry.
    #[n(1)]
    pub more: bool,
    /// Positions looked up in the tables for this page.
    #[n(2)]
    pub seeks: u64,
    /// Told of a request that is logged: nothing but an ACL let it in.
    #[n(3)]
    pub needed_acl: bool,
}
