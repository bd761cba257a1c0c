//! `PutObjectLegalHold`.

use gateway_core::payload::PayloadPlan;
use gateway_core::xml::MAX_SMALL_BODY;
use gateway_core::{S3Error, lock};
use http::StatusCode;
use om_api::VersionChange;

use super::versions::NamedVersion;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct PutObjectLegalHold {
    named: NamedVersion,
    plan: PayloadPlan,
}

impl Operation for PutObjectLegalHold {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { named: NamedVersion::parse(request)?, plan: request.plan()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        let body = cx.read_document(self.plan, MAX_SMALL_BODY).await?;
        let hold = lock::parse_legal_hold(&body)?;
        self.named.update(cx, VersionChange::LegalHold(hold)).await?;
        Ok(())
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::OK)
    }
}
