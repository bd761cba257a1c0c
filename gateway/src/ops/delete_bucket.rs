//! `DeleteBucket`.

use gateway_core::{S3Error, S3ErrorCode};
use http::StatusCode;
use om_api::DeleteBucketRejected;
use rpc::CallError;
use types::BucketPath;

use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket};
use crate::reply::{self, Reply};

pub(crate) struct DeleteBucket {
    bucket: BucketPath,
}

impl Operation for DeleteBucket {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        let request = om_api::DeleteBucket { by: cx.by(), bucket: self.bucket.clone() };
        match cx.om().delete_bucket(cx.call(), request).await {
            Ok(()) => Ok(()),
            Err(CallError::Rejected(DeleteBucketRejected::Denied(why))) => Err(cx.denied(why)),
            Err(CallError::Rejected(DeleteBucketRejected::NoSuchBucket)) => Err(no_such_bucket(&self.bucket)),
            Err(CallError::Rejected(DeleteBucketRejected::NotEmpty)) => {
                Err(S3Error::new(S3ErrorCode::BucketNotEmpty).field("BucketName", self.bucket.name().as_str()))
            }
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::NO_CONTENT)
    }
}
