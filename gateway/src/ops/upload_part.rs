//! `UploadPart`.

use gateway_core::encryption::CustomerKey;
use gateway_core::payload::{EtagDigest, PayloadPlan, checksum_header};
use gateway_core::{S3Error, S3ErrorCode, encoding, xml};
use http::StatusCode;
use om_api::{CommitPart, CommitPartRejected, OpenPart, OpenPartRejected, OpenedKey, PartCommitted};
use rpc::CallError;
use types::{BucketPath, Checksum, ChecksumAlgorithm, ChecksumType, ETag, ObjectKey, PartNumber, UploadId};

use super::encryption::{Sealing, Shown, check_key, rejected};
use super::list_parts::{Purpose, list_parts};
use super::put_object::MAX_PUT;
use crate::context::OpContext;
use crate::data::{BlockSink, UploadFacts, receive};
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_blocks, no_such_bucket, no_such_upload};
use crate::reply::{self, Reply};

/// A part of an upload in flight.
#[derive(Debug, Clone)]
pub(super) struct PartTarget {
    pub(super) bucket: BucketPath,
    pub(super) key: ObjectKey,
    pub(super) upload: UploadId,
    pub(super) part: PartNumber,
}

impl PartTarget {
    pub(super) fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let number = request.query().get("partNumber").unwrap_or_default();
        let part = number.parse().ok().and_then(PartNumber::new).ok_or_else(|| {
            S3Error::invalid_argument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", number)
        })?;
        Ok(Self { bucket: request.bucket()?, key: request.key()?, upload: upload_id(request)?, part })
    }
}

/// `uploadId`. One that is not of our form was never issued.
pub(super) fn upload_id(request: &S3Request) -> Result<UploadId, S3Error> {
    let text = request.query().get("uploadId").unwrap_or_default();
    UploadId::parse(text).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        no_such_upload(shown)
    })
}

pub(crate) struct UploadPart {
    target: PartTarget,
    plan: PayloadPlan,
    customer: Option<CustomerKey>,
}

pub(crate) struct Uploaded {
    etag: ETag,
    checksum: Option<Checksum>,
    encryption: Shown,
}

impl Operation for UploadPart {
    type Reply = Uploaded;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let plan = request.plan()?;
        plan.check_length(MAX_PUT)?;
        Ok(Self { target: PartTarget::parse(request)?, plan, customer: CustomerKey::of_object(request)? })
    }

    async fn run(mut self, cx: &mut OpContext) -> Result<Uploaded, S3Error> {
        let facts = upload_facts(cx, &self.target).await?;
        check_key(facts.encryption.as_ref(), self.customer.as_ref())?;
        self.agree_on_checksum(facts.checksum)?;
        let _room = cx.upload_room(self.plan.length()).await?;
        let (mut sink, sealing) = open(cx, &self.target, self.plan.length(), self.customer.as_ref()).await?;
        let decoder = cx.decoder(self.plan, EtagDigest::Wanted, MAX_PUT)?;
        let (summary, blocks) = receive(&mut cx.body, decoder, &mut sink).await?;
        cx.tell(|told| told.object_size = Some(summary.length));
        let md5 = summary.md5.ok_or_else(|| S3Error::new(S3ErrorCode::InternalError))?;
        let checksum = summary.checksum;
        let PartTarget { bucket, key, upload, part } = self.target.clone();
        let etag = Sealing::etag(sealing.as_ref(), md5)?;
        let (by, session) = (cx.by(), sink.settle());
        let request = CommitPart { by, session, bucket, key, upload, part, blocks, etag, checksum: checksum.clone() };
        let committed = commit(cx, &self.target, request).await?;
        let encryption = Shown::of(sealing.as_ref().map(Sealing::scheme), self.customer.as_ref());
        Ok(Uploaded { etag: committed.etag, checksum, encryption })
    }

    fn render(uploaded: Uploaded) -> Reply {
        let mut reply = reply::empty(StatusCode::OK);
        reply::set_etag(reply.headers_mut(), uploaded.etag);
        uploaded.encryption.write(reply.headers_mut());
        if let Some(checksum) = &uploaded.checksum {
            let value = encoding::base64_encode(checksum.digest());
            reply::set(reply.headers_mut(), checksum_header(checksum.algorithm()), value);
        }
        reply
    }
}

