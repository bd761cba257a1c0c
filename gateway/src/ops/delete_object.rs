//! `DeleteObject`.

use gateway_core::conditions::{ETagCondition, WriteCondition};
use gateway_core::{S3Error, S3ErrorCode};
use http::StatusCode;
use om_api::{DeleteKey, DeleteKeyRejected, DeletedKey, KeyDeletion};
use rpc::CallError;
use types::{BucketName, ObjectKey, VersionId};

use super::attributes::write_condition;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket};
use crate::reply::{self, Reply};

pub(crate) struct DeleteObject {
    bucket: BucketName,
    key: ObjectKey,
    version: Option<VersionId>,
    condition: WriteCondition,
}

impl Operation for DeleteObject {
    /// What was deleted, and whether it was named by its version.
    type Reply = (DeletedKey, Option<VersionId>);

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        for unbuilt in ["x-amz-if-match-last-modified-time", "x-amz-if-match-size"] {
            if request.has_header(unbuilt) {
                return Err(S3Error::not_implemented(&format!("The header {unbuilt}")));
            }
        }
        let condition = request.header("if-match")?.map(|text| WriteCondition::if_match(&ETagCondition::parse(&text)));
        Ok(Self {
            bucket: request.bucket()?,
            key: request.key()?,
            version: request.version()?,
            condition: condition.unwrap_or_default(),
        })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(DeletedKey, Option<VersionId>), S3Error> {
        let Self { bucket, key, version, condition } = self;
        let deletion = KeyDeletion { key, version, condition: write_condition(condition) };
        match cx.om().delete_key(cx.call(), DeleteKey { by: cx.by(), bucket: bucket.clone(), deletion }).await {
            Ok(deleted) => Ok((deleted, version)),
            // S3 deletes are idempotent: what is not there has been deleted well enough.
            Err(CallError::Rejected(DeleteKeyRejected::NoSuchVersion)) => Ok((DeletedKey::default(), version)),
            Err(CallError::Rejected(DeleteKeyRejected::Denied(why))) => Err(cx.denied(why)),
            Err(CallError::Rejected(DeleteKeyRejected::NoSuchBucket)) => Err(no_such_bucket(&bucket)),
            Err(CallError::Rejected(DeleteKeyRejected::PreconditionFailed)) => Err(S3ErrorCode::PreconditionFailed.into()),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    fn render((deleted, asked): (DeletedKey, Option<VersionId>)) -> Reply {
        let mut reply = reply::empty(StatusCode::NO_CONTENT);
        if let Some(version) = deleted.version.or(asked) {
            reply::set(reply.headers_mut(), "x-amz-version-id", version.to_string());
        }
        if deleted.delete_marker {
            reply::set(reply.headers_mut(), "x-amz-delete-marker", "true");
        }
        reply
    }
}
