//! `CopyObject`: a new object on the source's blocks; no bytes move.

use gateway_core::copy_source::CopySource;
use gateway_core::xml::{CopyResult, copy_object_result};
use gateway_core::{S3Error, S3ErrorCode};
use http::StatusCode;
use om_api::{CopyAttributes, CopyKey, CopyRejected, KeyCopied, ReadConditions, WriteCondition};
use rpc::CallError;
use types::{BucketName, ObjectKey};

use super::attributes::{parse_attributes, parse_source_conditions, parse_write_condition};
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket, no_such_key};
use crate::reply::{self, Reply};

pub(crate) struct CopyObject {
    source: CopySource,
    source_conditions: ReadConditions,
    bucket: BucketName,
    key: ObjectKey,
    attributes: CopyAttributes,
    condition: WriteCondition,
}

impl Operation for CopyObject {
    type Reply = KeyCopied;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        // Checked whether or not the copy takes its own attributes.
        let replacement = parse_attributes(request)?;
        let attributes = match request.header("x-amz-metadata-directive")?.as_deref() {
            None | Some("COPY") => CopyAttributes::Source,
            Some("REPLACE") => CopyAttributes::Replace(replacement),
            Some(other) => {
                return Err(S3Error::invalid_argument("Unknown metadata directive.", "x-amz-metadata-directive", other));
            }
        };
        if request.has_header("x-amz-checksum-algorithm") {
            return Err(S3Error::not_implemented("A checksum algorithm of its own for a copy"));
        }
        Ok(Self {
            source: parse_source(request)?,
            source_conditions: parse_source_conditions(request)?,
            bucket: request.bucket()?,
            key: request.key()?,
            attributes,
            condition: parse_write_condition(request)?,
        })
    }

    async fn run(self, cx: &mut OpContext) -> Result<KeyCopied, S3Error> {
        let request = CopyKey {
            by: cx.by(),
            source_bucket: self.source.bucket.clone(),
            source_key: self.source.key.clone(),
            source_version: self.source.version,
            source_conditions: self.source_conditions,
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            attributes: self.attributes,
            condition: self.condition,
            storage_class: None,
        };
        match cx.om().copy_key(cx.call(), request).await {
            Ok(copied) => Ok(copied),
            Err(CallError::Rejected(rejection)) => Err(match rejection {
                CopyRejected::Denied(why) => cx.denied(why),
                CopyRejected::NoSuchSourceBucket => no_such_bucket(&self.source.bucket),
                CopyRejected::NoSuchSourceKey => no_such_key(&self.source.key),
                CopyRejected::NoSuchSourceVersion => S3ErrorCode::NoSuchVersion.into(),
                CopyRejected::SourceIsDeleteMarker => source_is_marker(&self.source),
                CopyRejected::PreconditionFailed => S3ErrorCode::PreconditionFailed.into(),
                CopyRejected::NoSuchBucket => no_such_bucket(&self.bucket),
                CopyRejected::NoSuchKey => no_such_key(&self.key),
                CopyRejected::OntoItself => S3Error::invalid_request(
                    "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
                     metadata, storage class, website redirect location or encryption attributes.",
                ),
                CopyRejected::TooLarge => source_too_large(),
            }),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    fn render(copied: KeyCopied) -> Reply {
        let KeyCopied { committed, source_version } = copied;
        let result = CopyResult {
            etag: committed.etag,
            last_modified: committed.last_modified,
            checksum: committed.checksum.map(|sum| (sum.checksum, sum.kind, committed.etag.parts)),
        };
        let mut reply = reply::xml(StatusCode::OK, copy_object_result(&result));
        if let Some(version) = committed.version {
            reply::set(reply.headers_mut(), "x-amz-version-id", version.to_string());
        }
        if let Some(version) = source_version {
            reply::set(reply.headers_mut(), "x-amz-copy-source-version-id", version.to_string());
        }
        reply
    }
}

pub(super) fn parse_source(request: &S3Request) -> Result<CopySource, S3Error> {
    CopySource::parse(&request.header("x-amz-copy-source")?.unwrap_or_default())
}

/// Named by its version, a marker cannot be copied; as the current version it hides the key.
pub(super) fn source_is_marker(source: &CopySource) -> S3Error {
    match source.version {
        Some(_) => {
            S3Error::invalid_request("The source of a copy request may not specifically refer to a delete marker by version id.")
        }
        None => no_such_key(&source.key),
    }
}

pub(super) fn source_too_large() -> S3Error {
    S3Error::invalid_request("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
}
