//! The disk's index: redb, with a checksum in every value.
//!
//! A commit is durable when it returns. Each one is a quick-repair commit, so that a killed process opens again at once.
//!
//! redb does nothing more after a commit that failed. One that failed for want of space is no reason to give the disk up, so the
//! database is then opened anew: it holds what it held before, or all of the change. The former handle is dead from then on: what
//! it still reads is not believed, and it writes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datanode_core::rows::{
    BlockRow, ContainerRow, GroupRow, block_key, number_key, open, seal, split_block_key, split_number_key,
};
use datanode_core::space::{Span, free};
use parking_lot::RwLock;
use redb::{AccessGuard, Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition};
use tables::StorageFault;
use types::{ContainerId, PipelineId};

use super::index_file::{FileState, IndexFile};
use super::room::Room;

type Bytes = &'static [u8];
type Entry<'a> = Result<(AccessGuard<'a, Bytes>, AccessGuard<'a, Bytes>), redb::StorageError>;

const BLOCKS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("blocks");
const CONTAINERS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("containers");
const GROUPS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("groups");
const DEAD: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("dead");

#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    cache_bytes: usize,
    room: Arc<Room>,
    opened: RwLock<Arc<Opened>>,
}

#[derive(Debug)]
struct Opened {
    db: Database,
    state: Arc<FileState>,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    #[error("no space is left for the index")]
    Full,
    #[error(transparent)]
    Fault(#[from] StorageFault),
}

impl From<IndexError> for StorageFault {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Full => Self(error.to_string()),
            IndexError::Fault(fault) => fault,
        }
    }
}

/// Rows to change together; nothing in place of a row removes it.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) blocks: Vec<(ContainerId, u64, Option<Arc<BlockRow>>)>,
    pub(crate) containers: Vec<(ContainerId, ContainerRow)>,
    pub(crate) groups: Vec<(PipelineId, Option<GroupRow>)>,
    /// Spans that became free.
    pub(crate) dead: Vec<(ContainerId, Span)>,
    /// Containers of which nothing is to remain. They go first, so that the same commit may bring one back.
    pub(crate) dropped: Vec<ContainerId>,
    /// Containers whose tombstones are of no more use.
    pub(crate) without_tombstones: Vec<ContainerId>,
}

fn fault(error: impl std::fmt::Display) -> StorageFault {
    StorageFault(format!("index: {error}"))
}

impl Opened {
    fn open(path: &Path, cache_bytes: usize, room: &Arc<Room>) -> Result<Arc<Self>, StorageFault> {
        let state = Arc::default();
        let file = IndexFile::open(path, room, &state).map_err(fault)?;
        let db = Database::builder().set_cache_size(cache_bytes).create_with_backend(file).map_err(fault)?;
        Ok(Arc::new(Self { db, state }))
    }

    fn has_ended(&self) -> bool {
        self.state.has_ended.load(Ordering::Acquire)
    }
}

impl Index {
    pub(crate) fn open(path: &Path, cache_bytes: usize, room: &Arc<Room>) -> Result<Self, IndexError> {
        let opened = RwLock::new(Opened::open(path, cache_bytes, room)?);
        let index = Self { path: path.to_path_buf(), cache_bytes, room: Arc::clone(room), opened };
        // Only the first time: on a full disk a start must do without a write.
        if !index.has_tables()? {
            index.commit(Changes::default())?;
        }
        Ok(index)
    }

    fn has_tables(&self) -> Result<bool, StorageFault> {
        self.read(|read| {
            let names = read.list_tables().map_err(fault)?;
            Ok(names.count() == [BLOCKS, CONTAINERS, GROUPS, DEAD].len())
        })
    }

    /// The database as it is open now; opened anew if it has come to an end for want of space.
    fn opened(&self) -> Result<Arc<Opened>, StorageFault> {
        let opened = Arc::clone(&self.opened.read());
        if !opened.has_ended() {
            return Ok(opened);
        }
        let mut place = self.opened.write();
        if place.has_ended() {
            *place = Opened::open(&self.path, self.cache_bytes, &self.room)?;
        }
        Ok(Arc::clone(&place))
    }

