//! A file without content that holds space for the moment when nothing else is left.
//!
//! On a full disk nothing can be deleted: a delete is written down before its space is given back, and the index is written
//! anew with every change. So some space is held from the start, and given up when a write that keeps the disk of use finds no other.
//! Until it is held again the disk takes no blocks; it is read, and deletes make room.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;
use tracing::{info, warn};

#[derive(Debug, Default)]
pub(crate) struct Ballast {
    path: PathBuf,
    bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// None is wanted, or the file system cannot hold space for a file.
    #[default]
    None,
    Held,
    Released,
}

const FILE: &str = "ballast";
/// A thousandth of the disk, and so much at least: an index's commits while a few hundred thousand blocks are deleted.
const MIN: u64 = 64 << 20;
const MAX: u64 = 1 << 30;

impl Ballast {
    /// The one at `root`, made if there is space for it. `bytes` is for who knows better.
    pub(crate) fn open(root: &Path, bytes: Option<u64>) -> Self {
        let bytes = bytes.unwrap_or_else(|| {
            let capacity = statvfs(root).map_or(0, |stat| stat.f_blocks.saturating_mul(stat.f_frsize));
            (capacity / 1000).clamp(MIN, MAX).min(capacity / 10)
        });
        let ballast = Self { path: root.join(FILE), bytes, state: Mutex::new(State::None) };
        let is_whole = fs::metadata(&ballast.path).is_ok_and(|file| file.blocks() * 512 >= bytes && file.len() == bytes);
        match (bytes, is_whole) {
            (0, _) => ballast.remove(),
            (_, true) => *ballast.state.lock() = State::Held,
            (_, false) => {
                ballast.remove();
                *ballast.state.lock() = State::Released;
                ballast.restore();
                if ballast.is_released() {
                    warn!(disk = %root.display(), "the disk is full: it can be read, and blocks can be deleted");
                }
            }
        }
        ballast
    }

    /// Whether its space is given up: the disk then takes no blocks.
    pub(crate) fn is_released(&self) -> bool {
        *self.state.lock() == State::Released
    }

    /// Gives its space up. Tells whether trying again can be of use: another may have given it up a moment ago.
    pub(crate) fn release(&self) -> bool {
        let mut state = self.state.lock();
        if *state == State::Held {
            self.remove();
            *state = State::Released;
            warn!(file = %self.path.display(), bytes = self.bytes, "the disk is full: its ballast is given up, and it takes no more blocks");
            metrics::counter!("datanode_ballasts_released").increment(1);
        }
        *state == State::Released
    }

    /// Gives its space up before the last byte is gone: others write to this file system too, and end when they cannot.
    pub(crate) fn release_if_low(&self, available: u64) -> bool {
        *self.state.lock() == State::Held && available < self.bytes / 8 && self.release()
    }

    /// Holds its space again, if there is enough for it and for some work beside. Blocks.
    pub(crate) fn restore(&self) {
        let mut state = self.state.lock();
        if *state != State::Released {
            return;
        }
        let available = statvfs(self.path.with_file_name("")).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        if available < self.bytes + self.bytes / 4 {
            return;
        }
        match self.allocate() {
            Ok(()) => {
                info!(file = %self.path.display(), bytes = self.bytes, "holding ballast");
                *state = State::Held;
            }
            Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => {
                warn!(file = %self.path.display(), "the file system cannot hold space: the disk has no ballast");
                self.remove();
                *state = State::None;
            }
            Err(error) => {
                warn!(file = %self.path.display(), %error, "holding ballast");
                self.remove();
            }
        }
    }

    fn allocate(&self) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
        Ok(fallocate(&file, FallocateFlags::empty(), 0, self.bytes)?)
    }

    fn remove(&self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!(file = %self.path.display(), %error, "giving ballast up")
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(root: &Path) -> u64 {
        fs::metadata(root.join(FILE)).map_or(0, |file| file.blocks() * 512)
    }

    #[test]
    fn it_holds_its_space_until_it_is_released_and_again_after_that() {
        let dir = tempfile::tempdir().expect("a directory");
        let ballast = Ballast::open(dir.path(), Some(1 << 20));
        assert!(!ballast.is_released());
        assert!(held(dir.path()) >= 1 << 20);
        assert!(ballast.release() && ballast.is_released());
        assert_eq!(held(dir.path()), 0);
        assert!(ballast.release(), "a second one in need may try again too");
        ballast.restore();
        assert!(!ballast.is_released());
        assert!(held(dir.path()) >= 1 << 20);
    }

    #[test]
    fn it_is_kept_over_a_restart_and_goes_when_none_is_wanted() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(Ballast::open(dir.path(), Some(1 << 20)));
        let inode = fs::metadata(dir.path().join(FILE)).expect("there").ino();
        drop(Ballast::open(dir.path(), Some(1 << 20)));
        assert_eq!(fs::metadata(dir.path().join(FILE)).expect("there").ino(), inode);
        let none = Ballast::open(dir.path(), Some(0));
        assert_eq!(held(dir.path()), 0);
        assert!(!none.is_released() && !none.release());
    }

    #[test]
    fn without_space_for_it_the_disk_counts_as_full() {
        let dir = tempfile::tempdir().expect("a directory");
        let ballast = Ballast::open(dir.path(), Some(1 << 60));
        assert!(ballast.is_released());
        ballast.restore();
        assert!(ballast.is_released());
    }
}
