//! `RenameObject`: as S3 has it for directory buckets, in any bucket. One log entry, and no bytes move.

use gateway_core::conditions::{ReadConditions, SourceOf, precondition_failed};
use gateway_core::copy_source::parse_rename_source;
use gateway_core::{S3Error, S3ErrorCode};
use http::StatusCode;
use om_api::{RenameKey, RenameRejected, WriteCondition};
use rpc::CallError;
use types::{BucketPath, ObjectKey, VersionId};

use super::attributes::{parse_write_condition, to_om_conditions};
use super::versions::set_version;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket, no_such_key};
use crate::reply::{self, Reply};

const MAX_TOKEN: usize = 64;

pub(crate) struct RenameObject {
    bucket: BucketPath,
    source: ObjectKey,
    source_conditions: om_api::ReadConditions,
    key: ObjectKey,
    condition: WriteCondition,
    conditions: om_api::ReadConditions,
    token: Option<String>,
}

impl Operation for RenameObject {
    type Reply = Option<VersionId>;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let bucket = request.bucket()?;
        let source = request.header("x-amz-rename-source")?.unwrap_or_default();
        let token = request.header("x-amz-client-token")?.map(|token| token.into_owned());
        if let Some(token) = token.as_deref()
            && (token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            let why = "A client token has 1 to 64 printable ASCII characters";
            return Err(S3Error::invalid_argument(why, "x-amz-client-token", token));
        }
        // Its tags are what `condition` holds; here the times are meant.
        let times = ReadConditions { if_match: None, if_none_match: None, ..ReadConditions::of_read(request)? };
        Ok(Self {
            source: parse_rename_source(&source)?,
            source_conditions: to_om_conditions(ReadConditions::of_rename_source(request)?),
            bucket,
            key: request.key()?,
            condition: parse_write_condition(request)?,
            conditions: to_om_conditions(times),
            token,
        })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Option<VersionId>, S3Error> {
        let Self { bucket, source, source_conditions, key, condition, conditions, token } = self;
        let request = RenameKey {
            by: cx.by(),
            bucket: bucket.clone(),
            source: source.clone(),
            source_conditions,
            key: key.clone(),
            condition,
            conditions,
            token,
        };
        match cx.om().rename_key(cx.call(), request).await {
            Ok(renamed) => Ok(renamed.version),
            Err(CallError::Rejected(rejection)) => Err(match rejection {
                RenameRejected::Denied(why) => cx.denied(why),
                RenameRejected::NoSuchBucket => no_such_bucket(&bucket),
                RenameRejected::NoSuchSource => no_such_key(&source),
                RenameRejected::NoSuchKey => no_such_key(&key),
                RenameRejected::PreconditionFailed(which) => precondition_failed(which, SourceOf::Rename),
                RenameRejected::OntoItself => S3Error::invalid_request("An object cannot be renamed to its own name."),
                RenameRejected::Changed => S3ErrorCode::OperationAborted.into(),
                RenameRejected::TokenOfAnother => S3ErrorCode::IdempotencyParameterMismatch.into(),
            }),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    fn render(version: Option<VersionId>) -> Reply {
        let mut reply = reply::empty(StatusCode::OK);
        set_version(&mut reply, version);
        reply
    }
}
