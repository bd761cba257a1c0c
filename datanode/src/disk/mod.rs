//! One disk: its identity, its index, its space and its health.
//!
//! ```text
//! <disk>/lock                    held by the process that uses it
//!        identity                whose disk this is
//!        index.redb              rows for every block (`datanode_core::rows`)
//!        ballast                 space that is held for a full disk
//!        containers/<id>.data    the blocks themselves (docs/formats/container-file.md)
//!        containers/<id>.tmp     a copy that is being fetched; removed at start
//! ```
//!
//! A write or a sync that fails takes the disk out of service for as long as the process runs: what the kernel then holds of the
//! file is not known to anybody. No space left is no failure; it is refused, and deletes go on.

mod ballast;
mod identity;
mod index;
mod index_file;
mod rebuild;
mod room;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use datanode_core::space::Span;
use parking_lot::{Mutex, RwLock};
use rustix::fs::statvfs;
use tables::StorageFault;
use tracing::error;
use types::{ClusterId, ContainerId, DatanodeId, PipelineId};

use crate::container::OpenFiles;
use crate::{Config, StartError};
use ballast::Ballast;
pub(crate) use identity::sync_dir;
use identity::{DiskLock, Identity};
pub(crate) use index::{Changes, Index, IndexError};
pub use rebuild::{Rebuilt, rebuild_index};
#[cfg(test)]
pub(crate) use room::{EIO, EMFILE, ENOSPC};
pub(crate) use room::{Need, Room, Step, is_full, is_too_many_files};

#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) root: PathBuf,
    pub(crate) index: Index,
    pub(crate) room: Arc<Room>,
    pub(crate) files: Arc<OpenFiles>,
    identity: Mutex<Identity>,
    failed: RwLock<Option<String>>,
    space: Mutex<SpaceView>,
    /// Bytes written since the file system was last asked.
    written_since: AtomicU64,
    reserve: Option<u64>,
    /// One flush at a time: each swaps the rows that wait in memory.
    pub(crate) commit: Mutex<()>,
    /// Containers with something for the next flush.
    pub(crate) dirty: Mutex<BTreeSet<ContainerId>>,
    _lock: DiskLock,
}

/// Why an operation on a disk was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DiskError {
    #[error("the disk is full")]
    Full,
    #[error("no more files can be opened at the moment")]
    TooManyFiles,
    #[error("the disk is out of service: {0}")]
    Failed(String),
}

#[derive(Debug, Clone, Copy)]
struct SpaceView {
    at: Option<Instant>,
    space: Space,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) capacity: u64,
    pub(crate) used: u64,
    /// What may still be written; the reserve is not part of it.
    pub(crate) remaining: u64,
    /// With the reserve.
    pub(crate) available: u64,
}

/// The file system's figures are good for this long; bytes that we write meanwhile are counted.
const SPACE_GOOD_FOR: Duration = Duration::from_secs(1);
/// Kept free so that deletes and the index's own commits stay possible: a twentieth of the disk, and no more than this.
const RESERVE_MAX: u64 = 1 << 30;

impl Disk {
    pub(crate) fn open(root: &Path, disk_id: u128, config: &Config, files: &Arc<OpenFiles>) -> Result<Self, StartError> {
        let io_error = |what| move |source| StartError::Io { what, path: root.to_path_buf(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root.join("containers")).map_err(io_error("creating"))?;
        let Some(lock) = DiskLock::take(root).map_err(io_error("locking"))? else {
            return Err(StartError::InUse(root.to_path_buf()));
        };
        let of_identity = |source| StartError::Disk { path: root.to_path_buf(), fault: StorageFault(format!("{source}")) };
        let identity = match Identity::load(root).map_err(of_identity)? {
            Some(identity) => identity,
            None => {
                // An index without an identity is a disk that lost a file, not a new one.
                if root.join("index.redb").exists() {
                    return Err(of_identity(identity::IdentityError::Malformed("missing, although the disk has an index")));
                }
                let identity = Identity { disk: disk_id, owner: None };
                identity.store(root).map_err(io_error("writing the identity of"))?;
                identity
            }
        };
        let room = Arc::new(Room::new(Ballast::open(root, config.ballast_bytes)));
        let index = Index::open(&root.join("index.redb"), config.index_cache_bytes, &room)
            .map_err(|error| StartError::Disk { path: root.to_path_buf(), fault: error.into() })?;
        sync_dir(root).map_err(io_error("syncing"))?;
        Ok(Self {
            root: root.to_path_buf(),
            index,
            room,
            files: Arc::clone(files),
            identity: Mutex::new(identity),
            failed: RwLock::default(),
            space: Mutex::new(SpaceView { at: None, space: Space::default() }),
            written_since: AtomicU64::new(0),
            reserve: config.reserve_bytes,
            commit: Mutex::new(()),
            dirty: Mutex::default(),
            _lock: lock,
        })
    }

    pub(crate) fn owner(&self) -> Option<(ClusterId, DatanodeId)> {
        self.identity.lock().owner
    }

    pub(crate) fn set_owner(&self, cluster: ClusterId, datanode: DatanodeId) -> io::Result<()> {
        let mut identity = self.identity.lock();
        if identity.owner == Some((cluster, datanode)) {
            return Ok(());
        }
        let owned = Identity { owner: Some((cluster, datanode)), ..identity.clone() };
        owned.store(&self.root)?;
        *identity = owned;
        Ok(())
    }

    pub(crate) fn container_path(&self, container: ContainerId) -> PathBuf {
        self.root.join("containers").join(format!("{}.data", container.0))
    }

    pub(crate) fn temporary_path(&self, container: ContainerId) -> PathBuf {
        self.root.join("containers").join(format!("{}.tmp", container.0))
    }

    /// For a snapshot while it comes in; it loses the name as soon as it is made.
    pub(crate) fn spool_path(&self, pipeline: PipelineId) -> PathBuf {
        self.root.join(format!("snapshot.{}.tmp", pipeline.0))
    }

    pub(crate) fn sync_containers_dir(&self) -> Result<(), DiskError> {
        let sync = || sync_dir(&self.root.join("containers"));
        self.room
            .attempt(Step::Directory, Need::Upkeep, sync)
            .map_err(|error| self.fail(format!("syncing the containers' directory: {error}")))
    }

    /// Nothing while the disk serves.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failed.read().clone()
    }

