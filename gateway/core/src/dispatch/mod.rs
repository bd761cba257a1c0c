//! From method, scope and sub-resource to exactly one operation.
//!
//! The table lists all of S3, built or not. A request whose sub-resource is not in the row of its method and scope is
//! refused, and never becomes the operation it would be without: `DELETE /bucket?policy` must not delete the bucket. What the
//! table does not know yet is no safer to leave out: a write with a name in its query that its operation does not take is
//! refused, too.

mod operation;
mod table;

use http::Method;

use crate::error::{S3Error, S3ErrorCode};
use crate::request::{Query, RequestHead};

pub use operation::S3Operation;
pub(crate) use table::SUB_RESOURCES;
use table::{Scope, TABLE};

/// The one operation that a request asks for.
pub fn dispatch(head: &RequestHead) -> Result<S3Operation, S3Error> {
    let query = head.query();
    if let Some(name) = query.repeated() {
        return Err(S3Error::invalid_argument("A query parameter must not be repeated", "ResourceType", name));
    }
    if let Some(path) = &head.target.control {
        return control(head, path);
    }
    let scope = match (&head.target.bucket, &head.target.key) {
        (None, _) => Scope::Service,
        (Some(_), None) => Scope::Bucket,
        (Some(_), Some(_)) => Scope::Object,
    };
    if head.method == Method::OPTIONS {
        return Ok(S3Operation::CorsPreflight);
    }
    let mut present = SUB_RESOURCES.iter().copied().filter(|name| query.has(name));
    let sub_resource = present.next();
    if let (Some(one), Some(other)) = (sub_resource, present.next()) {
        let why = format!("Conflicting query string parameters: {one}, {other}");
        return Err(S3Error::invalid_argument(why, "ResourceType", one));
    }
    let row =
        TABLE.iter().find(|row| row.method == head.method.as_str() && row.scope == scope && row.sub_resource == sub_resource);
    let operation = row.map(|row| row.operation).ok_or_else(|| not_allowed(head, scope, sub_resource))?;
    let operation = refine(operation, head)?;
    if head.has_header("x-amz-write-offset-bytes") && operation != S3Operation::AppendObject {
        return Err(S3Error::not_implemented(&format!("The header x-amz-write-offset-bytes of {operation}")));
    }
    if matches!(head.method, Method::PUT | Method::POST | Method::DELETE)
        && let Some(name) = foreign_parameter(operation, sub_resource, query)
    {
        return Err(S3Error::not_implemented(&format!("The query parameter {name}")));
    }
    Ok(operation)
}

/// An operation of S3 Control's.
fn control(head: &RequestHead, path: &str) -> Result<S3Operation, S3Error> {
    let operation = match (head.method.as_str(), path) {
        ("GET", "configuration/publicAccessBlock") => S3Operation::GetAccountPublicAccessBlock,
        ("PUT", "configuration/publicAccessBlock") => S3Operation::PutAccountPublicAccessBlock,
        ("DELETE", "configuration/publicAccessBlock") => S3Operation::DeleteAccountPublicAccessBlock,
        _ => return Err(S3Error::not_implemented("This operation of S3 Control")),
    };
    match foreign_parameter(operation, None, head.query()) {
        Some(name) => Err(S3Error::not_implemented(&format!("The query parameter {name}"))),
        None => Ok(operation),
    }
}

