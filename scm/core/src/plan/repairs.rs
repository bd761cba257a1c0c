//! Replicas that should be made or removed.
//!
//! A replica counts when it is closed (or quasi-closed and as full as the container's sequence), whole, and on a datanode that
//! is not dead. Rules that hold whatever happens:
//! - A replica is removed only while others that count, on healthy datanodes, remain: the full number for a surplus one, one
//!   at least for a worthless one.
//! - Where no replica counts, nothing is removed: a damaged one may be all that is left.
//! - Nothing is planned before the census is complete: a replica not yet reported is not a replica lost.

use std::collections::{BTreeMap, BTreeSet};

use tables::{ReadTables, StorageFault};
use types::{ContainerId, DatanodeId, Millis};

use crate::census::{Census, Health, Node, Nodes, Replica, ReplicaPhase};
use crate::rows::{ContainerPhase, ContainerRow, Counters, Walk, walk};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepairPolicy {
    /// Copies that a datanode receives at once.
    pub copies_per_datanode: usize,
    /// New repairs begun in one pass.
    pub per_pass: usize,
    /// A repair that shows no effect for this long is planned anew.
    pub give_up_after: Millis,
    /// Room that a target keeps beyond what it receives.
    pub room: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// Bring a replica here.
    Copy,
    /// Remove the replica here.
    Delete,
}

/// Repairs that were ordered and whose effect was not yet reported. Soft: a new leader plans from what it sees.
#[derive(Debug, Clone, Default)]
pub struct Underway(BTreeMap<(ContainerId, DatanodeId), (Repair, Millis)>);

impl Underway {
    fn begin(&mut self, container: ContainerId, datanode: DatanodeId, repair: Repair, now: Millis) {
        self.0.insert((container, datanode), (repair, now));
    }

    /// What this datanode is to do, until its reports show it done.
    pub fn on(&self, datanode: DatanodeId) -> impl Iterator<Item = (ContainerId, Repair)> {
        self.0.iter().filter(move |((_, at), _)| *at == datanode).map(|((container, _), (repair, _))| (*container, *repair))
    }

    pub fn copying(&self) -> BTreeSet<ContainerId> {
        self.0.iter().filter(|(_, (repair, _))| *repair == Repair::Copy).map(|((container, _), _)| *container).collect()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&self, container: ContainerId) -> impl Iterator<Item = (DatanodeId, Repair)> {
        let range = (container, DatanodeId(0))..=(container, DatanodeId(u64::MAX));
        self.0.range(range).map(|((_, datanode), (repair, _))| (*datanode, *repair))
    }

    /// Forgets what has happened, cannot happen any more, or was given up.
    fn settle(&mut self, census: &Census, nodes: &Nodes, policy: RepairPolicy) {
        let now = census.now();
        self.0.retain(|(container, datanode), (repair, since)| {
            let is_there = census.replica(*container, *datanode).is_some();
            let is_done = (*repair == Repair::Copy) == is_there;
            !is_done && !nodes.is_dead(*datanode) && now.0.saturating_sub(since.0) < policy.give_up_after.0
        });
    }
}

/// How containers stand, whether or not anything can be done about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContainerCensus {
    pub containers: u64,
    pub under_replicated: u64,
    pub over_replicated: u64,
    pub missing: u64,
    pub unhealthy_replicas: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairPlan {
    pub begun: Vec<(ContainerId, DatanodeId, Repair)>,
    pub census: ContainerCensus,
}

/// Begins what is due, up to the limits, and notes it in `underway`.
pub fn plan_repairs(
    tables: &(impl ReadTables + ?Sized),
    census: &Census,
    nodes: &Nodes,
    underway: &mut Underway,
    policy: RepairPolicy,
) -> Result<RepairPlan, StorageFault> {
    underway.settle(census, nodes, policy);
    let mut planner = Planner { census, nodes, underway, policy, plan: RepairPlan::default() };
    let mut known = BTreeSet::new();
    walk::<ContainerRow>(tables, ContainerId(0), |id, row| {
        known.insert(id);
        planner.judge(id, &row);
        Walk::On
    })?;
    let next = Counters::read(tables)?.container;
    for container in census.containers().filter(|container| container.0 < next && !known.contains(container)) {
        planner.discard(container);
    }
    Ok(planner.plan)
}

