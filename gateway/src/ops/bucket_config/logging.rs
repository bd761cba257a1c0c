//! `PutBucketLogging` and its get, which tells when the log was set.

use bucket_config::{ConfigKind, Document, LoggingConfiguration};
use gateway_core::S3Error;
use gateway_core::dates::format_http_date;
use gateway_core::payload::PayloadPlan;
use gateway_core::xml::MAX_SMALL_BODY;
use gateway_core::xml::configs::{LogGrantee, log_grantees, parse_config, show_config};
use http::StatusCode;
use tracing::debug;
use types::{BucketPath, Timestamp};

use super::{Integrity, ask, plan, put};
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct GetLogging {
    bucket: BucketPath,
}

impl Operation for GetLogging {
    type Reply = (String, Option<Timestamp>);

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Self::Reply, S3Error> {
        let config = ask(cx, &self.bucket, ConfigKind::Logging).await?;
        let logging = config.document.and_then(LoggingConfiguration::of);
        Ok((show_config(logging.as_ref())?, config.changed))
    }

    fn render((document, changed): Self::Reply) -> Reply {
        let mut reply = reply::xml(StatusCode::OK, document);
        if let Some(changed) = changed {
            reply::set(reply.headers_mut(), "last-modified", format_http_date(changed));
        }
        reply
    }
}

pub(crate) struct PutLogging {
    bucket: BucketPath,
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
        put(cx, self.bucket, logging).await?;
        // What comes next is logged, or is not: by this gateway at once, by others soon. That it is set is all that this answer says.
        if let Err(error) = cx.shared.access_logs.refresh(&cx.shared, &cx.ids).await {
            debug!(%error, "that a log was set is not known yet");
        }
        Ok(())
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::OK)
    }
}
