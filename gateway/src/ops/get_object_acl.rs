//! `GetObjectAcl`.

use gateway_core::S3Error;
use http::StatusCode;
use om_api::{AclOf, ShownAcl};
use types::BucketPath;

use super::acls;
use super::versions::set_version;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct GetObjectAcl {
    bucket: BucketPath,
    of: AclOf,
}

impl Operation for GetObjectAcl {
    type Reply = ShownAcl;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, of: acls::of_object(request)? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<ShownAcl, S3Error> {
        acls::get(cx, &self.bucket, self.of).await
    }

    fn render(shown: ShownAcl) -> Reply {
        let mut reply = reply::xml(StatusCode::OK, acls::to_xml(&shown));
        set_version(&mut reply, shown.version);
        reply
    }
}
