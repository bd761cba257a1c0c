//! `CompleteMultipartUpload`.
//!
//! The parts are listed, held against what the client names, and the object's entity tag and checksum are computed from
//! theirs; then the OM links them in one entry. It refuses if a part was written again in between, and we begin anew: what was
//! computed is never of other bytes than those that were linked.

use std::collections::BTreeMap;

use gateway_core::encryption::CustomerKey;
use gateway_core::payload::{PayloadPlan, checksum_header, parse_checksum_type, refuse_unknown_checksums};
use gateway_core::xml::{self, CompleteMultipartUploadResult, CompletedPart, MAX_COMPLETE_BODY};
use gateway_core::{S3Error, S3ErrorCode, checksum, encoding};
use http::StatusCode;
use om_api::{CompleteUpload, CompleteUploadRejected, KeyCommitted, ObjectChecksum, PartSummary, UploadInfo, WriteCondition};
use rpc::CallError;
use types::{BucketPath, ChecksumAlgorithm, ChecksumType, ETag, Md5, ObjectKey, PartNumber, UploadId};

use super::attributes::{parse_write_condition, set_expiration};
use super::encryption::{Shown, check_key};
use super::list_parts::{Purpose, list_parts};
use super::upload_part::upload_id;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket, no_such_key, no_such_upload, precondition_failed};
use crate::reply::{self, Reply};

/// A part can be written again between our look and the completion; a client that keeps doing so must settle first.
const ROUNDS: u32 = 3;
const PAGE: u32 = 1000;

pub(crate) struct CompleteMultipartUpload {
    bucket: BucketPath,
    key: ObjectKey,
    upload: UploadId,
    plan: PayloadPlan,
    condition: WriteCondition,
    expected: Expected,
    address: String,
    customer: Option<CustomerKey>,
}

/// What the client believes the object to be.
#[derive(Debug, Default)]
struct Expected {
    size: Option<u64>,
    /// As the header had it: a composite one ends with the number of parts.
    checksum: Option<(ChecksumAlgorithm, String)>,
    kind: Option<ChecksumType>,
}

pub(crate) struct Completed {
    bucket: BucketPath,
    key: ObjectKey,
    location: String,
    committed: KeyCommitted,
    encryption: Shown,
}

/// The parts as they are, and what they make together.
struct Composition {
    parts: Vec<om_api::CompletedPart>,
    etag: ETag,
    checksum: Option<ObjectChecksum>,
}

enum Attempt {
    Done(Box<KeyCommitted>, Shown),
    PartsChanged,
}

impl Operation for CompleteMultipartUpload {
    type Reply = Completed;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let host = request.header("host")?.unwrap_or_default();
        Ok(Self {
            bucket: request.bucket()?,
            key: request.key()?,
            upload: upload_id(request)?,
            plan: PayloadPlan::of_document(request, request.payload)?,
            condition: parse_write_condition(request)?,
            expected: Expected::parse(request)?,
            address: format!("{host}{}", request.target.raw_path()),
            customer: CustomerKey::of_object(request)?,
        })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Completed, S3Error> {
        let body = cx.read_document(self.plan.clone(), MAX_COMPLETE_BODY).await?;
        let named = xml::CompleteMultipartUpload::parse(&body)?.parts;
        if !named.array_windows().all(|[a, b]| a.number < b.number) {
            return Err(S3ErrorCode::InvalidPartOrder.into());
        }
        for _ in 0..ROUNDS {
            if let Attempt::Done(committed, encryption) = self.attempt(cx, &named).await? {
                cx.shared.uploads.forget(self.upload);
                let Self { bucket, key, address, .. } = self;
                let location = format!("{}://{address}", cx.scheme());
                return Ok(Completed { bucket, key, location, committed: *committed, encryption });
            }
        }
        Err(S3ErrorCode::OperationAborted.into())
    }

