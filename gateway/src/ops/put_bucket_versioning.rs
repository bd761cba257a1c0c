//! `PutBucketVersioning`.

use gateway_core::payload::PayloadPlan;
use gateway_core::xml::{MAX_SMALL_BODY, parse_versioning};
use gateway_core::{S3Error, S3ErrorCode};
use http::StatusCode;
use om_api::{SetVersioning, SetVersioningRejected};
use rpc::CallError;
use types::BucketPath;

use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket};
use crate::reply::{self, Reply};

pub(crate) struct PutBucketVersioning {
    bucket: BucketPath,
    plan: PayloadPlan,
}

impl Operation for PutBucketVersioning {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, plan: request.plan()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        let body = cx.read_document(self.plan, MAX_SMALL_BODY).await?;
        let enabled = parse_versioning(&body)?;
        match cx.om().set_versioning(cx.call(), SetVersioning { by: cx.by(), bucket: self.bucket.clone(), enabled }).await {
            Ok(()) => Ok(()),
            Err(CallError::Rejected(SetVersioningRejected::Denied(why))) => Err(cx.denied(why)),
            Err(CallError::Rejected(SetVersioningRejected::NoSuchBucket)) => Err(no_such_bucket(&self.bucket)),
            Err(CallError::Rejected(SetVersioningRejected::HasObjectLock)) => Err(S3Error::with_message(
                S3ErrorCode::InvalidBucketState,
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
            )),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::OK)
    }
}
