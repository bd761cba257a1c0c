//! Reading a stretch of a block: whole chunks are read and verified, then cut to what was asked for.
//!
//! What is in the page cache is read where the caller is polled, without a change of threads; only what must come from the
//! disk goes to the blocking pool, with one slice read ahead.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use datanode_api::{BlockData, ReadBlock, ReadRejected, chunk_checksum};
use datanode_core::rows::{BlockRow, BlockState, CHUNK_BYTES};
use futures_util::{StreamExt, stream};
use rpc::CallError;
use scm_api::token::{Access, Target};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::error;

use super::refused;
use crate::container::{Container, DataFile, read, read_cached};
use crate::datanode::Inner;

/// Read at a time out of the page cache: little enough to keep a thread of the runtime for.
const CACHED_SLICE: u64 = 256 * 1024;
/// Read at a time from the disk.
const DISK_SLICE: u64 = 1 << 20;

#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ReadFault {
    #[error("the block is gone")]
    Gone,
    #[error("the replica is damaged: {0}")]
    Damaged(String),
    #[error("the reader ended: {0}")]
    Ended(String),
}

pub(crate) async fn run(datanode: &Arc<Inner>, request: ReadBlock) -> Result<BlockData, CallError<ReadRejected>> {
    let ReadBlock { block, token, offset, length } = request;
    let end = offset.checked_add(length).ok_or(CallError::Rejected(ReadRejected::OutOfRange))?;
    let gate = datanode.tokens.check(&token, Target::Block(block), Access::Read, end);
    gate.map_err(|refusal| refused(refusal, ReadRejected::PermissionDenied))?;
    let no_such = CallError::Rejected(ReadRejected::NoSuchBlock);
    let container = datanode.store.get(block.container).ok_or(no_such.clone())?;
    container.disk.check().map_err(CallError::unavailable)?;
    let row = container.lookup(block.local).map_err(|fault| CallError::unavailable(container.disk.fault(fault)))?;
    let row = row.filter(|row| row.state == BlockState::Stored).ok_or(no_such.clone())?;
    if end > row.length {
        return Err(CallError::Rejected(ReadRejected::OutOfRange));
    }
    let mut reading = Reading::new(container, block.local, row, offset, end, Arc::clone(&datanode.disk_reads))
        .map_err(CallError::unavailable)?;
    // The first slice before the answer: damage is then a typed rejection, and the reader goes elsewhere at once.
    let first = reading.next().await.map_err(|fault| match fault {
        ReadFault::Gone => no_such,
        ReadFault::Damaged(_) => CallError::Rejected(ReadRejected::Damaged),
        ReadFault::Ended(why) => CallError::Unknown(why),
    })?;
    metrics::counter!("datanode_bytes_read").increment(length);
    Ok(BlockData { length, stream: reading.into_stream(first).boxed() })
}

/// A stretch of a block that is being read.
#[derive(Debug)]
pub(crate) struct Reading {
    container: Arc<Container>,
    local: u64,
    row: Arc<BlockRow>,
    file: Arc<DataFile>,
    at: u64,
    end: u64,
    disk_reads: Arc<Semaphore>,
    /// The slice behind the last one, where that had to come from the disk.
    ahead: Option<ReadTask>,
}

type ReadTask = JoinHandle<Result<Vec<u8>, ReadFault>>;

/// A stretch of whole chunks within one extent.
#[derive(Debug, Clone, Copy)]
struct Slice {
    /// In the block.
    start: u64,
    length: u64,
    /// In the file.
    at: u64,
}

impl Reading {
    pub(crate) fn new(
        container: Arc<Container>,
        local: u64,
        row: Arc<BlockRow>,
        at: u64,
        end: u64,
        disk_reads: Arc<Semaphore>,
    ) -> Result<Self, crate::disk::DiskError> {
        let file = container.file()?;
        Ok(Self { container, local, row, file, at, end, disk_reads, ahead: None })
    }

