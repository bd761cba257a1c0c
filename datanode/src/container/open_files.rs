//! Which containers' files are open. Disks may hold more containers than a process may hold files, so the number is bounded, and
//! files that were not used of late are closed. Never one with bytes that were not synced: an error of writing them back might
//! then be told to nobody.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};

use super::file::DataFile;
use crate::disk::is_too_many_files;

#[derive(Debug)]
pub(crate) struct OpenFiles {
    most: usize,
    /// In the order in which they were opened, or found in use.
    queue: Mutex<VecDeque<Weak<Slot>>>,
}

/// A container's place for its file.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    file: Mutex<Option<Arc<DataFile>>>,
    /// Since it was last looked at.
    is_used: AtomicBool,
}

impl Slot {
    pub(super) fn get(&self) -> Option<Arc<DataFile>> {
        let file = self.file.lock().clone();
        self.is_used.store(true, Ordering::Relaxed);
        file
    }

    /// Tells whether it is closed now.
    fn close_if_idle(&self) -> bool {
        // Whoever holds the lock is opening it, or taking it.
        let Some(mut file) = self.file.try_lock() else { return false };
        if file.as_ref().is_some_and(|file| Arc::strong_count(file) > 1 || file.is_unsynced()) {
            return false;
        }
        *file = None;
        true
    }
}

impl OpenFiles {
    /// At most so many, and no more than a quarter of what the process may open: connections and the log need files too.
    pub(crate) fn new(most: usize) -> Self {
        let limit = getrlimit(Resource::Nofile).current.map_or(most, |limit| usize::try_from(limit / 4).unwrap_or(most));
        Self { most: most.min(limit.max(16)), queue: Mutex::default() }
    }

    pub(super) fn open(&self, slot: &Arc<Slot>, mut open: impl FnMut() -> io::Result<DataFile>) -> io::Result<Arc<DataFile>> {
        let mut place = slot.file.lock();
        if let Some(file) = &*place {
            return Ok(Arc::clone(file));
        }
        self.close_down_to(self.most.saturating_sub(1));
        let opened = match open() {
            Err(error) if is_too_many_files(&error) => {
                self.close_down_to(0);
                open()?
            }
            opened => opened?,
        };
        let file = Arc::new(opened);
        *place = Some(Arc::clone(&file));
        self.queue.lock().push_back(Arc::downgrade(slot));
        Ok(file)
    }

    /// Closes files that were not in use since the last look, until so few are open, or none is idle.
    fn close_down_to(&self, few: usize) {
        let mut queue = self.queue.lock();
        // Twice around: the first time may find all of them used.
        let mut looks = 2 * queue.len();
        while queue.len() > few && looks > 0 {
            looks -= 1;
            let Some(weak) = queue.pop_front() else { break };
            let Some(slot) = weak.upgrade() else { continue };
            if slot.is_used.swap(false, Ordering::Relaxed) || !slot.close_if_idle() {
                queue.push_back(weak);
            }
        }
    }
}
