//! Reading entries back from memory or disk.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use types::GroupId;

use super::Shared;
use super::frame::{Record, framed_length};
use super::index::{Index, Place, Slot};
use super::segment::Segment;
use crate::LogPosition;

pub(crate) type Entries = Vec<(LogPosition, Bytes)>;

/// Where an entry's payload is.
enum Source {
    Memory(Bytes),
    Disk(Arc<Segment>, Place),
}

fn position(index: u64, slot: &Slot) -> LogPosition {
    LogPosition { term: slot.term, leader: slot.leader, index }
}

fn source(index: &Index, slot: &Slot) -> Option<Source> {
    if let Some(bytes) = &slot.cached {
        return Some(Source::Memory(bytes.clone()));
    }
    let place = slot.place?;
    Some(Source::Disk(Arc::clone(index.segments.get(&place.segment)?), place))
}

fn load(group: GroupId, at: LogPosition, length: u32, segment: &Segment, place: Place) -> io::Result<Bytes> {
    let bytes = segment.read_at(place.offset, framed_length(length as usize))?;
    match segment.codec.parse(&bytes) {
        Some(frame) if frame.group == group => match frame.record {
            Record::Entry(found, payload) if found == at => Ok(payload),
            _ => Err(wrong(at, segment, place)),
        },
        _ => Err(wrong(at, segment, place)),
    }
}

fn wrong(at: LogPosition, segment: &Segment, place: Place) -> io::Error {
    let what = format!("entry {at} is not at byte {} of {}", place.offset, segment.path.display());
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// All entries of the range that are in the log, if they are in memory.
pub(super) fn cached(shared: &Shared, group: GroupId, from: u64, end: u64) -> Option<Entries> {
    let state = shared.state.lock();
    let Some(log) = state.index.groups.get(&group) else { return Some(Vec::new()) };
    log.range(from, end).map(|(index, slot)| Some((position(index, slot), slot.cached.clone()?))).collect()
}

/// All entries of the range that are in the log. Blocks on the disk.
pub(super) fn entries(shared: &Shared, group: GroupId, from: u64, end: u64) -> io::Result<Entries> {
    let found: Vec<(LogPosition, u32, Option<Source>)> = {
        let state = shared.state.lock();
        let Some(log) = state.index.groups.get(&group) else { return Ok(Vec::new()) };
        log.range(from, end).map(|(i, slot)| (position(i, slot), slot.length, source(&state.index, slot))).collect()
    };
    found
        .into_iter()
        .map(|(at, length, source)| match source {
            Some(Source::Memory(bytes)) => Ok((at, bytes)),
            // A segment in use is never deleted or written anew, so what was found under the lock stays readable.
            Some(Source::Disk(segment, place)) => Ok((at, load(group, at, length, &segment, place)?)),
            None => Err(io::Error::new(io::ErrorKind::NotFound, format!("entry {at} is neither in memory nor on disk"))),
        })
        .collect()
}

/// The live entries that stand in one segment.
pub(super) fn entries_within(index: &Index, segment: &Arc<Segment>) -> io::Result<Vec<(GroupId, LogPosition, Bytes)>> {
    let mut entries = Vec::new();
    for (group, log) in &index.groups {
        for (at, slot) in log.range(0, u64::MAX) {
            let Some(place) = slot.place.filter(|place| place.segment == segment.sequence) else { continue };
            let at = position(at, slot);
            let payload = match &slot.cached {
                Some(bytes) => bytes.clone(),
                None => load(*group, at, slot.length, segment, place)?,
            };
            entries.push((*group, at, payload));
        }
    }
    Ok(entries)
}
