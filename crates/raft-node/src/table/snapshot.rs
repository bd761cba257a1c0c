//! A table machine's state as a stream of frames, and back.
//!
//! A frame is a run of rows in key order: key length (4 bytes, little-endian), key, value length, value. Values travel as they
//! are stored, with their checksums, which are verified before a row is taken in.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tables::StorageFault;

use super::Shared;
use super::store::{Cursor, Filling, Pinned, Store, unseal};
use crate::{Progress, SnapshotSink, SnapshotSource};

/// Large enough to make a frame's own costs vanish, small enough to hold many at once.
const FRAME: usize = 1 << 20;

pub(super) struct TableSource {
    pinned: Pinned,
    shared: Arc<Shared>,
    /// Where the next frame begins; nothing when the last one was given out.
    next: Option<Vec<u8>>,
}

impl TableSource {
    pub(super) fn new(pinned: Pinned, shared: Arc<Shared>) -> Self {
        Self { pinned, shared, next: Some(Vec::new()) }
    }

    fn fill_frame(&mut self) -> Result<Option<Bytes>, StorageFault> {
        let Some(from) = self.next.take() else { return Ok(None) };
        let mut cursor: Cursor<'_> = self.pinned.cursor(&from, None, &self.shared.stats)?;
        let mut frame = Vec::with_capacity(FRAME + FRAME / 8);
        let mut next = None;
        while let Some((key, sealed)) = cursor.sealed_row() {
            if frame.len() >= FRAME {
                next = Some(key.to_vec());
                break;
            }
            // Damage must not spread: a row that does not verify here would be refused there, after all the sending.
            unseal(key, sealed)?;
            for part in [key, sealed] {
                frame.extend_from_slice(&(part.len() as u32).to_le_bytes());
                frame.extend_from_slice(part);
            }
            cursor.advance()?;
        }
        self.next = next;
        Ok((!frame.is_empty()).then(|| Bytes::from(frame)))
    }
}

impl SnapshotSource for TableSource {
    fn next_frame(&mut self) -> Result<Option<Bytes>, StorageFault> {
        let frame = self.fill_frame();
        self.shared.faults.note(frame)
    }
}

/// Builds a second file beside the present one and puts it in its place at the end.
pub(super) struct TableSink {
    shared: Arc<Shared>,
    incoming: Incoming,
    store: Store,
    filling: Filling,
}

/// A file under construction, of this transfer alone: the former transfer may still be putting its own in place. It goes with its
/// owner, unless it got the name it was made for.
struct Incoming(PathBuf);

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Err(error) = discard(&self.0) {
            tracing::warn!(%error, "a file of a snapshot is left over");
        }
    }
}

const UNDER_CONSTRUCTION: &str = "incoming";

impl Incoming {
    fn beside(path: &Path, number: u64) -> Self {
        Self(path.with_extension(format!("{number}.{UNDER_CONSTRUCTION}")))
    }
}

impl TableSink {
    pub(super) fn begin(shared: Arc<Shared>) -> Result<Self, StorageFault> {
        let incoming = Incoming::beside(&shared.path, shared.transfers.fetch_add(1, Ordering::Relaxed));
        let store = Store::open(&incoming.0, shared.options.cache_bytes)?;
        let filling = store.fill()?;
        Ok(Self { shared, incoming, store, filling })
    }
}

/// Removes what a former run left of interrupted transfers.
pub(super) fn discard_incoming(path: &Path) -> Result<(), StorageFault> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fault = |error: std::io::Error| StorageFault(format!("reading {}: {error}", folder.display()));
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let found = entry.map_err(fault)?.path();
        let name = found.file_name().unwrap_or_default().to_string_lossy();
        let number = name.strip_prefix(&*stem).and_then(|rest| rest.strip_suffix(UNDER_CONSTRUCTION));
        if number.is_some_and(|number| number.trim_matches('.').bytes().all(|byte| byte.is_ascii_digit())) {
            discard(&found)?;
        }
    }
    Ok(())
}

fn discard(incoming: &Path) -> Result<(), StorageFault> {
    match std::fs::remove_file(incoming) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StorageFault(format!("removing {}: {error}", incoming.display())))
        }
        _ => Ok(()),
    }
}

impl SnapshotSink for TableSink {
    fn frame(&mut self, frame: &[u8]) -> Result<(), StorageFault> {
        let mut rows = Vec::new();
        let mut rest = frame;
        while !rest.is_empty() {
            let key = take_part(&mut rest)?;
            let sealed = take_part(&mut rest)?;
            unseal(key, sealed)?;
            rows.push((key, sealed));
        }
        self.filling.append(rows.into_iter())
    }

    fn finish(self: Box<Self>, progress: Progress) -> Result<(), StorageFault> {
        let Self { shared, incoming, store, filling } = *self;
        filling.commit(&progress)?;
        // No flush may write into the old file once the new one has its name.
        let _no_flush = shared.flushing.lock();
        let at = |what: &str, error: std::io::Error| StorageFault(format!("{what} {}: {error}", incoming.0.display()));
        std::fs::rename(&incoming.0, &shared.path).map_err(|error| at("renaming", error))?;
        let synced = crate::wal::sync_parent(&shared.path);
        shared.faults.note(synced.map_err(|error| at("syncing the folder of", error)))?;
        let replaced = shared.replace(store);
        shared.faults.note(replaced)
    }
}

fn take_part<'f>(rest: &mut &'f [u8]) -> Result<&'f [u8], StorageFault> {
    let garbled = || StorageFault("a snapshot frame ends within a row".to_owned());
    let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(garbled)?;
    let (part, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(garbled)?;
    *rest = behind;
    Ok(part)
}
