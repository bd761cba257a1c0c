//! What others may ask of the Storage Container Manager.
//!
//! Datanodes register and heartbeat; the answers carry their orders. The OM leases blocks in batches, finds containers and
//! hands over blocks to delete. Token keys travel here too: the OM seals [`token::BlockToken`]s with them, datanodes open them.

mod admin;
mod blocks;
mod nodes;
pub mod token;

pub use admin::{
    ContainerInfo, ContainerPage, ContainerPageRequest, ContainerState, DatanodeInfo, DatanodeState, PipelineInfo, PipelineState,
    SafeMode, ScmOverview, TransferLeadership, TransferRejected,
};
pub use blocks::{
    BlockRange, ContainerLocation, ContainerLocations, DeleteBlocks, LeaseBlocks, LeaseRejected, LeasedBlocks, LocateContainers,
};
pub use nodes::{
    ContainerReport, DatanodeRegistered, DiskReport, Heartbeat, HeartbeatRejected, HeartbeatReply, Order, PipelineMember,
    PipelineReport, RegisterDatanode, RegisterRejected, ReplicaState,
};

use rpc::Never;
use types::RaftStatus;

rpc::service! {
    /// The manager of datanodes, pipelines, containers and token keys. Any member answers `roles`; the rest is the leader's.
    pub trait Scm = 2, client ScmClient, server ScmServer {
        /// Gives a datanode its identity, or recognises it.
        1 register_datanode(RegisterDatanode) -> DatanodeRegistered, rejects RegisterRejected, from [Datanode];
        /// A datanode is alive and tells what it holds; the answer tells it what to do.
        2 heartbeat(Heartbeat) -> HeartbeatReply, rejects HeartbeatRejected, from [Datanode];
        /// Block ids on open containers, many at a time, so that a PUT needs no call here.
        3 lease_blocks(LeaseBlocks) -> LeasedBlocks, rejects LeaseRejected, from [Om];
        /// Who holds these containers now.
        4 locate_containers(LocateContainers) -> ContainerLocations, rejects Never, from [Om];
        /// The keys that seal block tokens; the newest is the one to seal with.
        5 token_keys(()) -> token::TokenKeys, rejects Never, from [Om];
        /// Takes over the deletion of blocks that nothing refers to any more. Durable when answered.
        6 delete_blocks(DeleteBlocks) -> (), rejects Never, from [Om];

        20 overview(()) -> ScmOverview, rejects Never, from [Admin];
        21 datanodes(()) -> Vec<DatanodeInfo>, rejects Never, from [Admin];
        22 pipelines(()) -> Vec<PipelineInfo>, rejects Never, from [Admin];
        23 containers(ContainerPageRequest) -> ContainerPage, rejects Never, from [Admin];
        /// Ends safe mode by hand: writes begin although not every container has been reported.
        24 leave_safe_mode(()) -> (), rejects Never, from [Admin];
        25 roles(()) -> RaftStatus, rejects Never, from [Admin];
        26 transfer_leadership(TransferLeadership) -> (), rejects TransferRejected, from [Admin];
    }
}
