//! The aws-chunked framing: `size[;chunk-signature=…] CRLF data CRLF`, a chunk of no bytes, trailers, an empty line.
//!
//! Data is given out as it comes, before its chunk's signature can be judged, and the signature covers the chunk before; the
//! whole body is right only when [`ChunkDecoder::finish`] says so. What is kept is one line of framing, never data.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use types::{Checksum, ChecksumAlgorithm};

use super::checksum_header;
use super::plan::parse_checksum_value;
use crate::auth::{Signature, Verified};
use crate::dates::format_iso_basic;
use crate::error::{S3Error, S3ErrorCode};

/// A chunk's first line: 16 digits and a signature take 101 bytes.
const MAX_CHUNK_LINE: usize = 1024;
const MAX_TRAILER_LINE: usize = 1024;
const MAX_TRAILERS: usize = 16 * 1024;
/// Only the last chunk may be smaller: tiny chunks would cost more than their data.
const MIN_CHUNK: u64 = 8192;

pub struct ChunkDecoder {
    state: State,
    line: Vec<u8>,
    /// What the client said would come, and what of it has been announced by chunks so far.
    length: u64,
    announced: u64,
    chain: Option<Chain>,
    trailers: Trailers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    ChunkLine,
    Data {
        remaining: u64,
    },
    /// The CRLF behind a chunk's data.
    DataEnd,
    Trailers,
    Done,
}

struct Trailers {
    /// The one that was declared.
    algorithm: Option<ChecksumAlgorithm>,
    checksum: Option<Checksum>,
    signature: Option<Signature>,
    is_signed: bool,
    size: usize,
    /// `name:value\n`, as the signature covers it.
    canonical: String,
}

impl ChunkDecoder {
    pub fn unsigned(length: u64, trailer: Option<ChecksumAlgorithm>) -> Self {
        Self::new(length, None, false, trailer)
    }

    pub fn signed(length: u64, verified: &Verified, signed_trailer: bool, trailer: Option<ChecksumAlgorithm>) -> Self {
        Self::new(length, Some(Chain::new(verified)), signed_trailer, trailer)
    }

    fn new(length: u64, chain: Option<Chain>, is_signed: bool, algorithm: Option<ChecksumAlgorithm>) -> Self {
        let trailers = Trailers { algorithm, checksum: None, signature: None, is_signed, size: 0, canonical: String::new() };
        Self { state: State::ChunkLine, line: Vec::new(), length, announced: 0, chain, trailers }
    }

    /// The next data in `input`, which it is split off from; `None` when `input` is used up.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, S3Error> {
        while !input.is_empty() {
            match self.state {
                State::ChunkLine => {
                    if let Some(line) = self.take_line(input, MAX_CHUNK_LINE, S3ErrorCode::InvalidChunkSizeError)? {
                        self.begin_chunk(&line)?;
                    }
                }
                State::Data { remaining } => {
                    let take = usize::try_from(remaining).unwrap_or(usize::MAX).min(input.len());
                    let data = input.split_to(take);
                    let remaining = remaining - data.len() as u64;
                    if let Some(chain) = &mut self.chain {
                        chain.update(&data);
                    }
                    self.state = State::Data { remaining };
                    if remaining == 0 {
                        self.end_chunk()?;
                        self.state = State::DataEnd;
                    }
                    return Ok(Some(data));
                }
                State::DataEnd => {
                    if let Some(line) = self.take_line(input, 2, S3ErrorCode::IncompleteBody)? {
                        if !line.is_empty() {
                            return Err(S3ErrorCode::IncompleteBody.into());
                        }
                        self.state = State::ChunkLine;
                    }
                }
                State::Trailers => {
                    if let Some(line) = self.take_line(input, MAX_TRAILER_LINE, S3ErrorCode::MalformedTrailerError)? {
                        self.trailer_line(&line)?;
                    }
                }
                State::Done => return Err(incomplete("Bytes follow the last chunk.")),
            }
        }
        Ok(None)
    }

    /// The body has ended: the checksum that its trailer carried, if one was declared.
    pub fn finish(self) -> Result<Option<Checksum>, S3Error> {
        if self.state == State::Done { Ok(self.trailers.checksum) } else { Err(incomplete("The body ends within a chunk.")) }
    }

    /// A line without its CRLF, once all of it is there.
    fn take_line(&mut self, input: &mut Bytes, max: usize, too_long: S3ErrorCode) -> Result<Option<Vec<u8>>, S3Error> {
        let end = input.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let part = input.split_to(end.unwrap_or(input.len()));
        if self.line.len() + part.len() > max {
            return Err(too_long.into());
        }
        self.line.extend_from_slice(&part);
        if end.is_none() {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(Some(line.to_vec())),
            None => Err(too_long.into()),
        }
    }

    fn begin_chunk(&mut self, line: &[u8]) -> Result<(), S3Error> {
        let bad_size = || S3Error::new(S3ErrorCode::InvalidChunkSizeError);
        let line = std::str::from_utf8(line).map_err(|_| bad_size())?;
        let (size, extension) = match line.split_once(';') {
            Some((size, extension)) => (size, Some(extension)),
            None => (line, None),
        };
        let well_formed = (1..=16).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_hexdigit());
        let size = Some(size).filter(|_| well_formed).and_then(|size| u64::from_str_radix(size, 16).ok()).ok_or_else(bad_size)?;
        match (&mut self.chain, extension) {
            (Some(chain), Some(extension)) => chain.begin(extension)?,
            (Some(_), None) => return Err(S3ErrorCode::SignatureDoesNotMatch.into()),
            (None, Some(_)) => return Err(bad_size()),
            (None, None) => {}
        }
        let announced = self.announced.checked_add(size).filter(|announced| *announced <= self.length);
        self.announced = announced.ok_or_else(|| incomplete("The chunks hold more than x-amz-decoded-content-length."))?;
        if size == 0 {
            if self.announced != self.length {
                return Err(incomplete("The chunks hold less than x-amz-decoded-content-length."));
            }
            self.end_chunk()?;
            self.state = State::Trailers;
            return Ok(());
        }
        if size < MIN_CHUNK && self.announced < self.length {
            return Err(bad_size().field("BadChunkSize", size.to_string()));
        }
        self.state = State::Data { remaining: size };
        Ok(())
    }

    fn end_chunk(&mut self) -> Result<(), S3Error> {
        self.chain.as_mut().map_or(Ok(()), Chain::end)
    }

    fn trailer_line(&mut self, line: &[u8]) -> Result<(), S3Error> {
        if line.is_empty() {
            self.trailers.close(self.chain.as_ref())?;
            self.state = State::Done;
            return Ok(());
        }
        self.trailers.add(line)
    }
}

