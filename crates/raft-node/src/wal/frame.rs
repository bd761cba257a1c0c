//! One record of the log as bytes.
//!
//! ```text
//!  0  payload length  u32       24  index   u64   (entries; elsewhere 0)
//!  4  header crc32c   u32       32  term    u64
//!  8  kind            u8        40  leader  u64
//!  9  flags           u8        48  payload crc32c  u32
//! 10  run             u16       52  zero            u32
//! 12  batch           u32       56  payload, then zeros to a multiple of 8
//! 16  group           u64
//! ```
//! All little-endian. The header's checksum covers the segment's salt and the whole header, the payload's checksum with it: bytes
//! of the segment's former life never parse, and whether a header stands somewhere is told without reading a payload, whatever
//! bytes people have put into theirs. `run` counts the openings of the log while this segment was the last, `batch` the syncs
//! within the segment; together they tell a torn tail from damage (see `recovery`).

use bytes::Bytes;
use minicbor::{Decode, Encode};
use types::GroupId;

use crate::LogPosition;

pub(super) const HEADER: usize = 56;
/// Set on the last frame before a sync.
const LAST_IN_BATCH: u8 = 1;
const ENTRY: u8 = 1;
const NOTE: u8 = 2;

/// The right to lead a term, asked for or granted by a majority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StoredVote {
    #[n(0)]
    pub(crate) term: u64,
    #[n(1)]
    pub(crate) leader: u64,
    #[n(2)]
    pub(crate) committed: bool,
}

/// All of a group's state but its entries.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct GroupHead {
    /// Which member of the group lives here. It never changes: under another id the votes given would be forgotten.
    #[n(0)]
    pub(crate) me: u64,
    #[n(1)]
    pub(crate) vote: Option<StoredVote>,
    #[n(2)]
    pub(crate) purged: Option<LogPosition>,
    #[n(3)]
    pub(crate) committed: Option<LogPosition>,
}

