//! The index's file, as redb sees it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

use super::room::{Need, Room, Step, is_full};

/// What the index and its file tell each other about one handle.
#[derive(Debug, Default)]
pub(super) struct FileState {
    /// A write found no space since this was last reset.
    pub(super) ran_full: AtomicBool,
    /// Another handle has taken its place.
    pub(super) has_ended: AtomicBool,
}

/// Nobody else opens the file: the disk's lock keeps other processes out.
#[derive(Debug)]
pub(super) struct IndexFile {
    file: File,
    room: Arc<Room>,
    state: Arc<FileState>,
}

impl IndexFile {
    pub(super) fn open(path: &Path, room: &Arc<Room>, state: &Arc<FileState>) -> io::Result<Self> {
        // redb takes an empty file for a new one.
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
        Ok(Self { file, room: Arc::clone(room), state: Arc::clone(state) })
    }

    fn attempt(&self, step: Step, work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        if self.state.has_ended.load(Ordering::Acquire) {
            return Err(io::Error::other("the index was opened anew"));
        }
        let outcome = self.room.attempt(step, Need::Upkeep, work);
        if step == Step::IndexWrite && outcome.as_ref().is_err_and(is_full) {
            self.state.ran_full.store(true, Ordering::Release);
        }
        outcome
    }
}

impl StorageBackend for IndexFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.attempt(Step::IndexWrite, || self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.attempt(Step::IndexSync, || self.file.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.attempt(Step::IndexWrite, || self.file.write_all_at(data, offset))
    }
}
