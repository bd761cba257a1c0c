//! `GetObjectLockConfiguration`.

use gateway_core::{S3Error, S3ErrorCode, lock};
use http::StatusCode;
use om_api::BucketPurpose;
use types::{BucketLock, BucketPath};

use super::head_bucket::get_bucket;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct GetObjectLockConfiguration {
    bucket: BucketPath,
}

impl Operation for GetObjectLockConfiguration {
    type Reply = BucketLock;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<BucketLock, S3Error> {
        let info = get_bucket(cx, &self.bucket, BucketPurpose::ObjectLock).await?;
        let absent = || S3Error::new(S3ErrorCode::ObjectLockConfigurationNotFoundError);
        info.object_lock.ok_or_else(|| absent().field("BucketName", self.bucket.name().as_str()))
    }

    fn render(bucket: BucketLock) -> Reply {
        reply::xml(StatusCode::OK, lock::configuration_xml(bucket.default))
    }
}
