//! `PutObject` at an offset (`x-amz-write-offset-bytes`), as S3 has it for directory buckets: the bytes go behind those of the object
//! that is there.
//!
//! Its tag is then of its parts' tags, as after a multipart upload; its checksum goes on where its algorithm can be combined. What is
//! added to an encrypted object is one more stream under the object's own key; what is added to one that is not is not, either,
//! whatever the bucket says of new objects.

use gateway_core::payload::EtagDigest;
use gateway_core::{S3Error, S3ErrorCode, acl, checksum};
use om_api::{
    AppendBase, AppendKey, AppendRejected, BlocksWanted, KeyCommitted, LookupKey, LookupPurpose, LookupRejected,
    ObjectAttributes, ObjectChecksum, ObjectInfo, SystemHeader, WriteCondition,
};
use rpc::CallError;
use types::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, Md5};

use super::encryption::{Sealing, Shown, check_key};
use super::put_object::{MAX_PUT, PutObject, Stored, render_committed};
use crate::context::OpContext;
use crate::data::{BlockSink, receive};
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket, no_such_key, precondition_failed};
use crate::reply::{self, Reply};

pub(crate) struct AppendObject {
    put: PutObject,
    offset: u64,
    sets_acl: bool,
}

pub(crate) enum Done {
    Created(Stored),
    Appended(Appended),
}

pub(crate) struct Appended {
    committed: KeyCommitted,
    encryption: Shown,
}

impl Operation for AppendObject {
    type Reply = Done;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        const NAME: &str = "x-amz-write-offset-bytes";
        let text = request.header(NAME)?.unwrap_or_default();
        let offset = text.trim().parse().map_err(|_| S3Error::invalid_argument("The offset must be a number", NAME, &*text))?;
        let sets_acl = acl::parse_headers(request)?.is_some();
        Ok(Self { put: PutObject::parse(request)?, offset, sets_acl })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Done, S3Error> {
        let Self { mut put, offset, sets_acl } = self;
        match base(&put, offset, cx).await? {
            Some(info) if offset != info.size => {
                Err(S3Error::new(S3ErrorCode::InvalidWriteOffset).field("ObjectSize", info.size.to_string()))
            }
            Some(_) if sets_acl => Err(keeps_all_else()),
            Some(info) => append(put, &info, cx).await.map(Done::Appended),
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
            Done::Appended(Appended { committed, encryption }) => {
                let size = committed.size;
                let mut reply = render_committed(committed);
                encryption.write(reply.headers_mut());
                (size, reply)
            }
        };
        reply::set(reply.headers_mut(), "x-amz-object-size", size.to_string());
        reply
    }
}

/// The object that is there.
async fn base(put: &PutObject, offset: u64, cx: &OpContext) -> Result<Option<ObjectInfo>, S3Error> {
    let request = LookupKey {
        by: cx.by(),
        bucket: put.bucket.clone(),
        key: put.key.clone(),
        version: None,
        wanted: BlocksWanted::None,
        pinned: None,
        refresh: false,
        purpose: if offset == 0 { LookupPurpose::Append } else { LookupPurpose::AppendBehind },
    };
    match cx.om().lookup_key(cx.call(), request).await {
        Ok(read) => Ok(Some(read.info)),
        Err(CallError::Rejected(LookupRejected::NoSuchKey | LookupRejected::DeleteMarker(_))) => Ok(None),
        Err(CallError::Rejected(LookupRejected::Denied(why))) => Err(cx.denied(why)),
        Err(CallError::Rejected(LookupRejected::NoSuchBucket)) => Err(no_such_bucket(&put.bucket)),
        Err(failure) => Err(call_failed(&failure)),
    }
}

async fn append(mut put: PutObject, info: &ObjectInfo, cx: &mut OpContext) -> Result<Appended, S3Error> {
    if sets_attributes(&put.attributes) || put.lock.is_some() {
        return Err(keeps_all_else());
    }
    let class = |class: &Option<String>| class.clone().unwrap_or_else(|| "STANDARD".to_owned());
    if put.attributes.storage_class.is_some() && class(&put.attributes.storage_class) != class(&info.attributes.storage_class) {
        return Err(S3Error::invalid_request("An append keeps the storage class of the object; it cannot set another."));
    }
    check_key(info.encryption.as_ref(), put.encryption.customer())?;
    if put.encryption.differs_from(info.encryption.as_ref())? {
        return Err(S3Error::invalid_request("An append keeps the encryption of the object; it cannot set another."));
    }
    if let Some(known) = &info.checksum {
        put.plan.or_compute(known.checksum.algorithm());
    }
    let _room = cx.upload_room(put.plan.length()).await?;
    let mut opened = put.open(cx, Some(info.object)).await?;
    let sealed = opened.encryption.take();
    let mut sink = BlockSink::new(cx, opened);
    let sealing = Sealing::of(sealed, put.encryption.customer())?;
    if let Some(sealing) = &sealing {
        sink.seal_with(sealing.sealer()?);
    }
    let decoder = cx.decoder(put.plan.clone(), EtagDigest::Wanted, MAX_PUT)?;
    let (summary, blocks) = receive(&mut cx.body, decoder, &mut sink).await?;
    let md5 = summary.md5.ok_or_else(|| S3Error::new(S3ErrorCode::InternalError))?;
    let added = Sealing::etag(sealing.as_ref(), md5)?.md5;
    let length = summary.length;
    let request = AppendKey {
        by: cx.by(),
        session: sink.settle(),
        bucket: put.bucket.clone(),
        key: put.key.clone(),
        base: AppendBase { object: info.object, etag: info.etag, size: info.size },
        blocks,
        etag: longer_tag(info, added)?,
        checksum: longer_checksum(info, summary.checksum.as_ref(), length),
        part_checksum: summary.checksum,
        condition: put.condition.clone(),
    };
    match cx.om().append_key(cx.call(), request).await {
        Ok(committed) => {
            let encryption = Shown::of(sealing.as_ref().map(Sealing::scheme), put.encryption.customer());
            Ok(Appended { committed, encryption })
        }
        Err(CallError::Rejected(rejection)) => Err(match rejection {
            AppendRejected::Denied(why) => cx.denied(why),
            AppendRejected::NoSuchBucket => no_such_bucket(&put.bucket),
            AppendRejected::NoSuchKey => no_such_key(&put.key),
            AppendRejected::PreconditionFailed(which) => precondition_failed(which),
            // It took longer than a write may; the bytes are gone and the client must send them again.
            AppendRejected::NoSuchSession => S3ErrorCode::RequestTimeout.into(),
            AppendRejected::BaseChanged | AppendRejected::Encrypted => S3ErrorCode::ConditionalRequestConflict.into(),
            AppendRejected::TooManyParts => S3ErrorCode::TooManyParts.into(),
            AppendRejected::TooLarge => S3ErrorCode::EntityTooLarge.into(),
            AppendRejected::ForeignBlock => S3ErrorCode::InternalError.into(),
        }),
        Err(failure) => Err(call_failed(&failure)),
    }
}

fn keeps_all_else() -> S3Error {
    S3Error::invalid_request(
        "An append keeps the headers, the metadata, the tags, the ACL and the lock of the object; it cannot set others.",
    )
}

/// Whether something is said of the object that an append would not do. Libraries add a content type that nobody asked for.
fn sets_attributes(asked: &ObjectAttributes) -> bool {
    let sets_header = asked.headers.iter().any(|(name, _)| *name != SystemHeader::ContentType);
    sets_header || !asked.metadata.is_empty() || !asked.tags.is_empty()
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
