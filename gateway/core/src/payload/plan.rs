//! What the head says about the body.

use types::{Checksum, ChecksumAlgorithm, ChecksumType, Md5};

use super::checksum_header;
use crate::auth::{PayloadMode, Verified};
use crate::encoding::base64_decode;
use crate::error::{S3Error, S3ErrorCode};
use crate::payload::BodyDecoder;
use crate::request::RequestHead;
use crate::xml::{algorithm_name, checksum_type_name};

/// Whether the body's MD5 will be somebody's entity tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EtagDigest {
    Wanted,
    NotWanted,
}

/// Where the value to compare with comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChecksumSource {
    Header(Checksum),
    /// Behind the body.
    Trailer,
    /// Nowhere: it is computed to be stored.
    Nobody,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedChecksum {
    pub algorithm: ChecksumAlgorithm,
    pub source: ChecksumSource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadPlan {
    pub(super) mode: PayloadMode,
    /// Of the object's own bytes. Unknown only for a plain body in HTTP chunks.
    pub(super) length: Option<u64>,
    pub(super) content_md5: Option<Md5>,
    pub(super) checksum: Option<ExpectedChecksum>,
}

impl PayloadPlan {
    /// `mode` is what authentication found; an error here leaves the body unread.
    pub fn parse(head: &RequestHead, mode: PayloadMode) -> Result<Self, S3Error> {
        let plan = Self::of_optional_body(head, mode)?;
        // Without a length a body ends at once, which would look like an empty object.
        if plan.length.is_none() && !head.has_header("transfer-encoding") {
            return Err(S3ErrorCode::MissingContentLength.into());
        }
        Ok(plan)
    }

    /// For operations that need no body: without a length there is none.
    pub fn of_optional_body(head: &RequestHead, mode: PayloadMode) -> Result<Self, S3Error> {
        let trailer = parse_trailer(head)?;
        let takes_trailer = matches!(mode, PayloadMode::StreamingUnsigned | PayloadMode::StreamingSigned { trailer: true });
        if trailer.is_some() && !takes_trailer {
            return Err(S3Error::invalid_request("The header x-amz-trailer needs a payload that ends with trailers."));
        }
        Ok(Self {
            mode,
            length: parse_length(head, mode)?,
            content_md5: parse_content_md5(head)?,
            checksum: parse_checksum(head, trailer)?,
        })
    }

    /// Of a document beside which checksum headers speak of something else: the object that it completes.
    pub fn of_document(head: &RequestHead, mode: PayloadMode) -> Result<Self, S3Error> {
        let trailer = parse_trailer(head)?;
        let checksum = trailer.map(|algorithm| ExpectedChecksum { algorithm, source: ChecksumSource::Trailer });
        Ok(Self { mode, length: parse_length(head, mode)?, content_md5: parse_content_md5(head)?, checksum })
    }

    /// The object's own bytes, if the client said how many.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    pub fn checksum(&self) -> Option<&ExpectedChecksum> {
        self.checksum.as_ref()
    }

    /// Whether anything but a signature vouches for the body: what some operations require.
    pub fn has_integrity(&self) -> bool {
        self.content_md5.is_some() || self.checksum.is_some()
    }

    /// Computes a checksum of this algorithm for storing, if the client brought none.
    pub fn or_compute(&mut self, algorithm: ChecksumAlgorithm) {
        let nobody = || ExpectedChecksum { algorithm, source: ChecksumSource::Nobody };
        self.checksum.get_or_insert_with(nobody);
    }

    /// Refuses what is said to be larger than `limit`, before a byte is read.
    pub fn check_length(&self, limit: u64) -> Result<(), S3Error> {
        match self.length {
            Some(length) if length > limit => Err(too_large(length, limit)),
            Some(_) | None => Ok(()),
        }
    }

    /// `verified` is there if the request was signed. A body of unknown length is refused where it passes `limit`.
    pub fn start(self, verified: Option<&Verified>, etag: EtagDigest, limit: u64) -> Result<BodyDecoder, S3Error> {
        self.check_length(limit)?;
        BodyDecoder::new(self, verified, etag, limit)
    }
}

pub(super) fn too_large(length: u64, limit: u64) -> S3Error {
    S3Error::new(S3ErrorCode::EntityTooLarge).field("ProposedSize", length.to_string()).field("MaxSizeAllowed", limit.to_string())
}

fn parse_length(head: &RequestHead, mode: PayloadMode) -> Result<Option<u64>, S3Error> {
    let content_length = head.content_length()?;
    if !mode.is_chunked() {
        return Ok(content_length);
    }
    const NAME: &str = "x-amz-decoded-content-length";
    let text = head.header(NAME)?.ok_or_else(|| S3Error::new(S3ErrorCode::MissingContentLength))?;
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(S3Error::invalid_argument("The decoded length is not a number", NAME, text));
    }
    text.parse().map(Some).map_err(|_| S3ErrorCode::EntityTooLarge.into())
}

