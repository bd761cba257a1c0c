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

mod acl;
mod actions;
mod facts;
mod guard;
mod scene;
#[cfg(test)]
mod tests;

use acl::LOG_DELIVERY;
use bucket_config::LoggingConfiguration;
use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault};
use types::{BucketId, BucketName};

use crate::namespace;
use crate::policy::{Account, Caller};
use crate::rows::{AccessKeyId, BucketRow, UserId, UserRow};

pub use acl::{bucket_acl, object_acl};
pub use facts::{AuthType, Facts, PASSED_HEADERS};
pub use guard::Guard;
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
}

/// A requester whose credential is good at the moment of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    Anonymous,
    User(UserRow),
    /// Trioxide itself.
    System,
    /// Trioxide where it delivers access logs: it may what the target lets S3's own service do for each of them, and in one place.
    LogDelivery(Vec<LogSource>),
}

/// A bucket with an access log, and where that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSource {
    pub(super) owner: UserId,
    pub(super) arn: String,
    pub(super) target: BucketName,
    pub(super) prefix: String,
}

impl LogSource {
    pub fn new(bucket: &BucketRow, logging: &LoggingConfiguration) -> Self {
        Self {
            owner: bucket.owner.clone(),
            arn: format!("arn:aws:s3:::{}", bucket.name),
            target: logging.target.clone(),
            prefix: logging.prefix.clone(),
        }
    }
}

impl Identity {
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Self::User(user) => Some(&user.id),
            Self::Anonymous | Self::System | Self::LogDelivery(_) => None,
        }
    }

    /// As policies name them. Every user is an account of their own, with its root's rights.
    fn principal(&self) -> Caller {
        match self {
            Self::User(user) => Caller::Root(Account { id: user.id.0.clone(), canonical: user.id.0.clone() }),
            Self::Anonymous | Self::System => Caller::Anonymous,
            Self::LogDelivery(_) => Caller::Service(LOG_DELIVERY.to_owned()),
        }
    }

    fn is_admin(&self) -> bool {
        matches!(self, Self::User(user) if user.is_admin)
    }

    /// For the audit of whoever serves the bytes.
    pub fn caller(&self) -> &str {
        match self {
            Self::User(user) => &user.id.0,
            Self::Anonymous => "anonymous",
            Self::System => "system",
            Self::LogDelivery(_) => "log-delivery",
        }
    }
}

/// Whom the credential belongs to, if it is still the one that verified the signature.
pub fn identify(tables: &dyn ReadTables, requester: &Requester) -> Result<Result<Identity, Denied>, StorageFault> {
    let (access_key, secret_version) = match requester {
        Requester::Anonymous => return Ok(Ok(Identity::Anonymous)),
        Requester::System => return Ok(Ok(Identity::System)),
        Requester::LogDelivery { of } => return log_sources(tables, of),
        Requester::Signed { access_key, secret_version } => (access_key, *secret_version),
    };
    let Some(row) = namespace::access_key(tables, access_key)? else {
        return Ok(Err(Denied::NoSuchAccessKey));
    };
    if row.secret_version != secret_version {
        return Ok(Err(Denied::StaleCredential));
    }
    match namespace::user(tables, &row.user)? {
        Some(user) => Ok(Ok(Identity::User(user))),
        None => Err(StorageFault(format!("{access_key:?} belongs to {:?}, who does not exist", row.user))),
    }
}

/// The buckets and their logs as they are now: a log that was taken away is delivered no more.
fn log_sources(tables: &dyn ReadTables, of: &[BucketId]) -> Result<Result<Identity, Denied>, StorageFault> {
    let mut sources = Vec::with_capacity(of.len());
    for id in of {
        let Some((bucket, logging)) = namespace::bucket(tables, *id)?.zip(namespace::bucket_document(tables, *id)?) else {
            return Ok(Err(Denied::AccessDenied));
        };
        sources.push(LogSource::new(&bucket, &logging));
    }
    Ok(Ok(Identity::LogDelivery(sources)))
}

/// What is about no bucket, or about buckets as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminAction {
    /// Of the requester's own.
    ListBuckets,
    CreateBucket,
    CreateSecret,
    RevokeSecret,
    ListUsers,
    /// Whatever an administrative listener offers besides.
    Administer,
    /// To put a bucket into a volume other than S3's, or to give it to somebody.
    PlaceBucket,
}

/// `of` is the user whom it is about, if it is about one.
pub fn administer(identity: &Identity, action: AdminAction, of: Option<&UserId>) -> Result<(), Denied> {
    let user = match identity {
        Identity::System => return Ok(()),
        // Anybody may ask which buckets are theirs; a nobody has none.
        Identity::Anonymous if action == AdminAction::ListBuckets => return Ok(()),
        Identity::Anonymous | Identity::LogDelivery(_) => return Err(Denied::AccessDenied),
        Identity::User(user) if user.is_admin => return Ok(()),
        Identity::User(user) => user,
    };
    let is_allowed = match action {
        AdminAction::ListBuckets | AdminAction::CreateBucket => true,
        AdminAction::CreateSecret | AdminAction::RevokeSecret => of == Some(&user.id),
        AdminAction::ListUsers | AdminAction::Administer | AdminAction::PlaceBucket => false,
    };
    if is_allowed { Ok(()) } else { Err(Denied::AccessDenied) }
}
