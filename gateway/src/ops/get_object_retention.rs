//! `GetObjectRetention`.

use gateway_core::{S3Error, S3ErrorCode, lock};
use http::StatusCode;
use om_api::{BlocksWanted, LookupPurpose};
use types::Retention;

use super::versions::NamedVersion;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct GetObjectRetention(NamedVersion);

impl Operation for GetObjectRetention {
    type Reply = Retention;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        NamedVersion::parse(request).map(Self)
    }

    async fn run(self, cx: &mut OpContext) -> Result<Retention, S3Error> {
        let info = self.0.look_up(cx, LookupPurpose::Retention, BlocksWanted::None).await?.info;
        info.lock.and_then(|lock| lock.retention).ok_or_else(|| S3ErrorCode::NoSuchObjectLockConfiguration.into())
    }

    fn render(retention: Retention) -> Reply {
        reply::xml(StatusCode::OK, lock::retention_xml(retention))
    }
}