/// How one container stands.
pub fn stands(id: ContainerId, row: &ContainerRow, census: &Census, nodes: &Nodes) -> Standing {
    let is_live = |datanode: DatanodeId| !nodes.is_dead(datanode);
    let truth = sequence(id, row, census);
    let mut standing = Standing { wanted: row.replication.copies(), ..Standing::default() };
    for (datanode, replica) in census.replicas(id) {
        if replica.phase == ReplicaPhase::Unhealthy {
            standing.worthless.push(datanode);
        } else if !counts(row, replica, truth) {
            if is_beyond_help(replica, row, nodes.0.get(&datanode)) {
                standing.worthless.push(datanode);
            }
        } else if is_live(datanode) {
            standing.good.push(datanode);
        }
    }
    standing.was_written = row.was_reported || census.replicas(id).next().is_some();
    standing
}

/// It will never count: closed by itself without the last commits, or without bytes that only its pipeline could bring.
fn is_beyond_help(replica: &Replica, row: &ContainerRow, node: Option<&Node>) -> bool {
    match replica.phase {
        ReplicaPhase::Closed | ReplicaPhase::QuasiClosed if replica.missing_blocks > 0 => {
            node.is_some_and(|node| !node.serves(row.pipeline))
        }
        ReplicaPhase::QuasiClosed => true,
        ReplicaPhase::Closed | ReplicaPhase::Open | ReplicaPhase::Unhealthy => false,
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    wanted: usize,
    /// Replicas that count.
    pub good: Vec<DatanodeId>,
    /// Replicas that never will: damaged, or without the last commits.
    pub worthless: Vec<DatanodeId>,
    was_written: bool,
}

impl Standing {
    /// Nothing is wrong with what was never written.
    pub fn is_under_replicated(&self) -> bool {
        self.was_written && self.good.len() < self.wanted
    }

    pub fn is_missing(&self) -> bool {
        self.was_written && self.good.is_empty()
    }
}

/// What a whole replica has come to: settled, or the most that anyone has.
fn sequence(id: ContainerId, row: &ContainerRow, census: &Census) -> Option<u64> {
    match row.phase {
        ContainerPhase::QuasiClosed => {
            let closed = census.replicas(id).filter(|(_, replica)| replica.phase != ReplicaPhase::Unhealthy);
            closed.map(|(_, replica)| replica.commit_index).max()
        }
        ContainerPhase::Open | ContainerPhase::Closing | ContainerPhase::Closed | ContainerPhase::Deleted => row.sequence,
    }
}

fn counts(row: &ContainerRow, replica: &Replica, truth: Option<u64>) -> bool {
    let is_full = truth.is_none_or(|truth| replica.commit_index >= truth);
    let phase_fits = match row.phase {
        // As long as it is written to, every member that takes part has what was acknowledged, or is getting it.
        ContainerPhase::Open | ContainerPhase::Closing => replica.phase != ReplicaPhase::Unhealthy,
        ContainerPhase::Closed | ContainerPhase::QuasiClosed => match replica.phase {
            ReplicaPhase::Closed => true,
            ReplicaPhase::QuasiClosed => is_full,
            ReplicaPhase::Open | ReplicaPhase::Unhealthy => false,
        },
        ContainerPhase::Deleted => false,
    };
    phase_fits && replica.missing_blocks == 0
}

struct Planner<'a> {
    census: &'a Census,
    nodes: &'a Nodes,
    underway: &'a mut Underway,
    policy: RepairPolicy,
    plan: RepairPlan,
}

