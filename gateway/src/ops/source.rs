//! The source of a copy: its name, and what is there.

use gateway_core::copy_source::CopySource;
use gateway_core::payload::{ChecksumHasher, Md5Hasher};
use gateway_core::{S3Error, S3ErrorCode};
use om_api::{BlocksWanted, CommittedBlock, LookupKey, LookupRejected, ObjectRead};
use rpc::CallError;
use types::{Checksum, ChecksumAlgorithm, Md5};

use super::encryption;
use crate::context::OpContext;
use crate::data::{BlockSink, ReadObject, unreadable};
use crate::operation::S3Request;
use crate::rejections::{call_failed, no_such_bucket, no_such_key};

pub(super) fn parse_source(request: &S3Request) -> Result<CopySource, S3Error> {
    CopySource::parse(&request.header("x-amz-copy-source")?.unwrap_or_default(), request.home())
}

/// For a copy that has to see the source's bytes.
pub(super) async fn look_up_source(cx: &OpContext, source: &CopySource, wanted: BlocksWanted) -> Result<ObjectRead, S3Error> {
    let request = LookupKey {
        by: cx.by(),
        bucket: source.bucket.clone(),
        key: source.key.clone(),
        version: source.version,
        wanted,
        pinned: None,
        refresh: false,
        purpose: om_api::LookupPurpose::Object,
    };
    match cx.om().lookup_key(cx.call(), request).await {
        Ok(read) => Ok(read),
        Err(CallError::Rejected(rejection)) => Err(match rejection {
            LookupRejected::Denied(why) => cx.denied(why),
            LookupRejected::NoSuchBucket => no_such_bucket(&source.bucket),
            LookupRejected::NoSuchKey | LookupRejected::NoSuchPart | LookupRejected::Replaced | LookupRejected::NoObjectLock => {
                no_such_key(&source.key)
            }
            LookupRejected::NoSuchVersion => S3ErrorCode::NoSuchVersion.into(),
            LookupRejected::DeleteMarker(_) => source_is_marker(source),
            LookupRejected::Encryption(why) => encryption::rejected(&why),
        }),
        Err(failure) => Err(call_failed(&failure)),
    }
}

/// What became of bytes that were read from one place and written to another.
pub(super) struct Moved {
    pub(super) blocks: Vec<CommittedBlock>,
    pub(super) md5: Md5,
    pub(super) checksum: Option<Checksum>,
}

/// Reads all that is wanted, and writes it.
pub(super) async fn move_bytes(
    mut from: ReadObject,
    to: &mut BlockSink,
    algorithm: Option<ChecksumAlgorithm>,
) -> Result<Moved, S3Error> {
    let (mut md5, mut checksum) = (Md5Hasher::default(), algorithm.map(ChecksumHasher::new));
    while let Some(data) = from.next().await.map_err(|error| unreadable(&error))? {
        md5.update(&data);
        if let Some(checksum) = &mut checksum {
            checksum.update(&data);
        }
        to.write(data).await?;
    }
    let blocks = to.finish().await?;
    Ok(Moved { blocks, md5: md5.finish(), checksum: checksum.map(ChecksumHasher::finish) })
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
