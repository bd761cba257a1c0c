//! `DeleteObject`.

use gateway_core::conditions::{DeleteConditions, ETagCondition, WriteCondition};
use gateway_core::{S3Error, lock};
use http::StatusCode;
use om_api::{DeleteKey, DeleteKeyRejected, DeletedKey, KeyDeletion};
use rpc::CallError;
use types::{BucketPath, Bypass, ObjectKey, VersionId};

use super::attributes::write_condition;
use super::versions::locked;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket, precondition_failed};
use crate::reply::{self, Reply};

pub(crate) struct DeleteObject {
    bucket: BucketPath,
    key: ObjectKey,
    version: Option<VersionId>,
    condition: WriteCondition,
    conditions: DeleteConditions,
    bypass: Bypass,
}

impl Operation for DeleteObject {
    /// What was deleted, and whether it was named by its version.
    type Reply = (DeletedKey, Option<VersionId>);

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let condition = request.header("if-match")?.map(|text| WriteCondition::if_match(&ETagCondition::parse(&text)));
        Ok(Self {
            bucket: request.bucket()?,
            key: request.key()?,
            version: request.version()?,
            condition: condition.unwrap_or_default(),
            conditions: DeleteConditions::parse(request)?,
            bypass: bypass(request)?,
        })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(DeletedKey, Option<VersionId>), S3Error> {
        let Self { bucket, key, version, condition, conditions: DeleteConditions { if_modified, if_size }, bypass } = self;
        let deletion = KeyDeletion { key, version, condition: write_condition(condition), if_modified, if_size, bypass };
        match cx.om().delete_key(cx.call(), DeleteKey { by: cx.by(), bucket: bucket.clone(), deletion }).await {
            Ok(deleted) => Ok((deleted, version)),
            Err(CallError::Rejected(DeleteKeyRejected::Denied(why))) => Err(cx.denied(why)),
            Err(CallError::Rejected(DeleteKeyRejected::NoSuchBucket)) => Err(no_such_bucket(&bucket)),
            Err(CallError::Rejected(DeleteKeyRejected::PreconditionFailed(which))) => Err(precondition_failed(which)),
            Err(CallError::Rejected(DeleteKeyRejected::Locked)) => Err(locked()),
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

pub(super) fn bypass(request: &S3Request) -> Result<Bypass, S3Error> {
    Ok(if lock::wants_bypass(request)? { Bypass::Governance } else { Bypass::No })
}
