//! Which of S3's permissions what is asked for needs, where that is not one for one; and which of them an ACL can give.

use bucket_config::ConfigKind;
use types::AclPermission;

use crate::policy::Permission;

impl Permission {
    pub fn of_getting(kind: ConfigKind) -> Self {
        match kind {
            ConfigKind::Cors => Self::GetBucketCORS,
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
            ConfigKind::Acl => Self::GetBucketAcl,
            ConfigKind::PolicyStatus => Self::GetBucketPolicyStatus,
        }
    }

    pub fn of_putting(kind: ConfigKind) -> Self {
        match kind {
            ConfigKind::Cors => Self::PutBucketCORS,
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
            ConfigKind::Metadata => Self::CreateBucketMetadataTableConfiguration,
            ConfigKind::AttributeAccess => Self::PutBucketAbac,
            ConfigKind::Acl => Self::PutBucketAcl,
            // A status follows from the policy.
            ConfigKind::Policy | ConfigKind::PolicyStatus => Self::PutBucketPolicy,
        }
    }

    /// With S3, who may set most kinds may take them away; the others have a permission of their own for that.
    pub fn of_deleting(kind: ConfigKind) -> Self {
        match kind {
            ConfigKind::Website => Self::DeleteBucketWebsite,
            ConfigKind::Policy => Self::DeleteBucketPolicy,
            ConfigKind::Metadata => Self::DeleteBucketMetadataTableConfiguration,
            _ => Self::of_putting(kind),
        }
    }
}

/// Whose ACL can give a permission, and as which of its own five.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByAcl {
    OfBucket(AclPermission),
    OfObject(AclPermission),
}

/// As S3 documents the mapping. Most permissions no ACL gives.
pub(super) fn by_acl(permission: Permission) -> Option<ByAcl> {
    use AclPermission::{Read, ReadAcp, Write, WriteAcp};
    use ByAcl::{OfBucket, OfObject};
    Some(match permission {
        Permission::ListBucket | Permission::ListBucketVersions | Permission::ListBucketMultipartUploads => OfBucket(Read),
        Permission::PutObject | Permission::DeleteObject => OfBucket(Write),
        Permission::GetBucketAcl => OfBucket(ReadAcp),
        Permission::PutBucketAcl => OfBucket(WriteAcp),
        Permission::GetObject
        | Permission::GetObjectVersion
        | Permission::GetObjectAttributes
        | Permission::GetObjectVersionAttributes
        | Permission::GetObjectTorrent
        | Permission::GetObjectVersionTorrent => OfObject(Read),
        Permission::GetObjectAcl | Permission::GetObjectVersionAcl => OfObject(ReadAcp),
        Permission::PutObjectAcl | Permission::PutObjectVersionAcl => OfObject(WriteAcp),
        _ => return None,
    })
}
