//! `PutBucketNotificationConfiguration`.

use bucket_config::NotificationConfiguration;
use gateway_core::payload::PayloadPlan;
use gateway_core::xml::configs::parse_config;
use gateway_core::{S3Error, S3ErrorCode};
use http::StatusCode;
use types::BucketPath;

use super::{Integrity, plan, put};
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

/// A hundred destinations.
const MAX_BODY: usize = 512 << 10;
const SKIP_VALIDATION: &str = "x-amz-skip-destination-validation";

pub(crate) struct PutNotification {
    bucket: BucketPath,
    plan: PayloadPlan,
}

impl Operation for PutNotification {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        // A destination that nobody has looked for would be one that nobody is told at.
        if request.header(SKIP_VALIDATION)?.is_some_and(|value| !value.eq_ignore_ascii_case("false")) {
            return Err(S3Error::not_implemented(SKIP_VALIDATION));
        }
        Ok(Self { bucket: request.bucket()?, plan: plan(request, Integrity::Optional)? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        let body = cx.read_document(self.plan, MAX_BODY).await?;
        let notification: Option<NotificationConfiguration> = parse_config(&body)?;
        put(cx, self.bucket, notification).await
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::OK)
    }
}

pub(super) fn unknown_destination(arn: &str) -> S3Error {
    let text = "Unable to validate the following destination configurations";
    S3Error::with_message(S3ErrorCode::InvalidArgument, text)
        .field("ArgumentName1", arn)
        .field("ArgumentValue1", "The destination queue does not exist")
}
