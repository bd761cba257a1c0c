//! `PutObjectLockConfiguration`.

use gateway_core::payload::PayloadPlan;
use gateway_core::xml::MAX_SMALL_BODY;
use gateway_core::{S3Error, S3ErrorCode, lock};
use http::StatusCode;
use om_api::{SetBucketLock, SetBucketLockRejected};
use rpc::CallError;
use types::BucketPath;

use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket};
use crate::reply::{self, Reply};

pub(crate) struct PutObjectLockConfiguration {
    bucket: BucketPath,
    plan: PayloadPlan,
}

impl Operation for PutObjectLockConfiguration {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, plan: request.plan()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        let body = cx.read_document(self.plan, MAX_SMALL_BODY).await?;
        let default = lock::parse_configuration(&body)?;
        match cx.om().set_bucket_lock(cx.call(), SetBucketLock { by: cx.by(), bucket: self.bucket.clone(), default }).await {
            Ok(()) => Ok(()),
            Err(CallError::Rejected(SetBucketLockRejected::Denied(why))) => Err(cx.denied(why)),
            Err(CallError::Rejected(SetBucketLockRejected::NoSuchBucket)) => Err(no_such_bucket(&self.bucket)),
            Err(CallError::Rejected(SetBucketLockRejected::NotVersioned)) => Err(S3Error::with_message(
                S3ErrorCode::InvalidBucketState,
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
            )),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::OK)
    }
}
