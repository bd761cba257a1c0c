//! `PutObject`.

use gateway_core::payload::{EtagDigest, PayloadPlan};
use gateway_core::{S3Error, S3ErrorCode, lock};
use http::StatusCode;
use om_api::{
    CommitKey, CommitRejected, KeyCommitted, ObjectAttributes, ObjectChecksum, OpenKey, OpenKeyRejected, OpenedKey,
    WriteCondition,
};
use rpc::CallError;
use types::{BucketPath, ChecksumAlgorithm, ChecksumType, ObjectId, ObjectKey, ObjectLock};

use super::attributes::{parse_attributes, parse_write_condition, set_checksum, set_expiration};
use super::encryption::{Asked, Sealing, Shown};
use super::versions::no_object_lock;
use crate::context::OpContext;
use crate::data::{BlockSink, receive};
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_blocks, no_such_bucket, no_such_key, precondition_failed};
use crate::reply::{self, Reply};

/// The most that one request may bring; larger objects come in parts.
pub(super) const MAX_PUT: u64 = 5 << 30;

pub(crate) struct PutObject {
    pub(super) bucket: BucketPath,
    pub(super) key: ObjectKey,
    pub(super) plan: PayloadPlan,
    pub(super) attributes: ObjectAttributes,
    pub(super) condition: WriteCondition,
    pub(super) lock: Option<ObjectLock>,
    pub(super) encryption: Asked,
}

/// An object that is there now.
pub(crate) struct Stored {
    pub(super) committed: KeyCommitted,
    encryption: Shown,
}

impl Operation for PutObject {
    type Reply = Stored;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let mut plan = request.plan()?;
        plan.check_length(MAX_PUT)?;
        // As S3 does when nobody asks for another: it costs next to nothing, and follows the object for its life.
        plan.or_compute(ChecksumAlgorithm::Crc64Nvme);
        Ok(Self {
            bucket: request.bucket()?,
            key: request.key()?,
            plan,
            attributes: parse_attributes(request)?,
            condition: parse_write_condition(request)?,
            lock: lock::parse_headers(request)?,
            encryption: Asked::parse(request),
        })
    }

    async fn run(mut self, cx: &mut OpContext) -> Result<Stored, S3Error> {
        lock::check_until(self.lock.and_then(|lock| lock.retention), cx.shared.clock.now())?;
        let _room = cx.upload_room(self.plan.length()).await?;
        let mut opened = self.open(cx, None).await?;
        let sealed = opened.encryption.take();
        let mut sink = BlockSink::new(cx, opened);
        let sealing = Sealing::of(sealed, self.encryption.customer())?;
        if let Some(sealing) = &sealing {
            sink.seal_with(sealing.sealer()?);
        }
        let decoder = cx.decoder(self.plan.clone(), EtagDigest::Wanted, MAX_PUT)?;
        let (summary, blocks) = receive(&mut cx.body, decoder, &mut sink).await?;
        cx.tell(|told| told.object_size = Some(summary.length));
        let md5 = summary.md5.ok_or_else(|| S3Error::new(S3ErrorCode::InternalError))?;
        let etag = Sealing::etag(sealing.as_ref(), md5)?;
        let commit = CommitKey {
            by: cx.by(),
            session: sink.settle(),
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            blocks,
            etag,
            checksum: summary.checksum.map(|checksum| ObjectChecksum { checksum, kind: ChecksumType::FullObject }),
            attributes: std::mem::take(&mut self.attributes),
            condition: self.condition.clone(),
            lock: self.lock,
        };
        let committed = commit_key(cx, commit).await?;
        let encryption = Shown::of(sealing.as_ref().map(Sealing::scheme), self.encryption.customer());
        Ok(Stored { committed, encryption })
    }

    fn render(stored: Stored) -> Reply {
        let mut reply = render_committed(stored.committed);
        stored.encryption.write_new(reply.headers_mut());
        reply
    }
}

