//! What an operator sees, and may do by hand.

use std::time::{Duration, Instant};

use raft_node::{MembershipError, ProposeError};
use rpc::{CallError, Never};
use scm_api::{
    ContainerInfo, ContainerPage, ContainerPageRequest, DatanodeInfo, PipelineInfo, SafeMode as SafeModeInfo, ScmOverview,
    TransferLeadership, TransferRejected,
};
use scm_core::census::{Health, Nodes};
use scm_core::plan::repairs::stands;
use scm_core::plan::safe_mode::Awaited;
use scm_core::rows::{ClusterRow, ContainerPhase, ContainerRow, DatanodeRow, PipelinePhase, PipelineRow, Walk, all, walk};
use tables::{ReadTables, StorageFault};
use tracing::warn;
use types::{ContainerId, DatanodeId, MemberId};

use super::ScmService;
use crate::background;
use crate::convert::{container_state, datanode_state, pipeline_state, replica_state};
use crate::leader::{SafeMode, Soft};
use crate::log::storage_fault;

/// Longer than an election takes.
const TRANSFER_TRY: Duration = Duration::from_secs(3);

/// A page that an operator can read, and a reply of a bounded size.
const PAGE_MAX: u32 = 1000;

impl ScmService {
    /// One look at rows and census together.
    fn survey<T>(
        &self,
        look: impl FnOnce(&dyn ReadTables, &Soft, &Nodes) -> Result<T, StorageFault>,
    ) -> Result<T, CallError<Never>> {
        self.leader().with(|soft| {
            let seen = self.log().read(|tables| {
                let nodes = soft.census.nodes(&all::<DatanodeRow>(tables)?);
                look(tables, soft, &nodes)
            });
            seen.map_err(|fault| storage_fault(&fault))
        })?
    }

    pub(super) fn overview_now(&self) -> Result<ScmOverview, CallError<Never>> {
        self.survey(|tables, soft, nodes| {
            let pipelines = all::<PipelineRow>(tables)?;
            let (mut containers, mut under_replicated, mut missing) = (0, 0, 0);
            walk::<ContainerRow>(tables, ContainerId(0), |id, row| {
                if row.phase != ContainerPhase::Deleted {
                    let standing = stands(id, &row, &soft.census, nodes);
                    containers += 1;
                    under_replicated += u64::from(standing.is_under_replicated());
                    missing += u64::from(standing.is_missing());
                }
                Walk::On
            })?;
            Ok(ScmOverview {
                cluster_id: ClusterRow::read(tables)?.map(|row| row.id.to_string()).unwrap_or_default(),
                safe_mode: safe_mode_info(&soft.safe_mode),
                healthy_datanodes: count(nodes, Health::Healthy),
                stale_datanodes: count(nodes, Health::Stale),
                dead_datanodes: count(nodes, Health::Dead),
                open_pipelines: u32::try_from(pipelines.iter().filter(|(_, row)| row.phase == PipelinePhase::Open).count())
                    .unwrap_or(u32::MAX),
                containers,
                under_replicated,
                missing,
                blocks_to_delete: blocks_to_delete(tables)?,
            })
        })
    }

    pub(super) fn list_datanodes(&self) -> Result<Vec<DatanodeInfo>, CallError<Never>> {
        self.survey(|tables, soft, nodes| {
            let pipelines = all::<PipelineRow>(tables)?;
            let info = |(id, row): (DatanodeId, DatanodeRow)| {
                let spoken = soft.spoken.get(&id);
                DatanodeInfo {
                    id,
                    name: row.name,
                    state: datanode_state(nodes.health(id)),
                    data_endpoint: row.data_endpoint,
                    last_heartbeat: spoken.and_then(|spoken| spoken.last),
                    disks: spoken.map(|spoken| spoken.disks.clone()).unwrap_or_default(),
                    containers: soft.census.containers_on(id) as u64,
                    pipelines: pipelines.iter().filter(|(_, row)| row.has(id)).map(|(id, _)| *id).collect(),
                }
            };
            Ok(all::<DatanodeRow>(tables)?.into_iter().map(info).collect())
        })
    }

    pub(super) fn list_pipelines(&self) -> Result<Vec<PipelineInfo>, CallError<Never>> {
        self.survey(|tables, _, nodes| {
            let info = |(id, row): (types::PipelineId, PipelineRow)| {
                let term = |datanode: DatanodeId| {
                    let service = nodes.0.get(&datanode).and_then(|node| node.pipelines.get(&id));
                    service.filter(|service| service.is_leader).map(|service| service.term)
                };
                PipelineInfo {
                    id,
                    state: pipeline_state(row.phase),
                    replication: row.replication,
                    members: row.datanodes().collect(),
                    // A leader that was replaced may not know yet: the latest term is the one that leads.
                    leader: row.datanodes().filter_map(|member| Some((term(member)?, member))).max().map(|(_, member)| member),
                }
            };
            Ok(all::<PipelineRow>(tables)?.into_iter().map(info).collect())
        })
    }

