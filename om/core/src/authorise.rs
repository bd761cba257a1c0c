//! Who may do what: the one place that decides.
//!
//! A call is decided in two steps: [`identify`] turns a verified signature into the user it now belongs to, [`authorise`] decides
//! the action on a resource. Owners and administrators may; policies and ACLs will be read here, from the resource's row, and
//! nowhere else.

use bucket_config::ConfigKind;
use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault};
use types::ObjectKey;

use crate::namespace;
use crate::rows::{AccessKeyId, BucketRow, UserId, UserRow};

/// On whose behalf a request is made, after its signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requester {
    Anonymous,
    Signed { access_key: AccessKeyId, secret_version: u64 },
    System,
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
}

/// A requester whose credential is good at the moment of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    Anonymous,
    User(UserRow),
    /// Trioxide itself.
    System,
}

impl Identity {
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Self::User(user) => Some(&user.id),
            Self::Anonymous | Self::System => None,
        }
    }

    /// For the audit of whoever serves the bytes.
    pub fn caller(&self) -> &str {
        match self {
            Self::User(user) => &user.id.0,
            Self::Anonymous => "anonymous",
            Self::System => "system",
        }
    }
}

/// Whom the credential belongs to, if it is still the one that verified the signature.
pub fn identify(tables: &dyn ReadTables, requester: &Requester) -> Result<Result<Identity, Denied>, StorageFault> {
    let (access_key, secret_version) = match requester {
        Requester::Anonymous => return Ok(Ok(Identity::Anonymous)),
        Requester::System => return Ok(Ok(Identity::System)),
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    ListBuckets,
    CreateBucket,
    DeleteBucket,
    GetBucket,
    /// One of these a permission of S3's.
    GetBucketCors,
    PutBucketCors,
    GetLifecycleConfiguration,
    PutLifecycleConfiguration,
    GetEncryptionConfiguration,
    PutEncryptionConfiguration,
    GetBucketWebsite,
    PutBucketWebsite,
    DeleteBucketWebsite,
    GetBucketNotification,
    PutBucketNotification,
    GetBucketLogging,
    PutBucketLogging,
    GetBucketTagging,
    PutBucketTagging,
    GetBucketRequestPayment,
    PutBucketRequestPayment,
    GetBucketPublicAccessBlock,
    PutBucketPublicAccessBlock,
    GetBucketOwnershipControls,
    PutBucketOwnershipControls,
    GetAccelerateConfiguration,
    PutAccelerateConfiguration,
    GetReplicationConfiguration,
    PutReplicationConfiguration,
    GetAnalyticsConfiguration,
    PutAnalyticsConfiguration,
    GetInventoryConfiguration,
    PutInventoryConfiguration,
    GetMetricsConfiguration,
    PutMetricsConfiguration,
    GetIntelligentTieringConfiguration,
    PutIntelligentTieringConfiguration,
    GetBucketMetadataTableConfiguration,
    PutBucketMetadataTableConfiguration,
    GetBucketAbac,
    PutBucketAbac,
    GetBucketPolicy,
    PutBucketPolicy,
    DeleteBucketPolicy,
    GetBucketPolicyStatus,
    GetBucketAcl,
    ListKeys,
    ListUploads,
    ListVersions,
    GetBucketLocation,
    GetBucketVersioning,
    PutBucketVersioning,
    GetBucketObjectLockConfiguration,
    PutBucketObjectLockConfiguration,
    GetObject,
    GetObjectVersion,
    GetObjectAttributes,
    GetObjectVersionAttributes,
    GetObjectTagging,
    GetObjectVersionTagging,
    PutObjectTagging,
    DeleteObjectTagging,
    GetObjectRetention,
    PutObjectRetention,
    GetObjectLegalHold,
    PutObjectLegalHold,
    BypassGovernanceRetention,
    PutObject,
    DeleteObject,
    DeleteObjectVersion,
    AbortUpload,
    ListParts,
    CreateSecret,
    RevokeSecret,
    ListUsers,
    /// Whatever an administrative listener offers besides.
    Administer,
    /// To put a bucket into a volume other than S3's, or to give it to somebody.
    PlaceBucket,
}

impl Action {
    pub fn of_getting(kind: ConfigKind) -> Self {
        match kind {
            ConfigKind::Cors => Self::GetBucketCors,
            ConfigKind::Lifecycle => Self::GetLifecycleConfiguration,
            ConfigKind::Encryption => Self::GetEncryptionConfiguration,
            ConfigKind::Website => Self::GetBucketWebsite,
            ConfigKind::Notification => Self::GetBucketNotification,
            ConfigKind::Logging => Self::GetBucketLogging,
            ConfigKind::Tagging => Self::GetBucketTagging,
            ConfigKind::RequestPayment => Self::GetBucketRequestPayment,
            ConfigKind::PublicAccessBlock => Self::GetBucketPublicAccessBlock,
            ConfigKind::OwnershipControls => Self::GetBucketOwnershipControls,
            ConfigKind::Acceleration => Self::GetAccelerateConfiguration,
            ConfigKind::Replication => Self::GetReplicationConfiguration,
            ConfigKind::Analytics => Self::GetAnalyticsConfiguration,
            ConfigKind::Inventory => Self::GetInventoryConfiguration,
            ConfigKind::Metrics => Self::GetMetricsConfiguration,
            ConfigKind::IntelligentTiering => Self::GetIntelligentTieringConfiguration,
            ConfigKind::Metadata => Self::GetBucketMetadataTableConfiguration,
            ConfigKind::AttributeAccess => Self::GetBucketAbac,
            ConfigKind::Policy => Self::GetBucketPolicy,
            ConfigKind::PolicyStatus => Self::GetBucketPolicyStatus,
        }
    }

    pub fn of_putting(kind: ConfigKind) -> Self {
        match kind {
            ConfigKind::Cors => Self::PutBucketCors,
            ConfigKind::Lifecycle => Self::PutLifecycleConfiguration,
            ConfigKind::Encryption => Self::PutEncryptionConfiguration,
            ConfigKind::Website => Self::PutBucketWebsite,
            ConfigKind::Notification => Self::PutBucketNotification,
            ConfigKind::Logging => Self::PutBucketLogging,
            ConfigKind::Tagging => Self::PutBucketTagging,
            ConfigKind::RequestPayment => Self::PutBucketRequestPayment,
            ConfigKind::PublicAccessBlock => Self::PutBucketPublicAccessBlock,
            ConfigKind::OwnershipControls => Self::PutBucketOwnershipControls,
            ConfigKind::Acceleration => Self::PutAccelerateConfiguration,
            ConfigKind::Replication => Self::PutReplicationConfiguration,
            ConfigKind::Analytics => Self::PutAnalyticsConfiguration,
            ConfigKind::Inventory => Self::PutInventoryConfiguration,
            ConfigKind::Metrics => Self::PutMetricsConfiguration,
            ConfigKind::IntelligentTiering => Self::PutIntelligentTieringConfiguration,
            ConfigKind::Metadata => Self::PutBucketMetadataTableConfiguration,
            ConfigKind::AttributeAccess => Self::PutBucketAbac,
            // A status follows from the policy.
            ConfigKind::Policy | ConfigKind::PolicyStatus => Self::PutBucketPolicy,
        }
    }

    /// With S3, who may set most kinds may take them away; the others have a permission of their own for that.
    pub fn of_deleting(kind: ConfigKind) -> Self {
        match kind {
            ConfigKind::Website => Self::DeleteBucketWebsite,
            ConfigKind::Policy => Self::DeleteBucketPolicy,
            _ => Self::of_putting(kind),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub enum Resource<'a> {
    /// The store as a whole.
    Store,
    Bucket(&'a BucketRow),
    Object(&'a BucketRow, &'a ObjectKey),
    User(&'a UserId),
}

pub fn authorise(identity: &Identity, action: Action, resource: Resource<'_>) -> Result<(), Denied> {
    let user = match identity {
        Identity::System => return Ok(()),
        // Anybody may ask which buckets are theirs; a nobody has none.
        Identity::Anonymous if action == Action::ListBuckets => return Ok(()),
        Identity::Anonymous => return Err(Denied::AccessDenied),
        Identity::User(user) if user.is_admin => return Ok(()),
        Identity::User(user) => user,
    };
    let is_allowed = match resource {
        Resource::Store => matches!(action, Action::ListBuckets | Action::CreateBucket),
        Resource::Bucket(bucket) | Resource::Object(bucket, _) => bucket.owner == user.id,
        Resource::User(id) => *id == user.id,
    };
    if is_allowed { Ok(()) } else { Err(Denied::AccessDenied) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{self, AccessKeyRow, BucketLayout, Versioning};
    use crate::tables::{ACCESS_KEYS, USERS};
    use ::tables::MemoryTables;
    use types::{BucketId, BucketName, Replication, Timestamp, VolumeName};

    fn user(id: &str, is_admin: bool) -> UserRow {
        UserRow { id: UserId(id.into()), display_name: id.into(), email: None, is_admin, created: Timestamp(1) }
    }

    fn bucket_of(owner: &str) -> BucketRow {
        BucketRow {
            id: BucketId(1),
            volume: VolumeName::s3v(),
            name: BucketName::parse("photos").expect("legal"),
            owner: UserId(owner.into()),
            created: Timestamp(1),
            location: None,
            layout: BucketLayout::ObjectStore,
            replication: Replication::One,
            versioning: Versioning::Unversioned,
            object_lock: None,
            lifecycle: None,
        }
    }

    #[test]
    fn a_bucket_is_for_its_owner_and_for_administrators() {
        let bucket = bucket_of("ada");
        let may = |identity: &Identity| authorise(identity, Action::PutObject, Resource::Bucket(&bucket));
        assert_eq!(may(&Identity::User(user("ada", false))), Ok(()));
        assert_eq!(may(&Identity::User(user("root", true))), Ok(()));
        assert_eq!(may(&Identity::System), Ok(()));
        assert_eq!(may(&Identity::User(user("bob", false))), Err(Denied::AccessDenied));
        assert_eq!(may(&Identity::Anonymous), Err(Denied::AccessDenied));
    }

    #[test]
    fn users_reach_their_own_secrets_and_no_list_of_users() {
        let ada = Identity::User(user("ada", false));
        let (own, other) = (UserId("ada".into()), UserId("bob".into()));
        assert_eq!(authorise(&ada, Action::RevokeSecret, Resource::User(&own)), Ok(()));
        assert_eq!(authorise(&ada, Action::RevokeSecret, Resource::User(&other)), Err(Denied::AccessDenied));
        assert_eq!(authorise(&ada, Action::ListUsers, Resource::Store), Err(Denied::AccessDenied));
        assert_eq!(authorise(&ada, Action::PlaceBucket, Resource::Store), Err(Denied::AccessDenied));
    }

    #[test]
    fn a_credential_is_good_only_under_the_secret_that_verified_it() {
        let mut tables = MemoryTables::default();
        rows::put(&mut tables, USERS, b"ada", &user("ada", false));
        let row =
            AccessKeyRow { user: UserId("ada".into()), sealed: vec![1], secret_version: 7, created: Timestamp(1), origin: None };
        rows::put(&mut tables, ACCESS_KEYS, b"AK", &row);
        let signed = |key: &str, secret_version| Requester::Signed { access_key: AccessKeyId(key.into()), secret_version };
        let identify = |requester| identify(&tables, &requester).expect("memory");
        assert_eq!(identify(signed("AK", 7)), Ok(Identity::User(user("ada", false))));
        assert_eq!(identify(signed("AK", 6)), Err(Denied::StaleCredential));
        assert_eq!(identify(signed("AX", 7)), Err(Denied::NoSuchAccessKey));
    }
}
