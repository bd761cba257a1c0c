//! What members say to each other. Field numbers are never reused.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use types::GroupId;

use crate::wal::StoredVote;
use crate::{LogPosition, Progress};

pub(super) const APPEND: u8 = 1;
pub(super) const VOTE: u8 = 2;
pub(super) const PRE_VOTE: u8 = 3;
pub(super) const TRANSFER: u8 = 4;
pub(super) const SNAPSHOT_BEGIN: u8 = 5;
pub(super) const SNAPSHOT_FRAME: u8 = 6;
pub(super) const SNAPSHOT_FINISH: u8 = 7;
pub(super) const READ_INDEX: u8 = 8;

/// To whom a message goes. A member that is not the one named refuses it: an endpoint may have been given to another since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct Address {
    #[n(0)]
    pub(super) group: GroupId,
    #[n(1)]
    pub(super) member: u64,
}

#[derive(Debug, Encode, Decode)]
pub(super) struct Append<'a> {
    #[n(0)]
    pub(super) to: Address,
    #[n(1)]
    pub(super) vote: StoredVote,
    #[n(2)]
    pub(super) previous: Option<LogPosition>,
    #[n(3)]
    pub(super) committed: Option<LogPosition>,
    /// See [`pack`].
    #[n(4)]
    #[cbor(borrow, with = "minicbor::bytes")]
    pub(super) entries: &'a [u8],
    /// Its place among appends that are under way at once; nothing for one that stands alone.
    #[n(5)]
    pub(super) turn: Option<Turn>,
}

/// Appends of one stream are taken in the order of their numbers, from zero, however they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct Turn {
    #[n(0)]
    pub(super) stream: u64,
    #[n(1)]
    pub(super) number: u64,
}

#[derive(Debug, Encode, Decode)]
pub(super) enum Appended {
    #[n(0)]
    Success,
    #[n(1)]
    Partial(#[n(0)] Option<LogPosition>),
    #[n(2)]
    Conflict,
    #[n(3)]
    HigherVote(#[n(0)] StoredVote),
}

#[derive(Debug, Encode, Decode)]
pub(super) struct Ballot {
    #[n(0)]
    pub(super) to: Address,
    #[n(1)]
    pub(super) vote: StoredVote,
    #[n(2)]
    pub(super) last: Option<LogPosition>,
    #[n(3)]
    pub(super) transfer: bool,
}

#[derive(Debug, Encode, Decode)]
pub(super) struct Voted {
    #[n(0)]
    pub(super) vote: StoredVote,
    #[n(1)]
    pub(super) granted: bool,
    #[n(2)]
    pub(super) last: Option<LogPosition>,
}

#[derive(Debug, Encode, Decode)]
pub(super) struct Transfer {
    #[n(0)]
    pub(super) to: Address,
    #[n(1)]
    pub(super) from: StoredVote,
    #[n(2)]
    pub(super) last: Option<LogPosition>,
    /// Who is to lead. Every voter is told, so that the others do not hold on to the present leader.
    #[n(3)]
    pub(super) next: u64,
}

#[derive(Debug, Encode, Decode)]
pub(super) enum Transferred {
    #[n(0)]
    Done,
    #[n(1)]
    VoteChanged(#[n(0)] StoredVote),
    #[n(2)]
    NotFlushed(#[n(0)] Option<LogPosition>),
}

/// Begins a transfer; one under way to the same member is dropped.
#[derive(Debug, Encode, Decode)]
pub(super) struct SnapshotBegin {
    #[n(0)]
    pub(super) to: Address,
    #[n(1)]
    pub(super) vote: StoredVote,
    /// Names the transfer, so that a straggler of a former one is not taken for this one's.
    #[n(2)]
    pub(super) transfer: u64,
    #[n(3)]
    pub(super) progress: Progress,
}

#[derive(Debug, Encode, Decode)]
pub(super) struct SnapshotFrame<'a> {
    #[n(0)]
    pub(super) to: Address,
    #[n(1)]
    pub(super) transfer: u64,
    /// From zero. A frame sent again is taken once.
    #[n(2)]
    pub(super) number: u64,
    #[n(3)]
    pub(super) crc32c: u32,
    #[n(4)]
    #[cbor(borrow, with = "minicbor::bytes")]
    pub(super) frame: &'a [u8],
}

#[derive(Debug, Encode, Decode)]
pub(super) struct SnapshotFinish {
    #[n(0)]
    pub(super) to: Address,
    #[n(1)]
    pub(super) transfer: u64,
    #[n(2)]
    pub(super) frames: u64,
    /// Over the checksums of all frames, in order.
    #[n(3)]
    pub(super) crc32c: u32,
}

/// To the begin and to each frame: the vote of the receiver, so that a leader that was deposed stops sending, and the number of
/// the frame it waits for.
#[derive(Debug, Encode, Decode)]
pub(super) struct SnapshotState {
    #[n(0)]
    pub(super) vote: StoredVote,
    #[n(1)]
    pub(super) next: u64,
}

#[derive(Debug, Encode, Decode)]
pub(super) struct ReadIndex {
    #[n(0)]
    pub(super) to: Address,
}

/// A position that, once applied, shows everything acknowledged before the question.
#[derive(Debug, Encode, Decode)]
pub(super) struct ReadFrom {
    #[n(0)]
    pub(super) index: u64,
}

const ENTRY_HEAD: usize = 28;

/// Entries one behind the other: index, term, leader (8 bytes each), length (4), payload; all little-endian.
pub(super) fn pack(entries: &[(LogPosition, Bytes)]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(entries.iter().map(|(_, payload)| ENTRY_HEAD + payload.len()).sum());
    for (at, payload) in entries {
        for number in [at.index, at.term, at.leader] {
            packed.extend_from_slice(&number.to_le_bytes());
        }
        packed.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        packed.extend_from_slice(payload);
    }
    packed
}

/// The entries within `body`, sharing its buffer. Nothing: it is not what [`pack`] makes.
pub(super) fn unpack(body: &Bytes, mut packed: &[u8]) -> Option<Vec<(LogPosition, Bytes)>> {
    let mut entries = Vec::new();
    while !packed.is_empty() {
        let (head, rest) = packed.split_first_chunk::<ENTRY_HEAD>()?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
        let length = u32::from_le_bytes([head[24], head[25], head[26], head[27]]);
        let (payload, rest) = rest.split_at_checked(length as usize)?;
        let at = LogPosition { index: number(0), term: number(8), leader: number(16) };
        entries.push((at, body.slice_ref(payload)));
        packed = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_entries_come_out_as_they_went_in_and_cut_ones_not_at_all() {
        let at = |index| LogPosition { term: 3, leader: 2, index };
        let entries = vec![(at(7), Bytes::from_static(b"one")), (at(8), Bytes::new())];
        let body = Bytes::from(pack(&entries));
        assert_eq!(unpack(&body, &body), Some(entries));
        for cut in 1..body.len() {
            let whole_first = cut == ENTRY_HEAD + 3;
            assert_eq!(unpack(&body, &body[..cut]).is_some(), whole_first, "cut at {cut}");
        }
    }
}
