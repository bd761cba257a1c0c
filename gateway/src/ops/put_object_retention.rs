//! `PutObjectRetention`.

use gateway_core::payload::PayloadPlan;
use gateway_core::xml::MAX_SMALL_BODY;
use gateway_core::{S3Error, lock};
use http::StatusCode;
use om_api::VersionChange;
use types::Bypass;

use super::delete_object::bypass;
use super::versions::NamedVersion;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct PutObjectRetention {
    named: NamedVersion,
    plan: PayloadPlan,
    bypass: Bypass,
}

impl Operation for PutObjectRetention {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { named: NamedVersion::parse(request)?, plan: request.plan()?, bypass: bypass(request)? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        let body = cx.read_document(self.plan, MAX_SMALL_BODY).await?;
        let retention = lock::parse_retention(&body)?;
        lock::check_until(retention, cx.shared.clock.now())?;
        self.named.update(cx, VersionChange::Retention { retention, bypass: self.bypass }).await?;
        Ok(())
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::OK)
    }
}
