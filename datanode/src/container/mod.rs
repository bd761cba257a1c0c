//! A container: many blocks in one file.
//!
//! A block's row is looked for first among the rows that wait in memory for the next flush, then in the index. What changes a
//! row holds the container's turn from the look at the old row to the write of the new one.
//!
//! Order, always: the bytes are written before a row points at them; they are synced before the row is committed to the index;
//! the row is gone from the index before the space is given back.

mod commit;
mod copy;
mod file;
mod open_files;
mod scan;
mod sync;
mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use datanode_core::record::{
    Body, ContainerState, DeleteBody, Draft, FIRST_RECORD_AT, FileBody, ProgressBody, RECORD_ALIGN, Salt, StateBody, align_record,
};
use datanode_core::replay::{Rebuilt, Replay};
use datanode_core::rows::{BlockRow, BlockState, ContainerRow, Extent};
use datanode_core::space::Span;
use parking_lot::{Mutex, MutexGuard};
use tables::StorageFault;
use types::{ClusterId, ContainerId, PipelineId};

use crate::disk::{Disk, DiskError, Need, Room};
pub(crate) use commit::{Flushed, flush};
pub(crate) use copy::CopyFile;
pub(crate) use file::{DataFile, read, read_cached};
pub(crate) use open_files::OpenFiles;
use open_files::Slot;
use scan::Trust;
use sync::Syncer;
pub(crate) use write::{Accepted, Incoming};

/// Of the data files; raised when an older release could no longer read what we write.
const FORMAT: u32 = 1;

#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: ContainerId,
    pub(crate) disk: Arc<Disk>,
    salt: Salt,
    file: Arc<Slot>,
    syncer: Arc<Syncer>,
    turn: Mutex<()>,
    live: Mutex<Live>,
}

type Rows = BTreeMap<u64, Option<Arc<BlockRow>>>;

/// Some rows in order, and where the next ones begin.
pub(crate) type Page = (Vec<(u64, Arc<BlockRow>)>, Option<u64>);

/// What memory knows beyond the index.
#[derive(Debug)]
struct Live {
    row: ContainerRow,
    /// Where the next record goes; unknown until the file is opened.
    tail: Option<u64>,
    /// Rows changed since the last flush, nothing in place of a removed one.
    dirty: Rows,
    /// Rows that a flush is writing at this moment.
    flushing: Rows,
    /// Spans that became free since the last flush.
    dead: Vec<Span>,
    /// Where blocks that are being written begin: the index must not claim to know what lies behind.
    unfinished: BTreeMap<u64, u64>,
    next_incoming: u64,
    is_dirty: bool,
    drops_tombstones: bool,
    is_gone: bool,
}

/// The right to change rows.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    container: &'a Container,
    _guard: MutexGuard<'a, ()>,
}

impl Container {
    fn new(disk: Arc<Disk>, id: ContainerId, row: ContainerRow) -> Self {
        let live = Live {
            tail: None,
            dirty: Rows::new(),
            flushing: Rows::new(),
            dead: Vec::new(),
            unfinished: BTreeMap::new(),
            next_incoming: 0,
            is_dirty: false,
            drops_tombstones: false,
            is_gone: false,
            row,
        };
        let salt = Salt(live.row.salt);
        Self { id, disk, salt, file: Arc::default(), syncer: Arc::default(), turn: Mutex::default(), live: Mutex::new(live) }
    }

    /// A container that has its row in the index. `length` is the file's.
    pub(crate) fn known(disk: Arc<Disk>, id: ContainerId, row: ContainerRow, length: u64) -> Result<Arc<Self>, DiskError> {
        let indexed_to = row.indexed_to;
        let container = Arc::new(Self::new(disk, id, row));
        if length > indexed_to {
            container.recover(indexed_to)?;
        }
        Ok(container)
    }

    /// A file that the index does not know yet: made by a write, with no flush since. Nothing if it is not a container's file.
    pub(crate) fn unknown(disk: Arc<Disk>, id: ContainerId) -> Result<Option<Arc<Self>>, DiskError> {
        let path = disk.container_path(id);
        let file = File::open(&path).map_err(|error| disk.fails("opening a container's file", &error))?;
        let Some(body) = read_file_body(&file).map_err(|error| disk.fails("reading a container's file", &error))? else {
            return Ok(None);
        };
        if body.container != id || body.format > FORMAT {
            return Ok(None);
        }
        let row = ContainerRow::new(body.pipeline, Salt(body.salt));
        let container = Arc::new(Self::new(disk, id, row));
        container.recover(FIRST_RECORD_AT)?;
        container.mark_dirty(&mut container.live.lock());
        Ok(Some(container))
    }

