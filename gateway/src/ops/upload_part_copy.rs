//! `UploadPartCopy`: a part on the source's blocks, or, where the upload wants checksums, of the source's bytes.

use gateway_core::copy_source::CopySource;
use gateway_core::encryption::{CustomerKey, source_key};
use gateway_core::range::{ByteRange, RangeRequest, parse_copy_source_range, resolve_copy_source_range};
use gateway_core::xml::{CopyResult, copy_part_result};
use gateway_core::{S3Error, S3ErrorCode};
use http::StatusCode;
use om_api::{BlocksWanted, CommitPart, CopyPart, CopyPartRejected, PartCommitted, ReadConditions};
use rpc::CallError;
use types::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, VersionId};

use super::attributes::parse_source_conditions;
use super::encryption::{Sealing, Shown, check_key, located};
use super::put_object::MAX_PUT;
use super::source::{Moved, look_up_source, move_bytes, parse_source, source_is_marker, source_too_large};
use super::upload_part::{PartTarget, commit, open, upload_facts};
use crate::context::OpContext;
use crate::data::{ObjectSource, ReadObject};
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket, no_such_key, no_such_upload, precondition_failed};
use crate::reply::{self, Reply};

pub(crate) struct UploadPartCopy {
    source: CopySource,
    conditions: ReadConditions,
    range: Option<RangeRequest>,
    target: PartTarget,
    customer: Option<CustomerKey>,
    source_customer: Option<CustomerKey>,
}

pub(crate) struct Copied {
    result: CopyResult,
    source_version: Option<VersionId>,
    encryption: Shown,
}

