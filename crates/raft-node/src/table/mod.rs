//! The state machine of a core over tables: a double buffer over redb.
//!
//! Entries are applied to an overlay in memory and are seen by readers at once; a flush freezes the overlay and writes it behind
//! in one transaction together with the index it reaches, while the next overlay fills. A reader sees overlay over frozen
//! overlay over the last commit, all of one applied index.
//!
//! Order within a flush: freeze, commit, then pin the new commit and drop the frozen overlay under one lock. In between the
//! frozen rows are seen twice, with the same values.

mod answers;
mod faults;
mod layers;
mod overlay;
mod snapshot;
mod stats;
mod store;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock, RwLockUpgradableReadGuard};
use sha2::{Digest, Sha256};
use tables::{ReadTables, StorageFault};
use types::LogIndex;

use crate::{Command, Core, Entry, OpenError, Progress, SnapshotSink, SnapshotSource, StateMachine};
use answers::Answers;
use faults::Faults;
use layers::{Batch, Layers};
use overlay::Overlay;
use snapshot::{TableSink, TableSource};
pub use stats::ScanStats;
use stats::Stats;
use store::{Pinned, Store, unseal};

#[derive(Debug, Clone)]
pub struct TableOptions {
    /// Memory for pages read from disk.
    pub cache_bytes: usize,
    /// The most that applied and unflushed changes may take; beyond it applying waits for a flush.
    pub overlay_bytes: u64,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, overlay_bytes: 16 << 20 }
    }
}

/// A hash over all rows at one applied index: equal indexes must have equal hashes on all members.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StateDigest {
    pub index: LogIndex,
    pub rows: u64,
    pub sha256: [u8; 32],
}

impl fmt::Display for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/", self.index.0, self.rows)?;
        self.sha256.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub struct TableMachine<C> {
    core: C,
    shared: Arc<Shared>,
}

/// What sources and sinks of snapshots need of the machine.
struct Shared {
    path: PathBuf,
    options: TableOptions,
    view: RwLock<View>,
    /// Held by the one flush or install that is under way. Taken before `view`, never within it.
    flushing: Mutex<()>,
    /// Of the applied state; used by `apply` alone and replaced by an install, which never meet.
    answers: Mutex<Answers>,
    unflushed: AtomicU64,
    /// Snapshots taken in since the start, finished or not: names their files.
    transfers: AtomicU64,
    stats: Stats,
    faults: Faults,
}

struct View {
    active: Overlay,
    frozen: Option<Arc<Overlay>>,
    pinned: Pinned,
    store: Arc<Store>,
    /// What `active` over `frozen` over `pinned` amounts to.
    progress: Progress,
}

impl<C> fmt::Debug for TableMachine<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableMachine").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl<C: Core> TableMachine<C> {
    /// Opens the tables in the redb file at `path`, or makes them.
    pub fn open(path: &Path, core: C, options: TableOptions) -> Result<Arc<Self>, OpenError> {
        snapshot::discard_incoming(path)?;
        let store = Store::open(path, options.cache_bytes)?;
        let pinned = store.pin()?;
        let view = View {
            progress: pinned.progress().clone(),
            active: Overlay::default(),
            frozen: None,
            pinned,
            store: Arc::new(store),
        };
        let shared = Shared {
            path: path.to_path_buf(),
            options,
            view: RwLock::new(view),
            flushing: Mutex::new(()),
            answers: Mutex::default(),
            unflushed: AtomicU64::new(0),
            transfers: AtomicU64::new(0),
            stats: Stats::default(),
            faults: Faults::default(),
        };
        let answers = Answers::load(&shared.view.read().layers(&shared))?;
        *shared.answers.lock() = answers;
        Ok(Arc::new(Self { core, shared: Arc::new(shared) }))
    }

    /// One consistent view of all tables, at the applied index given. Applying waits meanwhile: keep `reader` short, and do not
    /// read again within it.
    pub fn read<R>(&self, reader: impl FnOnce(&dyn ReadTables, LogIndex) -> R) -> R {
        let view = self.shared.view.read();
        reader(&view.layers(&self.shared), view.progress.index())
    }

    /// What reading from disk has cost since the start.
    pub fn scan_stats(&self) -> ScanStats {
        self.shared.stats.read()
    }

    /// Hashes all rows as of now, from disk, without holding anything up.
    pub fn digest(&self) -> Result<StateDigest, StorageFault> {
        self.shared.flush()?;
        let pinned = self.shared.pin()?;
        let hashed = digest(&pinned, &self.shared.stats);
        self.shared.faults.note(hashed)
    }

    fn apply_one(&self, entry: &Entry<'_>, answers: &mut Answers, batch: &mut Batch<'_>) -> Result<Bytes, StorageFault> {
        let Some(Command { request, bytes }) = entry.command else { return Ok(Bytes::new()) };
        if let Some(given) = request.and_then(|request| answers.of(request)) {
            return Ok(given);
        }
        let answer = Bytes::from(self.core.apply(entry.index, bytes, batch)?);
        if let Some(request) = request {
            answers.store(request, entry.index, &answer, batch);
        }
        Ok(answer)
    }

    fn apply_batch(&self, batch: &[Entry<'_>], progress: Progress) -> Result<Vec<Bytes>, StorageFault> {
        let shared = &*self.shared;
        // Readers go on while the core works; they wait only for the changes to be laid over.
        let view = shared.view.upgradable_read();
        let mut changes = Batch { changes: Overlay::default(), below: view.layers(shared) };
        let mut answers = shared.answers.lock();
        let replies: Result<Vec<Bytes>, StorageFault> =
            batch.iter().map(|entry| self.apply_one(entry, &mut answers, &mut changes)).collect();
        let replies = replies?;
        let changes = changes.changes;
        let mut view = RwLockUpgradableReadGuard::upgrade(view);
        view.active.absorb(changes);
        view.progress = progress;
        shared.unflushed.store(view.active.bytes(), Ordering::Relaxed);
        Ok(replies)
    }
}