impl Planner<'_> {
    fn judge(&mut self, id: ContainerId, row: &ContainerRow) {
        if row.phase == ContainerPhase::Deleted {
            self.discard(id);
            return;
        }
        let standing = stands(id, row, self.census, self.nodes);
        let census = &mut self.plan.census;
        census.containers += 1;
        census.missing += u64::from(standing.is_missing());
        census.under_replicated += u64::from(standing.is_under_replicated());
        census.over_replicated += u64::from(standing.good.len() > standing.wanted);
        census.unhealthy_replicas += standing.worthless.len() as u64;
        if row.is_unfinished() || standing.good.is_empty() || !self.nodes.is_complete() {
            return;
        }
        // One step at a time for a container: the report of its effect is what the next one is planned from.
        let under_way: Vec<(DatanodeId, Repair)> = self.underway.of(id).collect();
        let being_deleted = under_way.iter().filter(|(_, repair)| *repair == Repair::Delete).count();
        let coming = under_way.len() - being_deleted;
        if being_deleted > 0 {
            return;
        }
        let short_of = standing.wanted.saturating_sub(standing.good.len() + coming);
        for _ in 0..short_of {
            if !self.copy(id, row, &standing) {
                break;
            }
        }
        let is_healthy = |datanode: &&DatanodeId| self.nodes.is_healthy(**datanode);
        let healthy_good = standing.good.iter().filter(is_healthy).count();
        let worthless = standing.worthless.iter().copied().find(|datanode| self.nodes.is_healthy(*datanode));
        if let Some(worthless) = worthless
            && coming == 0
            && self.may_remove_worthless(id, row, &standing, healthy_good)
        {
            self.begin(id, worthless, Repair::Delete);
        } else if healthy_good > standing.wanted && coming == 0 {
            self.remove_surplus(id, &standing);
        }
    }

    /// Once there are copies enough; or before, where it stands in the way of one: no other datanode could take a copy.
    fn may_remove_worthless(&self, id: ContainerId, row: &ContainerRow, standing: &Standing, healthy_good: usize) -> bool {
        healthy_good >= standing.wanted
            || healthy_good > 0 && self.target(id, row, standing).is_none() && self.underway.of(id).next().is_none()
    }

    fn copy(&mut self, id: ContainerId, row: &ContainerRow, standing: &Standing) -> bool {
        match self.target(id, row, standing) {
            Some(target) => self.begin(id, target, Repair::Copy),
            None => false,
        }
    }

    /// A datanode without a replica, with room, not busy; on a rack of its own if possible, then the emptiest.
    fn target(&self, id: ContainerId, row: &ContainerRow, standing: &Standing) -> Option<DatanodeId> {
        let takes: BTreeSet<DatanodeId> = self.underway.of(id).map(|(datanode, _)| datanode).collect();
        let racks: BTreeSet<&Option<String>> =
            standing.good.iter().chain(&takes).filter_map(|datanode| self.nodes.0.get(datanode)).map(|node| &node.rack).collect();
        let size = self.census.replicas(id).map(|(_, replica)| replica.used).max().unwrap_or(row.used);
        self.nodes
            .healthy()
            .filter(|(datanode, node)| {
                self.census.replica(id, *datanode).is_none()
                    && !takes.contains(datanode)
                    && node.space.remaining > size.saturating_add(self.policy.room)
                    && self.underway.on(*datanode).filter(|(_, repair)| *repair == Repair::Copy).count()
                        < self.policy.copies_per_datanode
            })
            .min_by_key(|(datanode, node)| {
                let coming = self.underway.on(*datanode).count();
                (racks.contains(&node.rack), node.containers + coming, *datanode)
            })
            .map(|(datanode, _)| datanode)
    }

    /// Away goes the one whose rack has another; then the one that still holds deleted blocks; then from the fullest datanode.
    fn remove_surplus(&mut self, id: ContainerId, standing: &Standing) {
        let rack = |datanode: DatanodeId| self.nodes.0.get(&datanode).and_then(|node| node.rack.as_ref());
        let surplus = standing.good.iter().copied().filter(|datanode| self.nodes.is_healthy(*datanode)).max_by_key(|datanode| {
            let same_rack = standing.good.iter().filter(|other| rack(**other) == rack(*datanode)).count();
            let blocks = self.census.replica(id, *datanode).map_or(0, |replica| replica.blocks);
            let containers = self.nodes.0.get(datanode).map_or(0, |node| node.containers);
            (same_rack, blocks, containers, *datanode)
        });
        if let Some(datanode) = surplus {
            self.begin(id, datanode, Repair::Delete);
        }
    }

    /// Every replica goes: the container was dropped.
    fn discard(&mut self, id: ContainerId) {
        let holders: Vec<DatanodeId> = self.census.replicas(id).map(|(datanode, _)| datanode).collect();
        for datanode in holders.into_iter().filter(|datanode| self.nodes.is_healthy(*datanode)) {
            if self.underway.of(id).all(|(at, _)| at != datanode) {
                self.begin(id, datanode, Repair::Delete);
            }
        }
    }

    fn begin(&mut self, id: ContainerId, datanode: DatanodeId, repair: Repair) -> bool {
        if self.plan.begun.len() >= self.policy.per_pass {
            return false;
        }
        self.underway.begin(id, datanode, repair, self.census.now());
        self.plan.begun.push((id, datanode, repair));
        true
    }
}

/// Where to fetch a copy from: replicas that count, on healthy datanodes first.
pub fn sources(id: ContainerId, row: &ContainerRow, census: &Census, nodes: &Nodes) -> Vec<DatanodeId> {
    let mut good = stands(id, row, census, nodes).good;
    good.sort_by_key(|datanode| (nodes.health(*datanode) != Health::Healthy, *datanode));
    good
}

#[cfg(test)]
mod tests;
