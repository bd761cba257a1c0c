//! What an operator sees of the SCM.

use minicbor::{Decode, Encode};
use types::{ContainerId, DatanodeId, Endpoint, MemberId, PipelineId, Replication, Timestamp};

use crate::{DiskReport, ReplicaState};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum DatanodeState {
    #[n(0)]
    Healthy,
    #[n(1)]
    Stale,
    #[n(2)]
    Dead,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DatanodeInfo {
    #[n(0)]
    pub id: DatanodeId,
    #[n(1)]
    pub name: String,
    #[n(2)]
    pub state: DatanodeState,
    #[n(3)]
    pub data_endpoint: Endpoint,
    #[n(4)]
    pub last_heartbeat: Option<Timestamp>,
    #[n(5)]
    pub disks: Vec<DiskReport>,
    #[n(6)]
    pub containers: u64,
    #[n(7)]
    pub pipelines: Vec<PipelineId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum PipelineState {
    /// Ordered, not yet reported by its members.
    #[n(0)]
    Allocated,
    #[n(1)]
    Open,
    /// Takes no new containers; its containers are being closed.
    #[n(2)]
    Closing,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PipelineInfo {
    #[n(0)]
    pub id: PipelineId,
    #[n(1)]
    pub state: PipelineState,
    #[n(2)]
    pub replication: Replication,
    #[n(3)]
    pub members: Vec<DatanodeId>,
    #[n(4)]
    pub leader: Option<DatanodeId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ContainerState {
    #[n(0)]
    Open,
    #[n(1)]
    Closing,
    #[n(2)]
    Closed,
    #[n(3)]
    QuasiClosed,
    #[n(4)]
    Deleted,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ContainerInfo {
    #[n(0)]
    pub id: ContainerId,
    #[n(1)]
    pub state: ContainerState,
    #[n(2)]
    pub replication: Replication,
    #[n(3)]
    pub pipeline: Option<PipelineId>,
    #[n(4)]
    pub used: u64,
    #[n(5)]
    pub blocks: u64,
    #[n(6)]
    pub replicas: Vec<(DatanodeId, ReplicaState)>,
    /// Good replicas as the configuration asks for; false is data at risk.
    #[n(7)]
    pub is_healthy: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ContainerPageRequest {
    #[n(0)]
    pub after: Option<ContainerId>,
    #[n(1)]
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ContainerPage {
    #[n(0)]
    pub containers: Vec<ContainerInfo>,
    #[n(1)]
    pub more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SafeMode {
    #[n(0)]
    pub is_on: bool,
    /// What it waits for, in words.
    #[n(1)]
    pub reasons: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ScmOverview {
    #[n(0)]
    pub cluster_id: String,
    #[n(1)]
    pub safe_mode: SafeMode,
    #[n(2)]
    pub healthy_datanodes: u32,
    #[n(3)]
    pub stale_datanodes: u32,
    #[n(4)]
    pub dead_datanodes: u32,
    #[n(5)]
    pub open_pipelines: u32,
    #[n(6)]
    pub containers: u64,
    /// Containers with fewer good replicas than configured.
    #[n(7)]
    pub under_replicated: u64,
    /// Containers without a single good replica.
    #[n(8)]
    pub missing: u64,
    /// Blocks that are still to be deleted on datanodes.
    #[n(9)]
    pub blocks_to_delete: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TransferLeadership {
    /// Nobody in particular: whoever is furthest.
    #[n(0)]
    pub to: Option<MemberId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum TransferRejected {
    #[n(0)]
    #[error("not a voting member")]
    NotAVoter,
}