/// A name in the query of a write that does not belong to it. It may choose an operation that S3 has and this table has not:
/// done without it, the write would overwrite or delete what the client wanted something else of.
fn foreign_parameter<'q>(operation: S3Operation, sub_resource: Option<&str>, query: &'q Query) -> Option<&'q str> {
    let known: &[&str] = match operation {
        S3Operation::DeleteObject
        | S3Operation::DeleteObjectTagging
        | S3Operation::PutObjectAcl
        | S3Operation::PutObjectLegalHold
        | S3Operation::PutObjectRetention
        | S3Operation::PutObjectTagging => &["versionId"],
        S3Operation::UploadPart | S3Operation::UploadPartCopy => &["partNumber"],
        S3Operation::AbortMultipartUpload
        | S3Operation::AppendObject
        | S3Operation::CompleteMultipartUpload
        | S3Operation::CopyObject
        | S3Operation::CreateBucket
        | S3Operation::CreateMultipartUpload
        | S3Operation::DeleteBucket
        | S3Operation::DeleteObjects
        | S3Operation::PostObject
        | S3Operation::PutBucketVersioning
        | S3Operation::PutObject
        | S3Operation::RenameObject
        | S3Operation::PutObjectLockConfiguration
        | S3Operation::GetAccountPublicAccessBlock
        | S3Operation::PutAccountPublicAccessBlock
        | S3Operation::DeleteAccountPublicAccessBlock => &[],
        // What is set on buckets.
        S3Operation::DeleteBucketCors
        | S3Operation::DeleteBucketEncryption
        | S3Operation::DeleteBucketLifecycle
        | S3Operation::DeleteBucketOwnershipControls
        | S3Operation::DeleteBucketPolicy
        | S3Operation::DeleteBucketTagging
        | S3Operation::DeleteBucketWebsite
        | S3Operation::DeletePublicAccessBlock
        | S3Operation::PutBucketAccelerateConfiguration
        | S3Operation::PutBucketAcl
        | S3Operation::PutBucketCors
        | S3Operation::PutBucketEncryption
        | S3Operation::PutBucketLifecycleConfiguration
        | S3Operation::PutBucketLogging
        | S3Operation::PutBucketNotificationConfiguration
        | S3Operation::PutBucketOwnershipControls
        | S3Operation::PutBucketPolicy
        | S3Operation::PutBucketRequestPayment
        | S3Operation::PutBucketTagging
        | S3Operation::PutBucketWebsite
        | S3Operation::PutPublicAccessBlock => &[],
        // Not built: answered so whatever the query says.
        _ => return None,
    };
    let names = query.pairs().iter().map(|(name, _)| name.as_str());
    names.into_iter().find(|name| {
        // `x-id` repeats the operation's name for logs; `X-Amz-…` is the signature, or a header of a presigned request.
        let is_neutral = *name == "x-id" || name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"));
        !is_neutral && Some(*name) != sub_resource && !known.contains(name)
    })
}

/// Where a header or a second parameter decides between operations of one row.
fn refine(operation: S3Operation, head: &RequestHead) -> Result<S3Operation, S3Error> {
    let query = head.query();
    let is_copy = head.has_header("x-amz-copy-source");
    let has_id = query.has("id");
    Ok(match operation {
        S3Operation::PutObject | S3Operation::CreateMultipartUpload if query.has("versionId") => {
            let value = query.get("versionId").unwrap_or_default();
            return Err(S3Error::invalid_argument("This operation does not accept a version-id.", "versionId", value));
        }
        // Half an UploadPart must not replace the whole object.
        S3Operation::PutObject if query.has("partNumber") => {
            let value = query.get("partNumber").unwrap_or_default();
            return Err(S3Error::invalid_argument(
                "This operation does not accept a part number without an upload id.",
                "partNumber",
                value,
            ));
        }
        S3Operation::PutObject if is_copy => S3Operation::CopyObject,
        S3Operation::PutObject if head.has_header("x-amz-write-offset-bytes") => S3Operation::AppendObject,
        S3Operation::UploadPart if is_copy => S3Operation::UploadPartCopy,
        S3Operation::ListObjectsV2 if query.get("list-type") != Some("2") => {
            let value = query.get("list-type").unwrap_or_default();
            return Err(S3Error::invalid_argument("Invalid list-type specified in Request", "list-type", value));
        }
        S3Operation::ListObjectAnnotations if query.has("annotationName") => S3Operation::GetObjectAnnotation,
        S3Operation::ListBucketAnalyticsConfigurations if has_id => S3Operation::GetBucketAnalyticsConfiguration,
        S3Operation::ListBucketIntelligentTieringConfigurations if has_id => {
            S3Operation::GetBucketIntelligentTieringConfiguration
        }
        S3Operation::ListBucketInventoryConfigurations if has_id => S3Operation::GetBucketInventoryConfiguration,
        S3Operation::ListBucketMetricsConfigurations if has_id => S3Operation::GetBucketMetricsConfiguration,
        other => other,
    })
}

fn not_allowed(head: &RequestHead, scope: Scope, sub_resource: Option<&str>) -> S3Error {
    // The resource as S3 names it in this error; clients show it.
    let resource_type = match (sub_resource, scope) {
        (Some(name), _) => name.to_ascii_uppercase(),
        (None, Scope::Service) => "SERVICE".to_owned(),
        (None, Scope::Bucket) => "BUCKET".to_owned(),
        (None, Scope::Object) => "OBJECT".to_owned(),
    };
    S3Error::new(S3ErrorCode::MethodNotAllowed).field("Method", head.method.as_str()).field("ResourceType", resource_type)
}

#[cfg(test)]
mod tests;
