//! `GetBucketLocation`.

use gateway_core::{S3Error, xml};
use http::StatusCode;
use om_api::BucketPurpose;
use types::BucketPath;

use super::head_bucket::get_bucket;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct GetBucketLocation {
    bucket: BucketPath,
}

impl Operation for GetBucketLocation {
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        let info = get_bucket(cx, &self.bucket, BucketPurpose::Location).await?;
        Ok(xml::location_constraint(info.location.as_deref(), cx.region()))
    }

    fn render(document: String) -> Reply {
        reply::xml(StatusCode::OK, document)
    }
}
