//! `ListObjects`, the first version.

use gateway_core::S3Error;
use gateway_core::listing::ListObjects as Asked;
use gateway_core::xml::ListObjectsResult;
use http::StatusCode;
use types::BucketPath;

use super::page;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct ListObjects {
    bucket: BucketPath,
    asked: Asked,
}

impl Operation for ListObjects {
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, asked: Asked::parse(request.query())? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        let page = page::list(cx, &self.bucket, &self.asked.scope, self.asked.start()).await?;
        let bucket = self.bucket.name().as_str();
        Ok(ListObjectsResult { bucket, request: &self.asked, listed: page.listed, last: page.last }.to_xml())
    }

    fn render(document: String) -> Reply {
        reply::xml(StatusCode::OK, document)
    }
}
