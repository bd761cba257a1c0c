//! Where every entry of every group is, in memory; and the recent entries themselves.
//!
//! It changes when an operation is queued, not when it is on disk: readers see what was appended at once, as Raft asks. An entry
//! that is not on disk yet is always held in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use types::GroupId;

use super::frame::GroupHead;
use super::segment::Segment;
use crate::LogPosition;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) term: u64,
    pub(super) leader: u64,
    pub(super) length: u32,
    pub(super) place: Option<Place>,
    pub(super) cached: Option<Bytes>,
}

#[derive(Debug)]
pub(super) struct GroupLog {
    pub(super) head: GroupHead,
    /// The index of the first slot.
    first: u64,
    slots: VecDeque<Slot>,
    /// Payload bytes of all slots.
    bytes: u64,
}

/// What there is to know of a group's log without reading it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LogExtent {
    pub(crate) purged: Option<LogPosition>,
    /// The last entry, or the last purged one if there is none.
    pub(crate) last: Option<LogPosition>,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

impl GroupLog {
    pub(super) fn new(head: GroupHead) -> Self {
        Self { head, first: 0, slots: VecDeque::new(), bytes: 0 }
    }

    /// With entries that recovery has found to be without a gap.
    pub(super) fn recovered(head: GroupHead, slots: BTreeMap<u64, Slot>) -> Self {
        let first = slots.first_key_value().map_or(0, |(index, _)| *index);
        let bytes = slots.values().map(|slot| u64::from(slot.length)).sum();
        Self { head, first, slots: slots.into_values().collect(), bytes }
    }

    pub(super) fn extent(&self) -> LogExtent {
        let purged = self.head.purged;
        let last = self.slots.back().map(|slot| LogPosition {
            term: slot.term,
            leader: slot.leader,
            index: self.first + self.slots.len() as u64 - 1,
        });
        LogExtent { purged, last: last.or(purged), entries: self.slots.len() as u64, bytes: self.bytes }
    }

    fn slot(&self, index: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    fn slot_mut(&mut self, index: u64) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    /// Where a run of entries from `from` ends that has about so many bytes; it has one entry at least.
    pub(super) fn limit(&self, from: u64, end: u64, bytes: usize) -> u64 {
        let (mut left, mut is_first) = (bytes as u64, true);
        let fits = self.range(from, end).take_while(|(_, slot)| {
            let fits = std::mem::take(&mut is_first) || u64::from(slot.length) <= left;
            left = left.saturating_sub(u64::from(slot.length));
            fits
        });
        fits.last().map_or(end, |(last, _)| last + 1)
    }

    /// The entries that exist within the range, each with its index.
    pub(super) fn range(&self, from: u64, end: u64) -> impl Iterator<Item = (u64, &Slot)> {
        let from = from.max(self.first);
        let end = end.min(self.first + self.slots.len() as u64);
        (from..end).filter_map(|index| Some((index, self.slot(index)?)))
    }
}

/// How many entries of each segment are still part of a log.
#[derive(Debug, Default)]
pub(super) struct Live(BTreeMap<u64, u64>);

impl Live {
    pub(super) fn add(&mut self, segment: u64) {
        *self.0.entry(segment).or_default() += 1;
    }

    fn remove(&mut self, slot: &Slot) {
        if let Some(place) = slot.place
            && let Some(count) = self.0.get_mut(&place.segment)
        {
            *count = count.saturating_sub(1);
        }
    }

    pub(super) fn of(&self, segment: u64) -> u64 {
        self.0.get(&segment).copied().unwrap_or(0)
    }

    pub(super) fn forget(&mut self, segment: u64) {
        self.0.remove(&segment);
    }
}

/// What a held entry takes beside its payload: the allocation's head and rounding, and where it is remembered.
const HELD: u64 = 128;

#[derive(Debug)]
pub(super) struct Index {
    pub(super) groups: HashMap<GroupId, GroupLog>,
    pub(super) segments: BTreeMap<u64, Arc<Segment>>,
    pub(super) live: Live,
    /// Entries on disk that are also held in memory, oldest first, each with what it takes.
    cached: VecDeque<(GroupId, u64, u64)>,
    cached_bytes: u64,
    cache_limit: u64,
}

impl Index {
    pub(super) fn new(cache_limit: u64) -> Self {
        Self {
            groups: HashMap::new(),
            segments: BTreeMap::new(),
            live: Live::default(),
            cached: VecDeque::new(),
            cached_bytes: 0,
            cache_limit,
        }
    }

    pub(super) fn append(&mut self, group: GroupId, entries: &[(LogPosition, Bytes)]) -> Result<(), String> {
        let Some(log) = self.groups.get_mut(&group) else { return Err(format!("{group} has no log here")) };
        for (at, payload) in entries {
            let next = log.extent().last.map(|last| last.index + 1);
            match next {
                Some(next) if next != at.index => {
                    return Err(format!("{group}: entry {at} does not follow index {}", next - 1));
                }
                _ if log.slots.is_empty() => log.first = at.index,
                _ => {}
            }
            let length = payload.len() as u32;
            log.bytes += u64::from(length);
            log.slots.push_back(Slot { term: at.term, leader: at.leader, length, place: None, cached: Some(payload.clone()) });
        }
        Ok(())
    }

    /// Removes every entry behind `after`, or all.
    pub(super) fn truncate(&mut self, group: GroupId, after: Option<u64>) {
        let Some(log) = self.groups.get_mut(&group) else { return };
        let keep = after.map_or(0, |after| (after + 1).saturating_sub(log.first));
        for slot in log.slots.drain((keep as usize).min(log.slots.len())..) {
            log.bytes -= u64::from(slot.length);
            self.live.remove(&slot);
        }
    }

    /// Removes every entry up to `upto`, which may lie behind the last.
    pub(super) fn purge(&mut self, group: GroupId, upto: LogPosition) {
        let Some(log) = self.groups.get_mut(&group) else { return };
        let gone = (upto.index + 1).saturating_sub(log.first);
        let gone = usize::try_from(gone).unwrap_or(usize::MAX).min(log.slots.len());
        for slot in log.slots.drain(..gone) {
            log.bytes -= u64::from(slot.length);
            self.live.remove(&slot);
        }
        log.first += gone as u64;
        if log.head.purged < Some(upto) {
            log.head.purged = Some(upto);
        }
    }

    pub(super) fn remove_group(&mut self, group: GroupId) {
        self.truncate(group, None);
        self.groups.remove(&group);
    }

    /// An entry is on disk. It may be gone from the log by now, or be another's.
    pub(super) fn place(&mut self, group: GroupId, at: LogPosition, place: Place) {
        let Some(slot) = self.groups.get_mut(&group).and_then(|log| log.slot_mut(at.index)) else { return };
        if (slot.term, slot.leader) != (at.term, at.leader) {
            return;
        }
        // Carried over from a segment that is to be used again.
        self.live.remove(slot);
        slot.place = Some(place);
        self.live.add(place.segment);
        if slot.cached.is_some() {
            let taken = u64::from(slot.length) + HELD;
            self.cached.push_back((group, at.index, taken));
            self.cached_bytes += taken;
        }
        self.evict();
    }

    fn evict(&mut self) {
        while self.cached_bytes > self.cache_limit {
            let Some((group, index, taken)) = self.cached.pop_front() else { return };
            self.cached_bytes -= taken;
            if let Some(slot) = self.groups.get_mut(&group).and_then(|log| log.slot_mut(index))
                && slot.place.is_some()
            {
                slot.cached = None;
            }
        }
    }
}
