//! `DeleteObjectTagging`.

use gateway_core::S3Error;
use http::StatusCode;
use om_api::VersionChange;
use types::VersionId;

use super::versions::{NamedVersion, set_version};
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct DeleteObjectTagging(NamedVersion);

impl Operation for DeleteObjectTagging {
    type Reply = Option<VersionId>;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        NamedVersion::parse(request).map(Self)
    }

    async fn run(self, cx: &mut OpContext) -> Result<Option<VersionId>, S3Error> {
        self.0.update(cx, VersionChange::Tags(None)).await
    }

    fn render(version: Option<VersionId>) -> Reply {
        let mut reply = reply::empty(StatusCode::NO_CONTENT);
        set_version(&mut reply, version);
        reply
    }
}