impl Trailers {
    fn add(&mut self, line: &[u8]) -> Result<(), S3Error> {
        let malformed = || S3Error::new(S3ErrorCode::MalformedTrailerError);
        self.size += line.len();
        if self.size > MAX_TRAILERS {
            return Err(malformed());
        }
        let line = std::str::from_utf8(line).map_err(|_| malformed())?;
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        if name == "x-amz-trailer-signature" {
            if !self.is_signed || self.signature.is_some() {
                return Err(malformed());
            }
            let signature = Signature::parse(value).ok_or_else(|| S3Error::new(S3ErrorCode::SignatureDoesNotMatch))?;
            self.signature = Some(signature);
            return Ok(());
        }
        // Only what was declared may come, and only once; whatever it is called, it never becomes a header of the request.
        let algorithm = self.algorithm.filter(|algorithm| checksum_header(*algorithm) == name).ok_or_else(malformed)?;
        if self.checksum.is_some() || self.signature.is_some() {
            return Err(malformed());
        }
        self.checksum = Some(parse_checksum_value(algorithm, value)?);
        self.canonical = format!("{name}:{value}\n");
        Ok(())
    }

    fn close(&self, chain: Option<&Chain>) -> Result<(), S3Error> {
        if self.algorithm.is_some() && self.checksum.is_none() {
            return Err(S3ErrorCode::MalformedTrailerError.into());
        }
        if !self.is_signed {
            return Ok(());
        }
        let signature = self.signature.ok_or_else(|| S3Error::new(S3ErrorCode::MalformedTrailerError))?;
        let chain = chain.ok_or_else(|| S3Error::new(S3ErrorCode::SignatureDoesNotMatch))?;
        if chain.trailer_signature(&self.canonical) == signature {
            Ok(())
        } else {
            Err(S3ErrorCode::SignatureDoesNotMatch.into())
        }
    }
}

/// Each chunk's signature covers its data and the signature before; the first continues the head's.
struct Chain {
    verified: Verified,
    previous: Signature,
    claimed: Option<Signature>,
    hash: Context,
}

impl Chain {
    fn new(verified: &Verified) -> Self {
        Self { verified: verified.clone(), previous: verified.seed, claimed: None, hash: Context::new(&SHA256) }
    }

    fn begin(&mut self, extension: &str) -> Result<(), S3Error> {
        let claimed = extension.strip_prefix("chunk-signature=").and_then(Signature::parse);
        self.claimed = Some(claimed.ok_or_else(|| S3Error::new(S3ErrorCode::SignatureDoesNotMatch))?);
        Ok(())
    }

    fn update(&mut self, data: &[u8]) {
        self.hash.update(data);
    }

    fn end(&mut self) -> Result<(), S3Error> {
        let hash = std::mem::replace(&mut self.hash, Context::new(&SHA256)).finish();
        let expected = self.sign("AWS4-HMAC-SHA256-PAYLOAD", &format!("{EMPTY_HASH}\n{}", hex::encode(hash)));
        if self.claimed.take() != Some(expected) {
            return Err(S3ErrorCode::SignatureDoesNotMatch.into());
        }
        self.previous = expected;
        Ok(())
    }

    fn trailer_signature(&self, canonical: &str) -> Signature {
        let hash = aws_lc_rs::digest::digest(&SHA256, canonical.as_bytes());
        self.sign("AWS4-HMAC-SHA256-TRAILER", &hex::encode(hash))
    }

    fn sign(&self, what: &str, hashes: &str) -> Signature {
        let Verified { key, scope, signed_at, .. } = &self.verified;
        key.sign(&format!("{what}\n{}\n{scope}\n{}\n{hashes}", format_iso_basic(*signed_at), self.previous.to_hex()))
    }
}

/// SHA-256 of nothing: in the place of headers that a chunk does not have.
const EMPTY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn incomplete(why: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::IncompleteBody, why)
}

impl std::fmt::Debug for ChunkDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChunkDecoder({:?}, {} of {} announced)", self.state, self.announced, self.length)
    }
}
