//! `HeadBucket`, and the question behind it that other bucket operations ask too.

use gateway_core::S3Error;
use http::StatusCode;
use om_api::{BucketInfo, BucketPurpose, BucketRejected, GetBucket};
use rpc::CallError;
use types::BucketPath;

use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket};
use crate::reply::{self, Reply};

pub(crate) struct HeadBucket {
    bucket: BucketPath,
}

impl Operation for HeadBucket {
    /// The region.
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        let info = get_bucket(cx, &self.bucket, BucketPurpose::Head).await?;
        Ok(info.location.unwrap_or_else(|| cx.region().to_owned()))
    }

    fn render(region: String) -> Reply {
        let mut reply = reply::empty(StatusCode::OK);
        reply::set(reply.headers_mut(), "x-amz-bucket-region", region);
        reply
    }
}

pub(super) async fn get_bucket(cx: &OpContext, bucket: &BucketPath, purpose: BucketPurpose) -> Result<BucketInfo, S3Error> {
    match cx.om().get_bucket(cx.call(), GetBucket { by: cx.by(), bucket: bucket.clone(), purpose }).await {
        Ok(info) => Ok(info),
        Err(CallError::Rejected(BucketRejected::Denied(why))) => Err(cx.denied(why)),
        Err(CallError::Rejected(BucketRejected::NoSuchBucket)) => Err(no_such_bucket(bucket)),
        Err(failure) => Err(call_failed(&failure)),
    }
}
