//! The one thread that writes the log.
//!
//! It takes everything that is queued, writes it with one call, syncs once and only then completes the operations, in order. While
//! a sync is under way the next batch collects: the more load, the more entries share a sync. On a disk whose syncs are short
//! little would collect, so where the last batch shows that many write at once the next waits a moment for them to come back;
//! a writer who is alone never waits.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;
use types::GroupId;

use super::frame::{GroupHead, Moment, Note, framed_length};
use super::index::{Index, Place};
use super::recovery::{Tail, note_in_head};
use super::segment::{FIRST_FRAME, Segment};
use super::{Change, Done, Operation, Shared, State, WalOptions};
use crate::LogPosition;

/// Room kept for the seal at a segment's end.
const SEAL_ROOM: u64 = 96;

/// With fewer operations in a batch there is nobody worth waiting for. With so many it is worth waiting a sync's length, with
/// more in proportion: so a batch of 32 writers takes all of them, and few writers wait little.
const MANY: u32 = 3;
/// However long this disk's syncs are.
const LINGER_MAX: Duration = Duration::from_millis(3);

pub(super) struct Flusher {
    shared: Arc<Shared>,
    writer: Writer,
    last: Batch,
    before_last: Batch,
}

/// What a batch told about the load.
#[derive(Clone, Copy, Default)]
struct Batch {
    operations: usize,
    took: Duration,
}

/// Written frames' places, to be noted once they are synced.
type Placed = Vec<(GroupId, LogPosition, Place)>;

/// What one batch works from, taken together so that it is one state of the index.
struct Taken {
    operations: VecDeque<Operation>,
    committed: BTreeMap<GroupId, LogPosition>,
    /// Segments without a live entry as of the last operation taken; free once these are synced.
    unused: Vec<u64>,
    /// Live entries of the oldest segment, where it pins too many behind it.
    carried: Vec<(GroupId, LogPosition, bytes::Bytes)>,
}

impl Flusher {
    pub(super) fn new(shared: Arc<Shared>, writer: Writer) -> Self {
        Self { shared, writer, last: Batch::default(), before_last: Batch::default() }
    }

    /// Works until the log is closed or a write fails.
    pub(super) fn run(mut self) {
        while let Some(taken) = self.take() {
            let Taken { mut operations, committed, unused, carried } = taken;
            let began = Instant::now();
            let outcome = self.write(&operations, &committed, &carried);
            self.before_last = std::mem::replace(&mut self.last, Batch { operations: operations.len(), took: began.elapsed() });
            match outcome {
                Ok(placed) => {
                    self.settle(placed, &unused);
                    operations.drain(..).filter_map(|operation| operation.done).for_each(|done| done(Ok(())));
                }
                Err(error) => return self.fail(&error, operations),
            }
        }
    }

    fn take(&mut self) -> Option<Taken> {
        let mut state = self.shared.state.lock();
        while state.queue.is_empty() && !state.closing {
            self.shared.queued.wait(&mut state);
        }
        self.linger(&mut state);
        if state.queue.is_empty() && state.committed.is_empty() {
            return None;
        }
        let current = self.writer.segment.sequence;
        let unused = unused_segments(&state.index, current);
        let carried = self.to_carry(&state.index, unused.len());
        let operations = std::mem::take(&mut state.queue);
        Some(Taken { operations, committed: std::mem::take(&mut state.committed), unused, carried })
    }

    /// Until as many are back as wrote a moment ago, but not for long.
    fn linger(&self, state: &mut MutexGuard<'_, State>) {
        let many = u32::try_from(self.last.operations).unwrap_or(u32::MAX);
        if many <= MANY {
            return;
        }
        let until = Instant::now() + (self.last.took * many / MANY).min(LINGER_MAX);
        state.wanted = self.last.operations + self.before_last.operations;
        while state.queue.len() < state.wanted && !state.closing {
            if self.shared.queued.wait_until(state, until).timed_out() {
                break;
            }
        }
        state.wanted = 1;
    }

