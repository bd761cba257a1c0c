//! Every permission of S3, by the name that policies give it. What an operation needs of them is the operation's to say.

use std::fmt;

macro_rules! permissions {
    ($($group:ident: $($name:ident)*;)*) => {
        /// An action of S3 as policies name it, without `s3:`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission { $($($name,)*)* }

        impl Permission {
            pub const ALL: &'static [Self] = &[$($(Self::$name,)*)*];

            pub fn name(self) -> &'static str {
                match self { $($(Self::$name => stringify!($name),)*)* }
            }

            pub fn scope(self) -> Scope {
                match self { $($(Self::$name)|* => Scope::$group,)* }
            }
        }
    };
}

/// What a permission is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The account, or the service as a whole.
    Account,
    Bucket,
    Object,
    /// Resources of S3 that are neither, and that Trioxide does not have.
    Other,
}

permissions! {
    Account:
        ListAllMyBuckets
        GetAccountPublicAccessBlock
        PutAccountPublicAccessBlock
    ;
    Bucket:
        CreateBucket
        DeleteBucket
        ListBucket
        ListBucketVersions
        ListBucketMultipartUploads
        GetBucketLocation
        GetBucketAcl
        PutBucketAcl
        GetBucketPolicy
        PutBucketPolicy
        DeleteBucketPolicy
        GetBucketPolicyStatus
        GetBucketPublicAccessBlock
        PutBucketPublicAccessBlock
        GetBucketOwnershipControls
        PutBucketOwnershipControls
        GetBucketVersioning
        PutBucketVersioning
        GetBucketCORS
        PutBucketCORS
        GetBucketWebsite
        PutBucketWebsite
        DeleteBucketWebsite
        GetBucketTagging
        PutBucketTagging
        GetBucketNotification
        PutBucketNotification
        GetBucketLogging
        PutBucketLogging
        GetBucketRequestPayment
        PutBucketRequestPayment
        GetBucketObjectLockConfiguration
        PutBucketObjectLockConfiguration
        GetBucketAbac
        PutBucketAbac
        GetLifecycleConfiguration
        PutLifecycleConfiguration
        GetEncryptionConfiguration
        PutEncryptionConfiguration
        GetReplicationConfiguration
        PutReplicationConfiguration
        GetAccelerateConfiguration
        PutAccelerateConfiguration
        GetAnalyticsConfiguration
        PutAnalyticsConfiguration
        GetInventoryConfiguration
        PutInventoryConfiguration
        GetMetricsConfiguration
        PutMetricsConfiguration
        GetIntelligentTieringConfiguration
        PutIntelligentTieringConfiguration
        CreateBucketMetadataTableConfiguration
        GetBucketMetadataTableConfiguration
        DeleteBucketMetadataTableConfiguration
        UpdateBucketMetadataInventoryTableConfiguration
        UpdateBucketMetadataJournalTableConfiguration
    ;
    Object:
        GetObject
        GetObjectVersion
        GetObjectAcl
        GetObjectVersionAcl
        GetObjectTagging
        GetObjectVersionTagging
        GetObjectAttributes
        GetObjectVersionAttributes
        GetObjectRetention
        GetObjectLegalHold
        GetObjectTorrent
        GetObjectVersionTorrent
        GetObjectVersionForReplication
        PutObject
        PutObjectAcl
        PutObjectVersionAcl
        PutObjectTagging
        PutObjectVersionTagging
        PutObjectRetention
        PutObjectLegalHold
        BypassGovernanceRetention
        DeleteObject
        DeleteObjectVersion
        DeleteObjectTagging
        DeleteObjectVersionTagging
        AbortMultipartUpload
        ListMultipartUploadParts
        RestoreObject
        RenameObject
        UpdateObjectEncryption
        ReplicateObject
        ReplicateDelete
        ReplicateTags
        InitiateReplication
        ObjectOwnerOverrideToBucketOwner
    ;
    Other:
        AssociateAccessGrantsIdentityCenter
        CreateAccessGrant
        CreateAccessGrantsInstance
        CreateAccessGrantsLocation
        CreateAccessPoint
        CreateAccessPointForObjectLambda
        CreateJob
        CreateMultiRegionAccessPoint
        CreateStorageLensGroup
        DeleteAccessGrant
        DeleteAccessGrantsInstance
        DeleteAccessGrantsInstanceResourcePolicy
        DeleteAccessGrantsLocation
        DeleteAccessPoint
        DeleteAccessPointForObjectLambda
        DeleteAccessPointPolicy
        DeleteAccessPointPolicyForObjectLambda
        DeleteJobTagging
        DeleteMultiRegionAccessPoint
        DeleteStorageLensConfiguration
        DeleteStorageLensConfigurationTagging
        DeleteStorageLensGroup
        DescribeJob
        DescribeMultiRegionAccessPointOperation
        DissociateAccessGrantsIdentityCenter
        GetAccessGrant
        GetAccessGrantsInstance
        GetAccessGrantsInstanceForPrefix
        GetAccessGrantsInstanceResourcePolicy
        GetAccessGrantsLocation
        GetAccessPoint
        GetAccessPointConfigurationForObjectLambda
        GetAccessPointForObjectLambda
        GetAccessPointPolicy
        GetAccessPointPolicyForObjectLambda
        GetAccessPointPolicyStatus
        GetAccessPointPolicyStatusForObjectLambda
        GetDataAccess
        GetJobTagging
        GetMultiRegionAccessPoint
        GetMultiRegionAccessPointPolicy
        GetMultiRegionAccessPointPolicyStatus
        GetMultiRegionAccessPointRoutes
        GetStorageLensConfiguration
        GetStorageLensConfigurationTagging
        GetStorageLensDashboard
        GetStorageLensGroup
        ListAccessGrants
        ListAccessGrantsInstances
        ListAccessGrantsLocations
        ListAccessPoints
        ListAccessPointsForObjectLambda
        ListCallerAccessGrants
        ListJobs
        ListMultiRegionAccessPoints
        ListStorageLensConfigurations
        ListStorageLensGroups
        ListTagsForResource
        PauseReplication
        PutAccessGrantsInstanceResourcePolicy
        PutAccessPointConfigurationForObjectLambda
        PutAccessPointPolicy
        PutAccessPointPolicyForObjectLambda
        PutAccessPointPublicAccessBlock
        PutJobTagging
        PutMultiRegionAccessPointPolicy
        PutStorageLensConfiguration
        PutStorageLensConfigurationTagging
        SubmitMultiRegionAccessPointRoutes
        TagResource
        UntagResource
        UpdateAccessGrantsLocation
        UpdateJobPriority
        UpdateJobStatus
        UpdateStorageLensGroup
    ;
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3:{}", self.name())
    }
}

/// Some of the permissions: one bit each, so that a statement is passed over in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PermissionSet([u64; WORDS]);

const WORDS: usize = Permission::ALL.len().div_ceil(64);

impl PermissionSet {
    pub(super) fn insert(&mut self, permission: Permission) {
        let place = permission as usize;
        self.0[place / 64] |= 1 << (place % 64);
    }

    pub(super) fn contains(&self, permission: Permission) -> bool {
        let place = permission as usize;
        self.0[place / 64] >> (place % 64) & 1 == 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        for (place, permission) in Permission::ALL.iter().enumerate() {
            assert_eq!(*permission as usize, place);
            let mut set = PermissionSet::default();
            assert!(set.is_empty());
            set.insert(*permission);
            assert!(Permission::ALL.iter().all(|other| set.contains(*other) == (other == permission)));
        }
    }
}
