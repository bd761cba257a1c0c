//! Opening streams, as their stored bytes come.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use aws_lc_rs::aead::{Aad, LessSafeKey};
use bytes::{Bytes, BytesMut};
use types::sealed::{SEGMENT, STORED_SEGMENT};
use types::{Salt, SealedStream};

use super::keys::{ContentKey, nonce};

/// What is stored is not what was sealed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored bytes of an encrypted object do not open")]
pub struct Damaged;

/// Gives the wanted bytes of an object out of the whole segments that hold them. Nothing of a segment comes out before all of it
/// was found to be right.
pub struct StreamOpener {
    key: ContentKey,
    /// In the object.
    wanted: Range<u64>,
    /// Where the next segment begins among the object's stored bytes.
    position: u64,
    /// Those that come, in order; the first is the one that the next segment is of.
    streams: VecDeque<SealedStream>,
    current: Option<(Salt, LessSafeKey)>,
    /// Stored bytes from `position` on.
    waiting: BytesMut,
}

impl fmt::Debug for StreamOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamOpener(at {}, {} streams)", self.position, self.streams.len())
    }
}

impl StreamOpener {
    /// `stored_first` is where the segment begins that holds the first of the wanted bytes.
    pub fn new(key: ContentKey, wanted: Range<u64>, stored_first: u64) -> Self {
        Self { key, wanted, position: stored_first, streams: VecDeque::new(), current: None, waiting: BytesMut::new() }
    }

    /// The streams of the stored bytes that come next. Those that are known already may be named again.
    pub fn expect(&mut self, streams: &[SealedStream]) {
        let known = self.streams.back().map_or(self.position, SealedStream::stored_end);
        self.streams.extend(streams.iter().filter(|stream| stream.stored_end() > known).copied());
    }

    /// Stored bytes, in their order.
    pub fn push(&mut self, stored: &[u8]) {
        self.waiting.extend_from_slice(stored);
    }

    /// The next of the wanted bytes, as far as whole segments have come.
    pub fn pull(&mut self) -> Result<Option<Bytes>, Damaged> {
        while !self.waiting.is_empty() {
            while self.streams.front().is_some_and(|stream| stream.stored_end() <= self.position) {
                self.streams.pop_front();
            }
            let stream = *self.streams.front().ok_or(Damaged)?;
            let into = self.position.checked_sub(stream.stored_first).filter(|into| into % STORED_SEGMENT == 0).ok_or(Damaged)?;
            let segment = into / STORED_SEGMENT;
            let first = stream.first + segment * SEGMENT;
            let end = stream.segment_end(first);
            let length = usize::try_from(end - self.position).map_err(|_| Damaged)?;
            if self.waiting.len() < length {
                self.waiting.reserve(length - self.waiting.len());
                return Ok(None);
            }
            let mut sealed = self.waiting.split_to(length);
            let opened =
                self.key_of(stream.salt)?.open_in_place(nonce(segment, end == stream.stored_end()), Aad::empty(), &mut sealed);
            let opened = opened.map_err(|_| Damaged)?.len();
            sealed.truncate(opened);
            self.position = end;
            let bytes = self.cut(first, sealed.freeze());
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Once all stored bytes have come: whether they ended where a segment did.
    pub fn finish(&self) -> Result<(), Damaged> {
        if self.waiting.is_empty() { Ok(()) } else { Err(Damaged) }
    }

    fn key_of(&mut self, salt: Salt) -> Result<&LessSafeKey, Damaged> {
        if self.current.as_ref().is_none_or(|(known, _)| *known != salt) {
            self.current = Some((salt, self.key.stream(salt).map_err(|_| Damaged)?));
        }
        self.current.as_ref().map(|(_, key)| key).ok_or(Damaged)
    }

    /// What is wanted of a segment's bytes.
    fn cut(&self, first: u64, bytes: Bytes) -> Bytes {
        let length = bytes.len() as u64;
        let within = |position: u64| usize::try_from(position.saturating_sub(first).min(length)).unwrap_or(usize::MAX);
        let (start, end) = (within(self.wanted.start), within(self.wanted.end));
        if start < end { bytes.slice(start..end) } else { Bytes::new() }
    }
}
