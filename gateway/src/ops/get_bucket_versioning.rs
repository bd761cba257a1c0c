//! `GetBucketVersioning`.

use gateway_core::{S3Error, xml};
use http::StatusCode;
use om_api::{BucketPurpose, Versioning};
use types::BucketPath;

use super::head_bucket::get_bucket;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct GetBucketVersioning {
    bucket: BucketPath,
}

impl Operation for GetBucketVersioning {
    type Reply = Versioning;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Versioning, S3Error> {
        Ok(get_bucket(cx, &self.bucket, BucketPurpose::Versioning).await?.versioning)
    }

    fn render(versioning: Versioning) -> Reply {
        let enabled = match versioning {
            Versioning::Unversioned => None,
            Versioning::Enabled => Some(true),
            Versioning::Suspended => Some(false),
        };
        reply::xml(StatusCode::OK, xml::versioning_xml(enabled))
    }
}
