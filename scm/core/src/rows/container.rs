//! Containers: the unit in which blocks are closed, replicated and repaired.

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, Table, Visit, WriteTables};
use types::{ContainerId, DatanodeId, PipelineId, Replication};

use super::{CONTAINERS, Key, PIPELINE_CONTAINERS, Row, malformed_key};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ContainerPhase {
    /// Block ids are leased from it.
    #[n(0)]
    Open,
    /// No more block ids; its pipeline is ordered to close it.
    #[n(1)]
    Closing,
    /// Closed through its pipeline's log, or settled afterwards: `sequence` says what a whole replica holds.
    #[n(2)]
    Closed,
    /// Its pipeline went away before it was closed: the fullest replica is the truth, and a fuller one may still turn up.
    #[n(3)]
    QuasiClosed,
    /// Emptied and removed. The row stays, so that a replica which turns up late is known for what it is.
    #[n(4)]
    Deleted,
}

/// `containers / id`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ContainerRow {
    #[n(0)]
    pub phase: ContainerPhase,
    #[n(1)]
    pub replication: Replication,
    /// The pipeline that writes, or wrote, to it.
    #[n(2)]
    pub pipeline: PipelineId,
    /// The datanodes of that pipeline: where to look before anybody has reported a replica.
    #[n(3)]
    pub members: Vec<DatanodeId>,
    /// Local ids below this were leased. Never goes back.
    #[n(4)]
    pub next_local: u64,
    /// A replica of it was reported once. Without one, nothing was ever written.
    #[n(5)]
    pub was_reported: bool,
    /// As last noted; the census knows better.
    #[n(6)]
    pub used: u64,
    #[n(7)]
    pub blocks: u64,
    /// The commit index of a whole replica; known exactly when the container is closed (and kept when it is deleted).
    #[n(8)]
    pub sequence: Option<u64>,
}

impl ContainerRow {
    /// Its pipeline still has work with it.
    pub fn is_unfinished(&self) -> bool {
        matches!(self.phase, ContainerPhase::Open | ContainerPhase::Closing)
    }
}

impl Row for ContainerRow {
    type Key = ContainerId;
    const TABLE: Table = CONTAINERS;
}

/// `pipeline containers / pipeline | container`: the index of unfinished containers.
fn index_key(pipeline: PipelineId, container: ContainerId) -> Vec<u8> {
    [pipeline.bytes(), container.bytes()].concat()
}

pub(crate) fn note_unfinished(tables: &mut (impl WriteTables + ?Sized), pipeline: PipelineId, container: ContainerId) {
    tables.put(PIPELINE_CONTAINERS, &index_key(pipeline, container), Vec::new());
}

pub(crate) fn note_finished(tables: &mut (impl WriteTables + ?Sized), pipeline: PipelineId, container: ContainerId) {
    tables.delete(PIPELINE_CONTAINERS, &index_key(pipeline, container));
}

/// The containers of this pipeline that are open or closing.
pub fn unfinished_in(tables: &(impl ReadTables + ?Sized), pipeline: PipelineId) -> Result<Vec<ContainerId>, StorageFault> {
    let prefix = pipeline.bytes();
    let mut found = Vec::new();
    tables.scan(PIPELINE_CONTAINERS, &prefix, &mut |key, _| {
        let Some(rest) = key.strip_prefix(prefix.as_slice()) else {
            return Ok(Visit::Stop);
        };
        found.push(ContainerId::parse(rest).ok_or_else(|| malformed_key(PIPELINE_CONTAINERS))?);
        Ok(Visit::Next)
    })?;
    Ok(found)
}
