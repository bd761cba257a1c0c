//! The write-ahead log: one for all groups of a process.
//!
//! An operation changes the index in memory when it is queued, in the order of the calls, and is done when its bytes are synced.
//! Appends of all groups that meet in the queue share one write and one sync. What a group must remember beside its entries (vote,
//! purge point, whose log it is) is written anew at the head of every segment, so a segment without live entries can go.
//!
//! A failed write or sync is final: every later operation fails, and the process must end and read its log anew.

mod flusher;
mod frame;
mod index;
mod read;
mod recovery;
mod repair;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;
use types::GroupId;

use self::flusher::{Flusher, Preparer, Writer};
use self::frame::Note;
pub(crate) use self::frame::{GroupHead, StoredVote};
pub(crate) use self::index::LogExtent;
use self::index::{GroupLog, Index};
pub(crate) use self::read::Entries;
pub use self::repair::{WalRepair, repair_wal};
use crate::{LogPosition, OpenError};

#[derive(Debug, Clone)]
pub struct WalOptions {
    /// The first segment's size; each is four times its predecessor up to `segment_bytes`, so that a small install stays small.
    pub first_segment_bytes: u64,
    pub segment_bytes: u64,
    /// Recent entries held in memory, for followers and for applying.
    pub cache_bytes: u64,
    /// With more segments than this the oldest one's live entries are moved, so that one idle group does not hold up the rest.
    pub segments_kept: usize,
    /// The largest command that is taken.
    pub max_command_bytes: usize,
}

impl Default for WalOptions {
    fn default() -> Self {
        Self {
            first_segment_bytes: 16 << 20,
            segment_bytes: 64 << 20,
            cache_bytes: 16 << 20,
            segments_kept: 16,
            max_command_bytes: 4 << 20,
        }
    }
}

impl WalOptions {
    fn validate(&self) -> Result<(), OpenError> {
        let most = self.max_command_bytes as u64;
        if self.first_segment_bytes > self.segment_bytes || self.segment_bytes > u64::from(u32::MAX) {
            return Err(OpenError::Config("wal: first_segment_bytes <= segment_bytes < 4 GiB".to_owned()));
        }
        // Room for a command, for the checkpoints of many groups, and for the seal.
        if self.first_segment_bytes < most + (128 << 10) {
            return Err(OpenError::Config("wal: first_segment_bytes must exceed max_command_bytes by 128 KiB".to_owned()));
        }
        Ok(())
    }
}

/// Called once, by the thread that writes the log: it must not wait.
pub(crate) type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

enum Change {
    Append(Entries),
    Note(Note),
}

struct Operation {
    group: GroupId,
    change: Change,
    done: Option<Done>,
}

struct Shared {
    state: Mutex<State>,
    queued: Condvar,
    failure: watch::Sender<Option<String>>,
    syncs: AtomicU64,
}

struct State {
    index: Index,
    queue: VecDeque<Operation>,
    /// The writing thread need not be woken for fewer operations.
    wanted: usize,
    /// Commit points to write along with the next operation; none of them is worth a sync of its own.
    committed: BTreeMap<GroupId, LogPosition>,
    closing: bool,
    failed: Option<String>,
}

impl Shared {
    fn count_syncs(&self, syncs: &mut u64) {
        let count = std::mem::take(syncs);
        self.syncs.fetch_add(count, Ordering::Relaxed);
        metrics::counter!("raft_wal_syncs").increment(count);
    }
}

/// A handle to the log. The log closes, with all that is queued written, when the last handle goes.
#[derive(Clone)]
pub(crate) struct Wal(Arc<Closing>);

struct Closing {
    shared: Arc<Shared>,
    flusher: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// Held until the log is closed: then another may open it, even while handles are left.
    lock: Mutex<Option<File>>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.close();
    }
}

impl Closing {
    fn close(&self) {
        self.shared.state.lock().closing = true;
        self.shared.queued.notify_one();
        let Some(flusher) = self.flusher.lock().take() else { return };
        // The last handle may go within a completion, on the flusher's own thread.
        if flusher.thread().id() != std::thread::current().id() && flusher.join().is_err() {
            tracing::error!("the thread that writes the log panicked");
        }
        *self.lock.lock() = None;
    }
}