    /// What must move so that the oldest segment can be used again: a group that is seldom purged must not keep all that others
    /// wrote since.
    fn to_carry(&self, index: &Index, unused: usize) -> Vec<(GroupId, LogPosition, bytes::Bytes)> {
        if unused > 0 || index.segments.len() <= self.writer.options.segments_kept {
            return Vec::new();
        }
        let Some((oldest, segment)) = index.segments.first_key_value() else { return Vec::new() };
        if *oldest == self.writer.segment.sequence {
            return Vec::new();
        }
        match super::read::entries_within(index, segment) {
            Ok(entries) => entries,
            Err(error) => {
                // The segment stays, and whoever needs the entry will meet the damage.
                tracing::error!(segment = %segment.path.display(), %error, "cannot move entries out of the oldest segment");
                Vec::new()
            }
        }
    }

    fn write(
        &mut self,
        operations: &VecDeque<Operation>,
        committed: &BTreeMap<GroupId, LogPosition>,
        carried: &[(GroupId, LogPosition, bytes::Bytes)],
    ) -> io::Result<Placed> {
        for Operation { group, change, .. } in operations {
            match change {
                Change::Append(entries) => {
                    for (at, payload) in entries {
                        self.writer.entry(*group, *at, payload)?;
                    }
                }
                Change::Note(note) => self.writer.note(*group, note)?,
            }
        }
        for (group, at) in committed {
            // Said of a group that was removed since, it would revive it.
            if self.writer.heads.contains_key(group) {
                self.writer.note(*group, &Note::Committed(*at))?;
            }
        }
        for (group, at, payload) in carried {
            self.writer.entry(*group, *at, payload)?;
        }
        self.writer.sync()?;
        self.shared.count_syncs(&mut self.writer.syncs);
        Ok(std::mem::take(&mut self.writer.placed))
    }

    fn settle(&mut self, placed: Placed, unused: &[u64]) {
        let mut state = self.shared.state.lock();
        for segment in self.writer.entered.drain(..) {
            state.index.segments.insert(segment.sequence, segment);
        }
        for (group, at, place) in placed {
            state.index.place(group, at, place);
        }
        for sequence in unused {
            state.index.live.forget(*sequence);
            if let Some(segment) = state.index.segments.remove(sequence) {
                self.writer.retire(segment);
            }
        }
    }

    fn fail(self, error: &io::Error, operations: VecDeque<Operation>) {
        let what = format!("writing the log: {error}");
        tracing::error!(%error, "the log cannot be written; this process must end");
        let waiting = {
            let mut state = self.shared.state.lock();
            state.failed = Some(what.clone());
            std::mem::take(&mut state.queue)
        };
        self.shared.failure.send_replace(Some(what.clone()));
        for done in operations.into_iter().chain(waiting).filter_map(|operation| operation.done) {
            done(Err(io::Error::other(what.clone())));
        }
    }
}

/// Oldest first, without a gap, so that what is left begins with a segment whose head tells every group's state.
fn unused_segments(index: &Index, current: u64) -> Vec<u64> {
    index.segments.keys().copied().take_while(|sequence| *sequence < current && index.live.of(*sequence) == 0).collect()
}

/// The write position and what is needed to go on from it.
pub(super) struct Writer {
    options: WalOptions,
    segment: Arc<Segment>,
    /// Where `buffer` goes.
    offset: u64,
    moment: Moment,
    buffer: Vec<u8>,
    last_frame: Option<usize>,
    /// Each group's state as of the last frame written, for the checkpoints.
    heads: BTreeMap<GroupId, GroupHead>,
    placed: Placed,
    entered: Vec<Arc<Segment>>,
    syncs: u64,
    preparer: Preparer,
}

