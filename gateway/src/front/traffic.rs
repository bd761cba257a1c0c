//! What the two sides of a connection tell each other: the one that moves bytes, and the one that answers requests.
//!
//! hyper says neither whether a head is half there nor what stood in a head that it refused or mended, so the bytes of each
//! head are kept until its request is answered. A head that came in one read with the request before it is not seen.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

/// Where hyper gives up on a head (431), well above what we then judge ourselves with an answer of S3's form.
pub(crate) const MAX_HEAD_BYTES: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Traffic {
    requests: AtomicUsize,
    /// Bytes of an answer wait for the peer, or the end lingers for it.
    sending: AtomicBool,
    head: Mutex<Head>,
}

#[derive(Debug, Default)]
struct Head {
    bytes: Vec<u8>,
    is_whole: bool,
}

/// A head says in two ways where its body ends. hyper obeys the one that HTTP names; whoever stands before us may not have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DoublyFramed;

impl Traffic {
    /// A request is under way until what this returns is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.requests.fetch_add(1, Ordering::AcqRel);
        UnderWay(Arc::clone(self))
    }

    pub(super) fn has_request(&self) -> bool {
        self.requests.load(Ordering::Acquire) > 0
    }

    pub(super) fn set_sending(&self, sending: bool) {
        self.sending.store(sending, Ordering::Release);
    }

    /// Nothing would be lost if the connection ended now, but a head that is not whole.
    pub(super) fn is_quiet(&self) -> bool {
        !self.has_request() && !self.sending.load(Ordering::Acquire)
    }

    /// Bytes that the peer sent. Between requests they are a head's.
    pub(super) fn received(&self, bytes: &[u8]) {
        if self.has_request() || bytes.is_empty() {
            return;
        }
        let mut head = self.head.lock();
        if std::mem::take(&mut head.is_whole) {
            head.bytes.clear();
        }
        // The end may lie across two reads.
        let from = head.bytes.len().saturating_sub(3);
        let room = (MAX_HEAD_BYTES + 1).saturating_sub(head.bytes.len());
        head.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if let Some(end) = head.bytes[from..].windows(4).position(|four| four == b"\r\n\r\n") {
            head.bytes.truncate(from + end + 2);
            head.is_whole = true;
        }
    }

    /// Whether the head that was received last has both lengths, whichever hyper left.
    pub(super) fn is_doubly_framed(&self) -> bool {
        let head = self.head.lock();
        let has = |name: &[u8]| head.bytes.split(|byte| *byte == b'\n').any(|line| names(line, name));
        head.is_whole && has(b"transfer-encoding") && has(b"content-length")
    }

    /// The head that was received last, and whether it is whole.
    pub(super) fn with_head<T>(&self, read: impl FnOnce(&[u8], bool) -> T) -> T {
        let head = self.head.lock();
        read(&head.bytes, head.is_whole)
    }
}

fn names(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) && line.get(name.len()) == Some(&b':')
}

#[derive(Debug)]
pub(super) struct UnderWay(Arc<Traffic>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An answer's body; its request is under way until it is gone.
#[derive(Debug)]
pub(super) struct HeldBody<B, R> {
    pub(super) body: B,
    pub(super) _request: R,
}

impl<B: Body + Unpin, R: Unpin> Body for HeldBody<B, R> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_seen_however_it_comes_and_once_its_request_is_answered_the_next() {
        let plain = b"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\n";
        let doubly = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n";
        for pieces in [1, 2, 3, 100] {
            let traffic = Arc::new(Traffic::default());
            for piece in plain.chunks(pieces) {
                traffic.received(piece);
            }
            assert!(!traffic.is_doubly_framed() && traffic.with_head(|_, is_whole| is_whole), "{pieces}");
            let request = traffic.begin();
            traffic.received(b"transfer-encoding: of a body\r\n\r\n");
            drop(request);
            for piece in doubly.chunks(pieces) {
                traffic.received(piece);
            }
            assert!(traffic.is_doubly_framed(), "{pieces}");
        }
    }

    #[test]
    fn a_half_head_is_quiet_and_a_request_or_an_answer_on_its_way_is_not() {
        let traffic = Arc::new(Traffic::default());
        traffic.received(b"GET / HTTP/1.1\r\n");
        assert!(traffic.is_quiet() && traffic.with_head(|head, is_whole| head.starts_with(b"GET") && !is_whole));
        let request = traffic.begin();
        assert!(!traffic.is_quiet());
        drop(request);
        traffic.set_sending(true);
        assert!(!traffic.is_quiet());
    }
}
