//! `PutObject` at an offset (`x-amz-write-offset-bytes`), as S3 has it for directory buckets: the bytes go behind those of the object
//! that is there.
//!
//! Its tag is then of its parts' tags, as after a multipart upload; its checksum goes on where its algorithm can be combined.

use gateway_core::payload::EtagDigest;
use gateway_core::{S3Error, S3ErrorCode, checksum};
use om_api::{
    AppendBase, AppendKey, AppendRejected, BlocksWanted, KeyCommitted, LookupKey, LookupPurpose, LookupRejected, ObjectChecksum,
    ObjectInfo, WriteCondition,
};
use rpc::CallError;
use types::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, Md5};

use super::put_object::{MAX_PUT, PutObject, Stored, render_committed};
use crate::context::OpContext;
use crate::data::{BlockSink, receive};
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket, no_such_key};
use crate::reply::{self, Reply};

pub(crate) struct AppendObject {
    put: PutObject,
    offset: u64,
}

pub(crate) enum Done {
    Created(Stored),
    Appended(KeyCommitted),
}

impl Operation for AppendObject {
    type Reply = Done;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        const NAME: &str = "x-amz-write-offset-bytes";
        let text = request.header(NAME)?.unwrap_or_default();
        let offset = text.trim().parse().map_err(|_| S3Error::invalid_argument("The offset must be a number", NAME, &*text))?;
        Ok(Self { put: PutObject::parse(request)?, offset })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Done, S3Error> {
        let Self { mut put, offset } = self;
        match base(&put, cx).await? {
            Some(info) => append(put, &info, offset, cx).await.map(Done::Appended),
            None if offset == 0 => {
                if put.condition == WriteCondition::Always {
                    put.condition = WriteCondition::IfAbsent;
                }
                put.run(cx).await.map(Done::Created)
            }
            None => Err(no_such_key(&put.key)),
        }
    }

    fn render(done: Done) -> Reply {
        let (size, mut reply) = match done {
            Done::Created(stored) => (stored.committed.size, PutObject::render(stored)),
            Done::Appended(committed) => (committed.size, render_committed(committed)),
        };
        reply::set(reply.headers_mut(), "x-amz-object-size", size.to_string());
        reply
    }
}

/// The object that is there.
async fn base(put: &PutObject, cx: &OpContext) -> Result<Option<ObjectInfo>, S3Error> {
    let request = LookupKey {
        by: cx.by(),
        bucket: put.bucket.clone(),
        key: put.key.clone(),
        version: None,
        wanted: BlocksWanted::None,
        pinned: None,
        refresh: false,
        purpose: LookupPurpose::Append,
    };
    match cx.om().lookup_key(cx.call(), request).await {
        Ok(read) => Ok(Some(read.info)),
        Err(CallError::Rejected(LookupRejected::NoSuchKey | LookupRejected::DeleteMarker(_))) => Ok(None),
        Err(CallError::Rejected(LookupRejected::Denied(why))) => Err(cx.denied(why)),
        Err(CallError::Rejected(LookupRejected::NoSuchBucket)) => Err(no_such_bucket(&put.bucket)),
        Err(failure) => Err(call_failed(&failure)),
    }
}

async fn append(mut put: PutObject, info: &ObjectInfo, offset: u64, cx: &mut OpContext) -> Result<KeyCommitted, S3Error> {
    if offset != info.size {
        return Err(S3Error::new(S3ErrorCode::InvalidWriteOffset).field("ObjectSize", info.size.to_string()));
    }
    if !put.attributes.metadata.is_empty() || !put.attributes.tags.is_empty() || put.lock.is_some() {
        let why = "An append keeps the metadata, the tags and the lock of the object; it cannot set others.";
        return Err(S3Error::invalid_request(why));
    }
    if info.encryption.is_some() {
        return Err(encrypted());
    }
    if let Some(known) = &info.checksum {
        put.plan.or_compute(known.checksum.algorithm());
    }
    let _room = cx.upload_room(put.plan.length()).await?;
    let mut opened = put.open(cx).await?;
    let sealed = opened.encryption.take();
    let mut sink = BlockSink::new(cx, opened);
    if sealed.is_some() {
        return Err(encrypted());
    }
    let decoder = cx.decoder(put.plan.clone(), EtagDigest::Wanted, MAX_PUT)?;
    let (summary, blocks) = receive(&mut cx.body, decoder, &mut sink).await?;
    let md5 = summary.md5.ok_or_else(|| S3Error::new(S3ErrorCode::InternalError))?;
    let length = blocks.iter().map(|block| block.length).sum();
    let request = AppendKey {
        by: cx.by(),
        session: sink.settle(),
        bucket: put.bucket.clone(),
        key: put.key.clone(),
        base: AppendBase { object: info.object, etag: info.etag, size: info.size },
        blocks,
        etag: longer_tag(info, md5)?,
        checksum: longer_checksum(info, summary.checksum.as_ref(), length),
        part_checksum: summary.checksum,
        condition: put.condition.clone(),
    };
    match cx.om().append_key(cx.call(), request).await {
        Ok(committed) => Ok(committed),
        Err(CallError::Rejected(rejection)) => Err(match rejection {
            AppendRejected::Denied(why) => cx.denied(why),
            AppendRejected::NoSuchBucket => no_such_bucket(&put.bucket),
            AppendRejected::NoSuchKey => no_such_key(&put.key),
            AppendRejected::PreconditionFailed => S3ErrorCode::PreconditionFailed.into(),
            // It took longer than a write may; the bytes are gone and the client must send them again.
            AppendRejected::NoSuchSession => S3ErrorCode::RequestTimeout.into(),
            AppendRejected::BaseChanged => S3ErrorCode::ConditionalRequestConflict.into(),
            AppendRejected::TooManyParts => S3ErrorCode::TooManyParts.into(),
            AppendRejected::Encrypted => encrypted(),
            AppendRejected::TooLarge => S3ErrorCode::EntityTooLarge.into(),
            AppendRejected::ForeignBlock => S3ErrorCode::InternalError.into(),
        }),
        Err(failure) => Err(call_failed(&failure)),
    }
}

fn encrypted() -> S3Error {
    S3Error::not_implemented("An append to an encrypted object, or in a bucket that encrypts by default")
}

/// Of the tag before and of what was added; it says how many parts there are.
fn longer_tag(info: &ObjectInfo, added: Md5) -> Result<ETag, S3Error> {
    let parts = info.parts.unwrap_or(1).checked_add(1).ok_or_else(|| S3Error::new(S3ErrorCode::TooManyParts))?;
    let md5 = checksum::multipart_etag(&[info.etag.md5, added]).ok_or_else(|| S3Error::new(S3ErrorCode::InternalError))?.md5;
    Ok(ETag { md5, parts: Some(parts) })
}

/// None where the two cannot be put together: no checksum is better than one that is of other bytes.
fn longer_checksum(info: &ObjectInfo, added: Option<&Checksum>, length: u64) -> Option<ObjectChecksum> {
    let (known, added) = (info.checksum.as_ref()?, added?);
    if known.kind != ChecksumType::FullObject {
        return None;
    }
    let algorithm: ChecksumAlgorithm = known.checksum.algorithm();
    let checksum = checksum::full_object(algorithm, [(&known.checksum, info.size), (added, length)])?;
    Some(ObjectChecksum { checksum, kind: ChecksumType::FullObject })
}
