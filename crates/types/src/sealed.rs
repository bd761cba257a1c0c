//! How encrypted bytes are laid out, told by lengths alone.
//!
//! A stream is what one write sealed: an object that was put whole, or one part of an upload. Its bytes are cut into segments of
//! [`SEGMENT`], of which the last may be shorter, and each is stored with a tag behind it. An object of parts is its streams one
//! after the other. So everybody can tell where bytes lie who knows how long the streams are, without any key.

use std::fmt;

use minicbor::{Decode, Encode};

/// The bytes of a segment, without its tag. Large enough for the tag and the cipher's start to cost nothing (0.02 %), small enough
/// for a range to read little that it does not want.
pub const SEGMENT: u64 = 64 << 10;
/// What is stored with each segment: AES-GCM's tag.
pub const TAG: u64 = 16;
/// A whole segment as it is stored.
pub const STORED_SEGMENT: u64 = SEGMENT + TAG;

/// How many bytes are stored for so many. An empty stream has no segment.
pub fn stored_length(length: u64) -> u64 {
    length.saturating_add(length.div_ceil(SEGMENT).saturating_mul(TAG))
}

/// How many bytes lie in so many stored ones; none if no stream is stored in so many.
pub fn plain_length(stored: u64) -> Option<u64> {
    let rest = stored % STORED_SEGMENT;
    (rest == 0 || rest > TAG).then(|| stored - stored.div_ceil(STORED_SEGMENT) * TAG)
}

/// Random, and part of what a stream's key is derived from: no two streams have the same key, whoever chose the key behind it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Salt(#[cbor(with = "minicbor::bytes")] pub [u8; 16]);

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Salt({:032x})", u128::from_be_bytes(self.0))
    }
}

/// A stream in its object: where it begins, in the object's bytes and in the stored ones, and how many of the object's it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct SealedStream {
    #[n(0)]
    pub salt: Salt,
    #[n(1)]
    pub first: u64,
    #[n(2)]
    pub stored_first: u64,
    #[n(3)]
    pub length: u64,
}

impl SealedStream {
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.length)
    }

    pub fn stored_end(&self) -> u64 {
        self.stored_first.saturating_add(stored_length(self.length))
    }

    /// Where the segment is stored that holds the object's byte at `position`, which must be in the stream.
    pub fn segment_start(&self, position: u64) -> u64 {
        self.stored_first + position.saturating_sub(self.first) / SEGMENT * STORED_SEGMENT
    }

    /// Where that segment's stored bytes end.
    pub fn segment_end(&self, position: u64) -> u64 {
        (self.segment_start(position) + STORED_SEGMENT).min(self.stored_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_stored_with_each_segment() {
        for (length, stored) in [
            (0, 0),
            (1, 17),
            (SEGMENT - 1, SEGMENT + 15),
            (SEGMENT, STORED_SEGMENT),
            (SEGMENT + 1, STORED_SEGMENT + 17),
            (3 * SEGMENT, 3 * STORED_SEGMENT),
        ] {
            assert_eq!(stored_length(length), stored);
            assert_eq!(plain_length(stored), Some(length));
        }
        for no_stream in [1, 16, STORED_SEGMENT + 1, STORED_SEGMENT + 16] {
            assert_eq!(plain_length(no_stream), None);
        }
    }

    #[test]
    fn a_segment_is_found_by_any_of_its_bytes() {
        let stream = SealedStream { salt: Salt([0; 16]), first: 1000, stored_first: 5000, length: SEGMENT + 10 };
        for (position, start, end) in [
            (1000, 5000, 5000 + STORED_SEGMENT),
            (1000 + SEGMENT - 1, 5000, 5000 + STORED_SEGMENT),
            (1000 + SEGMENT, 5000 + STORED_SEGMENT, 5000 + STORED_SEGMENT + 26),
            (1000 + SEGMENT + 9, 5000 + STORED_SEGMENT, 5000 + STORED_SEGMENT + 26),
        ] {
            assert_eq!((stream.segment_start(position), stream.segment_end(position)), (start, end));
        }
        assert_eq!(stream.stored_end(), 5000 + STORED_SEGMENT + 26);
    }
}
