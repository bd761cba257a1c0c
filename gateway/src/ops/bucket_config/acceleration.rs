//! `PutBucketAccelerateConfiguration`: there are no edge locations, so that it can be off and cannot be on.

use bucket_config::Acceleration;
use gateway_core::S3Error;
use gateway_core::payload::PayloadPlan;
use gateway_core::xml::MAX_SMALL_BODY;
use gateway_core::xml::configs::parse_config;
use http::StatusCode;
use types::BucketPath;

use super::{Integrity, plan, put};
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct PutAcceleration {
    bucket: BucketPath,
    plan: PayloadPlan,
}

impl Operation for PutAcceleration {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, plan: plan(request, Integrity::Optional)? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        let body = cx.read_document(self.plan, MAX_SMALL_BODY).await?;
        let document: Option<Acceleration> = parse_config(&body)?;
        if document.is_some_and(|acceleration| acceleration.is_enabled) {
            return Err(S3Error::not_implemented("Transfer acceleration"));
        }
        put(cx, self.bucket, document).await
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::OK)
    }
}