fn parse_content_md5(head: &RequestHead) -> Result<Option<Md5>, S3Error> {
    let Some(text) = head.header("content-md5")? else { return Ok(None) };
    let digest = base64_decode(text.trim()).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    match digest {
        Some(digest) => Ok(Some(Md5(digest))),
        None => Err(S3Error::new(S3ErrorCode::InvalidDigest).field("Content-MD5", text)),
    }
}

/// `x-amz-trailer`: at most one checksum, and nothing else, may follow the body.
fn parse_trailer(head: &RequestHead) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    let Some(text) = head.header("x-amz-trailer")? else { return Ok(None) };
    let mut found = None;
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let algorithm =
            ChecksumAlgorithm::ALL.into_iter().find(|algorithm| checksum_header(*algorithm).eq_ignore_ascii_case(name));
        let algorithm = algorithm
            .ok_or_else(|| S3Error::invalid_request("The value specified in the x-amz-trailer header is not supported"))?;
        if found.replace(algorithm).is_some() {
            return Err(several_checksums());
        }
    }
    Ok(found)
}

/// Of a request whose checksum headers speak of something else than its body.
pub fn refuse_unknown_checksums(head: &RequestHead) -> Result<(), S3Error> {
    match checksum_names(head).find(|name| algorithm_of(name).is_none()) {
        Some(unknown) => Err(unsupported_algorithm(unknown)),
        None => Ok(()),
    }
}

/// The headers that bring a checksum's value, by their names.
fn checksum_names(head: &RequestHead) -> impl Iterator<Item = &str> {
    let says_how = ["x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode"];
    let names = head.headers.keys().map(|name| name.as_str());
    names.filter(move |name| name.starts_with("x-amz-checksum-") && !says_how.contains(name))
}

fn algorithm_of(header: &str) -> Option<ChecksumAlgorithm> {
    ChecksumAlgorithm::ALL.into_iter().find(|algorithm| checksum_header(*algorithm) == header)
}

fn several_checksums() -> S3Error {
    S3Error::invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
}

fn parse_checksum(head: &RequestHead, trailer: Option<ChecksumAlgorithm>) -> Result<Option<ExpectedChecksum>, S3Error> {
    let mut expected = trailer.map(|algorithm| ExpectedChecksum { algorithm, source: ChecksumSource::Trailer });
    for name in checksum_names(head) {
        let algorithm = algorithm_of(name).ok_or_else(|| unsupported_algorithm(name))?;
        let text = head.header(name)?.unwrap_or_default();
        let source = ChecksumSource::Header(parse_checksum_value(algorithm, &text)?);
        if expected.replace(ExpectedChecksum { algorithm, source }).is_some() {
            return Err(several_checksums());
        }
    }
    // The SDKs name the algorithm once more; a name without a value, or another than the value's, is a client's bug.
    if let Some(named) = head.header("x-amz-sdk-checksum-algorithm")?.filter(|text| !text.is_empty()) {
        let named = parse_checksum_algorithm(&named)?;
        match &expected {
            Some(expected) if expected.algorithm == named => {}
            Some(_) => return Err(S3Error::invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid.")),
            None => {
                let why = "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.";
                return Err(S3Error::invalid_request(why));
            }
        }
    }
    Ok(expected)
}

/// A value that no checksum can have is a wrong one.
pub(super) fn parse_checksum_value(algorithm: ChecksumAlgorithm, text: &str) -> Result<Checksum, S3Error> {
    base64_decode(text.trim()).and_then(|digest| Checksum::new(algorithm, &digest).ok()).ok_or_else(|| bad_checksum(algorithm))
}

pub(super) fn bad_checksum(algorithm: ChecksumAlgorithm) -> S3Error {
    let name = algorithm_name(algorithm);
    S3Error::with_message(S3ErrorCode::BadDigest, format!("The {name} you specified did not match the calculated checksum."))
}

/// `CRC32` and so on, in any case.
pub fn parse_checksum_algorithm(text: &str) -> Result<ChecksumAlgorithm, S3Error> {
    let found = ChecksumAlgorithm::ALL.into_iter().find(|algorithm| algorithm_name(*algorithm).eq_ignore_ascii_case(text));
    found.ok_or_else(|| unsupported_algorithm(text))
}

fn unsupported_algorithm(_: &str) -> S3Error {
    S3Error::invalid_request(
        "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
    )
}

/// `FULL_OBJECT` or `COMPOSITE`.
pub fn parse_checksum_type(text: &str) -> Result<ChecksumType, S3Error> {
    [ChecksumType::FullObject, ChecksumType::Composite]
        .into_iter()
        .find(|kind| checksum_type_name(*kind).eq_ignore_ascii_case(text))
        .ok_or_else(|| S3Error::invalid_request("Value for x-amz-checksum-type header is invalid."))
}
