//! Requests and answers as HTTP heads: shared by the client here and the datanode's listener.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, request};
use minicbor::{Decode, Encode};
use rpc::{CallError, NotApplied};
use types::{BlockId, ContainerId, Endpoint, PipelineId, RequestId};

use crate::{ChunkChecksums, ExportRejected, PutRejected, ReadRejected, WriteRejected};

pub const TOKEN: HeaderName = HeaderName::from_static("trioxide-token");
pub const REQUEST: HeaderName = HeaderName::from_static("trioxide-request");
pub const TIMEOUT_MS: HeaderName = HeaderName::from_static("trioxide-timeout-ms");
pub const PIPELINE: HeaderName = HeaderName::from_static("trioxide-pipeline");
pub const OFFSET: HeaderName = HeaderName::from_static("trioxide-offset");
pub const LENGTH: HeaderName = HeaderName::from_static("trioxide-length");
pub const CONTENT: HeaderName = HeaderName::from_static("trioxide-content");
pub const CHECKSUMS: HeaderName = HeaderName::from_static("trioxide-checksums");
pub const OUTCOME: HeaderName = HeaderName::from_static("trioxide-outcome");

/// A request that is not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed request: {0}")]
pub struct BadRequest(pub &'static str);

/// What a request's head says; the rest is its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub call: Call,
    pub token: Bytes,
    pub request_id: RequestId,
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Write {
        block: BlockId,
        pipeline: PipelineId,
    },
    /// The body is the content; its checksums are in the head.
    PutInline {
        block: BlockId,
        pipeline: PipelineId,
        length: u64,
        checksums: ChunkChecksums,
    },
    /// The body is the checksums.
    PutStreamed {
        block: BlockId,
        pipeline: PipelineId,
        length: u64,
    },
    Read {
        block: BlockId,
        offset: u64,
        length: u64,
    },
    Export {
        container: ContainerId,
    },
}

const INLINE: &str = "inline";
const STREAMED: &str = "streamed";

impl Head {
    /// The head as a request on its way to `endpoint`.
    pub fn to_request<B>(&self, endpoint: &Endpoint, body: B) -> Result<Request<B>, http::Error> {
        let block_path = |block: &BlockId| format!("/v1/blocks/{}/{}", block.container.0, block.local);
        let (method, path) = match &self.call {
            Call::Write { block, .. } => (Method::PUT, block_path(block)),
            Call::PutInline { block, .. } | Call::PutStreamed { block, .. } => (Method::POST, block_path(block)),
            Call::Read { block, .. } => (Method::GET, block_path(block)),
            Call::Export { container } => (Method::GET, format!("/v1/containers/{}", container.0)),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, &endpoint.0)
            .header(TOKEN, URL_SAFE_NO_PAD.encode(&self.token))
            .header(REQUEST, self.request_id.to_string())
            .header(TIMEOUT_MS, u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX));
        match &self.call {
            Call::Write { pipeline, .. } => request = request.header(PIPELINE, pipeline.0),
            Call::PutInline { pipeline, length, checksums, .. } => {
                request = request.header(PIPELINE, pipeline.0).header(LENGTH, *length).header(CONTENT, INLINE);
                request = request.header(CHECKSUMS, URL_SAFE_NO_PAD.encode(checksums.to_le_bytes()));
            }
            Call::PutStreamed { pipeline, length, .. } => {
                request = request.header(PIPELINE, pipeline.0).header(LENGTH, *length).header(CONTENT, STREAMED);
            }
            Call::Read { offset, length, .. } => request = request.header(OFFSET, *offset).header(LENGTH, *length),
            Call::Export { .. } => {}
        }
        request.body(body)
    }

    /// The head of a request that arrived. Everything in it is checked here, and nothing behind it parses again.
    pub fn parse(parts: &request::Parts) -> Result<Self, BadRequest> {
        let headers = &parts.headers;
        let path = parts.uri.path().strip_prefix("/v1/").ok_or(BadRequest("path"))?;
        let mut segments = path.split('/');
        let (kind, first, second, end) = (segments.next(), segments.next(), segments.next(), segments.next());
        let block = || match (first, second, end) {
            (Some(container), Some(local), None) => {
                Ok(BlockId { container: ContainerId(decimal(container)?), local: decimal(local)? })
            }
            _ => Err(BadRequest("path")),
        };
        let pipeline = || number(headers, &PIPELINE).map(PipelineId);
        let call = match (kind, &parts.method) {
            (Some("blocks"), &Method::PUT) => Call::Write { block: block()?, pipeline: pipeline()? },
            (Some("blocks"), &Method::POST) => match headers.get(CONTENT).map(HeaderValue::as_bytes) {
                Some(content) if content == INLINE.as_bytes() => Call::PutInline {
                    block: block()?,
                    pipeline: pipeline()?,
                    length: number(headers, &LENGTH)?,
                    checksums: ChunkChecksums::from_le_bytes(&base64(headers, &CHECKSUMS)?).ok_or(BadRequest("checksums"))?,
                },
                Some(content) if content == STREAMED.as_bytes() => {
                    Call::PutStreamed { block: block()?, pipeline: pipeline()?, length: number(headers, &LENGTH)? }
                }
                _ => return Err(BadRequest("content")),
            },
            (Some("blocks"), &Method::GET) => {
                Call::Read { block: block()?, offset: number(headers, &OFFSET)?, length: number(headers, &LENGTH)? }
            }
            (Some("containers"), &Method::GET) => match (first, second) {
                (Some(container), None) => Call::Export { container: ContainerId(decimal(container)?) },
                _ => return Err(BadRequest("path")),
            },
            _ => return Err(BadRequest("no such operation")),
        };
        let request_id = match headers.get(REQUEST) {
            Some(id) => parse_request_id(id.as_bytes()).ok_or(BadRequest("request id"))?,
            None => return Err(BadRequest("no request id")),
        };
        // A missing token is refused where tokens are judged, like a wrong one.
        let token = if headers.contains_key(TOKEN) { base64(headers, &TOKEN)?.into() } else { Bytes::new() };
        Ok(Self { call, token, request_id, timeout: Duration::from_millis(number(headers, &TIMEOUT_MS)?) })
    }
}

