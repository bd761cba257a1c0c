//! One file an operation, and the list of those that are not built.

mod abort_multipart_upload;
mod account_block;
mod acls;
mod append_object;
mod attributes;
mod bucket_config;
mod complete_multipart_upload;
mod copy_object;
mod cors_preflight;
mod create_bucket;
mod create_multipart_upload;
mod delete_bucket;
mod delete_object;
mod delete_object_tagging;
mod delete_objects;
mod encryption;
mod get_bucket_acl;
mod get_bucket_location;
mod get_bucket_versioning;
mod get_object;
mod get_object_acl;
mod get_object_attributes;
mod get_object_legal_hold;
mod get_object_lock_configuration;
mod get_object_retention;
mod get_object_tagging;
mod get_object_torrent;
mod head_bucket;
mod head_object;
mod list_buckets;
mod list_multipart_uploads;
mod list_object_versions;
mod list_objects;
mod list_objects_v2;
mod list_parts;
mod log_object;
mod object_reading;
mod page;
mod post_object;
mod put_bucket_acl;
mod put_bucket_versioning;
mod put_object;
mod put_object_acl;
mod put_object_legal_hold;
mod put_object_lock_configuration;
mod put_object_retention;
mod put_object_tagging;
mod rename_object;
mod source;
mod upload_part;
mod upload_part_copy;
mod versions;
pub(crate) mod website;