    pub(super) fn list_containers(&self, request: &ContainerPageRequest) -> Result<ContainerPage, CallError<Never>> {
        let limit = request.limit.clamp(1, PAGE_MAX) as usize;
        let from = request.after.map_or(ContainerId(0), |after| ContainerId(after.0.saturating_add(1)));
        self.survey(|tables, soft, nodes| {
            let mut containers = Vec::new();
            let mut more = false;
            walk::<ContainerRow>(tables, from, |id, row| {
                if containers.len() == limit {
                    more = true;
                    return Walk::Stop;
                }
                containers.push(container_info(id, &row, soft, nodes));
                Walk::On
            })?;
            Ok(ContainerPage { containers, more })
        })
    }

    pub(super) fn end_safe_mode_by_hand(&self) -> Result<(), CallError<Never>> {
        self.leader().with(|soft| {
            if let SafeMode::On(awaited) = &soft.safe_mode {
                warn!(?awaited, "safe mode ended by hand");
                soft.safe_mode = SafeMode::Off;
            }
        })?;
        background::hurry(self.reconcilers());
        Ok(())
    }

    pub(super) async fn transfer(
        &self,
        request: TransferLeadership,
        deadline: Instant,
    ) -> Result<(), CallError<TransferRejected>> {
        let group = self.log().group();
        let Some(to) = request.to.or_else(|| self.furthest_follower()) else {
            return Err(CallError::Rejected(TransferRejected::NotAVoter));
        };
        loop {
            // A member that is an entry behind declines, and nobody asks it again but we.
            let try_until = deadline.min(Instant::now() + TRANSFER_TRY);
            let failure = match group.transfer_leadership(to, try_until).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if group.leader().is_some_and(|(leader, _)| leader == to) {
                return Ok(());
            }
            match failure {
                MembershipError::NoSuchMember(_) => return Err(CallError::Rejected(TransferRejected::NotAVoter)),
                MembershipError::Propose(ProposeError::TooLate) if Instant::now() < deadline => {}
                MembershipError::Propose(why) => return Err(why.into()),
                why => return Err(CallError::unavailable(why)),
            }
        }
    }

    fn furthest_follower(&self) -> Option<MemberId> {
        let status = self.log().group().status();
        let followers = status.members.iter().filter(|member| member.voter && member.id != status.me);
        followers.max_by_key(|member| member.matched).map(|member| member.id)
    }
}

fn container_info(id: ContainerId, row: &ContainerRow, soft: &Soft, nodes: &Nodes) -> ContainerInfo {
    let replicas: Vec<_> = soft.census.replicas(id).filter(|(datanode, _)| !nodes.is_dead(*datanode)).collect();
    let standing = stands(id, row, &soft.census, nodes);
    ContainerInfo {
        id,
        state: container_state(row.phase),
        replication: row.replication,
        pipeline: row.is_unfinished().then_some(row.pipeline),
        used: replicas.iter().map(|(_, replica)| replica.used).max().unwrap_or(row.used),
        blocks: replicas.iter().map(|(_, replica)| replica.blocks).max().unwrap_or(row.blocks),
        replicas: replicas.iter().map(|(datanode, replica)| (*datanode, replica_state(replica.phase))).collect(),
        is_healthy: row.phase == ContainerPhase::Deleted || !standing.is_under_replicated(),
    }
}

fn blocks_to_delete(tables: &dyn ReadTables) -> Result<u64, StorageFault> {
    let mut blocks = 0;
    walk::<scm_core::rows::DeletionRow>(tables, 0, |_, row| {
        blocks += row.blocks.len() as u64;
        Walk::On
    })?;
    Ok(blocks)
}

fn safe_mode_info(safe_mode: &SafeMode) -> SafeModeInfo {
    match safe_mode {
        SafeMode::Off => SafeModeInfo { is_on: false, reasons: Vec::new() },
        SafeMode::On(awaited) => SafeModeInfo { is_on: true, reasons: awaited.iter().map(Awaited::to_string).collect() },
    }
}

fn count(nodes: &Nodes, health: Health) -> u32 {
    u32::try_from(nodes.count(health)).unwrap_or(u32::MAX)
}
