//! Reading the log back at a start.
//!
//! Every segment but the last ends with a seal, and no frame is written behind a seal before it is synced. In the last segment the
//! first bad frame ends the log if what is bad can be a torn write, and is damage otherwise. One batch is written at a time and
//! synced before the next begins, so a torn write shows in the last batch alone:
//!
//! - behind a frame that ends a batch, the bad frame belongs to the next batch, and there may be no frame of a later one;
//! - behind any other, it belongs to that frame's own batch, and there may be no frame of a later one.
//!
//! Frames of a former run that lie behind the tail it left are void: each opening writes a frame with a higher run at the tail.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use types::GroupId;

use super::frame::{Codec, Frame, GroupHead, HEADER, Moment, Note, Record};
use super::index::{GroupLog, Index, Place, Slot};
use super::segment::{FIRST_FRAME, Name, Segment, read_name, segment_path, sync_dir};
use crate::OpenError;

/// What a run left.
pub(super) struct Recovered {
    pub(super) index: Index,
    /// The last segment, and where in it the log goes on; nothing for a new log.
    pub(super) tail: Option<Tail>,
}

pub(super) struct Tail {
    pub(super) segment: Arc<Segment>,
    pub(super) offset: u64,
    pub(super) moment: Moment,
}

pub(super) fn recover(dir: &Path, cache_limit: u64) -> Result<Recovered, OpenError> {
    let segments = open_segments(dir)?;
    let mut replay = Replay { dir, groups: HashMap::new() };
    let mut index = Index::new(cache_limit);
    let mut tail: Option<Tail> = None;
    for segment in segments {
        let bytes = segment.read_at(0, segment.size as usize).map_err(OpenError::io("reading", &segment.path))?;
        if let Some(tail) = &tail {
            // Prepared and not yet used: what stands before it is the log's end.
            if segment.codec.parse(&bytes[FIRST_FRAME as usize..]).is_none() {
                std::fs::remove_file(&segment.path).map_err(OpenError::io("removing", &segment.path))?;
                continue;
            }
            let what = "frames are missing or bad, and the log goes on in the next segment".to_owned();
            return Err(damaged(dir, &tail.segment.path, tail.offset, what));
        }
        let segment = Arc::new(segment);
        let end = replay.segment(&segment, &bytes)?;
        if !end.sealed {
            tail = Some(Tail { segment: Arc::clone(&segment), offset: end.offset, moment: end.moment });
        }
        index.segments.insert(segment.sequence, segment);
    }
    sync_dir(dir).map_err(OpenError::io("syncing", dir))?;
    replay.finish(&mut index)?;
    Ok(Recovered { index, tail })
}

fn damaged(dir: &Path, file: &Path, offset: u64, what: String) -> OpenError {
    OpenError::Damaged { dir: dir.to_path_buf(), file: file.to_path_buf(), offset, what }
}

fn open_segments(dir: &Path) -> Result<Vec<Segment>, OpenError> {
    let mut sequences = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(OpenError::io("reading", dir))? {
        let entry = entry.map_err(OpenError::io("reading", dir))?;
        match entry.file_name().to_str().map_or(Name::Other, read_name) {
            Name::Segment(sequence) => sequences.push(sequence),
            Name::Spare => std::fs::remove_file(entry.path()).map_err(OpenError::io("removing", &entry.path()))?,
            Name::Other => {}
        }
    }
    sequences.sort_unstable();
    let mut segments: Vec<Segment> = Vec::new();
    for sequence in sequences {
        let path: PathBuf = segment_path(dir, sequence);
        if let Some(before) = segments.last()
            && before.sequence + 1 != sequence
        {
            return Err(OpenError::MissingSegment { path });
        }
        let opened = Segment::open(path.clone(), sequence).map_err(OpenError::io("opening", &path))?;
        segments.push(opened.ok_or_else(|| damaged(dir, &path, 0, "its header is bad, or of another version".to_owned()))?);
    }
    Ok(segments)
}

/// Where a segment's frames end.
struct End {
    offset: u64,
    moment: Moment,
    sealed: bool,
}

struct Replay<'a> {
    dir: &'a Path,
    groups: HashMap<GroupId, Replayed>,
}

#[derive(Default)]
struct Replayed {
    head: Option<GroupHead>,
    slots: BTreeMap<u64, Slot>,
}