    /// A new file. Its name is durable when this returns.
    pub(crate) fn create(
        disk: &Arc<Disk>,
        need: Need,
        cluster: ClusterId,
        id: ContainerId,
        pipeline: PipelineId,
        salt: [u8; 16],
    ) -> Result<Arc<Self>, DiskError> {
        let body = FileBody { format: FORMAT, cluster, container: id, pipeline, salt };
        let file = create_file(&disk.container_path(id), &disk.room, need, body)
            .map_err(|error| disk.fails("creating a container's file", &error))?;
        disk.sync_containers_dir()?;
        let container = Arc::new(Self::new(Arc::clone(disk), id, ContainerRow::new(pipeline, Salt(salt))));
        let mut made = Some(file);
        let opened = disk.files.open(&container.file, || match made.take() {
            Some(file) => Ok(file),
            None => DataFile::open(&disk.container_path(id), &disk.room),
        });
        opened.map_err(|error| disk.fails("opening a container's file", &error))?;
        {
            let mut live = container.live.lock();
            live.tail = Some(FIRST_RECORD_AT);
            container.mark_dirty(&mut live);
        }
        Ok(container)
    }

    /// Looks at what the file holds behind the place that the index knows.
    fn recover(self: &Arc<Self>, from: u64) -> Result<(), DiskError> {
        let mut replay = Replay::default();
        let file = self.file()?;
        let tail = scan::scan(&file, self.salt, from, Trust::Nothing, &mut replay)
            .map_err(|error| self.disk.fails("scanning a container's file", &error))?;
        let found = replay.tail();
        self.live.lock().tail = Some(tail.max(FIRST_RECORD_AT));
        let turn = self.turn();
        let mut dead = Vec::new();
        for (local, span) in found.abandoned {
            let known = turn.lookup(local).map_err(|fault| self.disk.fault(fault))?;
            // What the index knows has been whole: it was damaged since, and is not ours to give back.
            if known.is_none_or(|row| row.extents.iter().all(|extent| extent.record != span.start)) {
                dead.push(span);
            }
        }
        for (local, row) in found.written {
            let known = turn.lookup(local).map_err(|fault| self.disk.fault(fault))?;
            match known.as_deref() {
                None => turn.set(local, None, Some(row)),
                Some(known) if known.extents == row.extents => {}
                // Written again after the last flush: that is what was acknowledged last.
                Some(old) if old.state == BlockState::Written => {
                    dead.extend(old.extents.iter().map(Extent::span));
                    turn.set(local, Some(old), Some(row));
                }
                // Fetched after the last flush.
                Some(old) if old.state == BlockState::Missing && old.has_content(row.length, &row.sums) => {
                    let stored = BlockRow { state: BlockState::Stored, index: old.index, ..row };
                    self.append(Need::Upkeep, &[(Draft::new(&stored.commit_record(local), 0), &[])])?;
                    turn.set(local, Some(old), Some(stored));
                }
                Some(_) => dead.extend(row.extents.iter().map(Extent::span)),
            }
        }
        turn.free(dead);
        Ok(())
    }

