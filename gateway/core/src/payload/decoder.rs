//! From the bytes of the connection to those of the object, hashed on the way.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use subtle::ConstantTimeEq;
use types::{Checksum, ChecksumAlgorithm, Md5};

use super::plan::{ChecksumSource, EtagDigest, PayloadPlan, bad_checksum, too_large};
use super::{ChecksumHasher, ChunkDecoder, Md5Hasher};
use crate::auth::{PayloadMode, Verified};
use crate::encoding::base64_encode;
use crate::error::{S3Error, S3ErrorCode};

/// What is known of a body that was whole and right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodySummary {
    pub length: u64,
    /// Computed if it was wanted for an entity tag, or to compare with `Content-MD5`.
    pub md5: Option<Md5>,
    pub checksum: Option<Checksum>,
}

/// Takes the connection's bytes by [`Self::push`], gives the object's by [`Self::pull`].
pub struct BodyDecoder {
    plan: PayloadPlan,
    framing: Framing,
    waiting: Bytes,
    length: u64,
    limit: u64,
    md5: Option<Md5Hasher>,
    /// For the signed hash of the whole body.
    sha256: Option<Context>,
    checksum: Option<ChecksumHasher>,
}

enum Framing {
    Plain,
    AwsChunked(Box<ChunkDecoder>),
}

impl BodyDecoder {
    pub(super) fn new(plan: PayloadPlan, verified: Option<&Verified>, etag: EtagDigest, limit: u64) -> Result<Self, S3Error> {
        let trailer = plan.checksum.as_ref().filter(|expected| expected.source == ChecksumSource::Trailer);
        let trailer = trailer.map(|expected| expected.algorithm);
        let framing = match (plan.mode, plan.length) {
            (PayloadMode::Hash(_) | PayloadMode::Unsigned, _) => Framing::Plain,
            (PayloadMode::StreamingUnsigned, Some(length)) => {
                Framing::AwsChunked(Box::new(ChunkDecoder::unsigned(length, trailer)))
            }
            (PayloadMode::StreamingSigned { trailer: has_trailer }, Some(length)) => {
                let verified =
                    verified.ok_or_else(|| S3Error::invalid_request("A body with signed chunks needs a signed request."))?;
                Framing::AwsChunked(Box::new(ChunkDecoder::signed(length, verified, has_trailer, trailer)))
            }
            (PayloadMode::StreamingUnsigned | PayloadMode::StreamingSigned { .. }, None) => {
                return Err(S3ErrorCode::MissingContentLength.into());
            }
        };
        let wants_md5 = etag == EtagDigest::Wanted || plan.content_md5.is_some();
        let signed_hash = matches!(plan.mode, PayloadMode::Hash(_));
        // One SHA-256 serves both the signature and the checksum.
        let checksum = plan.checksum.as_ref().map(|expected| expected.algorithm);
        let separate = checksum.filter(|algorithm| !(signed_hash && *algorithm == ChecksumAlgorithm::Sha256));
        Ok(Self {
            framing,
            waiting: Bytes::new(),
            length: 0,
            limit,
            md5: wants_md5.then(Md5Hasher::default),
            sha256: signed_hash.then(|| Context::new(&SHA256)),
            checksum: separate.map(ChecksumHasher::new),
            plan,
        })
    }

    /// The next bytes from the connection. Everything pushed before must have been pulled.
    pub fn push(&mut self, bytes: Bytes) {
        debug_assert!(self.waiting.is_empty(), "pull until nothing is left before pushing more");
        self.waiting = bytes;
    }

    /// The object's next bytes among those pushed; `None` when more must be pushed.
    pub fn pull(&mut self) -> Result<Option<Bytes>, S3Error> {
        let data = match &mut self.framing {
            Framing::Plain if self.waiting.is_empty() => None,
            Framing::Plain => Some(std::mem::take(&mut self.waiting)),
            Framing::AwsChunked(decoder) => decoder.next(&mut self.waiting)?,
        };
        let Some(data) = data else { return Ok(None) };
        self.length += data.len() as u64;
        if self.length > self.limit {
            return Err(too_large(self.length, self.limit));
        }
        if let Some(md5) = &mut self.md5 {
            md5.update(&data);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(&data);
        }
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&data);
        }
        Ok(Some(data))
    }

    /// The body has ended. Compares everything that was promised with what came.
    pub fn finish(self) -> Result<BodySummary, S3Error> {
        let trailer = match self.framing {
            Framing::Plain => None,
            Framing::AwsChunked(decoder) => decoder.finish()?,
        };
        if self.plan.length.is_some_and(|length| length != self.length) {
            return Err(S3ErrorCode::IncompleteBody.into());
        }
        let md5 = self.md5.map(Md5Hasher::finish);
        if let (Some(expected), Some(found)) = (self.plan.content_md5, md5)
            && expected != found
        {
            return Err(S3Error::with_message(
                S3ErrorCode::BadDigest,
                "The Content-MD5 you specified did not match what we received.",
            )
            .field("ExpectedDigest", base64_encode(&expected.0))
            .field("CalculatedDigest", base64_encode(&found.0)));
        }
        let sha256 = self.sha256.map(Context::finish);
        if let (PayloadMode::Hash(expected), Some(found)) = (self.plan.mode, &sha256)
            && !bool::from(expected.as_slice().ct_eq(found.as_ref()))
        {
            return Err(S3Error::new(S3ErrorCode::XAmzContentSHA256Mismatch)
                .field("ClientComputedContentSHA256", hex::encode(expected))
                .field("S3ComputedContentSHA256", hex::encode(found)));
        }
        let checksum = match (&self.plan.checksum, self.checksum, &sha256) {
            (Some(_), Some(hasher), _) => Some(hasher.finish()),
            (Some(expected), None, Some(sha256)) => Checksum::new(expected.algorithm, sha256.as_ref()).ok(),
            (Some(_), None, None) | (None, _, _) => None,
        };
        if let (Some(expected), Some(found)) = (&self.plan.checksum, &checksum) {
            let agrees = match &expected.source {
                ChecksumSource::Header(value) => value == found,
                ChecksumSource::Trailer => trailer.as_ref() == Some(found),
                ChecksumSource::Nobody => true,
            };
            if !agrees {
                return Err(bad_checksum(expected.algorithm));
            }
        }
        Ok(BodySummary { length: self.length, md5, checksum })
    }
}

impl std::fmt::Debug for BodyDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BodyDecoder after {} bytes of {:?}", self.length, self.plan)
    }
}
