//! `ListObjectsV2`.

use gateway_core::S3Error;
use gateway_core::listing::{ContinuationToken, ListObjectsV2 as Asked};
use gateway_core::xml::ListObjectsV2Result;
use http::StatusCode;
use types::BucketPath;

use super::page;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct ListObjectsV2 {
    bucket: BucketPath,
    asked: Asked,
}

impl Operation for ListObjectsV2 {
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, asked: Asked::parse(request.query())? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        let bucket = self.bucket.name().as_str();
        let mut page = page::list(cx, &self.bucket, &self.asked.scope, self.asked.start(bucket)?).await?;
        if !self.asked.fetch_owner {
            page.listed.entries.iter_mut().for_each(|object| object.owner = None);
        }
        let next_token = page.next.and_then(|next| ContinuationToken::encode(&next, bucket));
        Ok(ListObjectsV2Result { bucket, request: &self.asked, listed: page.listed, next_token }.to_xml())
    }

    fn render(document: String) -> Reply {
        reply::xml(StatusCode::OK, document)
    }
}