impl Replay<'_> {
    fn segment(&mut self, segment: &Segment, bytes: &[u8]) -> Result<End, OpenError> {
        let mut offset = FIRST_FRAME as usize;
        let mut moment = Moment { run: 0, batch: 0 };
        // As if a batch before the first had ended.
        let mut batch_ended = true;
        while let Some(frame) = bytes.get(offset..).and_then(|rest| segment.codec.parse(rest)) {
            if !follows(&frame, moment, batch_ended) {
                break;
            }
            moment = frame.moment;
            batch_ended = frame.last_in_batch;
            let at = offset as u64;
            offset += frame.length;
            if frame.record == Record::Note(Note::Seal) {
                return Ok(End { offset: offset as u64, moment, sealed: true });
            }
            self.frame(segment, at, frame)?;
        }
        let latest_torn = if batch_ended { moment.batch.saturating_add(1) } else { moment.batch };
        if let Some(at) = find_later(segment.codec, bytes, offset, moment.run, latest_torn) {
            let what = format!("a bad frame, and synced frames behind it from byte {at} on");
            return Err(damaged(self.dir, &segment.path, offset as u64, what));
        }
        // The torn batch's number is used up: its frames may still be here.
        Ok(End { offset: offset as u64, moment: Moment { batch: latest_torn, ..moment }, sealed: false })
    }

    fn frame(&mut self, segment: &Segment, offset: u64, frame: Frame) -> Result<(), OpenError> {
        let group = self.groups.entry(frame.group);
        let bad = |what: &str| damaged(self.dir, &segment.path, offset, format!("{}: {what}", frame.group));
        match frame.record {
            Record::Entry(at, payload) => {
                let slot = Slot {
                    term: at.term,
                    leader: at.leader,
                    length: payload.len() as u32,
                    place: Some(Place { segment: segment.sequence, offset }),
                    cached: None,
                };
                if let Some(before) = group.or_default().slots.insert(at.index, slot)
                    && (before.term, before.leader) != (at.term, at.leader)
                {
                    return Err(bad(&format!("entry {at} stands where another was not removed")));
                }
            }
            Record::Note(Note::Remove) => {
                self.groups.remove(&frame.group);
            }
            Record::Note(Note::Start(me)) => {
                let head = GroupHead { me, vote: None, purged: None, committed: None };
                group.or_default().head.get_or_insert(head);
            }
            Record::Note(Note::Checkpoint(head)) => group.or_default().head = Some(head),
            Record::Note(Note::Truncate(after)) => {
                let from = after.map_or(0, |after| after + 1);
                group.or_default().slots.split_off(&from);
            }
            Record::Note(Note::Seal | Note::Open) => {}
            Record::Note(note @ (Note::Vote(_) | Note::Purge(_) | Note::Committed(_))) => {
                let Some(head) = &mut group.or_default().head else { return Err(bad("it was never started here")) };
                note_in_head(head, &note);
            }
        }
        Ok(())
    }

    fn finish(self, index: &mut Index) -> Result<(), OpenError> {
        for (group, Replayed { head, mut slots }) in self.groups {
            let mismatch = |what: String| OpenError::Mismatch { dir: self.dir.to_path_buf(), group, what };
            let Some(head) = head else { return Err(mismatch("entries of a group that was never started".to_owned())) };
            let first = head.purged.map_or(0, |purged| purged.index + 1);
            slots = slots.split_off(&first);
            if let Some((gap, _)) = (first..).zip(slots.keys()).find(|(expected, found)| expected != *found) {
                return Err(mismatch(format!("entry {gap} is missing from the log")));
            }
            slots.values().filter_map(|slot| slot.place).for_each(|place| index.live.add(place.segment));
            let mut log = GroupLog::recovered(head, slots);
            // The replay of what was committed must not look for entries that are not there.
            log.head.committed = log.head.committed.min(log.extent().last);
            index.groups.insert(group, log);
        }
        Ok(())
    }
}

/// The part of a note that changes a group's head.
pub(super) fn note_in_head(head: &mut GroupHead, note: &Note) {
    match note {
        Note::Vote(vote) => head.vote = Some(*vote),
        Note::Purge(upto) => head.purged = head.purged.max(Some(*upto)),
        Note::Committed(at) => head.committed = Some(*at),
        Note::Start(_) | Note::Truncate(_) | Note::Remove | Note::Checkpoint(_) | Note::Seal | Note::Open => {}
    }
}

/// Whether a frame that parses is the next one, and not one that a former run or a torn batch left here.
fn follows(frame: &Frame, before: Moment, batch_ended: bool) -> bool {
    let Moment { run, batch } = frame.moment;
    if frame.record == Record::Note(Note::Open) {
        return run > before.run;
    }
    run == before.run && if batch_ended { batch > before.batch } else { batch == before.batch }
}

/// Where behind `from` a frame stands that was written after the batch that may be torn was synced.
fn find_later(codec: Codec, bytes: &[u8], from: usize, run: u16, latest_torn: u32) -> Option<u64> {
    let mut at = from;
    while at + HEADER <= bytes.len() {
        if let Some(frame) = codec.parse(&bytes[at..]) {
            let Moment { run: its_run, batch } = frame.moment;
            // The opening frame itself may be what is torn; what comes behind it was written after its sync.
            let opening = frame.record == Record::Note(Note::Open);
            if (its_run == run && batch > latest_torn) || (its_run > run && !opening) {
                return Some(at as u64);
            }
        }
        at += 8;
    }
    None
}