    fn render(completed: Completed) -> Reply {
        let Completed { bucket, key, location, committed, encryption } = completed;
        let etag = committed.etag;
        let checksum = committed.checksum.map(|sum| (sum.checksum, sum.kind, etag.parts.unwrap_or_default()));
        let result = CompleteMultipartUploadResult {
            location: &location,
            bucket: bucket.name().as_str(),
            key: key.as_str(),
            etag,
            checksum,
        };
        let mut reply = reply::xml(StatusCode::OK, result.to_xml());
        encryption.write(reply.headers_mut());
        if let Some(version) = committed.version {
            reply::set(reply.headers_mut(), "x-amz-version-id", version.to_string());
        }
        set_expiration(reply.headers_mut(), committed.ends.as_ref());
        reply
    }
}

impl CompleteMultipartUpload {
    async fn attempt(&self, cx: &OpContext, named: &[CompletedPart]) -> Result<Attempt, S3Error> {
        let (info, stored) = self.stored_parts(cx, named).await?;
        check_key(info.encryption.as_ref(), self.customer.as_ref())?;
        let encryption = Shown::of(info.encryption.as_ref().map(|encryption| &encryption.scheme), self.customer.as_ref());
        if let Some(completed) = info.completed {
            // The answer to the first completion was lost; one that names other parts is of no upload that exists.
            let same = named_etag(named) == Some(completed.etag);
            return if same { Ok(Attempt::Done(completed, encryption)) } else { Err(no_such_upload(self.upload)) };
        }
        let composition = compose(named, &stored, info.checksum)?;
        self.expected.check(named, &stored, &composition)?;
        let Composition { parts, etag, checksum } = composition;
        let request = CompleteUpload {
            by: cx.by(),
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            upload: self.upload,
            parts,
            etag,
            checksum,
            condition: self.condition.clone(),
        };
        match cx.om().complete_upload(cx.call(), request).await {
            Ok(committed) => Ok(Attempt::Done(Box::new(committed), encryption)),
            Err(CallError::Rejected(rejection)) => match rejection {
                CompleteUploadRejected::PartChanged(_) => Ok(Attempt::PartsChanged),
                CompleteUploadRejected::Denied(why) => Err(cx.denied(why)),
                CompleteUploadRejected::NoSuchBucket => Err(no_such_bucket(&self.bucket)),
                CompleteUploadRejected::NoSuchUpload => Err(no_such_upload(self.upload)),
                CompleteUploadRejected::InvalidPart(number) => Err(invalid_part(number)),
                CompleteUploadRejected::InvalidPartOrder => Err(S3ErrorCode::InvalidPartOrder.into()),
                CompleteUploadRejected::PartTooSmall(number) => {
                    Err(S3Error::new(S3ErrorCode::EntityTooSmall).field("PartNumber", number.to_string()))
                }
                CompleteUploadRejected::PreconditionFailed(which) => Err(precondition_failed(which)),
                CompleteUploadRejected::NoSuchKey => Err(no_such_key(&self.key)),
                CompleteUploadRejected::TooLarge => Err(S3ErrorCode::EntityTooLarge.into()),
            },
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    /// The upload, and its parts up to the last one named.
    async fn stored_parts(
        &self,
        cx: &OpContext,
        named: &[CompletedPart],
    ) -> Result<(UploadInfo, BTreeMap<PartNumber, PartSummary>), S3Error> {
        let last = named.last().map(|part| part.number);
        let mut stored = BTreeMap::new();
        let mut after = None;
        loop {
            let page = list_parts(cx, &self.bucket, &self.key, self.upload, after, PAGE, Purpose::Write).await?;
            after = page.parts.last().map(|part| part.number);
            stored.extend(page.parts.into_iter().map(|part| (part.number, part)));
            if !page.more || after.is_none() || after >= last {
                return Ok((page.upload, stored));
            }
        }
    }
}

/// The tag that an object of these parts would have.
fn named_etag(named: &[CompletedPart]) -> Option<ETag> {
    let parts: Option<Vec<Md5>> = named.iter().map(|part| part.etag.map(|etag| etag.md5)).collect();
    checksum::multipart_etag(&parts?)
}

fn invalid_part(number: u16) -> S3Error {
    S3Error::new(S3ErrorCode::InvalidPart).field("PartNumber", number.to_string())
}

/// Holds the named parts against the stored ones, and computes what they make. Pure.
fn compose(
    named: &[CompletedPart],
    stored: &BTreeMap<PartNumber, PartSummary>,
    algorithm: Option<(ChecksumAlgorithm, ChecksumType)>,
) -> Result<Composition, S3Error> {
    let mut found = Vec::with_capacity(named.len());
    for part in named {
        let is_it = |stored: &&PartSummary| part.etag == Some(stored.etag);
        let summary = stored.get(&part.number).filter(is_it).ok_or_else(|| invalid_part(part.number.get()))?;
        if let (Some(named), Some(stored)) = (&part.checksum, &summary.checksum)
            && named != stored
        {
            return Err(if named.algorithm() == stored.algorithm() {
                invalid_part(part.number.get())
            } else {
                S3ErrorCode::BadDigest.into()
            });
        }
        found.push(summary);
    }
    let md5s: Vec<Md5> = found.iter().map(|part| part.etag.md5).collect();
    let etag = checksum::multipart_etag(&md5s).ok_or_else(|| S3Error::new(S3ErrorCode::InvalidRequest))?;
    let checksum = match algorithm {
        None => None,
        Some((algorithm, kind)) => {
            let sums: Option<Vec<_>> = found.iter().map(|part| Some((part.checksum.as_ref()?, part.size))).collect();
            let missing = || S3Error::invalid_request("A part of the upload has no checksum of the upload's algorithm.");
            let sums = sums.ok_or_else(missing)?;
            let checksum = match kind {
                ChecksumType::Composite => checksum::composite(algorithm, sums.iter().map(|(sum, _)| *sum)),
                ChecksumType::FullObject => checksum::full_object(algorithm, sums),
            };
            Some(ObjectChecksum { checksum: checksum.ok_or_else(missing)?, kind })
        }
    };
    let parts = found.iter().map(|part| om_api::CompletedPart { number: part.number, etag: part.etag, object: part.object });
    Ok(Composition { parts: parts.collect(), etag, checksum })
}

impl Expected {
    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let size = request.header("x-amz-mp-object-size")?;
        let size = size.map(|text| {
            let invalid = || {
                S3Error::invalid_argument(
                    "Value for x-amz-mp-object-size header is invalid.",
                    "x-amz-mp-object-size",
                    text.clone(),
                )
            };
            text.parse().map_err(|_| invalid())
        });
        refuse_unknown_checksums(request)?;
        let mut checksum = None;
        for algorithm in ChecksumAlgorithm::ALL {
            if let Some(value) = request.header(checksum_header(algorithm))?
                && checksum.replace((algorithm, value.into_owned())).is_some()
            {
                return Err(S3Error::invalid_request(
                    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
                ));
            }
        }
        let kind = request.header("x-amz-checksum-type")?.map(|text| parse_checksum_type(&text)).transpose()?;
        Ok(Self { size: size.transpose()?, checksum, kind })
    }

    fn check(
        &self,
        named: &[CompletedPart],
        stored: &BTreeMap<PartNumber, PartSummary>,
        composition: &Composition,
    ) -> Result<(), S3Error> {
        let size: u64 = named.iter().filter_map(|part| stored.get(&part.number)).map(|part| part.size).sum();
        if self.size.is_some_and(|expected| expected != size) {
            return Err(S3Error::invalid_request(
                "The provided 'x-amz-mp-object-size' header value does not match what was computed.",
            ));
        }
        if let (Some(expected), Some(found)) = (self.kind, &composition.checksum)
            && expected != found.kind
        {
            return Err(S3Error::invalid_request("The x-amz-checksum-type is not the one that the upload was begun with."));
        }
        let Some((algorithm, expected)) = &self.checksum else { return Ok(()) };
        let agrees = composition.checksum.as_ref().is_some_and(|found| {
            let text = encoding::base64_encode(found.checksum.digest());
            // The number of parts may be left off.
            let bare = expected.split_once('-').map_or(expected.as_str(), |(bare, _)| bare);
            found.checksum.algorithm() == *algorithm && (bare == text)
        });
        if agrees { Ok(()) } else { Err(S3ErrorCode::BadDigest.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::payload::ChecksumHasher;
    use types::{Checksum, ObjectId, Timestamp};

    fn number(n: u64) -> PartNumber {
        PartNumber::new(n).expect("a part number")
    }

    fn sum(bytes: &[u8]) -> Checksum {
        let mut hasher = ChecksumHasher::new(ChecksumAlgorithm::Crc32);
        hasher.update(bytes);
        hasher.finish()
    }

    fn stored(parts: &[(u64, &[u8])]) -> BTreeMap<PartNumber, PartSummary> {
        let summary = |(n, bytes): &(u64, &[u8])| PartSummary {
            number: number(*n),
            size: bytes.len() as u64,
            etag: ETag::whole(Md5([*n as u8; 16])),
            last_modified: Timestamp(0),
            checksum: Some(sum(bytes)),
            object: ObjectId(*n),
        };
        parts.iter().map(summary).map(|part| (part.number, part)).collect()
    }

    fn named(n: u64) -> CompletedPart {
        CompletedPart { number: number(n), etag: Some(ETag::whole(Md5([n as u8; 16]))), checksum: None }
    }

    fn code<T>(result: Result<T, S3Error>) -> Option<S3ErrorCode> {
        result.err().map(|error| error.code())
    }

    #[test]
    fn a_full_object_checksum_is_that_of_the_bytes_without_reading_them_again() {
        let stored = stored(&[(1, b"hello "), (3, b"world"), (4, b"unlisted")]);
        let algorithm = Some((ChecksumAlgorithm::Crc32, ChecksumType::FullObject));
        let composition = compose(&[named(1), named(3)], &stored, algorithm).expect("both are there");
        assert_eq!(composition.checksum.map(|found| found.checksum), Some(sum(b"hello world")));
        assert_eq!(composition.etag.parts, Some(2));
        assert_eq!(composition.parts.iter().map(|part| part.object.0).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn a_part_that_is_not_there_or_another_is_invalid() {
        let stored = stored(&[(1, b"a"), (2, b"b")]);
        assert_eq!(code(compose(&[named(1), named(3)], &stored, None)), Some(S3ErrorCode::InvalidPart));
        let other = CompletedPart { etag: None, ..named(1) };
        assert_eq!(code(compose(&[other], &stored, None)), Some(S3ErrorCode::InvalidPart));
        let other = CompletedPart { checksum: Some(sum(b"x")), ..named(1) };
        assert_eq!(code(compose(&[other], &stored, None)), Some(S3ErrorCode::InvalidPart));
    }

    #[test]
    fn what_the_client_believes_of_the_object_is_held_against_it() {
        let stored = stored(&[(1, b"hello")]);
        let parts = [named(1)];
        let algorithm = Some((ChecksumAlgorithm::Crc32, ChecksumType::FullObject));
        let composition = compose(&parts, &stored, algorithm).expect("it is there");
        let check = |expected: Expected| code(expected.check(&parts, &stored, &composition));
        let right = encoding::base64_encode(sum(b"hello").digest());
        assert_eq!(check(Expected { size: Some(5), ..Expected::default() }), None);
        assert_eq!(check(Expected { size: Some(6), ..Expected::default() }), Some(S3ErrorCode::InvalidRequest));
        let with = |value: &str| Expected { checksum: Some((ChecksumAlgorithm::Crc32, value.to_owned())), ..Expected::default() };
        assert_eq!(check(with(&right)), None);
        assert_eq!(check(with("bad")), Some(S3ErrorCode::BadDigest));
        assert_eq!(
            check(Expected { kind: Some(ChecksumType::Composite), ..Expected::default() }),
            Some(S3ErrorCode::InvalidRequest)
        );
    }
}