impl UploadPart {
    /// The parts' checksums make the object's, so all are of the upload's algorithm.
    fn agree_on_checksum(&mut self, of_upload: Option<(ChecksumAlgorithm, ChecksumType)>) -> Result<(), S3Error> {
        let Some((wanted, _)) = of_upload else { return Ok(()) };
        match self.plan.checksum().map(|expected| expected.algorithm) {
            Some(brought) if brought != wanted => {
                let name = |algorithm| xml::algorithm_name(algorithm).to_ascii_lowercase();
                Err(S3Error::invalid_request(format!(
                    "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                    name(wanted),
                    name(brought)
                )))
            }
            Some(_) => Ok(()),
            None => {
                self.plan.or_compute(wanted);
                Ok(())
            }
        }
    }
}

/// What the upload was begun with. It never changes, so it is asked for once.
pub(super) async fn upload_facts(cx: &OpContext, target: &PartTarget) -> Result<UploadFacts, S3Error> {
    if let Some(known) = cx.shared.uploads.get(target.upload) {
        return Ok(known);
    }
    let page = list_parts(cx, &target.bucket, &target.key, target.upload, None, 1, Purpose::Write).await?;
    if page.upload.completed.is_some() {
        return Err(no_such_upload(target.upload));
    }
    let facts = UploadFacts { checksum: page.upload.checksum, encryption: page.upload.encryption };
    cx.shared.uploads.put(target.upload, facts.clone());
    Ok(facts)
}

/// Where the part's bytes go, and what seals them if the upload is encrypted.
pub(super) async fn open(
    cx: &OpContext,
    target: &PartTarget,
    size: Option<u64>,
    customer: Option<&CustomerKey>,
) -> Result<(BlockSink, Option<Sealing>), S3Error> {
    let mut opened = ask_to_open(cx, target, size).await?;
    let sealed = opened.encryption.take();
    let mut sink = BlockSink::new(cx, opened);
    let sealing = Sealing::of(sealed, customer)?;
    if let Some(sealing) = &sealing {
        sink.seal_with(sealing.sealer()?);
    }
    Ok((sink, sealing))
}

async fn ask_to_open(cx: &OpContext, target: &PartTarget, size: Option<u64>) -> Result<OpenedKey, S3Error> {
    let PartTarget { bucket, key, upload, part } = target.clone();
    match cx.om().open_part(cx.call(), OpenPart { by: cx.by(), bucket, key, upload, part, size }).await {
        Ok(opened) => Ok(opened),
        Err(CallError::Rejected(OpenPartRejected::Denied(why))) => Err(cx.denied(why)),
        Err(CallError::Rejected(OpenPartRejected::NoSuchBucket)) => Err(no_such_bucket(&target.bucket)),
        Err(CallError::Rejected(OpenPartRejected::NoSuchUpload)) => Err(no_such_upload(target.upload)),
        Err(CallError::Rejected(OpenPartRejected::TooLarge)) => Err(S3ErrorCode::EntityTooLarge.into()),
        Err(CallError::Rejected(OpenPartRejected::NoBlocks(why))) => Err(no_blocks(&why)),
        Err(CallError::Rejected(OpenPartRejected::Encryption(why))) => Err(rejected(&why)),
        Err(failure) => Err(call_failed(&failure)),
    }
}

pub(super) async fn commit(cx: &OpContext, target: &PartTarget, request: CommitPart) -> Result<PartCommitted, S3Error> {
    match cx.om().commit_part(cx.call(), request).await {
        Ok(committed) => Ok(committed),
        Err(CallError::Rejected(CommitPartRejected::Denied(why))) => Err(cx.denied(why)),
        Err(CallError::Rejected(CommitPartRejected::NoSuchBucket)) => Err(no_such_bucket(&target.bucket)),
        Err(CallError::Rejected(CommitPartRejected::NoSuchUpload)) => Err(no_such_upload(target.upload)),
        // It took longer than a write may; the bytes are gone and the client must send them again.
        Err(CallError::Rejected(CommitPartRejected::NoSuchSession)) => Err(S3ErrorCode::RequestTimeout.into()),
        Err(failure @ CallError::Rejected(CommitPartRejected::ForeignBlock)) => Err(call_failed(&failure)),
        Err(failure) => Err(call_failed(&failure)),
    }
}
