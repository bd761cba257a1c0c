//! `GetBucketAcl`: nobody has been given anything yet, so that the owner has all.

use gateway_core::{S3Error, xml};
use http::StatusCode;
use om_api::BucketPurpose;
use types::BucketName;

use super::attributes::owner;
use super::head_bucket::get_bucket;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct GetBucketAcl {
    bucket: BucketName,
}

impl Operation for GetBucketAcl {
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        let info = get_bucket(cx, &self.bucket, BucketPurpose::Acl).await?;
        Ok(xml::private_acl(&owner(&info.owner)))
    }

    fn render(document: String) -> Reply {
        reply::xml(StatusCode::OK, document)
    }
}
