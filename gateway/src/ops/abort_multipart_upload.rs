//! `AbortMultipartUpload`.

use gateway_core::S3Error;
use http::StatusCode;
use om_api::{AbortUpload, AbortUploadRejected};
use rpc::CallError;
use types::{BucketPath, ObjectKey, UploadId};

use super::upload_part::upload_id;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket, no_such_upload};
use crate::reply::{self, Reply};

pub(crate) struct AbortMultipartUpload {
    bucket: BucketPath,
    key: ObjectKey,
    upload: UploadId,
}

impl Operation for AbortMultipartUpload {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        if request.has_header("x-amz-if-match-initiated-time") {
            return Err(S3Error::not_implemented("The header x-amz-if-match-initiated-time"));
        }
        Ok(Self { bucket: request.bucket()?, key: request.key()?, upload: upload_id(request)? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        let Self { bucket, key, upload } = self;
        match cx.om().abort_upload(cx.call(), AbortUpload { by: cx.by(), bucket: bucket.clone(), key, upload }).await {
            Ok(()) => {
                cx.shared.uploads.forget(upload);
                Ok(())
            }
            Err(CallError::Rejected(AbortUploadRejected::Denied(why))) => Err(cx.denied(why)),
            Err(CallError::Rejected(AbortUploadRejected::NoSuchBucket)) => Err(no_such_bucket(&bucket)),
            Err(CallError::Rejected(AbortUploadRejected::NoSuchUpload)) => Err(no_such_upload(upload)),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::NO_CONTENT)
    }
}