    /// The file, open for reading and writing.
    pub(crate) fn file(&self) -> Result<Arc<DataFile>, DiskError> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let open = || DataFile::open(&self.disk.container_path(self.id), &self.disk.room);
        self.disk.files.open(&self.file, open).map_err(|error| match self.is_gone() {
            // It was renamed on its way out: no fault of the disk.
            true => DiskError::Failed(format!("{} is being removed", self.id)),
            false => self.disk.fails("opening a container's file", &error),
        })
    }

    /// As the next flush will store it.
    pub(crate) fn row(&self) -> ContainerRow {
        self.live.lock().row.clone()
    }

    pub(crate) fn pipeline(&self) -> PipelineId {
        self.live.lock().row.pipeline
    }

    #[cfg(test)]
    pub(crate) fn indexed_to(&self) -> u64 {
        self.row().indexed_to
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.live.lock().is_gone
    }

    pub(crate) fn lookup(&self, local: u64) -> Result<Option<Arc<BlockRow>>, StorageFault> {
        {
            let live = self.live.lock();
            if let Some(row) = live.dirty.get(&local).or_else(|| live.flushing.get(&local)) {
                return Ok(row.clone());
            }
        }
        // A flush that ends between the two looks has put the row where the second one looks.
        Ok(self.disk.index.block(self.id, local)?.map(Arc::new))
    }

    /// About `limit` blocks in order, from the first at or after `from`, and where to go on.
    pub(crate) fn blocks(&self, from: u64, limit: usize) -> Result<Page, StorageFault> {
        let mut changed = Rows::new();
        {
            let live = self.live.lock();
            for rows in [&live.flushing, &live.dirty] {
                changed.extend(rows.range(from..).map(|(local, row)| (*local, row.clone())));
            }
        }
        // After the look at the memory: what a flush moves meanwhile is then seen twice, not missed.
        let stored = self.disk.index.blocks(self.id, from, limit)?;
        let next = stored.last().filter(|_| stored.len() == limit).and_then(|(last, _)| last.checked_add(1));
        let mut rows: BTreeMap<u64, Arc<BlockRow>> = stored.into_iter().map(|(local, row)| (local, Arc::new(row))).collect();
        for (local, row) in changed.into_iter().take_while(|(local, _)| next.is_none_or(|next| *local < next)) {
            match row {
                Some(row) => rows.insert(local, row),
                None => rows.remove(&local),
            };
        }
        Ok((rows.into_iter().collect(), next))
    }

    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn { container: self, _guard: self.turn.lock() }
    }

    /// Everything written to the file before the call is on the disk when it returns.
    pub(crate) async fn sync(&self) -> Result<(), DiskError> {
        let file = self.file()?;
        self.syncer.sync(&file).await.map_err(|why| self.disk.fail(format!("syncing a container's file: {why}")))
    }

    /// Room at the end of the file, which must have been opened for it.
    fn reserve(&self, live: &mut Live, bytes: u64) -> Result<u64, DiskError> {
        let tail = match live.tail {
            Some(tail) => tail,
            None => {
                let length =
                    self.file()?.metadata().map_err(|error| self.disk.fails("looking at a container's file", &error))?.len();
                // Room that was reserved and never written may lie behind the end.
                align_record(length.max(live.row.indexed_to).max(FIRST_RECORD_AT))
            }
        };
        live.tail = Some(align_record(tail + bytes));
        self.mark_dirty(live);
        self.disk.count_written(bytes);
        Ok(tail)
    }

    /// Writes records at the end of the file, not synced, and tells where they are.
    pub(crate) fn append(&self, need: Need, records: &[(Draft, &[u8])]) -> Result<Vec<u64>, DiskError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        self.disk.check()?;
        let file = self.file()?;
        let length = records.iter().map(|(draft, _)| draft.span()).sum();
        let at = self.reserve(&mut self.live.lock(), length)?;
        file.write_records(need, self.salt, records, at)
            .map_err(|error| self.disk.fails("writing to a container's file", &error))?;
        let mut positions = Vec::with_capacity(records.len());
        let mut next = at;
        for (draft, _) in records {
            positions.push(next);
            next += draft.span();
        }
        Ok(positions)
    }

    /// The disk's next flush takes it along.
    fn mark_dirty(&self, live: &mut Live) {
        if !live.is_gone && !std::mem::replace(&mut live.is_dirty, true) {
            self.disk.dirty.lock().insert(self.id);
        }
    }
}

