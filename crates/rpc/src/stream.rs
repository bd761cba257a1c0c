//! Frames over a byte stream: many frames a write, bounded memory a read.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::wire::{Frame, FrameError};

/// A TLS record; what one read can bring.
const READ_STEP: usize = 16 * 1024;
/// Slices a write: 32 frames with bodies. More gains nothing, TLS takes 64 KiB at once.
const SLICES: usize = 64;

#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("the peer closed the connection")]
    Closed,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the peer sent {0}")]
    Frame(#[from] FrameError),
}

/// Reads frames no longer than `cap`. Memory grows with the bytes that arrived, never with a length announced.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    io: R,
    buffer: BytesMut,
    cap: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(io: R, cap: usize) -> Self {
        Self { io, buffer: BytesMut::new(), cap }
    }

    /// The next frame among the bytes that have arrived.
    pub(crate) fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        Frame::take(&mut self.buffer, self.cap, Instant::now())
    }

    /// Waits for more bytes. Nothing is lost if it is dropped while it waits.
    pub(crate) async fn fill(&mut self) -> Result<(), StreamError> {
        let missing = Frame::missing(&self.buffer, self.cap)?;
        // Doubling: a long frame takes few steps, and a peer must have sent half of what we hold for it.
        self.buffer.reserve(missing.min(self.buffer.len()).max(READ_STEP));
        match self.io.read_buf(&mut self.buffer).await? {
            0 => Err(StreamError::Closed),
            _ => Ok(()),
        }
    }

    /// The next frame, waited for.
    pub(crate) async fn next(&mut self) -> Result<Frame, StreamError> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }
}

/// Frames on their way out, laid out once, written in as few calls as the stream takes.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    heads: BytesMut,
    frames: Vec<(Range<usize>, Bytes)>,
}

impl Batch {
    pub(crate) fn push(&mut self, frame: Frame, now: Instant) {
        let start = self.heads.len();
        let body = frame.put(now, &mut self.heads);
        self.frames.push((start..self.heads.len(), body));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Writes and flushes all of it. After each step `taken` hears how many frames the stream has taken to their last byte;
    /// it is called before anything else can be waited for, so what it notes is never behind the stream.
    pub(crate) async fn write<W>(&mut self, io: &mut W, mut taken: impl FnMut(usize)) -> io::Result<()>
    where
        W: AsyncWrite + Unpin,
    {
        let (mut first, mut offset) = (0, 0);
        while first < self.frames.len() {
            let written = {
                let slices = self.slices(first, offset);
                poll_fn(|cx| Pin::new(&mut *io).poll_write_vectored(cx, &slices)).await?
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            offset += written;
            while let Some((head, body)) = self.frames.get(first) {
                let length = head.len() + body.len();
                if offset < length {
                    break;
                }
                offset -= length;
                first += 1;
            }
            taken(first);
        }
        self.heads.clear();
        self.frames.clear();
        io.flush().await
    }

    /// The next bytes to write, from `skip` bytes into the frame `first`.
    fn slices(&self, first: usize, mut skip: usize) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::with_capacity(SLICES);
        for (head, body) in self.frames.iter().skip(first) {
            for part in [self.heads.get(head.clone()).unwrap_or_default(), body] {
                let (written, left) = part.split_at(skip.min(part.len()));
                skip -= written.len();
                if !left.is_empty() {
                    slices.push(IoSlice::new(left));
                }
            }
            if slices.len() >= SLICES - 1 {
                break;
            }
        }
        slices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reply;
    use crate::wire::HARD_CAP;

    fn reply(call: u64, length: usize) -> Frame {
        Frame::Reply { call, outcome: Ok(Reply::Done(vec![call as u8; length].into())) }
    }

    #[tokio::test]
    async fn a_batch_arrives_whole_through_a_stream_that_takes_little_at_a_time() {
        // 7 bytes of room: every write is a part of a frame.
        let (mut near, far) = tokio::io::duplex(7);
        let sent: Vec<Frame> = (0..100).map(|call| reply(call, call as usize % 5 * 10)).collect();
        let mut batch = Batch::default();
        for frame in &sent {
            batch.push(frame.clone(), Instant::now());
        }
        let mut steps = Vec::new();
        let write = async {
            batch.write(&mut near, |taken| steps.push(taken)).await.expect("goes");
        };
        let mut reader = FrameReader::new(far, HARD_CAP);
        let read = async {
            for frame in &sent {
                assert_eq!(&reader.next().await.expect("comes"), frame);
            }
        };
        tokio::join!(write, read);
        assert!(steps.is_sorted() && steps.last() == Some(&100));
        assert!(batch.is_empty());
    }

    #[tokio::test]
    async fn an_announced_length_takes_no_memory_before_its_bytes_come() {
        let (mut near, far) = tokio::io::duplex(1024);
        let mut reader = FrameReader::new(far, HARD_CAP);
        let announced = u32::try_from(HARD_CAP - 4).expect("fits");
        near.write_all(&announced.to_be_bytes()).await.expect("goes");
        reader.fill().await.expect("comes");
        near.write_all(&[2; 100]).await.expect("goes");
        reader.fill().await.expect("comes");
        assert!(reader.buffer.capacity() <= 4 * READ_STEP, "{}", reader.buffer.capacity());
        drop(near);
        assert!(matches!(reader.next().await, Err(StreamError::Closed)));
    }
}