impl Wal {
    /// Reads back what is in `dir` and goes on behind it. Blocks.
    pub(crate) fn open(dir: &Path, options: WalOptions) -> Result<Self, OpenError> {
        options.validate()?;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(OpenError::io("making", dir))?;
        sync_parent(dir).map_err(OpenError::io("syncing the folder of", dir))?;
        let lock = lock(dir)?;
        let recovery::Recovered { mut index, tail } = recovery::recover(dir, options.cache_bytes)?;
        let heads = index.groups.iter().map(|(group, log)| (*group, log.head.clone())).collect();
        let last = index.segments.last_key_value().map(|(sequence, _)| *sequence);
        let started = Preparer::start(dir.to_path_buf()).and_then(|p| Writer::start(options, tail, last, heads, p));
        let mut writer = started.map_err(OpenError::io("writing to the log in", dir))?;
        index.segments.extend(writer.entered().into_iter().map(|segment| (segment.sequence, segment)));
        let state = State { index, queue: VecDeque::new(), wanted: 1, committed: BTreeMap::new(), closing: false, failed: None };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            queued: Condvar::new(),
            failure: watch::Sender::new(None),
            syncs: AtomicU64::new(0),
        });
        let flusher = Flusher::new(Arc::clone(&shared), writer);
        let thread = std::thread::Builder::new().name("wal-flusher".to_owned()).spawn(move || flusher.run());
        let thread = thread.map_err(OpenError::io("starting the thread that writes", dir))?;
        Ok(Self(Arc::new(Closing { shared, flusher: Mutex::new(Some(thread)), lock: Mutex::new(Some(lock)) })))
    }

    /// Writes what is queued and ends the writing thread. Operations queued later fail.
    pub(crate) fn close(&self) {
        self.0.close();
    }

    /// Syncs of the log so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.0.shared.syncs.load(Ordering::Relaxed)
    }

    /// Turns to a text when the log cannot be written any more.
    pub(crate) fn failure(&self) -> watch::Receiver<Option<String>> {
        self.0.shared.failure.subscribe()
    }

    pub(crate) fn groups(&self) -> Vec<GroupId> {
        let mut groups: Vec<GroupId> = self.0.shared.state.lock().index.groups.keys().copied().collect();
        groups.sort_unstable();
        groups
    }

    pub(crate) fn head(&self, group: GroupId) -> Option<GroupHead> {
        self.0.shared.state.lock().index.groups.get(&group).map(|log| log.head.clone())
    }

    pub(crate) fn extent(&self, group: GroupId) -> LogExtent {
        self.0.shared.state.lock().index.groups.get(&group).map_or_else(LogExtent::default, GroupLog::extent)
    }

    pub(crate) fn start_group(&self, group: GroupId, me: u64, done: Done) {
        self.queue(group, Change::Note(Note::Start(me)), Some(done), |index| {
            let head = GroupHead { me, vote: None, purged: None, committed: None };
            index.groups.entry(group).or_insert_with(|| GroupLog::new(head));
            Ok(())
        });
    }

    pub(crate) fn remove_group(&self, group: GroupId, done: Done) {
        self.queue(group, Change::Note(Note::Remove), Some(done), |index| {
            known(index, group)?;
            index.remove_group(group);
            Ok(())
        });
    }

    /// The entries can be read when this returns, and are on disk when `done` is called.
    pub(crate) fn append(&self, group: GroupId, entries: Entries, done: Done) {
        self.queue_with(group, Some(done), |index| {
            index.append(group, &entries)?;
            Ok(Change::Append(entries))
        });
    }

    pub(crate) fn save_vote(&self, group: GroupId, vote: StoredVote, done: Done) {
        self.queue(group, Change::Note(Note::Vote(vote)), Some(done), |index| {
            known(index, group)?.head.vote = Some(vote);
            Ok(())
        });
    }

    pub(crate) fn truncate_after(&self, group: GroupId, after: Option<u64>, done: Done) {
        self.queue(group, Change::Note(Note::Truncate(after)), Some(done), |index| {
            known(index, group)?;
            index.truncate(group, after);
            Ok(())
        });
    }

    pub(crate) fn purge(&self, group: GroupId, upto: LogPosition, done: Done) {
        self.queue(group, Change::Note(Note::Purge(upto)), Some(done), |index| {
            known(index, group)?;
            index.purge(group, upto);
            Ok(())
        });
    }

    /// Written along with the next operation: losing it costs a restart some waiting for a leader, nothing else.
    pub(crate) fn save_committed(&self, group: GroupId, at: LogPosition) {
        let mut state = self.0.shared.state.lock();
        if let Some(log) = state.index.groups.get_mut(&group) {
            log.head.committed = Some(at);
            state.committed.insert(group, at);
        }
    }

    /// Where to end a read from `from` on so that it has about so many bytes, but one entry at least.
    pub(crate) fn limit(&self, group: GroupId, from: u64, end: u64, bytes: usize) -> u64 {
        self.0.shared.state.lock().index.groups.get(&group).map_or(end, |log| log.limit(from, end, bytes))
    }

    /// The entries of the range, as far as they are in the log, if all of them are in memory.
    pub(crate) fn read_cached(&self, group: GroupId, from: u64, end: u64) -> Option<Entries> {
        read::cached(&self.0.shared, group, from, end)
    }

    /// The entries of the range, as far as they are in the log. Blocks on the disk.
    pub(crate) fn read(&self, group: GroupId, from: u64, end: u64) -> io::Result<Entries> {
        read::entries(&self.0.shared, group, from, end)
    }

    fn queue(&self, group: GroupId, change: Change, done: Option<Done>, update: impl FnOnce(&mut Index) -> Result<(), String>) {
        self.queue_with(group, done, |index| update(index).map(|()| change));
    }

    /// Changes the index and queues what is to be written, as one step.
    fn queue_with(&self, group: GroupId, done: Option<Done>, update: impl FnOnce(&mut Index) -> Result<Change, String>) {
        let mut state = self.0.shared.state.lock();
        let refused = match (&state.failed, state.closing) {
            (Some(failed), _) => Some(failed.clone()),
            (None, true) => Some("the log is closed".to_owned()),
            (None, false) => None,
        };
        let outcome = refused.map_or_else(|| update(&mut state.index), Err);
        match outcome {
            Ok(change) => {
                state.queue.push_back(Operation { group, change, done });
                let is_enough = state.queue.len() >= state.wanted;
                drop(state);
                if is_enough {
                    self.0.shared.queued.notify_one();
                }
            }
            Err(why) => {
                drop(state);
                flusher::complete(done, Err(io::Error::other(why)));
            }
        }
    }
}

/// A note about a group that has no log would make one at the next start.
fn known(index: &mut Index, group: GroupId) -> Result<&mut GroupLog, String> {
    index.groups.get_mut(&group).ok_or_else(|| format!("{group} has no log here"))
}

/// A folder whose name is not on disk takes all that is synced within it along.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => segment::sync_dir(Path::new(".")),
        Some(parent) => segment::sync_dir(parent),
        None => Ok(()),
    }
}

/// Keeps a second process out of the folder.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(OpenError::io("opening", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(OpenError::Config(format!("another process uses the log in {}", dir.display())))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(OpenError::io("locking", &path)(error)),
    }
}
