//! Where the bytes of an encrypted object lie among those that are stored.

use types::SealedStream;
use types::sealed::stored_length;

use crate::namespace::Span;
use crate::rows::{KeyBody, KeyRow};

/// The streams of an encrypted object, one behind the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    streams: Vec<SealedStream>,
}

impl Sealed {
    /// None of an object whose bytes are stored as they are.
    pub fn of(row: &KeyRow) -> Option<Self> {
        let encryption = row.body.encryption.as_ref()?;
        let mut sealed = Self { streams: Vec::with_capacity(row.body.parts.len().max(1)) };
        if row.body.parts.is_empty() {
            sealed.push(encryption.salt, row.head.size);
        }
        for part in &row.body.parts {
            // A part without a salt would be stored as it is; no command makes one in an encrypted object.
            sealed.push(part.salt.unwrap_or(encryption.salt), part.size);
        }
        Some(sealed)
    }

    fn push(&mut self, salt: types::Salt, length: u64) {
        let (first, stored_first) = self.streams.last().map_or((0, 0), |last| (last.end(), last.stored_end()));
        self.streams.push(SealedStream { salt, first, stored_first, length });
    }

    /// The whole segments that hold a span of the object's bytes. They follow each other, since a stream's last segment is
    /// followed by the next one's first.
    pub fn stored(&self, span: Span) -> Option<Span> {
        let last = span.end.checked_sub(1).filter(|last| span.start <= *last)?;
        let (first_in, last_in) = (self.stream_of(span.start)?, self.stream_of(last)?);
        Some(Span { start: first_in.segment_start(span.start), end: last_in.segment_end(last) })
    }

    fn stream_of(&self, position: u64) -> Option<&SealedStream> {
        let behind = self.streams.partition_point(|stream| stream.end() <= position);
        self.streams.get(behind).filter(|stream| stream.first <= position)
    }

    /// The streams that have bytes in a span of the stored ones.
    pub fn streams_under(&self, stored: Span) -> &[SealedStream] {
        let first = self.streams.partition_point(|stream| stream.stored_end() <= stored.start);
        let behind = self.streams.partition_point(|stream| stream.stored_first < stored.end);
        self.streams.get(first..behind).unwrap_or_default()
    }
}

/// How many bytes are stored for an object of this size.
pub fn stored_size(body: &KeyBody, size: u64) -> u64 {
    match (&body.encryption, body.parts.as_slice()) {
        (None, _) => size,
        (Some(_), []) => stored_length(size),
        (Some(_), parts) => parts.iter().map(|part| stored_length(part.size)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use types::Salt;
    use types::sealed::{SEGMENT, STORED_SEGMENT, TAG};

    fn sealed(lengths: &[u64]) -> Sealed {
        let mut sealed = Sealed { streams: Vec::new() };
        for (number, length) in (0..).zip(lengths) {
            sealed.push(Salt([number; 16]), *length);
        }
        sealed
    }

    #[test]
    fn a_range_is_found_in_the_segments_of_its_streams() {
        let object = sealed(&[SEGMENT + 10, 20]);
        let span = |start, end| object.stored(Span { start, end }).map(|stored| (stored.start, stored.end));
        assert_eq!(span(0, 1), Some((0, STORED_SEGMENT)));
        assert_eq!(span(SEGMENT - 1, SEGMENT + 1), Some((0, STORED_SEGMENT + 26)));
        assert_eq!(span(SEGMENT + 9, SEGMENT + 11), Some((STORED_SEGMENT, STORED_SEGMENT + 26 + 36)));
        assert_eq!(span(SEGMENT + 10, SEGMENT + 30), Some((STORED_SEGMENT + 26, STORED_SEGMENT + 26 + 36)));
        assert_eq!(span(5, 5), None);
        assert_eq!(span(0, SEGMENT + 31), None);
    }

    #[test]
    fn an_empty_part_has_no_bytes_and_is_in_nobodys_way() {
        let object = sealed(&[10, 0, 10]);
        assert_eq!(object.stored(Span { start: 10, end: 11 }), Some(Span { start: 26, end: 52 }));
        assert_eq!(object.streams_under(Span { start: 26, end: 52 }).last().map(|stream| stream.salt), Some(Salt([2; 16])));
        assert_eq!(sealed(&[0]).stored(Span { start: 0, end: 1 }), None);
    }

    proptest! {
        /// Against a walk over every byte.
        #[test]
        fn a_span_is_stored_where_a_walk_finds_it(
            lengths in proptest::collection::vec(0..3 * SEGMENT, 1..5),
            cut in (0.0..1.0, 0.0..1.0),
        ) {
            let object = sealed(&lengths);
            let size: u64 = lengths.iter().sum();
            let at = |fraction: f64| (fraction * size as f64) as u64;
            let (start, end) = (at(cut.0).min(at(cut.1)), at(cut.0).max(at(cut.1)));
            // Each segment: where it begins and ends in the object, and where it is stored.
            let (mut segments, mut plain, mut stored) = (Vec::new(), 0, 0);
            for length in &lengths {
                let mut left = *length;
                while left > 0 {
                    let take = left.min(SEGMENT);
                    segments.push((plain, plain + take, stored, stored + take + TAG));
                    (plain, stored, left) = (plain + take, stored + take + TAG, left - take);
                }
            }
            let under: Vec<_> = segments.iter().filter(|(first, behind, ..)| *first < end && start < *behind && start < end).collect();
            let expected = under.first().zip(under.last()).map(|(first, last)| Span { start: first.2, end: last.3 });
            prop_assert_eq!(object.stored(Span { start, end }), expected);
            if let Some(span) = expected {
                let named: Vec<_> = object.streams_under(span).iter().filter(|stream| stream.length > 0).collect();
                prop_assert!(named.first().is_some_and(|stream| stream.first <= start && start < stream.end()));
                prop_assert!(named.last().is_some_and(|stream| stream.first < end && end <= stream.end()));
            }
        }
    }
}
