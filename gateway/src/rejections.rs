//! What S3 says to rejections that mean the same everywhere. All others are mapped by the operation that meets them: an absent
//! key is an error to one and a success to another.

use std::fmt::Debug;

use gateway_core::conditions::{self, SourceOf};
use gateway_core::{S3Error, S3ErrorCode};
use rpc::{CallError, NotApplied};
use tracing::warn;
use types::Precondition;

/// A call without a typed answer. What failed behind us is for the log; the client learns whether to try again.
pub(crate) fn call_failed<R: Debug>(failure: &CallError<R>) -> S3Error {
    match failure {
        CallError::NotApplied(NotApplied::Busy) => S3ErrorCode::SlowDown.into(),
        CallError::NotApplied(why) => {
            warn!(%why, "a call was not applied");
            S3ErrorCode::ServiceUnavailable.into()
        }
        CallError::Unknown(why) => {
            warn!(%why, "the outcome of a call is unknown");
            S3ErrorCode::InternalError.into()
        }
        // Each operation maps its own; one that forgot would otherwise look like the client's mistake.
        CallError::Rejected(rejection) => {
            warn!(?rejection, "a rejection without an answer");
            S3ErrorCode::InternalError.into()
        }
    }
}

pub(crate) fn no_such_bucket(bucket: &types::BucketPath) -> S3Error {
    S3Error::new(S3ErrorCode::NoSuchBucket).field("BucketName", bucket.name().as_str())
}

pub(crate) fn no_such_key(key: &types::ObjectKey) -> S3Error {
    S3Error::new(S3ErrorCode::NoSuchKey).field("Key", key.as_str())
}

pub(crate) fn no_such_upload(upload: impl ToString) -> S3Error {
    S3Error::new(S3ErrorCode::NoSuchUpload).field("UploadId", upload.to_string())
}

/// Of whatever but a rename.
pub(crate) fn precondition_failed(which: Option<Precondition>) -> S3Error {
    conditions::precondition_failed(which, SourceOf::Copy)
}

pub(crate) fn no_blocks(why: &str) -> S3Error {
    warn!(why, "no blocks can be had");
    S3ErrorCode::ServiceUnavailable.into()
}
