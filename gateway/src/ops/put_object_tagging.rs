//! `PutObjectTagging`.

use gateway_core::S3Error;
use gateway_core::payload::PayloadPlan;
use gateway_core::tagging::TagSet;
use gateway_core::xml::MAX_SMALL_BODY;
use http::StatusCode;
use om_api::VersionChange;
use types::VersionId;

use super::versions::{NamedVersion, set_version};
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct PutObjectTagging {
    named: NamedVersion,
    plan: PayloadPlan,
}

impl Operation for PutObjectTagging {
    type Reply = Option<VersionId>;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { named: NamedVersion::parse(request)?, plan: request.plan()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Option<VersionId>, S3Error> {
        let body = cx.read_document(self.plan, MAX_SMALL_BODY).await?;
        let tags = TagSet::parse_xml(&body)?.into_inner();
        self.named.update(cx, VersionChange::Tags(Some(tags))).await
    }

    fn render(version: Option<VersionId>) -> Reply {
        let mut reply = reply::empty(StatusCode::OK);
        set_version(&mut reply, version);
        reply
    }
}
