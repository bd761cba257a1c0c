//! Answers: status, headers, and a body that is whole or comes as it is read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use datanode_api::ByteStream;
use futures_util::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::{Body, Frame, SizeHint};

pub(crate) type Reply = http::Response<ReplyBody>;

pub(crate) enum ReplyBody {
    Whole(Bytes),
    /// Exactly so many bytes; fewer end the connection, so that nobody takes a part for the whole.
    Stream {
        bytes: ByteStream,
        left: u64,
    },
}

impl ReplyBody {
    pub(crate) fn empty() -> Self {
        Self::Whole(Bytes::new())
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream { left: 0, .. } => Poll::Ready(None),
            Self::Stream { bytes, left } => match Pin::new(bytes).poll_next(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Ok(data))) if data.len() as u64 <= *left => {
                    *left -= data.len() as u64;
                    Poll::Ready(Some(Ok(Frame::data(data))))
                }
                Poll::Ready(Some(Ok(_))) => Poll::Ready(Some(Err(io::Error::other("more bytes than announced")))),
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Stream { left, .. } => *left,
        })
    }
}

impl std::fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Stream { left, .. } => write!(f, "a stream of {left} bytes"),
        }
    }
}

/// A reply in the making.
pub(crate) fn empty(status: StatusCode) -> Reply {
    with_body(status, ReplyBody::empty())
}

pub(crate) fn with_body(status: StatusCode, body: ReplyBody) -> Reply {
    let mut reply = Reply::new(body);
    *reply.status_mut() = status;
    reply
}

pub(crate) fn xml(status: StatusCode, document: String) -> Reply {
    let mut reply = with_body(status, ReplyBody::Whole(document.into()));
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    reply
}

/// Sets a header whose value is ours or has been checked; one that is no header value is left out.
pub(crate) fn set(headers: &mut HeaderMap, name: &'static str, value: impl AsRef<[u8]>) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_ref()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// An entity tag, in its quotes.
pub(crate) fn set_etag(headers: &mut HeaderMap, etag: types::ETag) {
    set(headers, "etag", format!("\"{etag}\""));
}
