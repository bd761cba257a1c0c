//! `PutBucketAcl`.

use gateway_core::S3Error;
use http::StatusCode;
use om_api::AclOf;
use types::BucketPath;

use super::acls::NewAcl;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct PutBucketAcl {
    bucket: BucketPath,
    acl: NewAcl,
}

impl Operation for PutBucketAcl {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, acl: NewAcl::parse(request)? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        self.acl.set(cx, self.bucket, AclOf::Bucket).await.map(|_| ())
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::OK)
    }
}
