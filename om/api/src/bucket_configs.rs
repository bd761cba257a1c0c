//! What is set on a bucket. The documents are S3's own (`bucket-config`).

use bucket_config::{BucketDocument, ConfigKind, Invalid, LoggingConfiguration};
use minicbor::{Decode, Encode};
use types::{BucketId, BucketPath, LogIndex, Timestamp};

use crate::{Denied, Requester, UserId};

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GetBucketConfig {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub kind: ConfigKind,
}

/// None of the kind is an answer, too: what S3 says to it differs from kind to kind.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BucketConfig {
    #[n(0)]
    pub document: Option<BucketDocument>,
    /// What was asked for was the bucket's policy status.
    #[n(1)]
    pub is_public: Option<bool>,
    /// When the document was set.
    #[n(2)]
    pub changed: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SetBucketConfig {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub change: ConfigChange,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ConfigChange {
    #[n(0)]
    Put(#[n(0)] Box<BucketDocument>),
    #[n(1)]
    Delete(#[n(0)] ConfigKind),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum SetBucketConfigRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such bucket")]
    NoSuchBucket,
    #[n(2)]
    #[error("the document is not valid")]
    Invalid(#[n(0)] Invalid),
    #[n(3)]
    #[error("the bucket that is to take the log does not exist")]
    NoSuchLogTarget,
    #[n(4)]
    #[error("the bucket that is to take the log is not fit for it")]
    UnfitLogTarget(#[n(0)] UnfitLogTarget),
    /// The bucket's ACL gives others something, and there are to be no ACLs.
    #[n(5)]
    #[error("the bucket has an ACL that is not private")]
    AclIsNotPrivate,
    /// A rule moves objects to it.
    #[n(6)]
    #[error("there is no storage class {0}")]
    NoSuchStorageClass(#[n(0)] String),
    /// What is to be told of the bucket's changes is no destination that an administrator named.
    #[n(7)]
    #[error("no such destination: {0}")]
    NoSuchDestination(#[n(0)] String),
}

/// Why a bucket cannot take another's access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum UnfitLogTarget {
    #[n(0)]
    Itself,
    #[n(1)]
    HasLog,
    #[n(2)]
    IsEncrypted,
    #[n(3)]
    RequesterPays,
}

/// Which buckets have an access log, for the gateways, which write it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GetLoggedBuckets {
    /// The state that the gateway knows already.
    #[n(0)]
    pub known: Option<LogIndex>,
    /// Of a further page, the last bucket of the one before.
    #[n(1)]
    pub after: Option<BucketId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum LoggedBuckets {
    /// Since the state that is known.
    #[n(0)]
    Unchanged,
    #[n(1)]
    Page {
        /// Of another page than the first another state is another list: begin anew.
        #[n(0)]
        state: Option<LogIndex>,
        #[n(1)]
        buckets: Vec<LoggedBucket>,
        #[n(2)]
        more: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LoggedBucket {
    #[n(0)]
    pub id: BucketId,
    #[n(1)]
    pub path: BucketPath,
    #[n(2)]
    pub owner: UserId,
    /// The LocationConstraint as given.
    #[n(3)]
    pub location: Option<String>,
    #[n(4)]
    pub logging: LoggingConfiguration,
}

/// What the gateway itself acts on when it serves the bucket: asked on nobody's behalf, and never shown to anybody.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GetBucketConduct {
    #[n(0)]
    pub bucket: BucketPath,
    #[n(1)]
    pub kinds: Vec<ConfigKind>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BucketConduct {
    #[n(0)]
    pub id: BucketId,
    #[n(1)]
    pub owner: UserId,
    /// Of the kinds asked for, those that are set.
    #[n(2)]
    pub documents: Vec<BucketDocument>,
}

impl BucketConduct {
    /// The document of one kind, if it was asked for and is set.
    pub fn document<D: bucket_config::Document>(&self) -> Option<D> {
        self.documents.iter().find(|document| document.kind() == D::KIND).cloned().and_then(D::of)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum BucketConductRejected {
    #[n(0)]
    #[error("no such bucket")]
    NoSuchBucket,
}