impl Operation for UploadPartCopy {
    type Reply = Copied;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let range = request.header("x-amz-copy-source-range")?;
        Ok(Self {
            source: parse_source(request)?,
            conditions: parse_source_conditions(request)?,
            range: range.map(|text| parse_copy_source_range(&text)).transpose()?,
            target: PartTarget::parse(request)?,
            customer: CustomerKey::of_object(request)?,
            source_customer: source_key(request)?,
        })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Copied, S3Error> {
        let facts = upload_facts(cx, &self.target).await?;
        check_key(facts.encryption.as_ref(), self.customer.as_ref())?;
        let algorithm = facts.checksum.map(|(algorithm, _)| algorithm);
        // Known before the OM is asked to share blocks: it would only refuse.
        if algorithm.is_some() || facts.encryption.is_some() || self.source_customer.is_some() {
            return self.copy_bytes(cx, algorithm).await;
        }
        let request = CopyPart {
            by: cx.by(),
            source_bucket: self.source.bucket.clone(),
            source_key: self.source.key.clone(),
            source_version: self.source.version,
            source_conditions: self.conditions.clone(),
            range: self.range.map(to_om_range),
            bucket: self.target.bucket.clone(),
            key: self.target.key.clone(),
            upload: self.target.upload,
            part: self.target.part,
        };
        match cx.om().copy_part(cx.call(), request).await {
            Ok(committed) => Ok(copied(committed, None, Shown::default())),
            // The source is encrypted, or kept in another way than the upload.
            Err(CallError::Rejected(CopyPartRejected::NeedsBytes)) => self.copy_bytes(cx, None).await,
            Err(CallError::Rejected(rejection)) => Err(self.rejected(cx, rejection)),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    fn render(copied: Copied) -> Reply {
        let mut reply = reply::xml(StatusCode::OK, copy_part_result(&copied.result));
        if let Some(version) = copied.source_version {
            reply::set(reply.headers_mut(), "x-amz-copy-source-version-id", version.to_string());
        }
        copied.encryption.write(reply.headers_mut());
        reply
    }
}

fn to_om_range(range: RangeRequest) -> om_api::ByteRange {
    match range {
        RangeRequest::From { first, last: Some(last) } => om_api::ByteRange::Span(first, last),
        RangeRequest::From { first, last: None } => om_api::ByteRange::From(first),
        RangeRequest::Suffix(length) => om_api::ByteRange::Suffix(length),
    }
}

fn copied(committed: PartCommitted, checksum: Option<Checksum>, encryption: Shown) -> Copied {
    let PartCommitted { etag, last_modified, source_version, .. } = committed;
    let checksum = checksum.map(|sum| (sum, ChecksumType::FullObject, None));
    Copied { result: CopyResult { etag, last_modified, checksum }, source_version, encryption }
}

impl UploadPartCopy {
    fn rejected(&self, cx: &OpContext, rejection: CopyPartRejected) -> S3Error {
        match rejection {
            CopyPartRejected::Denied(why) => cx.denied(why),
            CopyPartRejected::NoSuchSourceBucket => no_such_bucket(&self.source.bucket),
            CopyPartRejected::NoSuchSourceKey => no_such_key(&self.source.key),
            CopyPartRejected::NoSuchSourceVersion => S3ErrorCode::NoSuchVersion.into(),
            CopyPartRejected::SourceIsDeleteMarker => source_is_marker(&self.source),
            CopyPartRejected::PreconditionFailed(which) => precondition_failed(which),
            CopyPartRejected::NoSuchBucket => no_such_bucket(&self.target.bucket),
            CopyPartRejected::NoSuchUpload => no_such_upload(self.target.upload),
            CopyPartRejected::InvalidRange => S3ErrorCode::InvalidRange.into(),
            CopyPartRejected::TooLarge => source_too_large(),
            // Read and written by whoever asked.
            CopyPartRejected::NeedsBytes => S3ErrorCode::InternalError.into(),
            CopyPartRejected::Changed => S3ErrorCode::OperationAborted.into(),
        }
    }

    /// Reads the source and writes the part, with the checksum and the encryption that the upload wants.
    async fn copy_bytes(self, cx: &mut OpContext, algorithm: Option<ChecksumAlgorithm>) -> Result<Copied, S3Error> {
        let wanted = self.range.map_or(BlocksWanted::All, |range| BlocksWanted::Range(to_om_range(range)));
        let mut read = look_up_source(cx, &self.source, wanted).await?;
        let located = located(&mut read, self.source_customer.as_ref())?;
        let info = &read.info;
        self.check_conditions(info.etag, info.last_modified)?;
        let range = match self.range {
            Some(range) => Some(resolve_copy_source_range(range, info.size)?),
            None => RangeRequest::From { first: 0, last: None }.resolve(info.size).ok(),
        };
        let length = range.map_or(0, ByteRange::length);
        if length > MAX_PUT {
            return Err(source_too_large());
        }
        let source_version = info.version;
        let _room = cx.upload_room(Some(length)).await?;
        let source =
            ObjectSource { bucket: self.source.bucket.clone(), key: self.source.key.clone(), version: self.source.version };
        let bytes = ReadObject::new(cx, source, located, range);
        let (mut sink, sealing) = open(cx, &self.target, Some(length), self.customer.as_ref()).await?;
        let Moved { blocks, md5, checksum } = move_bytes(bytes, &mut sink, algorithm).await?;
        let etag = Sealing::etag(sealing.as_ref(), md5)?;
        let PartTarget { bucket, key, upload, part } = self.target.clone();
        let request = CommitPart {
            by: cx.by(),
            session: sink.settle(),
            bucket,
            key,
            upload,
            part,
            blocks,
            etag,
            checksum: checksum.clone(),
        };
        let committed = commit(cx, &self.target, request).await?;
        let encryption = Shown::of(sealing.as_ref().map(Sealing::scheme), self.customer.as_ref());
        Ok(copied(PartCommitted { source_version, ..committed }, checksum, encryption))
    }

    fn check_conditions(&self, etag: ETag, last_modified: types::Timestamp) -> Result<(), S3Error> {
        super::attributes::to_core_conditions(&self.conditions).check_copy_source(etag, last_modified)
    }
}
