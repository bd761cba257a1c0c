//! A bucket's policy, kept letter by letter and given back so; and whether the bucket is public.

use bucket_config::{BucketPolicy, ConfigKind, Document};
use gateway_core::payload::PayloadPlan;
use gateway_core::xml::XmlOut;
use gateway_core::{S3Error, S3ErrorCode};
use http::StatusCode;
use om_api::ConfigChange;
use types::BucketPath;

use super::{Integrity, ask, plan, set};
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply, ReplyBody};

/// More than the OM takes, so that it is the one to say how much that is.
const MAX_BODY: usize = 64 << 10;
const CONFIRM: &str = "x-amz-confirm-remove-self-bucket-access";

pub(crate) struct GetPolicy {
    bucket: BucketPath,
}

impl Operation for GetPolicy {
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        let document = ask(cx, &self.bucket, ConfigKind::Policy).await?.document;
        let policy = document.and_then(BucketPolicy::of).ok_or(S3ErrorCode::NoSuchBucketPolicy)?;
        Ok(policy.text)
    }

    fn render(text: String) -> Reply {
        let mut reply = reply::with_body(StatusCode::OK, ReplyBody::Whole(text.into()));
        reply::set(reply.headers_mut(), "content-type", "application/json");
        reply
    }
}

pub(crate) struct PutPolicy {
    bucket: BucketPath,
    plan: PayloadPlan,
    binds_owner: bool,
}

impl Operation for PutPolicy {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let binds_owner = request.header(CONFIRM)?.is_some_and(|text| text.eq_ignore_ascii_case("true"));
        Ok(Self { bucket: request.bucket()?, plan: plan(request, Integrity::Optional)?, binds_owner })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        let body = cx.read_document(self.plan, MAX_BODY).await?;
        let text = String::from_utf8(body).map_err(|_| S3Error::new(S3ErrorCode::MalformedPolicy))?;
        let policy = BucketPolicy { text, binds_owner: self.binds_owner };
        policy.validate()?;
        set(cx, self.bucket, ConfigChange::Put(Box::new(policy.into()))).await
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::NO_CONTENT)
    }
}

pub(crate) struct DeletePolicy {
    bucket: BucketPath,
}

impl Operation for DeletePolicy {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        set(cx, self.bucket, ConfigChange::Delete(ConfigKind::Policy)).await
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::NO_CONTENT)
    }
}

pub(crate) struct GetPolicyStatus {
    bucket: BucketPath,
}

impl Operation for GetPolicyStatus {
    type Reply = bool;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<bool, S3Error> {
        ask(cx, &self.bucket, ConfigKind::PolicyStatus).await?.is_public.ok_or_else(|| S3ErrorCode::InternalError.into())
    }

    fn render(is_public: bool) -> Reply {
        let document = XmlOut::with_root("PolicyStatus", |out| out.value("IsPublic", is_public));
        reply::xml(StatusCode::OK, document)
    }
}
