//! `GetObjectLegalHold`.

use gateway_core::{S3Error, S3ErrorCode, lock};
use http::StatusCode;
use om_api::{BlocksWanted, LookupPurpose};

use super::versions::NamedVersion;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct GetObjectLegalHold(NamedVersion);

impl Operation for GetObjectLegalHold {
    type Reply = bool;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        NamedVersion::parse(request).map(Self)
    }

    async fn run(self, cx: &mut OpContext) -> Result<bool, S3Error> {
        let info = self.0.look_up(cx, LookupPurpose::LegalHold, BlocksWanted::None).await?.info;
        // Said to be off is something else than never said.
        info.lock.and_then(|lock| lock.legal_hold).ok_or_else(|| S3ErrorCode::NoSuchObjectLockConfiguration.into())
    }

    fn render(hold: bool) -> Reply {
        reply::xml(StatusCode::OK, lock::legal_hold_xml(hold))
    }
}
