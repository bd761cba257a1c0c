//! Method × scope × sub-resource → operation, all of S3.

use super::S3Operation;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Service,
    Bucket,
    Object,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) method: &'static str,
    pub(super) scope: Scope,
    pub(super) sub_resource: Option<&'static str>,
    pub(super) operation: S3Operation,
}

macro_rules! table {
    ($($method:ident $scope:ident $($sub:literal)? => $operation:ident;)*) => {
        pub(super) const TABLE: &[Row] = &[
            $(Row {
                method: stringify!($method),
                scope: Scope::$scope,
                sub_resource: table!(@sub $($sub)?),
                operation: S3Operation::$operation,
            },)*
        ];
    };
    (@sub $sub:literal) => { Some($sub) };
    (@sub) => { None };
}

/// Names in a query that choose an operation. At most one may be present. All other names refine the operation
/// (`versionId`, `response-…`), sign it (`X-Amz-…`) or are unknown, which a write does not take.
pub(crate) const SUB_RESOURCES: &[&str] = &[
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "annotation",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "list-type",
    "location",
    "logging",
    "metadataAnnotationTable",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
];

table! {
    GET Service => ListBuckets;

    PUT Bucket => CreateBucket;
    HEAD Bucket => HeadBucket;
    DELETE Bucket => DeleteBucket;
    GET Bucket => ListObjects;
    POST Bucket => PostObject;
    GET Bucket "list-type" => ListObjectsV2;
    GET Bucket "versions" => ListObjectVersions;
    GET Bucket "uploads" => ListMultipartUploads;
    GET Bucket "location" => GetBucketLocation;
    GET Bucket "session" => CreateSession;
    POST Bucket "delete" => DeleteObjects;

    GET Bucket "abac" => GetBucketAbac;
    PUT Bucket "abac" => PutBucketAbac;
    GET Bucket "accelerate" => GetBucketAccelerateConfiguration;
    PUT Bucket "accelerate" => PutBucketAccelerateConfiguration;
    GET Bucket "acl" => GetBucketAcl;
    PUT Bucket "acl" => PutBucketAcl;
    GET Bucket "analytics" => ListBucketAnalyticsConfigurations;
    PUT Bucket "analytics" => PutBucketAnalyticsConfiguration;
    DELETE Bucket "analytics" => DeleteBucketAnalyticsConfiguration;
    GET Bucket "cors" => GetBucketCors;
    PUT Bucket "cors" => PutBucketCors;
    DELETE Bucket "cors" => DeleteBucketCors;
    GET Bucket "encryption" => GetBucketEncryption;
    PUT Bucket "encryption" => PutBucketEncryption;
    DELETE Bucket "encryption" => DeleteBucketEncryption;
    GET Bucket "intelligent-tiering" => ListBucketIntelligentTieringConfigurations;
    PUT Bucket "intelligent-tiering" => PutBucketIntelligentTieringConfiguration;
    DELETE Bucket "intelligent-tiering" => DeleteBucketIntelligentTieringConfiguration;
    GET Bucket "inventory" => ListBucketInventoryConfigurations;
    PUT Bucket "inventory" => PutBucketInventoryConfiguration;
    DELETE Bucket "inventory" => DeleteBucketInventoryConfiguration;
    GET Bucket "lifecycle" => GetBucketLifecycleConfiguration;
    PUT Bucket "lifecycle" => PutBucketLifecycleConfiguration;
    DELETE Bucket "lifecycle" => DeleteBucketLifecycle;
    GET Bucket "logging" => GetBucketLogging;
    PUT Bucket "logging" => PutBucketLogging;
    PUT Bucket "metadataAnnotationTable" => UpdateBucketMetadataAnnotationTableConfiguration;
    GET Bucket "metadataConfiguration" => GetBucketMetadataConfiguration;
    POST Bucket "metadataConfiguration" => CreateBucketMetadataConfiguration;
    DELETE Bucket "metadataConfiguration" => DeleteBucketMetadataConfiguration;
    PUT Bucket "metadataInventoryTable" => UpdateBucketMetadataInventoryTableConfiguration;
    PUT Bucket "metadataJournalTable" => UpdateBucketMetadataJournalTableConfiguration;
    GET Bucket "metadataTable" => GetBucketMetadataTableConfiguration;
    POST Bucket "metadataTable" => CreateBucketMetadataTableConfiguration;
    DELETE Bucket "metadataTable" => DeleteBucketMetadataTableConfiguration;
    GET Bucket "metrics" => ListBucketMetricsConfigurations;
    PUT Bucket "metrics" => PutBucketMetricsConfiguration;
    DELETE Bucket "metrics" => DeleteBucketMetricsConfiguration;
    GET Bucket "notification" => GetBucketNotificationConfiguration;
    PUT Bucket "notification" => PutBucketNotificationConfiguration;
    GET Bucket "object-lock" => GetObjectLockConfiguration;
    PUT Bucket "object-lock" => PutObjectLockConfiguration;
    GET Bucket "ownershipControls" => GetBucketOwnershipControls;
    PUT Bucket "ownershipControls" => PutBucketOwnershipControls;
    DELETE Bucket "ownershipControls" => DeleteBucketOwnershipControls;
    GET Bucket "policy" => GetBucketPolicy;
    PUT Bucket "policy" => PutBucketPolicy;
    DELETE Bucket "policy" => DeleteBucketPolicy;
    GET Bucket "policyStatus" => GetBucketPolicyStatus;
    GET Bucket "publicAccessBlock" => GetPublicAccessBlock;
    PUT Bucket "publicAccessBlock" => PutPublicAccessBlock;
    DELETE Bucket "publicAccessBlock" => DeletePublicAccessBlock;
    GET Bucket "replication" => GetBucketReplication;
    PUT Bucket "replication" => PutBucketReplication;
    DELETE Bucket "replication" => DeleteBucketReplication;
    GET Bucket "requestPayment" => GetBucketRequestPayment;
    PUT Bucket "requestPayment" => PutBucketRequestPayment;
    GET Bucket "tagging" => GetBucketTagging;
    PUT Bucket "tagging" => PutBucketTagging;
    DELETE Bucket "tagging" => DeleteBucketTagging;
    GET Bucket "versioning" => GetBucketVersioning;
    PUT Bucket "versioning" => PutBucketVersioning;
    GET Bucket "website" => GetBucketWebsite;
    PUT Bucket "website" => PutBucketWebsite;
    DELETE Bucket "website" => DeleteBucketWebsite;

    GET Object => GetObject;
    HEAD Object => HeadObject;
    PUT Object => PutObject;
    DELETE Object => DeleteObject;
    POST Object "uploads" => CreateMultipartUpload;
    PUT Object "uploadId" => UploadPart;
    GET Object "uploadId" => ListParts;
    POST Object "uploadId" => CompleteMultipartUpload;
    DELETE Object "uploadId" => AbortMultipartUpload;
    GET Object "acl" => GetObjectAcl;
    PUT Object "acl" => PutObjectAcl;
    GET Object "annotation" => ListObjectAnnotations;
    PUT Object "annotation" => PutObjectAnnotation;
    DELETE Object "annotation" => DeleteObjectAnnotation;
    GET Object "attributes" => GetObjectAttributes;
    PUT Object "encryption" => UpdateObjectEncryption;
    GET Object "legal-hold" => GetObjectLegalHold;
    PUT Object "legal-hold" => PutObjectLegalHold;
    PUT Object "renameObject" => RenameObject;
    POST Object "restore" => RestoreObject;
    GET Object "retention" => GetObjectRetention;
    PUT Object "retention" => PutObjectRetention;
    POST Object "select" => SelectObjectContent;
    GET Object "tagging" => GetObjectTagging;
    PUT Object "tagging" => PutObjectTagging;
    DELETE Object "tagging" => DeleteObjectTagging;
    GET Object "torrent" => GetObjectTorrent;
}
