//! The rows, one file a kind. Keys are big-endian numbers, so that tables order by id.
//!
//! ```text
//! table 1 meta                 "cluster" | "counters"       -> ClusterRow | Counters
//! table 2 datanodes            datanode u64                 -> DatanodeRow
//! table 3 pipelines            pipeline u64                 -> PipelineRow
//! table 4 containers           container u64                -> ContainerRow
//! table 5 pipeline containers  pipeline u64 | container u64 -> ()      containers that are open or closing
//! table 6 token keys           key u32                      -> TokenKeyRow
//! table 7 deletions            transaction u64              -> DeletionRow
//! ```

mod cluster;
mod container;
mod counters;
mod datanode;
mod deletion;
mod pipeline;
mod token_key;

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, Table, Visit, WriteTables, decode, encode};
use types::{ContainerId, DatanodeId, PipelineId};

pub use cluster::{Authority, ClusterRow};
pub use container::{ContainerPhase, ContainerRow, unfinished_in};
pub(crate) use container::{note_finished, note_unfinished};
pub use counters::Counters;
pub use datanode::{DatanodeRow, superseded};
pub use deletion::DeletionRow;
pub use pipeline::{Member, PipelinePhase, PipelineRow};
pub use token_key::TokenKeyRow;

const META: Table = Table { id: 1, name: "meta" };
const DATANODES: Table = Table { id: 2, name: "datanodes" };
const PIPELINES: Table = Table { id: 3, name: "pipelines" };
const CONTAINERS: Table = Table { id: 4, name: "containers" };
const PIPELINE_CONTAINERS: Table = Table { id: 5, name: "pipeline containers" };
const TOKEN_KEYS: Table = Table { id: 6, name: "token keys" };
const DELETIONS: Table = Table { id: 7, name: "deletions" };

/// Every table of this core.
pub const TABLES: [Table; 7] = [META, DATANODES, PIPELINES, CONTAINERS, PIPELINE_CONTAINERS, TOKEN_KEYS, DELETIONS];

/// A kind of row: where it is kept and under which key.
pub trait Row: Encode<()> + for<'b> Decode<'b, ()> {
    type Key: Key;
    const TABLE: Table;
}

pub trait Key: Copy + Ord {
    const FIRST: Self;
    fn bytes(self) -> Vec<u8>;
    fn parse(bytes: &[u8]) -> Option<Self>;
}

impl Key for u64 {
    const FIRST: Self = 0;
    fn bytes(self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn parse(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Key for u32 {
    const FIRST: Self = 0;
    fn bytes(self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn parse(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

macro_rules! id_keys {
    ($($id:ident)*) => {$(
        impl Key for $id {
            const FIRST: Self = Self(0);
            fn bytes(self) -> Vec<u8> {
                self.0.bytes()
            }
            fn parse(bytes: &[u8]) -> Option<Self> {
                u64::parse(bytes).map(Self)
            }
        }
    )*};
}
id_keys! { DatanodeId PipelineId ContainerId }

pub fn get<R: Row>(tables: &(impl ReadTables + ?Sized), key: R::Key) -> Result<Option<R>, StorageFault> {
    tables.get(R::TABLE, &key.bytes())?.map(|bytes| decode(&bytes, R::TABLE.name)).transpose()
}

pub(crate) fn put<R: Row>(tables: &mut (impl WriteTables + ?Sized), key: R::Key, row: &R) {
    tables.put(R::TABLE, &key.bytes(), encode(row));
}

pub(crate) fn delete<R: Row>(tables: &mut (impl WriteTables + ?Sized), key: R::Key) {
    tables.delete(R::TABLE, &key.bytes());
}

/// What a scan over rows does after one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    On,
    Stop,
}

/// Visits the rows of a kind in key order, from the first at or after `from`.
pub fn walk<R: Row>(
    tables: &(impl ReadTables + ?Sized),
    from: R::Key,
    mut visit: impl FnMut(R::Key, R) -> Walk,
) -> Result<(), StorageFault> {
    tables.scan(R::TABLE, &from.bytes(), &mut |key, value| {
        let key = R::Key::parse(key).ok_or_else(|| malformed_key(R::TABLE))?;
        Ok(match visit(key, decode(value, R::TABLE.name)?) {
            Walk::On => Visit::Next,
            Walk::Stop => Visit::Stop,
        })
    })
}

/// All rows of a kind of which there are few.
pub fn all<R: Row>(tables: &(impl ReadTables + ?Sized)) -> Result<Vec<(R::Key, R)>, StorageFault> {
    let mut rows = Vec::new();
    walk::<R>(tables, R::Key::FIRST, |key, row| {
        rows.push((key, row));
        Walk::On
    })?;
    Ok(rows)
}

fn malformed_key(table: Table) -> StorageFault {
    StorageFault(format!("a key of table {} has the wrong length", table.name))
}
