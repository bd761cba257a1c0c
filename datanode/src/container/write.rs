//! A streamed block on its way into the file.

use std::sync::Arc;

use bytes::Bytes;
use datanode_api::{BlockWritten, CHUNK_BYTES, ChunkChecksums, ChunkSummer};
use datanode_core::record::{Body, CommitBody, Draft, ExtentBody, WrittenBody, extent_payload_at};
use datanode_core::rows::{BlockRow, BlockState, Extent};
use datanode_core::space::{Span, next_extent};

use super::{Container, StorageFaultOrDisk};
use crate::disk::{DiskError, Need};

/// A block that is being written. Dropped before [`Self::finish`], its space is given back.
#[derive(Debug)]
pub(crate) struct Incoming {
    container: Arc<Container>,
    local: u64,
    /// Among the container's unfinished ones.
    number: u64,
    at_most: u64,
    summer: ChunkSummer,
    full: Vec<Extent>,
    open: Option<Room>,
    is_finished: bool,
}

/// An extent that takes bytes.
#[derive(Debug)]
struct Room {
    record: u64,
    payload_at: u32,
    capacity: u64,
    filled: u64,
    /// Where in the block it begins.
    offset: u64,
}

/// What became of a block whose bytes are all here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It waits for its commit.
    Written,
    /// Its commit had come before; it counts now.
    Stored,
    /// It is committed with these or other bytes, or deleted: not wanted.
    Unwanted,
}

impl Incoming {
    pub(crate) fn begin(container: &Arc<Container>, local: u64, at_most: u64) -> Self {
        let mut live = container.live.lock();
        let number = live.next_incoming;
        live.next_incoming += 1;
        drop(live);
        Self {
            container: Arc::clone(container),
            local,
            number,
            at_most,
            summer: ChunkSummer::default(),
            full: Vec::new(),
            open: None,
            is_finished: false,
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.summer.length()
    }

    /// Writes the next bytes. Blocks.
    pub(crate) fn write(&mut self, pieces: Vec<Bytes>) -> Result<(), DiskError> {
        let mut pieces: std::collections::VecDeque<Bytes> = pieces.into();
        while !pieces.is_empty() {
            let (at, room) = self.room()?;
            let mut now = Vec::new();
            let mut taken = 0;
            while taken < room
                && let Some(mut piece) = pieces.pop_front()
            {
                let fits = piece.split_to(piece.len().min((room - taken) as usize));
                taken += fits.len() as u64;
                self.summer.push(&fits);
                now.push(fits);
                if !piece.is_empty() {
                    pieces.push_front(piece);
                }
            }
            let disk = &self.container.disk;
            let file = self.container.file()?;
            file.write_pieces(&now, at).map_err(|error| disk.fails("writing to a container's file", &error))?;
            if let Some(open) = &mut self.open {
                open.filled += taken;
            }
        }
        Ok(())
    }

    /// Where the next bytes go, and how many may go there.
    fn room(&mut self) -> Result<(u64, u64), DiskError> {
        if self.open.as_ref().is_some_and(|open| open.filled == open.capacity) {
            self.end_extent()?;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let offset = self.summer.length();
                let capacity = next_extent(offset, self.at_most.saturating_sub(offset));
                let payload_at = extent_payload_at((capacity / CHUNK_BYTES as u64) as u32);
                self.container.disk.check_room(capacity)?;
                let record = self.container.reserve_extent(self.number, u64::from(payload_at) + capacity)?;
                Room { record, payload_at, capacity, filled: 0, offset }
            }
        };
        let place = (open.record + u64::from(open.payload_at) + open.filled, open.capacity - open.filled);
        self.open = Some(open);
        Ok(place)
    }