impl Writer {
    /// Goes on at the tail of a former run, or in the first segment of a new log.
    pub(super) fn start(
        options: WalOptions,
        tail: Option<Tail>,
        last_sequence: Option<u64>,
        heads: BTreeMap<GroupId, GroupHead>,
        preparer: Preparer,
    ) -> io::Result<Self> {
        let (segment, offset, moment) = match tail {
            Some(Tail { segment, offset, moment }) => (segment, offset, moment),
            None => {
                let sequence = last_sequence.map_or(1, |last| last + 1);
                let segment = Segment::prepare(&preparer.dir, sequence, options.first_segment_bytes, None)?;
                (Arc::new(segment), FIRST_FRAME, Moment { run: 0, batch: 0 })
            }
        };
        let moment = Moment { batch: moment.batch + 1, ..moment };
        let entered = vec![Arc::clone(&segment)];
        let fresh = offset == FIRST_FRAME;
        let mut writer = Self {
            options,
            segment,
            offset,
            moment,
            buffer: Vec::new(),
            last_frame: None,
            heads,
            placed: Vec::new(),
            entered,
            syncs: 0,
            preparer,
        };
        writer.open_run(fresh)?;
        Ok(writer)
    }

    /// Makes void what a former run may have left behind the tail.
    fn open_run(&mut self, fresh: bool) -> io::Result<()> {
        if self.moment.run == u16::MAX || !self.has_room(Self::note_length(&Note::Open)) {
            self.roll_over()?;
        } else {
            self.moment.run += 1;
            self.put_note(GroupId(0), &Note::Open);
            if fresh {
                self.checkpoint();
            }
        }
        self.sync()
    }

    pub(super) fn entered(&mut self) -> Vec<Arc<Segment>> {
        std::mem::take(&mut self.entered)
    }

    fn note_length(note: &Note) -> usize {
        framed_length(tables::encode(note).len())
    }

    fn position(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    fn has_room(&self, length: usize) -> bool {
        self.position() + length as u64 + SEAL_ROOM <= self.segment.size
    }

    fn entry(&mut self, group: GroupId, at: LogPosition, payload: &[u8]) -> io::Result<()> {
        self.make_room(framed_length(payload.len()))?;
        self.last_frame = Some(self.buffer.len());
        self.placed.push((group, at, Place { segment: self.segment.sequence, offset: self.position() }));
        self.segment.codec.put_entry(&mut self.buffer, self.moment, group, at, payload);
        Ok(())
    }

    fn note(&mut self, group: GroupId, note: &Note) -> io::Result<()> {
        self.make_room(Self::note_length(note))?;
        match note {
            Note::Start(me) => {
                let head = GroupHead { me: *me, vote: None, purged: None, committed: None };
                self.heads.entry(group).or_insert(head);
            }
            Note::Remove => {
                self.heads.remove(&group);
            }
            note => {
                if let Some(head) = self.heads.get_mut(&group) {
                    note_in_head(head, note);
                }
            }
        }
        self.put_note(group, note);
        Ok(())
    }

    fn put_note(&mut self, group: GroupId, note: &Note) {
        self.last_frame = Some(self.buffer.len());
        self.segment.codec.put_note(&mut self.buffer, self.moment, group, note);
    }

    fn checkpoint(&mut self) {
        let heads: Vec<(GroupId, GroupHead)> = self.heads.iter().map(|(group, head)| (*group, head.clone())).collect();
        for (group, head) in heads {
            self.put_note(group, &Note::Checkpoint(head));
        }
    }

    fn make_room(&mut self, length: usize) -> io::Result<()> {
        if self.has_room(length) {
            return Ok(());
        }
        self.roll_over()?;
        if self.has_room(length) {
            return Ok(());
        }
        Err(io::Error::other(format!("a record of {length} bytes does not fit a segment of {} bytes", self.segment.size)))
    }

    /// Ends this segment with a seal, durably, and begins the next with every group's state.
    fn roll_over(&mut self) -> io::Result<()> {
        self.put_note(GroupId(0), &Note::Seal);
        self.sync()?;
        self.segment = Arc::new(self.preparer.next(&self.segment, &self.options)?);
        self.entered.push(Arc::clone(&self.segment));
        self.offset = FIRST_FRAME;
        self.moment = Moment { run: 0, batch: 1 };
        self.checkpoint();
        Ok(())
    }

    /// Writes what is buffered and waits until it is on disk.
    fn sync(&mut self) -> io::Result<()> {
        let Some(last) = self.last_frame.take() else { return Ok(()) };
        self.segment.codec.mark_last(&mut self.buffer, last);
        self.segment.file.write_all_at(&self.buffer, self.offset)?;
        self.segment.file.sync_data()?;
        self.syncs += 1;
        self.offset += self.buffer.len() as u64;
        self.moment.batch += 1;
        self.buffer.clear();
        self.buffer.shrink_to(4 << 20);
        if self.offset > self.segment.size / 2 {
            self.preparer.hurry(&self.segment, &self.options)?;
        }
        Ok(())
    }

    /// A segment without a live entry: kept for use as a later one, or deleted. What is older goes first, so that the segments on
    /// disk are always without a gap: a spare keeps its name until it is used.
    fn retire(&mut self, segment: Arc<Segment>) {
        if let Some(older) = self.preparer.spare.take() {
            self.preparer.delete(&older);
        }
        match Arc::try_unwrap(segment) {
            Ok(segment) if segment.size >= self.options.segment_bytes => self.preparer.spare = Some(segment),
            Ok(segment) => self.preparer.delete(&segment),
            // Somebody still reads it.
            Err(segment) => self.preparer.delete(&segment),
        }
    }
}

/// Gets segments ready ahead of their use, on a thread of its own: filling one with zeros takes longer than many syncs.
pub(super) struct Preparer {
    dir: std::path::PathBuf,
    /// Gone once the thread is to end.
    orders: Option<mpsc::Sender<Order>>,
    ready: mpsc::Receiver<io::Result<Segment>>,
    thread: Option<std::thread::JoinHandle<()>>,
    ordered: bool,
    spare: Option<Segment>,
}

impl Drop for Preparer {
    /// Nothing may change in the folder once the log is closed.
    fn drop(&mut self) {
        self.orders = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that prepares segments panicked");
        }
    }
}