/// What was written, whether or not it is encrypted.
pub(super) fn render_committed(committed: KeyCommitted) -> Reply {
    let mut reply = reply::empty(StatusCode::OK);
    let headers = reply.headers_mut();
    reply::set_etag(headers, committed.etag);
    if let Some(version) = committed.version {
        reply::set(headers, "x-amz-version-id", version.to_string());
    }
    set_expiration(headers, committed.ends.as_ref());
    if let Some(checksum) = &committed.checksum {
        set_checksum(headers, checksum, None);
    }
    reply
}

impl PutObject {
    /// `appends_to` names the object that the bytes are to follow, if that is what they are for.
    pub(super) async fn open(&self, cx: &OpContext, appends_to: Option<ObjectId>) -> Result<OpenedKey, S3Error> {
        let request = OpenKey {
            by: cx.by(),
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            size: self.plan.length(),
            condition: self.condition.clone(),
            locks: self.lock.is_some(),
            encryption: self.encryption.wanted(cx)?,
            storage_class: self.attributes.storage_class.clone(),
            appends_to,
        };
        open_key(cx, request, &self.encryption).await
    }
}

pub(super) async fn open_key(cx: &OpContext, request: OpenKey, encryption: &Asked) -> Result<OpenedKey, S3Error> {
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    match cx.om().open_key(cx.call(), request).await {
        Ok(opened) => {
            cx.tell(|told| told.needed_acl = opened.needed_acl);
            Ok(opened)
        }
        Err(CallError::Rejected(OpenKeyRejected::Denied(why))) => Err(cx.denied(why)),
        Err(CallError::Rejected(OpenKeyRejected::NoSuchBucket)) => Err(no_such_bucket(&bucket)),
        Err(CallError::Rejected(OpenKeyRejected::PreconditionFailed(which))) => Err(precondition_failed(which)),
        Err(CallError::Rejected(OpenKeyRejected::NoSuchKey)) => Err(no_such_key(&key)),
        Err(CallError::Rejected(OpenKeyRejected::TooLarge)) => Err(S3ErrorCode::EntityTooLarge.into()),
        Err(CallError::Rejected(OpenKeyRejected::NoBlocks(why))) => Err(no_blocks(&why)),
        Err(CallError::Rejected(OpenKeyRejected::NoObjectLock)) => Err(no_object_lock()),
        Err(CallError::Rejected(OpenKeyRejected::Encryption(why))) => Err(encryption.rejected(&why)),
        Err(CallError::Rejected(OpenKeyRejected::InvalidStorageClass)) => Err(S3ErrorCode::InvalidStorageClass.into()),
        Err(CallError::Rejected(OpenKeyRejected::BaseChanged)) => Err(S3ErrorCode::ConditionalRequestConflict.into()),
        Err(failure) => Err(call_failed(&failure)),
    }
}

pub(super) async fn commit_key(cx: &OpContext, commit: CommitKey) -> Result<KeyCommitted, S3Error> {
    let (bucket, key) = (commit.bucket.clone(), commit.key.clone());
    match cx.om().commit_key(cx.call(), commit).await {
        Ok(committed) => Ok(committed),
        Err(CallError::Rejected(CommitRejected::Denied(why))) => Err(cx.denied(why)),
        Err(CallError::Rejected(CommitRejected::NoSuchBucket)) => Err(no_such_bucket(&bucket)),
        Err(CallError::Rejected(CommitRejected::PreconditionFailed(which))) => Err(precondition_failed(which)),
        Err(CallError::Rejected(CommitRejected::NoSuchKey)) => Err(no_such_key(&key)),
        Err(CallError::Rejected(CommitRejected::NoObjectLock)) => Err(no_object_lock()),
        // It took longer than a write may; the bytes are gone and the client must send them again.
        Err(CallError::Rejected(CommitRejected::NoSuchSession)) => Err(S3ErrorCode::RequestTimeout.into()),
        Err(failure @ CallError::Rejected(CommitRejected::ForeignBlock)) => Err(call_failed(&failure)),
        Err(failure) => Err(call_failed(&failure)),
    }
}