impl View {
    fn layers<'v>(&'v self, shared: &'v Shared) -> Layers<'v> {
        Layers {
            overlays: [None, Some(&self.active), self.frozen.as_deref()],
            pinned: &self.pinned,
            stats: &shared.stats,
            faults: &shared.faults,
        }
    }
}

impl Shared {
    fn pin(&self) -> Result<Pinned, StorageFault> {
        let store = Arc::clone(&self.view.read().store);
        self.faults.note(store.pin())
    }

    fn flush(&self) -> Result<LogIndex, StorageFault> {
        let _one_at_a_time = self.flushing.lock();
        self.faults.check()?;
        let (frozen, progress, store) = {
            let mut view = self.view.write();
            if view.progress == *view.pinned.progress() {
                return Ok(view.progress.index());
            }
            let frozen = Arc::new(std::mem::take(&mut view.active));
            view.frozen = Some(Arc::clone(&frozen));
            self.unflushed.store(0, Ordering::Relaxed);
            (frozen, view.progress.clone(), Arc::clone(&view.store))
        };
        // After a failed commit nobody knows what is on disk: the fault stays, nothing is tried again.
        let pinned = self.faults.note(store.commit(&frozen, &progress).and_then(|()| store.pin()))?;
        let former = {
            let mut view = self.view.write();
            (view.frozen.take(), std::mem::replace(&mut view.pinned, pinned))
        };
        drop((former, frozen));
        Ok(progress.index())
    }

    /// Puts another store in the place of all that is here. `flushing` is held by the caller.
    fn replace(&self, store: Store) -> Result<(), StorageFault> {
        let pinned = store.pin()?;
        let below = Layers { overlays: [None; 3], pinned: &pinned, stats: &self.stats, faults: &self.faults };
        let answers = Answers::load(&below)?;
        let mut view = self.view.write();
        *self.answers.lock() = answers;
        self.unflushed.store(0, Ordering::Relaxed);
        *view = View {
            progress: pinned.progress().clone(),
            active: Overlay::default(),
            frozen: None,
            pinned,
            store: Arc::new(store),
        };
        Ok(())
    }
}

fn digest(pinned: &Pinned, stats: &Stats) -> Result<StateDigest, StorageFault> {
    let mut hash = Sha256::new();
    let mut rows = 0;
    let mut cursor = pinned.cursor(&[], None, stats)?;
    while let Some((key, sealed)) = cursor.sealed_row() {
        let value = unseal(key, sealed)?;
        for part in [key, value] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        rows += 1;
        cursor.advance()?;
    }
    Ok(StateDigest { index: pinned.progress().index(), rows, sha256: hash.finalize().into() })
}

impl<C: Core> StateMachine for TableMachine<C> {
    fn progress(&self) -> Result<Progress, StorageFault> {
        Ok(self.shared.view.read().progress.clone())
    }

    fn apply(&self, batch: &[Entry<'_>], progress: Progress) -> Result<Vec<Bytes>, StorageFault> {
        self.shared.faults.check()?;
        if self.shared.unflushed.load(Ordering::Relaxed) > self.shared.options.overlay_bytes {
            self.shared.flush()?;
        }
        let applied = self.apply_batch(batch, progress);
        self.shared.faults.note(applied)
    }

    fn flush(&self) -> Result<LogIndex, StorageFault> {
        self.shared.flush()
    }

    fn snapshot(&self) -> Result<(Progress, Box<dyn SnapshotSource>), StorageFault> {
        self.shared.flush()?;
        let pinned = self.shared.pin()?;
        let progress = pinned.progress().clone();
        Ok((progress, Box::new(TableSource::new(pinned, Arc::clone(&self.shared)))))
    }

    fn install(&self) -> Result<Box<dyn SnapshotSink>, StorageFault> {
        self.shared.faults.check()?;
        Ok(Box::new(TableSink::begin(Arc::clone(&self.shared))?))
    }

    fn applied_bytes(&self) -> u64 {
        self.shared.unflushed.load(Ordering::Relaxed)
    }

    fn health(&self) -> Result<(), StorageFault> {
        self.shared.faults.check()
    }
}

#[cfg(test)]
mod tests;