    /// Puts the record in front of the bytes. All of the extent's chunks have been summed.
    fn end_extent(&mut self) -> Result<(), DiskError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let first = (open.offset / CHUNK_BYTES as u64) as usize;
        let sums = self.summer.sums_from(first);
        let body = Body::Extent(ExtentBody { local: self.local, offset: open.offset, sums });
        let draft = Draft::with_payload_at(&body, open.payload_at, open.filled as u32);
        let extent = Extent { record: open.record, payload_at: open.payload_at, length: open.filled as u32 };
        // From here on the span is known even if the write fails.
        self.full.push(extent);
        let mut bytes = Vec::with_capacity(open.payload_at as usize);
        draft.encode(self.container.salt, open.record, &mut bytes);
        let file = self.container.file()?;
        file.write_pieces(&[bytes.into()], open.record)
            .map_err(|error| self.container.disk.fails("writing to a container's file", &error))
    }

    /// Writes the last of it and syncs the file.
    pub(crate) async fn finish(mut self) -> Result<(BlockWritten, Accepted), DiskError> {
        let spawned = tokio::task::spawn_blocking(move || self.complete().map(|sums| (self, sums))).await;
        let (incoming, checksums) = spawned.unwrap_or_else(|error| Err(DiskError::Failed(error.to_string())))?;
        incoming.container.sync().await?;
        let accept = tokio::task::spawn_blocking(move || incoming.accept(checksums)).await;
        accept.unwrap_or_else(|error| Err(DiskError::Failed(error.to_string())))
    }

    /// Writes all that is still to be written. It says that the block is whole, but nothing has been synced.
    pub(crate) fn complete(&mut self) -> Result<ChunkChecksums, DiskError> {
        self.summer.end();
        self.end_extent()?;
        let extents = self.full.iter().map(|extent| extent.record).collect();
        let body = Body::Written(WrittenBody { local: self.local, length: self.length(), extents });
        self.container.append(Need::Data, &[(Draft::new(&body, 0), &[])])?;
        Ok(std::mem::take(&mut self.summer).finish())
    }

    /// Makes the block known, now that its bytes are durable.
    fn accept(mut self, checksums: ChunkChecksums) -> Result<(BlockWritten, Accepted), DiskError> {
        let container = Arc::clone(&self.container);
        let length = self.full.iter().map(|extent| u64::from(extent.length)).sum();
        let sums = checksums.to_le_bytes();
        let turn = container.turn();
        let before = turn.lookup(self.local).map_err(|fault| container.disk.fault(fault))?;
        let row = BlockRow { state: BlockState::Written, length, index: 0, extents: std::mem::take(&mut self.full), sums };
        let accepted = match before.as_deref() {
            None => Accepted::Written,
            Some(old) if old.state == BlockState::Written => {
                turn.free(old.extents.iter().map(Extent::span));
                Accepted::Written
            }
            Some(old) if old.state == BlockState::Missing && old.has_content(length, &row.sums) => {
                let commit = Body::Commit(CommitBody { local: self.local, index: old.index });
                container.append(Need::Data, &[(Draft::new(&commit, 0), &[])])?;
                Accepted::Stored
            }
            Some(_) => Accepted::Unwanted,
        };
        let index = before.as_ref().map_or(0, |old| old.index);
        match accepted {
            Accepted::Written => turn.set(self.local, before.as_deref(), Some(row)),
            Accepted::Stored => {
                turn.set(self.local, before.as_deref(), Some(BlockRow { state: BlockState::Stored, index, ..row }))
            }
            Accepted::Unwanted => turn.free(row.extents.iter().map(Extent::span)),
        }
        self.is_finished = true;
        container.live.lock().unfinished.remove(&self.number);
        drop(turn);
        Ok((BlockWritten { length, checksums }, accepted))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let open = self.open.take().map(|open| Span {
            start: open.record,
            end: datanode_core::record::align_record(open.record + u64::from(open.payload_at) + open.capacity),
        });
        let mut live = self.container.live.lock();
        live.dead.extend(self.full.iter().map(Extent::span).chain(open));
        live.unfinished.remove(&self.number);
        self.container.mark_dirty(&mut live);
    }
}

impl Container {
    fn reserve_extent(&self, incoming: u64, bytes: u64) -> Result<u64, DiskError> {
        let mut live = self.live.lock();
        let at = self.reserve(&mut live, bytes)?;
        live.unfinished.entry(incoming).or_insert(at);
        Ok(at)
    }
}

impl From<StorageFaultOrDisk> for String {
    fn from(error: StorageFaultOrDisk) -> Self {
        error.to_string()
    }
}
