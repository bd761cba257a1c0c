//! Ordered tables of bytes: what a core reads and writes, whoever keeps them.
//!
//! A core's `apply` sees `&mut impl WriteTables` and nothing else of storage. `raft-node` implements the traits over
//! memory and redb, tests over [`MemoryTables`]. Keys order by their bytes, so a key layout is an index.

mod memory;
mod record;

pub use memory::MemoryTables;
pub use record::{decode, encode};

/// A table of a core: its number in stored files, never reused, and its name for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table {
    pub id: u8,
    pub name: &'static str,
}

/// This replica cannot go on: its storage failed, or holds what it should not. Nobody but the operator can mend it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("storage fault: {0}")]
pub struct StorageFault(pub String);

/// What a scan does after a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visit {
    Next,
    /// Go on at the first row at or after this key, which must lie behind the present one: how a listing passes a whole
    /// common prefix, or a stack of versions, in one step.
    SeekTo(Vec<u8>),
    Stop,
}

/// Looks at one row, key and value, and says where to go on.
pub type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<Visit, StorageFault> + 'a;

pub trait ReadTables {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageFault>;

    /// Visits rows in key order from the first at or after `from`, until the visitor stops or the table ends.
    fn scan(&self, table: Table, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), StorageFault>;
}

pub trait WriteTables: ReadTables {
    fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>);
    fn delete(&mut self, table: Table, key: &[u8]);
}

impl<T: ReadTables + ?Sized> ReadTables for &T {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageFault> {
        (**self).get(table, key)
    }
    fn scan(&self, table: Table, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), StorageFault> {
        (**self).scan(table, from, visit)
    }
}