/// What is written beside entries. Numbers are never reused.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Note {
    #[n(0)]
    Start(#[n(0)] u64),
    #[n(1)]
    Vote(#[n(0)] StoredVote),
    /// Removes every entry behind this index, or all.
    #[n(2)]
    Truncate(#[n(0)] Option<u64>),
    #[n(3)]
    Purge(#[n(0)] LogPosition),
    #[n(4)]
    Committed(#[n(0)] LogPosition),
    #[n(5)]
    Remove,
    /// At the head of a segment, for each group: segments before it hold nothing but entries that matters.
    #[n(6)]
    Checkpoint(#[n(0)] GroupHead),
    /// The last frame of a segment that others follow.
    #[n(7)]
    Seal,
    /// The log was opened with this segment as its last; what a former run left behind here is void.
    #[n(8)]
    Open,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Entry(LogPosition, Bytes),
    Note(Note),
}

/// Where in the life of a segment a frame was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) run: u16,
    pub(super) batch: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) group: GroupId,
    pub(super) record: Record,
    pub(super) moment: Moment,
    pub(super) last_in_batch: bool,
    /// With header and padding.
    pub(super) length: usize,
}

pub(super) fn framed_length(payload: usize) -> usize {
    (HEADER + payload).next_multiple_of(8)
}

/// Encodes frames of one segment into a buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Codec {
    salted: u32,
}

impl Codec {
    pub(super) fn new(salt: u64) -> Self {
        Self { salted: crc32c::crc32c(&salt.to_le_bytes()) }
    }

    fn header_checksum(self, header: &[u8; HEADER]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.salted, &header[..4]), &header[8..])
    }

    pub(super) fn put_entry(self, buffer: &mut Vec<u8>, moment: Moment, group: GroupId, at: LogPosition, payload: &[u8]) {
        self.put(buffer, moment, ENTRY, group, at, payload);
    }

    pub(super) fn put_note(self, buffer: &mut Vec<u8>, moment: Moment, group: GroupId, note: &Note) {
        let nowhere = LogPosition { term: 0, leader: 0, index: 0 };
        self.put(buffer, moment, NOTE, group, nowhere, &tables::encode(note));
    }

    fn put(self, buffer: &mut Vec<u8>, moment: Moment, kind: u8, group: GroupId, at: LogPosition, payload: &[u8]) {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        header[8] = kind;
        header[10..12].copy_from_slice(&moment.run.to_le_bytes());
        header[12..16].copy_from_slice(&moment.batch.to_le_bytes());
        for (place, number) in [16, 24, 32, 40].into_iter().zip([group.0, at.index, at.term, at.leader]) {
            header[place..place + 8].copy_from_slice(&number.to_le_bytes());
        }
        header[48..52].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
        self.stamp(&mut header);
        let end = buffer.len() + framed_length(payload.len());
        buffer.extend_from_slice(&header);
        buffer.extend_from_slice(payload);
        buffer.resize(end, 0);
    }

    /// Marks the frame at `start` as the last before a sync.
    pub(super) fn mark_last(self, buffer: &mut [u8], start: usize) {
        if let Some(header) = buffer.get_mut(start..).and_then(|frame| frame.first_chunk_mut::<HEADER>()) {
            header[9] |= LAST_IN_BATCH;
            self.stamp(header);
        }
    }

    fn stamp(self, header: &mut [u8; HEADER]) {
        let sum = self.header_checksum(header);
        header[4..8].copy_from_slice(&sum.to_le_bytes());
    }

    /// The frame at the start of `bytes`, if there is one.
    pub(super) fn parse(self, bytes: &[u8]) -> Option<Frame> {
        let header = bytes.first_chunk::<HEADER>()?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        let kind = header[8];
        if (kind != ENTRY && kind != NOTE) || self.header_checksum(header) != half(4) {
            return None;
        }
        let payload = bytes.get(HEADER..HEADER.checked_add(half(0) as usize)?)?;
        if crc32c::crc32c(payload) != half(48) {
            return None;
        }
        let record = if kind == ENTRY {
            let at = LogPosition { index: word(24), term: word(32), leader: word(40) };
            Record::Entry(at, Bytes::copy_from_slice(payload))
        } else {
            Record::Note(minicbor::decode(payload).ok()?)
        };
        Some(Frame {
            group: GroupId(word(16)),
            record,
            moment: Moment { run: u16::from_le_bytes([header[10], header[11]]), batch: half(12) },
            last_in_batch: header[9] & LAST_IN_BATCH != 0,
            length: framed_length(payload.len()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Moment = Moment { run: 3, batch: 9 };
    const AT: LogPosition = LogPosition { term: 2, leader: 1, index: 77 };

    #[test]
    fn a_frame_reads_back_only_unchanged_and_under_its_salt() {
        let mut bytes = Vec::new();
        Codec::new(5).put_entry(&mut bytes, MOMENT, GroupId(4), AT, b"payload");
        let frame = Codec::new(5).parse(&bytes).expect("as written");
        assert_eq!(frame.record, Record::Entry(AT, Bytes::from_static(b"payload")));
        assert_eq!((frame.group, frame.moment, frame.length), (GroupId(4), MOMENT, bytes.len()));
        assert_eq!(Codec::new(6).parse(&bytes), None);
        for at in 0..HEADER + 7 {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(Codec::new(5).parse(&changed), None, "byte {at}");
        }
    }

    #[test]
    fn the_mark_of_a_batch_is_under_the_checksum() {
        let mut bytes = Vec::new();
        let codec = Codec::new(5);
        codec.put_note(&mut bytes, MOMENT, GroupId(4), &Note::Truncate(Some(8)));
        let second = bytes.len();
        codec.put_note(&mut bytes, MOMENT, GroupId(4), &Note::Remove);
        codec.mark_last(&mut bytes, second);
        assert!(!codec.parse(&bytes).expect("first").last_in_batch);
        let frame = codec.parse(&bytes[second..]).expect("second");
        assert!(frame.last_in_batch);
        assert_eq!(frame.record, Record::Note(Note::Remove));
    }
}