    fn read<T>(&self, work: impl Fn(&ReadTransaction) -> Result<T, StorageFault>) -> Result<T, StorageFault> {
        let opened = self.opened()?;
        let outcome = opened.db.begin_read().map_err(fault).and_then(|read| work(&read));
        // A change that found no space while we read ended the handle for us too: its pages may have been written anew since.
        if !opened.has_ended() {
            return outcome;
        }
        work(&self.opened()?.db.begin_read().map_err(fault)?)
    }

    pub(crate) fn block(&self, container: ContainerId, local: u64) -> Result<Option<BlockRow>, StorageFault> {
        let key = block_key(container, local);
        self.read(|read| {
            let table = read.open_table(BLOCKS).map_err(fault)?;
            let value = table.get(key.as_slice()).map_err(fault)?;
            value.map(|value| open(&key, value.value(), "a block's row")).transpose()
        })
    }

    /// Up to `limit` rows of a container's blocks, from the first at or after `from`.
    pub(crate) fn blocks(&self, container: ContainerId, from: u64, limit: usize) -> Result<Vec<(u64, BlockRow)>, StorageFault> {
        let (first, last) = (block_key(container, from), block_key(container, u64::MAX));
        self.read(|read| {
            let table = read.open_table(BLOCKS).map_err(fault)?;
            let mut rows = Vec::new();
            for entry in table.range(first.as_slice()..=last.as_slice()).map_err(fault)?.take(limit) {
                let (key, value) = entry.map_err(fault)?;
                let (_, local) = split_block_key(key.value())?;
                rows.push((local, open(key.value(), value.value(), "a block's row")?));
            }
            Ok(rows)
        })
    }

    pub(crate) fn containers(&self) -> Result<BTreeMap<ContainerId, ContainerRow>, StorageFault> {
        let row = |entry: Entry<'_>| {
            let (key, value) = entry.map_err(fault)?;
            Ok((ContainerId(split_number_key(key.value())?), open(key.value(), value.value(), "a container's row")?))
        };
        self.read(|read| read.open_table(CONTAINERS).map_err(fault)?.iter().map_err(fault)?.map(row).collect())
    }

    pub(crate) fn groups(&self) -> Result<BTreeMap<PipelineId, GroupRow>, StorageFault> {
        let row = |entry: Entry<'_>| {
            let (key, value) = entry.map_err(fault)?;
            Ok((PipelineId(split_number_key(key.value())?), open(key.value(), value.value(), "a pipeline's row")?))
        };
        self.read(|read| read.open_table(GROUPS).map_err(fault)?.iter().map_err(fault)?.map(row).collect())
    }

    /// Every row of every table as it is stored, to compare indexes with.
    #[cfg(test)]
    pub(crate) fn dump(&self) -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
        let read = self.opened().expect("opens").db.begin_read().expect("reads");
        let mut rows = Vec::new();
        for (name, table) in [("blocks", BLOCKS), ("containers", CONTAINERS), ("groups", GROUPS), ("dead", DEAD)] {
            let table = read.open_table(table).expect("opens");
            for entry in table.iter().expect("reads") {
                let (key, value) = entry.expect("reads");
                rows.push((name, key.value().to_vec(), value.value().to_vec()));
            }
        }
        rows
    }

    /// Makes all changes durable at once, and tells which stretches of which files hold nothing any more.
    pub(crate) fn commit(&self, changes: Changes) -> Result<Vec<(ContainerId, Span)>, IndexError> {
        let opened = self.opened()?;
        opened.state.ran_full.store(false, Ordering::Release);
        apply(&opened.db, changes).map_err(|fault| {
            if !opened.state.ran_full.load(Ordering::Acquire) {
                return fault.into();
            }
            opened.state.has_ended.store(true, Ordering::Release);
            IndexError::Full
        })
    }
}