fn parse_request_id(text: &[u8]) -> Option<RequestId> {
    if text.len() != 32 || !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let value = u128::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()?;
    Some(RequestId::from_u128(value))
}

fn decimal(text: &str) -> Result<u64, BadRequest> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadRequest("number"));
    }
    text.parse().map_err(|_| BadRequest("number"))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, BadRequest> {
    let value = headers.get(name).ok_or(BadRequest("missing header"))?;
    decimal(value.to_str().map_err(|_| BadRequest("number"))?)
}

fn base64(headers: &HeaderMap, name: &HeaderName) -> Result<Vec<u8>, BadRequest> {
    let value = headers.get(name).ok_or(BadRequest("missing header"))?;
    URL_SAFE_NO_PAD.decode(value.as_bytes()).map_err(|_| BadRequest("base64"))
}

impl ChunkChecksums {
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|sum| sum.to_le_bytes()).collect()
    }

    pub fn from_le_bytes(bytes: &[u8]) -> Option<Self> {
        let (sums, rest) = bytes.as_chunks::<4>();
        rest.is_empty().then(|| Self(sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect()))
    }
}

/// What an answer's body is, as its `trioxide-outcome` header says. An answer without the header is not a datanode's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The typed rejection follows, in CBOR.
    Rejected,
    /// Certainly not applied; why follows, in CBOR.
    NotApplied,
    /// What is known follows, as text.
    Unknown,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::NotApplied => "not-applied",
            Self::Unknown => "unknown",
        }
    }

    pub fn parse(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(OUTCOME)?.as_bytes();
        [Self::Done, Self::Rejected, Self::NotApplied, Self::Unknown]
            .into_iter()
            .find(|outcome| outcome.as_str().as_bytes() == value)
    }
}