use ::bucket_config::{
    Acceleration, BucketTags, CorsConfiguration, EncryptionConfiguration, LifecycleConfiguration, NotificationConfiguration,
    OwnershipControls, PublicAccessBlock, RequestPayment, WebsiteConfiguration,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gateway_core::dispatch::S3Operation;
use gateway_core::{S3Error, S3ErrorCode};

pub(crate) use log_object::{LogObject, NotWritten, write_log_object};

use crate::context::OpContext;
use crate::operation::{S3Request, perform as run};
use crate::reply::Reply;

/// Runs the one operation that was asked for. Every operation of S3 is named here: what is not built answers so, and a new
/// one does not compile before it has its line.
pub(crate) fn perform<'a>(
    operation: S3Operation,
    request: &'a S3Request,
    cx: &'a mut OpContext,
) -> BoxFuture<'a, Result<Reply, S3Error>> {
    match operation {
        S3Operation::AbortMultipartUpload => run::<abort_multipart_upload::AbortMultipartUpload>(request, cx).boxed(),
        S3Operation::GetAccountPublicAccessBlock => run::<account_block::GetAccountBlock>(request, cx).boxed(),
        S3Operation::PutAccountPublicAccessBlock => run::<account_block::PutAccountBlock>(request, cx).boxed(),
        S3Operation::DeleteAccountPublicAccessBlock => run::<account_block::DeleteAccountBlock>(request, cx).boxed(),
        S3Operation::AppendObject => run::<append_object::AppendObject>(request, cx).boxed(),
        S3Operation::CompleteMultipartUpload => run::<complete_multipart_upload::CompleteMultipartUpload>(request, cx).boxed(),
        S3Operation::CopyObject => run::<copy_object::CopyObject>(request, cx).boxed(),
        S3Operation::CorsPreflight => run::<cors_preflight::CorsPreflight>(request, cx).boxed(),
        S3Operation::CreateBucket => run::<create_bucket::CreateBucket>(request, cx).boxed(),
        S3Operation::CreateMultipartUpload => run::<create_multipart_upload::CreateMultipartUpload>(request, cx).boxed(),
        S3Operation::DeleteBucket => run::<delete_bucket::DeleteBucket>(request, cx).boxed(),
        S3Operation::DeleteObject => run::<delete_object::DeleteObject>(request, cx).boxed(),
        S3Operation::DeleteObjectTagging => run::<delete_object_tagging::DeleteObjectTagging>(request, cx).boxed(),
        S3Operation::DeleteObjects => run::<delete_objects::DeleteObjects>(request, cx).boxed(),
        S3Operation::GetBucketLocation => run::<get_bucket_location::GetBucketLocation>(request, cx).boxed(),
        S3Operation::GetBucketVersioning => run::<get_bucket_versioning::GetBucketVersioning>(request, cx).boxed(),
        S3Operation::GetObject => run::<get_object::GetObject>(request, cx).boxed(),
        S3Operation::GetObjectAttributes => run::<get_object_attributes::GetObjectAttributes>(request, cx).boxed(),
        S3Operation::GetObjectLegalHold => run::<get_object_legal_hold::GetObjectLegalHold>(request, cx).boxed(),
        S3Operation::GetObjectLockConfiguration => {
            run::<get_object_lock_configuration::GetObjectLockConfiguration>(request, cx).boxed()
        }
        S3Operation::GetObjectRetention => run::<get_object_retention::GetObjectRetention>(request, cx).boxed(),
        S3Operation::GetObjectTagging => run::<get_object_tagging::GetObjectTagging>(request, cx).boxed(),
        S3Operation::GetObjectTorrent => run::<get_object_torrent::GetObjectTorrent>(request, cx).boxed(),
        S3Operation::HeadBucket => run::<head_bucket::HeadBucket>(request, cx).boxed(),
        S3Operation::HeadObject => run::<head_object::HeadObject>(request, cx).boxed(),
        S3Operation::ListBuckets => run::<list_buckets::ListBuckets>(request, cx).boxed(),
        S3Operation::ListMultipartUploads => run::<list_multipart_uploads::ListMultipartUploads>(request, cx).boxed(),
        S3Operation::ListObjectVersions => run::<list_object_versions::ListObjectVersions>(request, cx).boxed(),
        S3Operation::ListObjects => run::<list_objects::ListObjects>(request, cx).boxed(),
        S3Operation::ListObjectsV2 => run::<list_objects_v2::ListObjectsV2>(request, cx).boxed(),
        S3Operation::ListParts => run::<list_parts::ListParts>(request, cx).boxed(),
        S3Operation::PutBucketVersioning => run::<put_bucket_versioning::PutBucketVersioning>(request, cx).boxed(),
        S3Operation::PostObject => run::<post_object::PostObject>(request, cx).boxed(),
        S3Operation::PutObject => run::<put_object::PutObject>(request, cx).boxed(),
        S3Operation::PutObjectLegalHold => run::<put_object_legal_hold::PutObjectLegalHold>(request, cx).boxed(),
        S3Operation::PutObjectLockConfiguration => {
            run::<put_object_lock_configuration::PutObjectLockConfiguration>(request, cx).boxed()
        }
        S3Operation::PutObjectRetention => run::<put_object_retention::PutObjectRetention>(request, cx).boxed(),
        S3Operation::PutObjectTagging => run::<put_object_tagging::PutObjectTagging>(request, cx).boxed(),
        S3Operation::RenameObject => run::<rename_object::RenameObject>(request, cx).boxed(),
        S3Operation::UploadPart => run::<upload_part::UploadPart>(request, cx).boxed(),
        S3Operation::UploadPartCopy => run::<upload_part_copy::UploadPartCopy>(request, cx).boxed(),
        S3Operation::GetObjectAcl => run::<get_object_acl::GetObjectAcl>(request, cx).boxed(),
        S3Operation::PutObjectAcl => run::<put_object_acl::PutObjectAcl>(request, cx).boxed(),
        // What is set on buckets.
        S3Operation::DeleteBucketPolicy => run::<bucket_config::DeletePolicy>(request, cx).boxed(),
        S3Operation::PutBucketAcl => run::<put_bucket_acl::PutBucketAcl>(request, cx).boxed(),
        S3Operation::PutBucketOwnershipControls => run::<bucket_config::PutConfig<OwnershipControls>>(request, cx).boxed(),
        S3Operation::PutBucketPolicy => run::<bucket_config::PutPolicy>(request, cx).boxed(),
        S3Operation::PutPublicAccessBlock => run::<bucket_config::PutConfig<PublicAccessBlock>>(request, cx).boxed(),
        S3Operation::DeleteBucketCors => run::<bucket_config::DeleteConfig<CorsConfiguration>>(request, cx).boxed(),
        S3Operation::DeleteBucketEncryption => run::<bucket_config::DeleteConfig<EncryptionConfiguration>>(request, cx).boxed(),
        S3Operation::DeleteBucketLifecycle => run::<bucket_config::DeleteConfig<LifecycleConfiguration>>(request, cx).boxed(),
        S3Operation::DeleteBucketOwnershipControls => run::<bucket_config::DeleteConfig<OwnershipControls>>(request, cx).boxed(),
        S3Operation::DeleteBucketTagging => run::<bucket_config::DeleteConfig<BucketTags>>(request, cx).boxed(),
        S3Operation::DeleteBucketWebsite => run::<bucket_config::DeleteConfig<WebsiteConfiguration>>(request, cx).boxed(),
        S3Operation::DeletePublicAccessBlock => run::<bucket_config::DeleteConfig<PublicAccessBlock>>(request, cx).boxed(),
        S3Operation::GetBucketAbac => run::<bucket_config::GetAttributeAccess>(request, cx).boxed(),
        S3Operation::GetBucketAccelerateConfiguration => run::<bucket_config::GetConfig<Acceleration>>(request, cx).boxed(),
        S3Operation::GetBucketAcl => run::<get_bucket_acl::GetBucketAcl>(request, cx).boxed(),
        S3Operation::GetBucketAnalyticsConfiguration => run::<bucket_config::GetAnalytics>(request, cx).boxed(),
        S3Operation::GetBucketCors => run::<bucket_config::GetConfig<CorsConfiguration>>(request, cx).boxed(),
        S3Operation::GetBucketEncryption => run::<bucket_config::GetConfig<EncryptionConfiguration>>(request, cx).boxed(),
        S3Operation::GetBucketIntelligentTieringConfiguration => run::<bucket_config::GetIntelligentTiering>(request, cx).boxed(),
        S3Operation::GetBucketInventoryConfiguration => run::<bucket_config::GetInventory>(request, cx).boxed(),
        S3Operation::GetBucketLifecycleConfiguration => run::<bucket_config::GetLifecycle>(request, cx).boxed(),
        S3Operation::GetBucketLogging => run::<bucket_config::GetLogging>(request, cx).boxed(),
        S3Operation::GetBucketMetadataConfiguration => run::<bucket_config::GetMetadata>(request, cx).boxed(),
        S3Operation::GetBucketMetadataTableConfiguration => run::<bucket_config::GetMetadata>(request, cx).boxed(),
        S3Operation::GetBucketMetricsConfiguration => run::<bucket_config::GetMetrics>(request, cx).boxed(),
        S3Operation::GetBucketNotificationConfiguration => {
            run::<bucket_config::GetConfig<NotificationConfiguration>>(request, cx).boxed()
        }
        S3Operation::GetBucketOwnershipControls => run::<bucket_config::GetConfig<OwnershipControls>>(request, cx).boxed(),
        S3Operation::GetBucketPolicy => run::<bucket_config::GetPolicy>(request, cx).boxed(),
        S3Operation::GetBucketPolicyStatus => run::<bucket_config::GetPolicyStatus>(request, cx).boxed(),
        S3Operation::GetBucketReplication => run::<bucket_config::GetReplication>(request, cx).boxed(),
        S3Operation::GetBucketRequestPayment => run::<bucket_config::GetConfig<RequestPayment>>(request, cx).boxed(),
        S3Operation::GetBucketTagging => run::<bucket_config::GetConfig<BucketTags>>(request, cx).boxed(),
        S3Operation::GetBucketWebsite => run::<bucket_config::GetConfig<WebsiteConfiguration>>(request, cx).boxed(),
        S3Operation::GetPublicAccessBlock => run::<bucket_config::GetConfig<PublicAccessBlock>>(request, cx).boxed(),
        S3Operation::ListBucketAnalyticsConfigurations => run::<bucket_config::ListAnalytics>(request, cx).boxed(),
        S3Operation::ListBucketIntelligentTieringConfigurations => {
            run::<bucket_config::ListIntelligentTiering>(request, cx).boxed()
        }
        S3Operation::ListBucketInventoryConfigurations => run::<bucket_config::ListInventory>(request, cx).boxed(),
        S3Operation::ListBucketMetricsConfigurations => run::<bucket_config::ListMetrics>(request, cx).boxed(),
        S3Operation::PutBucketAccelerateConfiguration => run::<bucket_config::PutAcceleration>(request, cx).boxed(),
        S3Operation::PutBucketCors => run::<bucket_config::PutConfig<CorsConfiguration>>(request, cx).boxed(),
        S3Operation::PutBucketEncryption => run::<bucket_config::PutConfig<EncryptionConfiguration>>(request, cx).boxed(),
        S3Operation::PutBucketLifecycleConfiguration => run::<bucket_config::PutLifecycle>(request, cx).boxed(),
        S3Operation::PutBucketLogging => run::<bucket_config::PutLogging>(request, cx).boxed(),
        S3Operation::PutBucketNotificationConfiguration => run::<bucket_config::PutNotification>(request, cx).boxed(),
        S3Operation::PutBucketRequestPayment => run::<bucket_config::PutConfig<RequestPayment>>(request, cx).boxed(),
        S3Operation::PutBucketTagging => run::<bucket_config::PutConfig<BucketTags>>(request, cx).boxed(),
        S3Operation::PutBucketWebsite => run::<bucket_config::PutWebsite>(request, cx).boxed(),
        S3Operation::CreateBucketMetadataConfiguration
        | S3Operation::CreateBucketMetadataTableConfiguration
        | S3Operation::CreateSession
        | S3Operation::DeleteBucketAnalyticsConfiguration
        | S3Operation::DeleteBucketIntelligentTieringConfiguration
        | S3Operation::DeleteBucketInventoryConfiguration
        | S3Operation::DeleteBucketMetadataConfiguration
        | S3Operation::DeleteBucketMetadataTableConfiguration
        | S3Operation::DeleteBucketMetricsConfiguration
        | S3Operation::DeleteBucketReplication
        | S3Operation::DeleteObjectAnnotation
        | S3Operation::GetObjectAnnotation
        | S3Operation::ListObjectAnnotations
        | S3Operation::PutBucketAbac
        | S3Operation::PutBucketAnalyticsConfiguration
        | S3Operation::PutBucketIntelligentTieringConfiguration
        | S3Operation::PutBucketInventoryConfiguration
        | S3Operation::PutBucketMetricsConfiguration
        | S3Operation::PutBucketReplication
        | S3Operation::PutObjectAnnotation
        | S3Operation::RestoreObject
        | S3Operation::SelectObjectContent
        | S3Operation::UpdateBucketMetadataAnnotationTableConfiguration
        | S3Operation::UpdateBucketMetadataInventoryTableConfiguration
        | S3Operation::UpdateBucketMetadataJournalTableConfiguration
        | S3Operation::UpdateObjectEncryption => std::future::ready(Err(not_built(operation, request))).boxed(),
    }
}

/// A stranger learns nothing of what is there; whoever signed learns that it is not built. A preflight cannot be signed.
fn not_built(operation: S3Operation, request: &S3Request) -> S3Error {
    if request.is_anonymous { S3ErrorCode::AccessDenied.into() } else { S3Error::not_implemented(operation.name()) }
}
