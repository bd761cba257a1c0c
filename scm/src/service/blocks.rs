//! Leases, locations, deletion, and the keys that seal tokens.

use rpc::{CallContext, CallError, Never};
use scm_api::token::TokenKeys;
use scm_api::{
    BlockRange, ContainerLocation, ContainerLocations, DeleteBlocks, LeaseBlocks, LeaseRejected, LeasedBlocks, LocateContainers,
};
use scm_core::census::Nodes;
use scm_core::command::{self, AllocateBlocks, AllocateRejected, Allocation, SlotShare};
use scm_core::plan::leases::{Wish, plan_lease};
use scm_core::plan::locate::readable;
use scm_core::plan::token_keys::sealing;
use scm_core::rows::{ContainerRow, DatanodeRow, PipelineRow, TokenKeyRow, all, get};
use tables::{ReadTables, StorageFault};
use types::{DatanodeId, PipelineId, RequestId};

use super::ScmService;
use crate::background;
use crate::background::safe_mode::look;
use crate::convert::{Addresses, token_keys};
use crate::leader::{SafeMode, Soft};
use crate::log::{refuse, storage_fault};

/// Blocks of one deletion command: an entry of about half a megabyte.
const DELETED_PER_ENTRY: usize = 20_000;

impl ScmService {
    pub(super) async fn lease(&self, cx: CallContext, request: LeaseBlocks) -> Result<LeasedBlocks, CallError<LeaseRejected>> {
        let expires = self.clock().now() + self.config().lease_for.into();
        let wish = Wish {
            replication: request.replication,
            count: request.count.min(self.config().lease_blocks_max),
            exclude: request.exclude.iter().copied().collect(),
            turn: 0,
        };
        if wish.count == 0 {
            return Ok(LeasedBlocks { ranges: Vec::new(), expires });
        }
        let shares = self.leader().with(|soft| {
            self.log().read(|tables| self.plan_shares(tables, soft, wish)).map_err(|fault| storage_fault(&fault))
        })??;
        let shares = shares.map_err(CallError::Rejected)?;
        let outcome = self.log().propose(cx.request_id, AllocateBlocks { shares }, cx.deadline).await.map_err(refuse)?;
        let allocations = outcome.map_err(|AllocateRejected::NothingOpen| CallError::Rejected(LeaseRejected::NoPipeline))?;
        let leased: u64 = allocations.iter().map(|allocation| u64::from(allocation.count)).sum();
        metrics::counter!("scm_leases_total").increment(1);
        metrics::counter!("scm_blocks_leased_total").increment(leased);
        let ranges = self
            .leader()
            .with(|soft| self.log().read(|tables| ranges(tables, soft, &allocations)).map_err(|fault| storage_fault(&fault)))??;
        Ok(LeasedBlocks { ranges, expires })
    }

    fn plan_shares(
        &self,
        tables: &dyn ReadTables,
        soft: &mut Soft,
        wish: Wish,
    ) -> Result<Result<Vec<SlotShare>, LeaseRejected>, StorageFault> {
        let nodes = soft.census.nodes(&all::<DatanodeRow>(tables)?);
        look(tables, soft, &nodes, self.config().safe_mode())?;
        if soft.safe_mode != SafeMode::Off {
            return Ok(Err(LeaseRejected::SafeMode));
        }
        soft.leases += 1;
        let wish = Wish { turn: soft.leases, ..wish };
        let shares = plan_lease(tables, &soft.census, &nodes, &wish, self.config().leases())?;
        Ok(if shares.is_empty() { Err(LeaseRejected::NoPipeline) } else { Ok(shares) })
    }

    pub(super) fn locate(&self, request: &LocateContainers) -> Result<ContainerLocations, CallError<Never>> {
        let locations = self.leader().with(|soft| {
            let located = self.log().read(|tables| {
                let rows = all::<DatanodeRow>(tables)?;
                let nodes = soft.census.nodes(&rows);
                let addresses = Addresses::new(&rows);
                let locate = |container| locate_one(tables, soft, &nodes, &addresses, container);
                request.containers.iter().copied().map(locate).collect::<Result<Vec<_>, _>>()
            });
            located.map_err(|fault| storage_fault(&fault))
        })??;
        Ok(ContainerLocations { locations })
    }

    pub(super) fn sealing_keys(&self) -> Result<TokenKeys, CallError<Never>> {
        let now = self.clock().now();
        let rows = self.log().read(|tables| all::<TokenKeyRow>(tables)).map_err(|fault| storage_fault(&fault))?;
        Ok(token_keys(rows.iter().filter(|(_, key)| sealing(key, now))))
    }

    pub(super) async fn delete(&self, cx: CallContext, request: DeleteBlocks) -> Result<(), CallError<Never>> {
        for (n, blocks) in (0u128..).zip(request.blocks.chunks(DELETED_PER_ENTRY)) {
            // Each entry of a large request has an id of its own, the same one on a retry.
            let id = RequestId::from_u128(cx.request_id.to_u128().wrapping_add(n));
            let change = command::DeleteBlocks { blocks: blocks.to_vec() };
            let taken = self.log().propose(id, change, cx.deadline).await.map_err(refuse)?;
            metrics::counter!("scm_blocks_taken_for_deletion_total").increment(taken);
        }
        background::hurry_deletions(self.reconcilers());
        Ok(())
    }
}

fn locate_one(
    tables: &dyn ReadTables,
    soft: &Soft,
    nodes: &Nodes,
    addresses: &Addresses,
    container: types::ContainerId,
) -> Result<ContainerLocation, StorageFault> {
    let Some(row) = get::<ContainerRow>(tables, container)? else {
        return Ok(ContainerLocation { container, pipeline: None, replicas: Vec::new() });
    };
    let replicas = addresses.replicas(readable(container, &row, &soft.census, nodes));
    Ok(ContainerLocation { container, pipeline: row.is_unfinished().then_some(row.pipeline), replicas })
}

fn ranges(tables: &dyn ReadTables, soft: &Soft, allocations: &[Allocation]) -> Result<Vec<BlockRange>, StorageFault> {
    let rows = all::<DatanodeRow>(tables)?;
    let nodes = soft.census.nodes(&rows);
    let addresses = Addresses::new(&rows);
    let mut ranges = Vec::with_capacity(allocations.len());
    for Allocation { container, pipeline, first, count } in allocations.iter().copied() {
        let members: Vec<DatanodeId> = match get::<PipelineRow>(tables, pipeline)? {
            Some(row) => row.datanodes().collect(),
            None => get::<ContainerRow>(tables, container)?.map(|row| row.members).unwrap_or_default(),
        };
        let replicas = addresses.replicas(leader_first(members, pipeline, &nodes));
        ranges.push(BlockRange { container, first, count, pipeline, replicas });
    }
    Ok(ranges)
}

/// Who leads the pipeline takes its commits: writers try it first. Then those who are well.
fn leader_first(mut members: Vec<DatanodeId>, pipeline: PipelineId, nodes: &Nodes) -> Vec<DatanodeId> {
    members.sort_by_key(|member| {
        let service = nodes.0.get(member).and_then(|node| node.pipelines.get(&pipeline));
        let leads = service.filter(|service| service.is_leader).map(|service| service.term);
        (nodes.health(*member), std::cmp::Reverse(leads))
    });
    members
}
