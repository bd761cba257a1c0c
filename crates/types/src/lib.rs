//! Words that every package shares: ids, names, times, blocks and checksums.
//!
//! A value of one of these types has passed its check; nothing behind the edge parses again. Every type has one
//! encoding (CBOR with numbered fields), used on the wire, in the Raft log and in rows alike: a field number is never
//! reused, an unknown field is skipped, a new field is an `Option` or has a default.

mod acl;
mod address;
mod block;
mod checksum;
mod condition;
mod iam;
mod ids;
mod lock;
mod names;
mod network;
mod raft;
pub mod sealed;
mod time;

pub use acl::{Acl, AclGroup, AclPermission, AclRequest, CannedAcl, Grant, GrantRequest, Grantee, GranteeName};
pub use address::{BucketAddress, BucketPath};
pub use block::{BlockId, BlockLocation, Endpoint, Replica, Replication};
pub use checksum::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, InvalidChecksum, Md5};
pub use condition::Precondition;
pub use iam::{IamError, IamErrorCode, IamValue};
pub use ids::{
    BucketId, ClusterId, ContainerId, DatanodeId, GroupId, LogIndex, MemberId, ObjectId, PartNumber, PipelineId, RequestId,
    UploadId, VersionId,
};
pub use lock::{BucketLock, Bypass, DefaultRetention, ObjectLock, Retention, RetentionMode, RetentionPeriod};
pub use names::{BucketName, InvalidName, ObjectKey, VolumeName};
pub use network::Network;
pub use raft::{RaftMember, RaftRole, RaftStatus};
pub use sealed::{Salt, SealedStream};
pub use time::{Millis, Timestamp};