    pub(crate) fn into_stream(
        self,
        first: Option<Bytes>,
    ) -> impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static {
        stream::unfold((first, Some(self)), |(first, reading)| async move {
            if let Some(first) = first {
                return Some((Ok(first), (None, reading)));
            }
            let mut reading = reading?;
            match reading.next().await {
                Ok(Some(data)) => Some((Ok(data), (None, Some(reading)))),
                Ok(None) => None,
                Err(fault) => Some((Err(io::Error::other(fault)), (None, None))),
            }
        })
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ReadFault> {
        if self.at >= self.end {
            return Ok(None);
        }
        let (slice, bytes) = match self.ahead.take() {
            Some(ahead) => {
                let slice = self.slice(self.at, DISK_SLICE)?;
                // Asked for before this one is waited for, so that the disk is never idle between two.
                let next = self.begin_ahead(slice);
                let bytes = ahead.await.unwrap_or_else(|error| Err(ReadFault::Ended(error.to_string())));
                self.ahead = next?;
                (slice, bytes)
            }
            None => {
                let slice = self.slice(self.at, CACHED_SLICE)?;
                match self.cached(slice) {
                    Some(bytes) => (slice, bytes),
                    None => {
                        let slice = self.slice(self.at, DISK_SLICE)?;
                        let reading = self.read_disk(slice);
                        self.ahead = self.begin_ahead(slice)?;
                        (slice, reading.await.unwrap_or_else(|error| Err(ReadFault::Ended(error.to_string()))))
                    }
                }
            }
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(fault) => return Err(self.judge(fault)),
        };
        let from = self.at - slice.start;
        let to = (slice.length).min(self.end - slice.start);
        self.at = slice.start + to;
        Ok(Some(Bytes::from(bytes).slice(from as usize..to as usize)))
    }

    fn begin_ahead(&self, before: Slice) -> Result<Option<ReadTask>, ReadFault> {
        let next = before.start + before.length;
        if next >= self.end {
            return Ok(None);
        }
        Ok(Some(self.read_disk(self.slice(next, DISK_SLICE)?)))
    }

    /// Whole chunks around `at`, up to about `most` bytes, not beyond what is wanted and not beyond an extent.
    fn slice(&self, at: u64, most: u64) -> Result<Slice, ReadFault> {
        let start = at / CHUNK_BYTES * CHUNK_BYTES;
        let mut begin = 0;
        for extent in &self.row.extents {
            let end = begin + u64::from(extent.length);
            if start < end {
                let length = (end - start).min(self.end.next_multiple_of(CHUNK_BYTES) - start).min(most);
                return Ok(Slice { start, length, at: extent.payload() + (start - begin) });
            }
            begin = end;
        }
        Err(ReadFault::Damaged("its extents are shorter than the block".to_owned()))
    }

    fn cached(&self, slice: Slice) -> Option<Result<Vec<u8>, ReadFault>> {
        match read_cached(&self.file, slice.length as usize, slice.at) {
            Ok(bytes) => bytes.map(|bytes| verify(&self.row, slice, bytes)),
            Err(error) => Some(Err(ReadFault::Damaged(error.to_string()))),
        }
    }

    fn read_disk(&self, slice: Slice) -> ReadTask {
        let (file, row, turns) = (Arc::clone(&self.file), Arc::clone(&self.row), Arc::clone(&self.disk_reads));
        tokio::spawn(async move {
            let Ok(_turn) = turns.acquire().await else { return Err(ReadFault::Ended("shut down".to_owned())) };
            let reading = tokio::task::spawn_blocking(move || {
                let bytes =
                    read(&file, slice.length as usize, slice.at).map_err(|error| ReadFault::Damaged(error.to_string()))?;
                verify(&row, slice, bytes)
            });
            reading.await.unwrap_or_else(|error| Err(ReadFault::Ended(error.to_string())))
        })
    }

    /// Bytes that do not verify are damage, unless the block was deleted while we read it.
    fn judge(&self, fault: ReadFault) -> ReadFault {
        let ReadFault::Damaged(why) = &fault else { return fault };
        let is_same = |row: &Arc<BlockRow>| row.state == BlockState::Stored && row.extents == self.row.extents;
        match self.container.lookup(self.local) {
            Ok(now) if !now.as_ref().is_some_and(is_same) || self.container.is_gone() => ReadFault::Gone,
            _ => {
                self.container.note_damage(self.local, why);
                fault
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(ahead) = &self.ahead {
            ahead.abort();
        }
    }
}

fn verify(row: &BlockRow, slice: Slice, bytes: Vec<u8>) -> Result<Vec<u8>, ReadFault> {
    let first = slice.start / CHUNK_BYTES;
    for (chunk, data) in (first..).zip(bytes.chunks(CHUNK_BYTES as usize)) {
        if row.sum_of_chunk(chunk) != Some(chunk_checksum(data)) {
            return Err(ReadFault::Damaged(format!("chunk {chunk} has another checksum")));
        }
    }
    Ok(bytes)
}

impl Container {
    /// Marks the replica, and says so once.
    pub(crate) fn note_damage(self: &Arc<Self>, local: u64, why: &str) {
        if self.row().is_damaged {
            return;
        }
        error!(container = %self.id, local, why, "damaged replica");
        metrics::counter!("datanode_damaged_replicas").increment(1);
        let container = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let state = container.row().state;
            // If even this cannot be written, the disk is out of service and its replicas are not reported at all.
            if let Err(error) = container.turn().change_state(state, true) {
                error!(container = %container.id, %error, "noting damage");
            }
        });
    }
}
