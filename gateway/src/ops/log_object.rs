//! Log objects: written as a PutObject is, but on nobody's request. The OM asks the target's policy whether S3's own service may.

use std::sync::Arc;

use bytes::Bytes;
use gateway_core::payload::{ChecksumHasher, Md5Hasher};
use gateway_core::{S3Error, S3ErrorCode};
use om_api::{
    CommitKey, CommitRejected, ObjectAttributes, ObjectChecksum, OpenKey, OpenKeyRejected, Requester, SystemHeader,
    WriteCondition,
};
use rpc::{CallContext, CallError};
use types::{BucketId, BucketPath, ChecksumAlgorithm, ChecksumType, ObjectKey};

use super::encryption::Sealing;
use crate::context::{CallIds, Shared};
use crate::data::BlockSink;
use crate::rejections::call_failed;

pub(crate) struct LogObject {
    pub(crate) target: BucketPath,
    pub(crate) key: ObjectKey,
    /// Whose records stand in it.
    pub(crate) of: Vec<BucketId>,
    pub(crate) body: Bytes,
}

#[derive(Debug)]
pub(crate) enum NotWritten {
    /// The target does not let it in, or is not there, or is to be encrypted by a key that there is not.
    Refused,
    /// Another attempt may do better.
    Failed(S3Error),
}

impl From<S3Error> for NotWritten {
    fn from(error: S3Error) -> Self {
        Self::Failed(error)
    }
}

pub(crate) async fn write_log_object(shared: &Arc<Shared>, object: LogObject) -> Result<(), NotWritten> {
    let LogObject { target, key, of, body } = object;
    let ids = CallIds::new(shared.entropy.u128());
    let call = || CallContext::local(ids.next(), shared.config.om_timeout);
    let by = Requester::LogDelivery { of };
    let size = body.len() as u64;
    let _room = shared.upload_memory.room(Some(size)).await;
    let request = OpenKey {
        by: by.clone(),
        bucket: target.clone(),
        key: key.clone(),
        size: Some(size),
        condition: WriteCondition::Always,
        locks: false,
        encryption: None,
        storage_class: None,
        appends_to: None,
    };
    let is_final = |rejected: &OpenKeyRejected| {
        matches!(rejected, OpenKeyRejected::Denied(_) | OpenKeyRejected::NoSuchBucket | OpenKeyRejected::Encryption(_))
    };
    let mut opened = match shared.om.open_key(call(), request).await {
        Ok(opened) => opened,
        Err(CallError::Rejected(rejected)) if is_final(&rejected) => return Err(NotWritten::Refused),
        Err(failure) => return Err(call_failed(&failure).into()),
    };
    let sealed = opened.encryption.take();
    let mut sink = BlockSink::of(Arc::clone(shared), by.clone(), ids.clone(), opened);
    let sealing = Sealing::of(sealed, None)?;
    if let Some(sealing) = &sealing {
        sink.seal_with(sealing.sealer()?);
    }
    let (mut md5, mut checksum) = (Md5Hasher::default(), ChecksumHasher::new(ChecksumAlgorithm::Crc64Nvme));
    md5.update(&body);
    checksum.update(&body);
    sink.write(body).await?;
    let blocks = sink.finish().await?;
    let commit = CommitKey {
        by,
        session: sink.settle(),
        bucket: target,
        key,
        blocks,
        etag: Sealing::etag(sealing.as_ref(), md5.finish())?,
        checksum: Some(ObjectChecksum { checksum: checksum.finish(), kind: ChecksumType::FullObject }),
        attributes: ObjectAttributes {
            headers: vec![(SystemHeader::ContentType, "text/plain".to_owned())],
            ..ObjectAttributes::default()
        },
        condition: WriteCondition::Always,
        lock: None,
    };
    match shared.om.commit_key(call(), commit).await {
        Ok(_) => Ok(()),
        Err(CallError::Rejected(CommitRejected::Denied(_) | CommitRejected::NoSuchBucket)) => Err(NotWritten::Refused),
        Err(CallError::Rejected(_)) => Err(S3Error::new(S3ErrorCode::InternalError).into()),
        Err(failure) => Err(call_failed(&failure).into()),
    }
}
