//! `GetBucketAcl`.

use gateway_core::S3Error;
use http::StatusCode;
use om_api::AclOf;
use types::BucketPath;

use super::acls;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct GetBucketAcl {
    bucket: BucketPath,
}

impl Operation for GetBucketAcl {
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        Ok(acls::to_xml(&acls::get(cx, &self.bucket, AclOf::Bucket).await?))
    }

    fn render(document: String) -> Reply {
        reply::xml(StatusCode::OK, document)
    }
}
