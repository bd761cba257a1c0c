//! A connection that ends so that the peer can read our last answer.
//!
//! Writes are watched below ([`super::watched`]). Reads have their own limits: hyper's for heads, [`crate::data::RequestBody`]'s for bodies.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::connections::Refusal;
use super::socket::Socket;
use super::traffic::Traffic;

/// A peer that is still sending when we have answered reads the answer only if we go on taking for a while: closing at once
/// would make the kernel throw the answer away.
const LINGER_BYTES: usize = 4 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// The answer to a head that hyper refuses, if not hyper's own.
pub(super) type Refuse = Box<dyn Fn(Refusal<'_>) -> Option<Vec<u8>> + Send + Sync>;

pub(super) struct IdleIo {
    stream: Socket,
    traffic: Arc<Traffic>,
    refuse: Refuse,
    /// What goes out in place of hyper's own refusal, and how much of it has.
    instead: Option<(Vec<u8>, usize)>,
    lingering: Option<Linger>,
}

#[derive(Debug)]
struct Linger {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl IdleIo {
    pub(super) fn new(stream: Socket, traffic: Arc<Traffic>, refuse: Refuse) -> Self {
        Self { stream, traffic, refuse, instead: None, lingering: None }
    }

    /// Whether these bytes are hyper's own refusal of a head, which has no words: then ours will go out.
    fn replaces(&mut self, bytes: &[u8]) -> bool {
        if self.instead.is_some() {
            return true;
        }
        let Some(status) = refusal(bytes).filter(|_| !self.traffic.has_request()) else { return false };
        let refuse = &self.refuse;
        self.instead =
            self.traffic.with_head(|head, is_whole| refuse(Refusal { status, head, is_whole })).map(|whole| (whole, 0));
        self.instead.is_some()
    }

    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((bytes, sent)) = &mut self.instead
            && *sent < bytes.len()
        {
            let outcome = Pin::new(&mut self.stream).poll_write(cx, &bytes[*sent..]);
            if let Poll::Ready(Ok(count)) = &outcome {
                *sent += (*count).max(1);
            }
            ready!(self.told(outcome))?;
        }
        Poll::Ready(Ok(()))
    }

    /// What sending came to, which the other side must know before it ends the connection.
    fn told<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.traffic.set_sending(outcome.is_pending() || self.stream.holds_unsent());
        outcome
    }
}

impl AsyncRead for IdleIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let outcome = Pin::new(&mut this.stream).poll_read(cx, buf);
        this.traffic.received(&buf.filled()[before..]);
        outcome
    }
}

impl AsyncWrite for IdleIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.replaces(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        let outcome = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.told(outcome)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if bufs.iter().find(|buf| !buf.is_empty()).is_some_and(|first| this.replaces(first)) {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.told(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_instead(cx))?;
        let outcome = Pin::new(&mut this.stream).poll_flush(cx);
        this.told(outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_instead(cx))?;
        this.traffic.set_sending(true);
        let linger = match &mut this.lingering {
            Some(linger) => linger,
            None => {
                ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                let until = Box::pin(tokio::time::sleep(LINGER_TIME));
                this.lingering.insert(Linger { until, left: LINGER_BYTES })
            }
        };
        let mut scratch = [0; 16 << 10];
        while linger.left > 0 && linger.until.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut scratch);
            // An error and the peer's own end are both the end.
            if ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer)).is_err() || buffer.filled().is_empty() {
                break;
            }
            linger.left = linger.left.saturating_sub(buffer.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}

/// The status of an answer that none of ours begins like: those have a request id.
fn refusal(answer: &[u8]) -> Option<u16> {
    let status = answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let status: u16 = std::str::from_utf8(status).ok()?.parse().ok()?;
    const OURS: &[u8] = b"x-amz-request-id";
    (status >= 400 && !answer.windows(OURS.len()).any(|window| window == OURS)).then_some(status)
}