impl Turn<'_> {
    pub(crate) fn lookup(&self, local: u64) -> Result<Option<Arc<BlockRow>>, StorageFault> {
        self.container.lookup(local)
    }

    /// Puts a row in place of `before`. The bytes it points at are in the file.
    pub(crate) fn set(&self, local: u64, before: Option<&BlockRow>, after: Option<BlockRow>) {
        let mut live = self.container.live.lock();
        live.row.count(before, after.as_ref());
        live.dirty.insert(local, after.map(Arc::new));
        self.container.mark_dirty(&mut live);
    }

    /// Spans to give back once the next flush has made durable that nothing points at them.
    pub(crate) fn free(&self, spans: impl IntoIterator<Item = Span>) {
        let mut live = self.container.live.lock();
        live.dead.extend(spans);
        if !live.dead.is_empty() {
            self.container.mark_dirty(&mut live);
        }
    }

    pub(crate) fn state(&self) -> ContainerState {
        self.container.live.lock().row.state
    }

    /// The record that goes with [`Self::set_state`].
    pub(crate) fn state_record(&self, state: ContainerState, commit_index: u64, is_damaged: bool) -> Draft {
        Draft::new(&Body::State(StateBody { state, commit_index, is_damaged }), 0)
    }

    pub(crate) fn set_state(&self, state: ContainerState, commit_index: u64, is_damaged: bool) {
        let mut live = self.container.live.lock();
        live.row.state = state;
        live.row.commit_index = live.row.commit_index.max(commit_index);
        live.row.is_damaged = is_damaged;
        if state != ContainerState::Open {
            // No commit comes any more that they would have to stop.
            live.drops_tombstones = true;
            drop_tombstones(&mut live.dirty);
        }
        self.container.mark_dirty(&mut live);
    }

    /// Closes by itself, or notes damage: what a replica does without the log.
    pub(crate) fn change_state(&self, state: ContainerState, is_damaged: bool) -> Result<(), DiskError> {
        let row = self.container.row();
        if row.state == state && row.is_damaged == is_damaged {
            return Ok(());
        }
        self.container.append(Need::Upkeep, &[(self.state_record(state, row.commit_index, is_damaged), &[])])?;
        self.set_state(state, row.commit_index, is_damaged);
        Ok(())
    }

    /// Deletes blocks; not durable before the next flush. While the container is open, the log may still bring a block's commit,
    /// or bring it again after a crash: a tombstone stops it, until the container is closed.
    pub(crate) fn delete(&self, locals: &[u64]) -> Result<(), StorageFaultOrDisk> {
        let leaves_tombstones = self.state() == ContainerState::Open;
        let mut deleted = Vec::new();
        for local in locals {
            match self.lookup(*local)? {
                Some(row) if row.state == BlockState::Tombstone => {}
                None if !leaves_tombstones => {}
                before => deleted.push((*local, before)),
            }
        }
        if deleted.is_empty() {
            return Ok(());
        }
        let body = DeleteBody { locals: deleted.iter().map(|(local, _)| *local).collect(), leaves_tombstones };
        self.container.append(Need::Upkeep, &[(Draft::new(&Body::Delete(body), 0), &[])])?;
        for (local, before) in deleted {
            let after = leaves_tombstones.then(BlockRow::tombstone);
            self.set(local, before.as_deref(), after);
            self.free(before.iter().flat_map(|row| row.extents.iter().map(Extent::span)));
        }
        Ok(())
    }

    /// Nothing may be written any more; the file is about to go.
    pub(crate) fn mark_gone(&self) {
        let mut live = self.container.live.lock();
        live.is_gone = true;
        live.dirty.clear();
        live.dead.clear();
    }
}

/// Either kind of failure of a step that reads rows and writes bytes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageFaultOrDisk {
    #[error(transparent)]
    Fault(#[from] StorageFault),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl StorageFaultOrDisk {
    /// A row that cannot be read takes the disk out of service.
    pub(crate) fn into_disk_error(self, disk: &Disk) -> DiskError {
        match self {
            Self::Fault(fault) => disk.fault(fault),
            Self::Disk(error) => error,
        }
    }
}

/// Of a container that is not open.
fn drop_tombstones(rows: &mut Rows) {
    for row in rows.values_mut().filter(|row| row.as_ref().is_some_and(|row| row.state == BlockState::Tombstone)) {
        *row = None;
    }
}

fn create_file(path: &std::path::Path, room: &Arc<Room>, need: Need, body: FileBody) -> io::Result<DataFile> {
    // One that a crash left before its first sync may be in the way; it holds nothing that was acknowledged.
    let file = DataFile::create(path, room, need)?;
    file.write_records(need, Salt::NONE, &[(Draft::new(&Body::File(body), 0), &[])], 0)?;
    file.sync_all()?;
    Ok(file)
}

fn read_file_body(file: &File) -> io::Result<Option<FileBody>> {
    Ok(match file::read_record(file, Salt::NONE, 0)? {
        Some((_, Body::File(body))) => Some(body),
        _ => None,
    })
}

/// All rows of a container, from its file alone. Nothing if the file is not one of ours.
pub(crate) fn rebuild(path: &std::path::Path) -> io::Result<Option<Rebuilt>> {
    let file = File::open(path)?;
    let Some(body) = read_file_body(&file)? else { return Ok(None) };
    let salt = Salt(body.salt);
    let mut replay = Replay::default();
    if let Some((header, body)) = file::read_record(&file, Salt::NONE, 0)? {
        replay.record(header.layout, body, |_, _| true);
    }
    scan::scan(&file, salt, FIRST_RECORD_AT, Trust::AfterProgress, &mut replay)?;
    Ok(replay.rebuilt())
}

/// The record of how far a pipeline's log stands in the files.
fn progress_draft(pipeline: PipelineId, row: &datanode_core::rows::GroupRow) -> Draft {
    Draft::new(&Body::Progress(ProgressBody { pipeline, row: tables::encode(row), index: row.index }), 0)
}

const _: () = assert!(RECORD_ALIGN.is_power_of_two() && datanode_core::rows::CHUNK_BYTES == datanode_api::CHUNK_BYTES as u64);
