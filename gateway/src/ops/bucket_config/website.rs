//! `PutBucketWebsite`.

use bucket_config::WebsiteConfiguration;
use gateway_core::payload::PayloadPlan;
use gateway_core::xml::configs::parse_config;
use gateway_core::{S3Error, S3ErrorCode};
use http::StatusCode;
use types::BucketPath;

use super::{Integrity, plan, put};
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

/// Fifty rules, each of which may name two keys.
const MAX_BODY: usize = 256 << 10;
const UNSEEN: &str = "A website of a bucket in a volume other than s3v is not implemented: visitors sign nothing, and see the buckets of s3v \
    alone.";

pub(crate) struct PutWebsite {
    bucket: BucketPath,
    plan: PayloadPlan,
}

impl Operation for PutWebsite {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let bucket = request.bucket()?;
        if !bucket.volume().is_s3v() {
            return Err(S3Error::with_message(S3ErrorCode::NotImplemented, UNSEEN));
        }
        Ok(Self { bucket, plan: plan(request, Integrity::Optional)? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        let body = cx.read_document(self.plan, MAX_BODY).await?;
        let website: Option<WebsiteConfiguration> = parse_config(&body)?;
        put(cx, self.bucket, website).await
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::OK)
    }
}
