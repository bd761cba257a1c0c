//! `PutObjectAcl`.

use gateway_core::S3Error;
use http::StatusCode;
use om_api::AclOf;
use types::{BucketPath, VersionId};

use super::acls::{self, NewAcl};
use super::versions::set_version;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct PutObjectAcl {
    bucket: BucketPath,
    of: AclOf,
    acl: NewAcl,
}

impl Operation for PutObjectAcl {
    type Reply = Option<VersionId>;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, of: acls::of_object(request)?, acl: NewAcl::parse(request)? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Option<VersionId>, S3Error> {
        Ok(self.acl.set(cx, self.bucket, self.of).await?.version)
    }

    fn render(version: Option<VersionId>) -> Reply {
        let mut reply = reply::empty(StatusCode::OK);
        set_version(&mut reply, version);
        reply
    }
}
