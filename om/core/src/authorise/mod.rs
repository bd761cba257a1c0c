//! Who may do what: the one place that decides.
//!
//! A call is decided in two steps. [`identify`] turns a verified signature into the user it now belongs to. Then, of a bucket and what
//! is in it, a [`Scene`] decides each action: who asks, what is known of the request ([`Facts`]), and what stands guard over the
//! bucket ([`Guard`]: its policy, its ACL, who owns what is in it, the block on public access), together with the object's own ACL.
//! Of everything else [`administer`] decides.
//!
//! What always holds:
//! - Nobody may who is not let in by something: an owner's own right, a policy, an ACL.
//! - An explicit denial binds everybody, the owner and administrators too; only the policy itself the owner can always change back.
//! - An object belongs to whoever wrote it, and its bucket's owner has no right to read it, unless the bucket says otherwise.
//! - A bucket on which nothing was ever set costs nothing to decide about.

mod account;
mod acl;
mod actions;
mod facts;
mod guard;
mod identity;
mod native;
mod scene;
#[cfg(test)]
mod tests;

use minicbor::{Decode, Encode};
use types::BucketId;

use crate::rows::AccessKeyId;

pub use account::{AdminAction, OfVolumeAcl, Sts, administer, explain, explain_iam, may_assume, may_iam, may_with_volume};
pub use acl::{bucket_acl, object_acl};
pub use facts::{AuthType, Facts, PASSED_HEADERS};
pub use guard::Guard;
pub use identity::{Identity, KnownPowers, LogSource, Member, Session, Unkept, identify, is_alive, session_policies};
pub use scene::{Scene, Target, Written};

/// What a call does to a bucket or to something in it: one of S3's permissions.
pub use crate::policy::Permission as Action;

/// On whose behalf a request is made, after its signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requester {
    Anonymous,
    Signed {
        access_key: AccessKeyId,
        secret_version: u64,
    },
    System,
    /// Whoever writes the access log of some buckets: records of several may stand in one object.
    LogDelivery {
        of: Vec<BucketId>,
    },
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Denied {
    #[n(0)]
    AccessDenied,
    #[n(1)]
    NoSuchAccessKey,
    #[n(2)]
    StaleCredential,
    /// An ACL is asked for where there are none.
    #[n(3)]
    AclNotSupported,
    /// An ACL names somebody who is not there.
    #[n(4)]
    UnknownGrantee,
    #[n(5)]
    UnknownEmail,
    /// The session is over.
    #[n(6)]
    ExpiredToken,
}
