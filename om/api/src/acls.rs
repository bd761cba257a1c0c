//! Access control lists of buckets and objects.

use minicbor::{Decode, Encode};
use types::{AclGroup, AclPermission, AclRequest, BucketPath, ObjectKey, VersionId};

use crate::{Denied, DisplayUser, Requester};

/// Whose ACL: the bucket's own, or that of an object in it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum AclOf {
    #[n(0)]
    Bucket,
    #[n(1)]
    Object {
        #[n(0)]
        key: ObjectKey,
        /// The current one if absent.
        #[n(1)]
        version: Option<VersionId>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GetAcl {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub of: AclOf,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ShownGrantee {
    #[n(0)]
    User(#[n(0)] DisplayUser),
    #[n(1)]
    Group(#[n(0)] AclGroup),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ShownGrant {
    #[n(0)]
    pub grantee: ShownGrantee,
    #[n(1)]
    pub permission: AclPermission,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ShownAcl {
    #[n(0)]
    pub owner: DisplayUser,
    #[n(1)]
    pub grants: Vec<ShownGrant>,
    /// Of an object in a bucket that has been versioned.
    #[n(2)]
    pub version: Option<VersionId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SetAcl {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub of: AclOf,
    #[n(3)]
    pub acl: AclRequest,
    /// Whom the client takes for the owner. An ACL does not make another one.
    #[n(4)]
    pub owner: Option<String>,
}

/// The version whose ACL it was, if its bucket names versions.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AclSet {
    #[n(0)]
    pub version: Option<VersionId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum AclRejected {
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
    #[error("another object lies there than the one that was judged")]
    Changed,
}