struct Order {
    sequence: u64,
    size: u64,
    former: Option<Segment>,
}

impl Preparer {
    pub(super) fn start(dir: std::path::PathBuf) -> io::Result<Self> {
        let (orders, queue) = mpsc::channel::<Order>();
        let (done, ready) = mpsc::channel();
        let folder = dir.clone();
        let thread = std::thread::Builder::new().name("wal-preparer".to_owned()).spawn(move || {
            while let Ok(Order { sequence, size, former }) = queue.recv() {
                if done.send(Segment::prepare(&folder, sequence, size, former)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { dir, orders: Some(orders), ready, thread: Some(thread), ordered: false, spare: None })
    }

    /// Orders the segment behind `current`, unless that was done.
    fn hurry(&mut self, current: &Segment, options: &WalOptions) -> io::Result<()> {
        if self.ordered {
            return Ok(());
        }
        let size = current.size.saturating_mul(4).clamp(options.first_segment_bytes, options.segment_bytes);
        let sequence = current.sequence + 1;
        let former = self.spare.take().map(|spare| spare.give_up_name(&self.dir, sequence)).transpose()?;
        self.ordered = self.orders.as_ref().is_some_and(|orders| orders.send(Order { sequence, size, former }).is_ok());
        Ok(())
    }

    fn next(&mut self, current: &Segment, options: &WalOptions) -> io::Result<Segment> {
        self.hurry(current, options)?;
        self.ordered = false;
        self.ready.recv().map_err(|_| io::Error::other("the thread that prepares segments has ended"))?
    }

    fn delete(&self, segment: &Segment) {
        // Left over it costs space, and at the next start it is read for nothing.
        if let Err(error) = std::fs::remove_file(&segment.path) {
            tracing::warn!(segment = %segment.path.display(), %error, "cannot delete a segment");
        }
    }
}

pub(super) fn complete(done: Option<Done>, outcome: io::Result<()>) {
    if let Some(done) = done {
        done(outcome);
    }
}
