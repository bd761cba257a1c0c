//! Blocks for the OM: leases, locations, deletion.

use minicbor::{Decode, Encode};
use types::{BlockId, ContainerId, PipelineId, Replica, Replication, Timestamp};

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LeaseBlocks {
    #[n(0)]
    pub replication: Replication,
    #[n(1)]
    pub count: u32,
    /// Pipelines that failed a writer just now.
    #[n(2)]
    pub exclude: Vec<PipelineId>,
}

/// Block ids that nobody else was or will be given.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BlockRange {
    #[n(0)]
    pub container: ContainerId,
    #[n(1)]
    pub first: u64,
    #[n(2)]
    pub count: u32,
    #[n(3)]
    pub pipeline: PipelineId,
    #[n(4)]
    pub replicas: Vec<Replica>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LeasedBlocks {
    #[n(0)]
    pub ranges: Vec<BlockRange>,
    /// Hand out no more of them after this; the pipeline may be gone.
    #[n(1)]
    pub expires: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum LeaseRejected {
    #[n(0)]
    #[error("in safe mode")]
    SafeMode,
    /// No open pipeline with room for this replication.
    #[n(1)]
    #[error("no open pipeline with room")]
    NoPipeline,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LocateContainers {
    #[n(0)]
    pub containers: Vec<ContainerId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ContainerLocations {
    /// In the order asked for; an unknown container has no replicas.
    #[n(0)]
    pub locations: Vec<ContainerLocation>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ContainerLocation {
    #[n(0)]
    pub container: ContainerId,
    /// The pipeline that still writes to it.
    #[n(1)]
    pub pipeline: Option<PipelineId>,
    /// Replicas fit to be read, on live datanodes first.
    #[n(2)]
    pub replicas: Vec<Replica>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeleteBlocks {
    #[n(0)]
    pub blocks: Vec<BlockId>,
}