/// [`NotApplied`] as it travels.
#[derive(Debug, Clone, Encode, Decode)]
enum WireNotApplied {
    #[n(0)]
    NotLeader(#[n(0)] Option<Endpoint>),
    #[n(1)]
    Busy,
    #[n(2)]
    Unreachable(#[n(0)] String),
    #[n(3)]
    TooLate,
    #[n(4)]
    Refused(#[n(0)] String),
    #[n(5)]
    Unavailable(#[n(0)] String),
}

impl From<&NotApplied> for WireNotApplied {
    fn from(why: &NotApplied) -> Self {
        match why {
            NotApplied::NotLeader(leader) => Self::NotLeader(leader.clone()),
            NotApplied::Busy => Self::Busy,
            NotApplied::Unreachable(why) => Self::Unreachable(why.clone()),
            NotApplied::TooLate => Self::TooLate,
            NotApplied::Refused(why) => Self::Refused(why.clone()),
            NotApplied::Unavailable(why) => Self::Unavailable(why.clone()),
        }
    }
}

impl From<WireNotApplied> for NotApplied {
    fn from(why: WireNotApplied) -> Self {
        match why {
            WireNotApplied::NotLeader(leader) => Self::NotLeader(leader),
            WireNotApplied::Busy => Self::Busy,
            WireNotApplied::Unreachable(why) => Self::Unreachable(why),
            WireNotApplied::TooLate => Self::TooLate,
            WireNotApplied::Refused(why) => Self::Refused(why),
            WireNotApplied::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

/// A rejection's HTTP status: for people and proxies, ours read the body.
pub trait RejectionStatus {
    fn status(&self) -> StatusCode;
}

impl RejectionStatus for WriteRejected {
    fn status(&self) -> StatusCode {
        match self {
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::Closed | Self::Exists => StatusCode::CONFLICT,
            Self::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Incomplete => StatusCode::BAD_REQUEST,
        }
    }
}

impl RejectionStatus for PutRejected {
    fn status(&self) -> StatusCode {
        match self {
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::Closed | Self::Exists | Self::NotWritten => StatusCode::CONFLICT,
            Self::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
            Self::ChecksumMismatch => StatusCode::BAD_REQUEST,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

impl RejectionStatus for ReadRejected {
    fn status(&self) -> StatusCode {
        match self {
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::NoSuchBlock => StatusCode::NOT_FOUND,
            Self::Damaged => StatusCode::INTERNAL_SERVER_ERROR,
            Self::OutOfRange => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }
}

impl RejectionStatus for ExportRejected {
    fn status(&self) -> StatusCode {
        match self {
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::NoSuchContainer => StatusCode::NOT_FOUND,
        }
    }
}

/// A failed call as an answer: status, outcome and body.
pub fn failure_to_answer<R: RejectionStatus + Encode<()>>(failure: &CallError<R>) -> (StatusCode, Outcome, Bytes) {
    match failure {
        CallError::Rejected(rejection) => (rejection.status(), Outcome::Rejected, to_cbor(rejection)),
        CallError::NotApplied(why) => {
            let status = match why {
                NotApplied::NotLeader(_) => StatusCode::MISDIRECTED_REQUEST,
                NotApplied::Refused(_) => StatusCode::FORBIDDEN,
                NotApplied::Busy | NotApplied::Unreachable(_) | NotApplied::TooLate | NotApplied::Unavailable(_) => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
            };
            (status, Outcome::NotApplied, to_cbor(&WireNotApplied::from(why)))
        }
        CallError::Unknown(why) => (StatusCode::INTERNAL_SERVER_ERROR, Outcome::Unknown, Bytes::from(why.clone())),
    }
}

/// The other way round. What cannot be read leaves the outcome unknown.
pub fn answer_to_failure<R: for<'b> Decode<'b, ()>>(outcome: Option<Outcome>, body: &[u8]) -> CallError<R> {
    let garbled = || CallError::Unknown("the answer is not a datanode's".to_owned());
    match outcome {
        Some(Outcome::Rejected) => minicbor::decode(body).map_or_else(|_| garbled(), CallError::Rejected),
        Some(Outcome::NotApplied) => {
            minicbor::decode(body).map_or_else(|_| garbled(), |why: WireNotApplied| CallError::NotApplied(why.into()))
        }
        Some(Outcome::Unknown) => CallError::Unknown(String::from_utf8_lossy(body).into_owned()),
        Some(Outcome::Done) | None => garbled(),
    }
}

pub fn to_cbor<T: Encode<()>>(value: &T) -> Bytes {
    #[expect(clippy::expect_used, reason = "a Vec takes every byte")]
    minicbor::to_vec(value).expect("a Vec takes every byte").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: BlockId = BlockId { container: ContainerId(3), local: 9 };
    const PIPELINE: PipelineId = PipelineId(4);

    #[test]
    fn a_head_arrives_as_it_was_sent() {
        let calls = [
            Call::Write { block: BLOCK, pipeline: PIPELINE },
            Call::PutInline { block: BLOCK, pipeline: PIPELINE, length: 5, checksums: ChunkChecksums(vec![7, u32::MAX]) },
            Call::PutStreamed { block: BLOCK, pipeline: PIPELINE, length: 1 << 30 },
            Call::Read { block: BLOCK, offset: 0, length: 0 },
            Call::Export { container: ContainerId(u64::MAX) },
        ];
        for call in calls {
            let head = Head {
                call,
                token: Bytes::from_static(b"\x00\xff token"),
                request_id: RequestId::from_u128(u128::MAX - 5),
                timeout: Duration::from_millis(1234),
            };
            let (parts, ()) = head.to_request(&Endpoint("dn1:9882".into()), ()).expect("a request").into_parts();
            assert_eq!(Head::parse(&parts), Ok(head));
        }
    }

    #[test]
    fn paths_that_are_not_plain_numbers_are_refused() {
        for path in
            ["/", "/v1/blocks/3", "/v1/blocks/3/9/1", "/v1/blocks/+3/9", "/v1/blocks/../9", "/v1/containers/3/1", "/v1/files/3"]
        {
            let (parts, ()) = Request::builder()
                .uri(path)
                .header(OFFSET, 0)
                .header(LENGTH, 1)
                .header(REQUEST, "0".repeat(32))
                .header(TIMEOUT_MS, 1)
                .body(())
                .expect("a request")
                .into_parts();
            assert!(Head::parse(&parts).is_err(), "{path}");
        }
    }

    #[test]
    fn what_is_known_about_a_failure_survives_the_wire() {
        let failures: [CallError<PutRejected>; 5] = [
            CallError::Rejected(PutRejected::NotWritten),
            CallError::not_leader(Some(Endpoint("dn2:9882".into()))),
            CallError::NotApplied(NotApplied::Busy),
            CallError::unavailable("starting"),
            CallError::Unknown("timed out".to_owned()),
        ];
        for failure in failures {
            let (_, outcome, body) = failure_to_answer(&failure);
            assert_eq!(answer_to_failure::<PutRejected>(Some(outcome), &body), failure);
        }
        assert!(matches!(answer_to_failure::<PutRejected>(None, b"<html>"), CallError::Unknown(_)));
    }
}
