//! Pipelines: which datanodes take a container's writes together.

use minicbor::{Decode, Encode};
use tables::Table;
use types::{DatanodeId, MemberId, PipelineId, Replication};

use super::{PIPELINES, Row};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum PipelinePhase {
    /// Decided; its members have not all reported it. Nothing was ever written to it.
    #[n(0)]
    Allocated,
    #[n(1)]
    Open,
    /// Takes no new containers, and those it has are being closed. When they are, the row goes away, and a datanode that
    /// still serves the pipeline is told to destroy it.
    #[n(2)]
    Closing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Member {
    #[n(0)]
    pub member: MemberId,
    #[n(1)]
    pub datanode: DatanodeId,
}

/// `pipelines / id`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PipelineRow {
    #[n(0)]
    pub phase: PipelinePhase,
    #[n(1)]
    pub replication: Replication,
    /// The first one bootstraps the group.
    #[n(2)]
    pub members: Vec<Member>,
}

impl PipelineRow {
    pub fn datanodes(&self) -> impl Iterator<Item = DatanodeId> + '_ {
        self.members.iter().map(|member| member.datanode)
    }

    pub fn has(&self, datanode: DatanodeId) -> bool {
        self.datanodes().any(|member| member == datanode)
    }

    /// How many members a commit needs.
    pub fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }
}

impl Row for PipelineRow {
    type Key = PipelineId;
    const TABLE: Table = PIPELINES;
}