fn apply(db: &Database, changes: Changes) -> Result<Vec<(ContainerId, Span)>, StorageFault> {
    let mut txn = db.begin_write().map_err(fault)?;
    txn.set_quick_repair(true);
    let mut punch = Vec::new();
    {
        let mut blocks = txn.open_table(BLOCKS).map_err(fault)?;
        let mut containers = txn.open_table(CONTAINERS).map_err(fault)?;
        let mut groups = txn.open_table(GROUPS).map_err(fault)?;
        let mut dead = txn.open_table(DEAD).map_err(fault)?;
        for container in changes.dropped {
            remove_range(&mut blocks, container)?;
            remove_range(&mut dead, container)?;
            containers.remove(number_key(container.0).as_slice()).map_err(fault)?;
        }
        for container in changes.without_tombstones {
            remove_tombstones(&mut blocks, container)?;
        }
        for (container, local, row) in changes.blocks {
            let key = block_key(container, local);
            match row {
                Some(row) => blocks.insert(key.as_slice(), seal(&key, &*row).as_slice()),
                None => blocks.remove(key.as_slice()),
            }
            .map_err(fault)?;
        }
        for (container, row) in changes.containers {
            let key = number_key(container.0);
            containers.insert(key.as_slice(), seal(&key, &row).as_slice()).map_err(fault)?;
        }
        for (pipeline, row) in changes.groups {
            let key = number_key(pipeline.0);
            match row {
                Some(row) => groups.insert(key.as_slice(), seal(&key, &row).as_slice()),
                None => groups.remove(key.as_slice()),
            }
            .map_err(fault)?;
        }
        for (container, span) in changes.dead {
            punch.extend(free_span(&mut dead, container, span)?.map(|span| (container, span)));
        }
    }
    txn.commit().map_err(fault)?;
    Ok(punch)
}

fn remove_range(table: &mut Table<'_, Bytes, Bytes>, container: ContainerId) -> Result<(), StorageFault> {
    let (first, last) = (block_key(container, 0), block_key(container, u64::MAX));
    table.retain_in(first.as_slice()..=last.as_slice(), |_, _| false).map_err(fault)
}

fn remove_tombstones(blocks: &mut Table<'_, Bytes, Bytes>, container: ContainerId) -> Result<(), StorageFault> {
    let (first, last) = (block_key(container, 0), block_key(container, u64::MAX));
    let is_tombstone = |key: &[u8], value: &[u8]| {
        open::<BlockRow>(key, value, "a block's row").is_ok_and(|row| row.state == datanode_core::rows::BlockState::Tombstone)
    };
    blocks.retain_in(first.as_slice()..=last.as_slice(), |key, value| !is_tombstone(key, value)).map_err(fault)
}

/// Merges a span with its neighbours in the table.
fn free_span(dead: &mut Table<'_, Bytes, Bytes>, container: ContainerId, span: Span) -> Result<Option<Span>, StorageFault> {
    let neighbour = |entry: Option<Entry<'_>>| -> Result<Option<Span>, StorageFault> {
        let Some(entry) = entry else { return Ok(None) };
        let (key, value) = entry.map_err(fault)?;
        let (_, start) = split_block_key(key.value())?;
        Ok(Some(Span { start, end: open(key.value(), value.value(), "a free span")? }))
    };
    let (first, at, last) = (block_key(container, 0), block_key(container, span.start), block_key(container, u64::MAX));
    let before = neighbour(dead.range(first.as_slice()..=at.as_slice()).map_err(fault)?.next_back())?;
    if before.is_some_and(|before| before.start <= span.start && span.end <= before.end) {
        // Freed already; a crash may have kept its pages from being punched.
        return Ok(span.pages());
    }
    let behind = neighbour(dead.range(at.as_slice()..=last.as_slice()).map_err(fault)?.next())?;
    let freed = free(before, span, behind);
    for gone in
        [before, behind].into_iter().flatten().filter(|one| freed.merged.start <= one.start && one.end <= freed.merged.end)
    {
        dead.remove(block_key(container, gone.start).as_slice()).map_err(fault)?;
    }
    let key = block_key(container, freed.merged.start);
    dead.insert(key.as_slice(), seal(&key, &freed.merged.end).as_slice()).map_err(fault)?;
    Ok(freed.punch)
}
