//! `GetBucketLocation`.

use gateway_core::{S3Error, xml};
use http::StatusCode;
use types::BucketName;

use super::head_bucket::get_bucket;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct GetBucketLocation {
    bucket: BucketName,
}

impl Operation for GetBucketLocation {
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        let info = get_bucket(cx, &self.bucket).await?;
        Ok(info.location.unwrap_or_else(|| cx.region().to_owned()))
    }

    fn render(location: String) -> Reply {
        reply::xml(StatusCode::OK, xml::location_constraint(&location))
    }
}
