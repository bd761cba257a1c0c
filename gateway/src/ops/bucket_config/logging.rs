//! `PutBucketLogging`.

use bucket_config::LoggingConfiguration;
use gateway_core::S3Error;
use gateway_core::payload::PayloadPlan;
use gateway_core::xml::MAX_SMALL_BODY;
use gateway_core::xml::configs::{LogGrantee, log_grantees, parse_config};
use http::StatusCode;
use types::BucketName;

use super::{Integrity, plan, put};
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct PutLogging {
    bucket: BucketName,
    plan: PayloadPlan,
}

impl Operation for PutLogging {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, plan: plan(request, Integrity::Optional)? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        let body = cx.read_document(self.plan, MAX_SMALL_BODY).await?;
        let logging: Option<LoggingConfiguration> = parse_config(&body)?;
        // Log objects belong to the target's owner, who needs no grant; nobody else can be given one.
        let is_owner = |grantee: &LogGrantee| match grantee {
            LogGrantee::User(id) => cx.user().is_some_and(|user| user.id.0 == *id),
            LogGrantee::Other => false,
        };
        if !log_grantees(&body)?.iter().all(is_owner) {
            return Err(S3Error::not_implemented("TargetGrants to somebody else than the owner"));
        }
        put(cx, self.bucket, logging).await
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::OK)
    }
}
