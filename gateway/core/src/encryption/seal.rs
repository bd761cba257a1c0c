//! Sealing a stream, as its bytes come.

use std::collections::VecDeque;
use std::fmt;

use aws_lc_rs::aead::{Aad, LessSafeKey};
use bytes::{Bytes, BytesMut};
use types::Salt;
use types::sealed::{SEGMENT, TAG};

use super::keys::{ContentKey, nonce};
use crate::error::{S3Error, S3ErrorCode};

const SEGMENT_BYTES: usize = SEGMENT as usize;

/// Seals one stream. A full segment waits for the byte behind it: only then is it known not to be the last.
pub struct StreamSealer {
    key: LessSafeKey,
    /// The number of the segment that is being filled.
    segment: u64,
    filling: BytesMut,
}

impl fmt::Debug for StreamSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamSealer(at segment {})", self.segment)
    }
}

impl StreamSealer {
    /// No other stream may have this salt under this key.
    pub fn new(key: &ContentKey, salt: Salt) -> Result<Self, S3Error> {
        Ok(Self { key: key.stream(salt)?, segment: 0, filling: BytesMut::new() })
    }

    /// Takes all of `data`, and adds what is sealed by it to `sealed`.
    pub fn push(&mut self, mut data: Bytes, sealed: &mut VecDeque<Bytes>) -> Result<(), S3Error> {
        while !data.is_empty() {
            if self.filling.len() == SEGMENT_BYTES {
                sealed.push_back(self.seal(false)?);
            }
            let taken = data.split_to(data.len().min(SEGMENT_BYTES - self.filling.len()));
            // At once what it will need in the end, unless these bytes may well be all there are.
            let room = if data.is_empty() { taken.len() } else { SEGMENT_BYTES - self.filling.len() };
            self.filling.reserve(room + TAG as usize);
            self.filling.extend_from_slice(&taken);
        }
        Ok(())
    }

    /// The last segment; none of an empty stream.
    pub fn finish(mut self) -> Result<Option<Bytes>, S3Error> {
        if self.filling.is_empty() { Ok(None) } else { self.seal(true).map(Some) }
    }

    fn seal(&mut self, is_last: bool) -> Result<Bytes, S3Error> {
        let mut segment = self.filling.split();
        let nonce = nonce(self.segment, is_last);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut segment);
        let tag = tag.map_err(|_| S3Error::new(S3ErrorCode::InternalError))?;
        segment.extend_from_slice(tag.as_ref());
        self.segment += 1;
        Ok(segment.freeze())
    }
}
