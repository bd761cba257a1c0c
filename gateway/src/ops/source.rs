//! The source of a copy: its name, and what is there.

use gateway_core::copy_source::CopySource;
use gateway_core::{S3Error, S3ErrorCode};
use om_api::{BlocksWanted, LookupKey, LookupRejected, ObjectRead};
use rpc::CallError;

use crate::context::OpContext;
use crate::operation::S3Request;
use crate::rejections::{call_failed, no_such_bucket, no_such_key};

pub(super) fn parse_source(request: &S3Request) -> Result<CopySource, S3Error> {
    CopySource::parse(&request.header("x-amz-copy-source")?.unwrap_or_default())
}

/// For a copy that has to see the source's bytes.
pub(super) async fn look_up_source(cx: &OpContext, source: &CopySource, wanted: BlocksWanted) -> Result<ObjectRead, S3Error> {
    let request = LookupKey {
        by: cx.by(),
        bucket: source.bucket.clone(),
        key: source.key.clone(),
        version: source.version,
        wanted,
        pinned: None,
        refresh: false,
        purpose: om_api::LookupPurpose::Object,
    };
    match cx.om().lookup_key(cx.call(), request).await {
        Ok(read) => Ok(read),
        Err(CallError::Rejected(rejection)) => Err(match rejection {
            LookupRejected::Denied(why) => cx.denied(why),
            LookupRejected::NoSuchBucket => no_such_bucket(&source.bucket),
            LookupRejected::NoSuchKey | LookupRejected::NoSuchPart | LookupRejected::Replaced | LookupRejected::NoObjectLock => {
                no_such_key(&source.key)
            }
            LookupRejected::NoSuchVersion => S3ErrorCode::NoSuchVersion.into(),
            LookupRejected::DeleteMarker(_) => source_is_marker(source),
        }),
        Err(failure) => Err(call_failed(&failure)),
    }
}

/// Named by its version, a marker cannot be copied; as the current version it hides the key.
pub(super) fn source_is_marker(source: &CopySource) -> S3Error {
    match source.version {
        Some(_) => {
            S3Error::invalid_request("The source of a copy request may not specifically refer to a delete marker by version id.")
        }
        None => no_such_key(&source.key),
    }
}

pub(super) fn source_too_large() -> S3Error {
    S3Error::invalid_request("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
}
