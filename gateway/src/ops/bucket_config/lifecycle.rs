//! `PutBucketLifecycleConfiguration` and its get: a part of the configuration stands in a header beside the document.

use bucket_config::LifecycleConfiguration;
use bucket_config::lifecycle::TransitionMinimum;
use gateway_core::payload::PayloadPlan;
use gateway_core::xml::configs::{parse_config, show_config};
use gateway_core::{RequestHead, S3Error};
use http::StatusCode;
use types::BucketPath;

use super::{Integrity, get, plan, put};
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

/// A thousand rules of a usual size.
const MAX_BODY: usize = 1 << 20;
const MINIMUM: &str = "x-amz-transition-default-minimum-object-size";

pub(crate) struct GetLifecycle {
    bucket: BucketPath,
}

impl Operation for GetLifecycle {
    type Reply = (String, TransitionMinimum);

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Self::Reply, S3Error> {
        let lifecycle: Option<LifecycleConfiguration> = get(cx, &self.bucket).await?;
        let minimum = lifecycle.as_ref().and_then(|lifecycle| lifecycle.transition_minimum);
        Ok((show_config(lifecycle.as_ref())?, minimum.unwrap_or(TransitionMinimum::AllClasses128K)))
    }

    fn render((document, minimum): Self::Reply) -> Reply {
        let mut reply = reply::xml(StatusCode::OK, document);
        reply::set(reply.headers_mut(), MINIMUM, minimum.as_str());
        reply
    }
}

pub(crate) struct PutLifecycle {
    bucket: BucketPath,
    plan: PayloadPlan,
    minimum: Option<TransitionMinimum>,
}

impl Operation for PutLifecycle {
    type Reply = TransitionMinimum;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let plan = plan(request, Integrity::Required)?;
        Ok(Self { bucket: request.bucket()?, plan, minimum: parse_minimum(request)? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<TransitionMinimum, S3Error> {
        let body = cx.read_document(self.plan, MAX_BODY).await?;
        let mut lifecycle: Option<LifecycleConfiguration> = parse_config(&body)?;
        if let Some(lifecycle) = &mut lifecycle {
            lifecycle.transition_minimum = self.minimum;
        }
        put(cx, self.bucket, lifecycle).await?;
        Ok(self.minimum.unwrap_or(TransitionMinimum::AllClasses128K))
    }

    fn render(minimum: TransitionMinimum) -> Reply {
        let mut reply = reply::empty(StatusCode::OK);
        reply::set(reply.headers_mut(), MINIMUM, minimum.as_str());
        reply
    }
}

fn parse_minimum(head: &RequestHead) -> Result<Option<TransitionMinimum>, S3Error> {
    let Some(text) = head.header(MINIMUM)? else { return Ok(None) };
    match TransitionMinimum::parse(&text) {
        Some(minimum) => Ok(Some(minimum)),
        None => Err(S3Error::invalid_argument("Invalid transition default minimum object size", MINIMUM, text)),
    }
}
