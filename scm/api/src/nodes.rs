//! Datanodes: registration, heartbeats, orders.

use minicbor::{Decode, Encode};
use types::{BlockId, ContainerId, DatanodeId, Endpoint, MemberId, PipelineId, Replica};

use crate::token::TokenKeys;

/// A datanode introduces itself at every start.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RegisterDatanode {
    /// The id it was given before; none on empty disks. A wiped datanode comes without one and gets a new one.
    #[n(0)]
    pub id: Option<DatanodeId>,
    /// Its name in the configuration, for people.
    #[n(1)]
    pub name: String,
    /// Where blocks are read and written.
    #[n(2)]
    pub data_endpoint: Endpoint,
    /// Where its pipelines' Raft members answer.
    #[n(3)]
    pub rpc_endpoint: Endpoint,
    #[n(4)]
    pub disks: Vec<DiskReport>,
    /// Where it stands, from the root down, as `/rack`; replicas are spread over these.
    #[n(5)]
    pub rack: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DatanodeRegistered {
    #[n(0)]
    pub id: DatanodeId,
    #[n(1)]
    pub cluster_id: String,
    #[n(2)]
    pub heartbeat_every_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum RegisterRejected {
    /// The id was never given out by this cluster, or its holder was retired.
    #[n(0)]
    #[error("unknown datanode id")]
    UnknownId,
    /// Another process with this id is alive.
    #[n(1)]
    #[error("the id is in use by a live datanode")]
    IdInUse,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DiskReport {
    #[n(0)]
    pub path: String,
    #[n(1)]
    pub capacity: u64,
    #[n(2)]
    pub used: u64,
    /// Bytes that may still be written: free space less the reserve that keeps deletes possible.
    #[n(3)]
    pub remaining: u64,
    /// Taken out of service: a failed sync, a bad read, a full disk.
    #[n(4)]
    pub failed: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Heartbeat {
    #[n(0)]
    pub id: DatanodeId,
    /// Chosen at process start: tells a restart from a pause.
    #[n(1)]
    pub incarnation: u64,
    #[n(2)]
    pub disks: Vec<DiskReport>,
    #[n(3)]
    pub pipelines: Vec<PipelineReport>,
    /// Containers that changed since the last accepted heartbeat, or all of them.
    #[n(4)]
    pub containers: Vec<ContainerReport>,
    /// `containers` is everything this datanode holds: the first heartbeat after a start, and now and then.
    #[n(5)]
    pub is_full_report: bool,
    /// Delete orders that are carried out and durable.
    #[n(6)]
    pub deleted: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PipelineReport {
    #[n(0)]
    pub pipeline: PipelineId,
    #[n(1)]
    pub is_leader: bool,
    #[n(2)]
    pub term: u64,
    /// A member is so far behind that the pipeline should be closed and its containers repaired instead.
    #[n(3)]
    pub is_lagging: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ReplicaState {
    /// Takes writes through its pipeline.
    #[n(0)]
    Open,
    /// Closed through the pipeline's log: equal to every other closed replica.
    #[n(1)]
    Closed,
    /// Closed by itself because its pipeline is gone: may lack the last commits.
    #[n(2)]
    QuasiClosed,
    /// Damaged: must not count, nor be copied.
    #[n(3)]
    Unhealthy,
}

/// One replica as its datanode sees it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ContainerReport {
    #[n(0)]
    pub container: ContainerId,
    #[n(1)]
    pub state: ReplicaState,
    /// The pipeline log index of the last commit it holds: the fuller of two quasi-closed replicas.
    #[n(2)]
    pub commit_index: u64,
    #[n(3)]
    pub blocks: u64,
    #[n(4)]
    pub used: u64,
    /// Committed blocks whose bytes are still being fetched from a peer: the replica does not count until none are.
    #[n(5)]
    pub missing_blocks: u64,
    /// The replica is gone from this datanode.
    #[n(6)]
    pub is_deleted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct HeartbeatReply {
    #[n(0)]
    pub orders: Vec<Order>,
    /// Present when they changed since this datanode's last heartbeat.
    #[n(1)]
    pub token_keys: Option<TokenKeys>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum HeartbeatRejected {
    /// Register (again) first: this leader does not know the sender's process.
    #[n(0)]
    #[error("register first")]
    NotRegistered,
    /// The datanode was retired; its data has been replaced.
    #[n(1)]
    #[error("this datanode was retired")]
    Retired,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PipelineMember {
    #[n(0)]
    pub member: MemberId,
    #[n(1)]
    pub datanode: DatanodeId,
    #[n(2)]
    pub rpc_endpoint: Endpoint,
    #[n(3)]
    pub data_endpoint: Endpoint,
}

/// What a datanode is told to do. Orders are repeated until a report shows their effect, so each is idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Order {
    /// Start this pipeline's Raft member. The first in the list bootstraps the group.
    #[n(0)]
    CreatePipeline {
        #[n(0)]
        pipeline: PipelineId,
        #[n(1)]
        members: Vec<PipelineMember>,
    },
    /// Stop the member and forget its log, after quasi-closing containers that are still open in it.
    #[n(1)]
    DestroyPipeline {
        #[n(0)]
        pipeline: PipelineId,
    },
    /// Close through the pipeline's log if it is served here, by itself otherwise.
    #[n(2)]
    CloseContainer {
        #[n(0)]
        container: ContainerId,
        /// The pipeline that writes to it, while there is one. A container that was never written to is closed all the same, as
        /// an empty one: the log entry then refuses a write that is still under way.
        #[n(1)]
        pipeline: Option<PipelineId>,
    },
    /// Fetch a copy from one of these and keep it.
    #[n(3)]
    ReplicateContainer {
        #[n(0)]
        container: ContainerId,
        #[n(1)]
        sources: Vec<Replica>,
    },
    /// Remove the replica: surplus, or damaged and replaced.
    #[n(4)]
    DeleteContainer {
        #[n(0)]
        container: ContainerId,
    },
    /// Give the space of these blocks back. `transaction` comes back in `Heartbeat::deleted`.
    #[n(5)]
    DeleteBlocks {
        #[n(0)]
        transaction: u64,
        #[n(1)]
        blocks: Vec<BlockId>,
    },
    /// Send everything you hold with the next heartbeat.
    #[n(6)]
    ReportInFull,
}