    pub(crate) fn check(&self) -> Result<(), DiskError> {
        self.failure().map_or(Ok(()), |why| Err(DiskError::Failed(why)))
    }

    /// Takes the disk out of service. The first reason stays.
    pub(crate) fn fail(&self, why: String) -> DiskError {
        let mut failed = self.failed.write();
        if failed.is_none() {
            error!(disk = %self.root.display(), %why, "disk taken out of service");
            metrics::counter!("datanode_disk_failures").increment(1);
        }
        DiskError::Failed(failed.get_or_insert(why).clone())
    }

    /// What a failed write or sync means for the disk.
    pub(crate) fn fails(&self, what: &str, error: &io::Error) -> DiskError {
        if is_full(error) {
            self.is_full()
        } else if is_too_many_files(error) {
            DiskError::TooManyFiles
        } else {
            self.fail(format!("{what}: {error}"))
        }
    }

    fn is_full(&self) -> DiskError {
        // Ask the file system anew before the next write is let in.
        self.space.lock().at = None;
        DiskError::Full
    }

    pub(crate) fn fault(&self, fault: StorageFault) -> DiskError {
        self.fail(fault.0)
    }

    /// Makes changes durable; the caller holds `commit`, if others may be at it. One for which there is no space changed nothing,
    /// or all of it: it can be made again.
    pub(crate) fn commit_index(&self, changes: Changes) -> Result<Vec<(ContainerId, Span)>, DiskError> {
        self.index.commit(changes).map_err(|error| match error {
            IndexError::Full => self.is_full(),
            IndexError::Fault(fault) => self.fault(fault),
        })
    }

    pub(crate) fn space(&self) -> Space {
        let mut view = self.space.lock();
        if view.at.is_none_or(|at| at.elapsed() > SPACE_GOOD_FOR) {
            self.written_since.store(0, Ordering::Relaxed);
            // A file system that does not answer is reported as full; its writes will tell what is wrong with it.
            view.space = statvfs(&self.root).map(|stat| space_of(&stat, self.reserve)).unwrap_or_default();
            view.at = Some(Instant::now());
            self.room.ballast.release_if_low(view.space.available);
        }
        let remaining = view.space.remaining.saturating_sub(self.written_since.load(Ordering::Relaxed));
        // Without its ballast the disk is full, whatever became free since: first the ballast is made whole.
        Space { remaining: if self.room.ballast.is_released() { 0 } else { remaining }, ..view.space }
    }

    /// Refuses what would eat into the reserve.
    pub(crate) fn check_room(&self, bytes: u64) -> Result<(), DiskError> {
        self.check()?;
        if self.space().remaining < bytes { Err(DiskError::Full) } else { Ok(()) }
    }

    pub(crate) fn count_written(&self, bytes: u64) {
        self.written_since.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn space_of(stat: &rustix::fs::StatVfs, reserve: Option<u64>) -> Space {
    let capacity = stat.f_blocks.saturating_mul(stat.f_frsize);
    let available = stat.f_bavail.saturating_mul(stat.f_frsize);
    let reserve = reserve.unwrap_or_else(|| (capacity / 20).min(RESERVE_MAX));
    Space {
        capacity,
        used: capacity.saturating_sub(stat.f_bfree.saturating_mul(stat.f_frsize)),
        remaining: available.saturating_sub(reserve),
        available,
    }
}
