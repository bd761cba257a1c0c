//! Which pipelines there should be.
//!
//! - A pipeline of three goes on with two members, so it is given up only for something better: one that lost a member is
//!   closed once another pipeline with all its members is open. Three datanodes of which one is down keep writing.
//! - While a majority of its members lives, a closing pipeline stays until its containers are closed through its log: a
//!   replica that closes by itself may lack writes that were acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use tables::{ReadTables, StorageFault};
use types::{ContainerId, DatanodeId, Millis, PipelineId, Replication};

use crate::census::{Census, Health, Node, Nodes, ReplicaPhase};
use crate::rows::{ContainerRow, PipelinePhase, PipelineRow, all, get, unfinished_in};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelinePolicy {
    /// The kinds of pipelines that there should be: the cluster's own, and those of storage classes that are kept in another way.
    pub replications: BTreeSet<Replication>,
    /// Pipelines of three that a datanode should be in.
    pub per_datanode: u32,
    /// A pipeline that its members have not brought up by then is given up.
    pub create_within: Millis,
    /// A living member that does not serve an open pipeline for this long has lost it.
    pub lost_after: Millis,
    /// Members that are dead for this long are not waited for when a pipeline has lost its majority: what the others have is
    /// then all there is.
    pub quasi_close_after: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipelineAction {
    Create { replication: Replication, members: Vec<DatanodeId> },
    Open(PipelineId),
    Close(PipelineId),
    Remove(PipelineId),
}

/// Since when this leader has known of each pipeline that is still being created.
#[derive(Debug, Clone, Default)]
pub struct Waiting(BTreeMap<PipelineId, Millis>);

impl Waiting {
    fn update(&mut self, rows: &[(PipelineId, PipelineRow)], now: Millis) {
        let is_allocated = |id: &PipelineId| rows.iter().any(|(row, r)| row == id && r.phase == PipelinePhase::Allocated);
        self.0.retain(|id, _| is_allocated(id));
        for (id, _) in rows.iter().filter(|(_, row)| row.phase == PipelinePhase::Allocated) {
            self.0.entry(*id).or_insert(now);
        }
    }

    fn waited(&self, id: PipelineId, now: Millis) -> Millis {
        Millis(self.0.get(&id).map_or(0, |since| now.0.saturating_sub(since.0)))
    }
}

pub fn plan_pipelines(
    tables: &(impl ReadTables + ?Sized),
    census: &Census,
    nodes: &Nodes,
    waiting: &mut Waiting,
    policy: &PipelinePolicy,
) -> Result<Vec<PipelineAction>, StorageFault> {
    let rows = all::<PipelineRow>(tables)?;
    waiting.update(&rows, census.now());
    let mut actions = Vec::new();
    let is_whole = |id: PipelineId, row: &PipelineRow| row.datanodes().all(|member| is_fit(id, member, nodes, policy));
    for (id, row) in &rows {
        let replaced = || {
            rows.iter().any(|(other, candidate)| {
                other != id
                    && candidate.replication == row.replication
                    && candidate.phase == PipelinePhase::Open
                    && candidate.datanodes().all(|member| nodes.0.get(&member).is_some_and(|node| node.serves(*other)))
                    && is_whole(*other, candidate)
            })
        };
        let action = match row.phase {
            PipelinePhase::Allocated => plan_allocated(*id, row, nodes, waiting.waited(*id, census.now()), policy),
            PipelinePhase::Open => {
                let has_lost_one =
                    row.datanodes().any(|member| is_lost(*id, member, nodes, policy)) || is_lagging(*id, row, nodes);
                (has_lost_one && replaced()).then_some(PipelineAction::Close(*id))
            }
            PipelinePhase::Closing => {
                may_be_removed(*id, row, tables, census, nodes, policy)?.then_some(PipelineAction::Remove(*id))
            }
        };
        actions.extend(action);
    }
    if nodes.is_complete() {
        actions.extend(policy.replications.iter().filter_map(|kind| plan_new(*kind, &rows, nodes, policy)));
    }
    Ok(actions)
}

fn plan_allocated(
    id: PipelineId,
    row: &PipelineRow,
    nodes: &Nodes,
    waited: Millis,
    policy: &PipelinePolicy,
) -> Option<PipelineAction> {
    let members: Vec<&Node> = row.datanodes().filter_map(|member| nodes.0.get(&member)).collect();
    let is_up = members.len() == row.members.len()
        && members.iter().all(|node| node.health == Health::Healthy && node.serves(id))
        && members.iter().any(|node| node.pipelines.get(&id).is_some_and(|service| service.is_leader));
    if is_up {
        return Some(PipelineAction::Open(id));
    }
    let lost_one = row.datanodes().any(|member| nodes.is_dead(member));
    (lost_one || waited >= policy.create_within).then_some(PipelineAction::Close(id))
}

/// Healthy, and serving it or on the way to.
fn is_fit(id: PipelineId, member: DatanodeId, nodes: &Nodes, policy: &PipelinePolicy) -> bool {
    nodes.0.get(&member).is_some_and(|node| {
        let is_lagging = node.pipelines.get(&id).is_some_and(|service| service.is_lagging);
        node.health == Health::Healthy && node.without(id) < policy.lost_after && !is_lagging
    })
}

fn is_lost(id: PipelineId, member: DatanodeId, nodes: &Nodes, policy: &PipelinePolicy) -> bool {
    nodes.0.get(&member).is_none_or(|node| match node.health {
        Health::Dead => true,
        Health::Stale => false,
        Health::Healthy => node.without(id) >= policy.lost_after,
    })
}

fn is_lagging(id: PipelineId, row: &PipelineRow, nodes: &Nodes) -> bool {
    row.datanodes().any(|member| {
        let service = nodes.0.get(&member).and_then(|node| node.pipelines.get(&id));
        service.is_some_and(|service| service.is_leader && service.is_lagging)
    })
}

fn may_be_removed(
    id: PipelineId,
    row: &PipelineRow,
    tables: &(impl ReadTables + ?Sized),
    census: &Census,
    nodes: &Nodes,
    policy: &PipelinePolicy,
) -> Result<bool, StorageFault> {
    let gone_for_good = |member: &DatanodeId| {
        nodes.0.get(member).is_none_or(|node| node.is_superseded || node.dead_for >= policy.quasi_close_after)
            || !nodes.is_dead(*member) && is_lost(id, *member, nodes, policy)
    };
    let remaining = row.datanodes().filter(|member| !gone_for_good(member)).count();
    if remaining < row.majority() {
        return Ok(true);
    }
    if !unfinished_in(tables, id)?.is_empty() {
        return Ok(false);
    }
    // The containers are closed. A follower that has not come to the closing entry yet would close by itself, with less.
    for member in
        row.datanodes().filter(|member| nodes.0.get(member).is_some_and(|node| node.serves(id)) && !nodes.is_dead(*member))
    {
        for container in census.held_by(member) {
            if census.replica(container, member).is_some_and(is_unsettled) && writes(tables, id, container)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn is_unsettled(replica: &crate::census::Replica) -> bool {
    match replica.phase {
        ReplicaPhase::Open => true,
        ReplicaPhase::Closed => replica.missing_blocks > 0,
        ReplicaPhase::QuasiClosed | ReplicaPhase::Unhealthy => false,
    }
}

fn writes(tables: &(impl ReadTables + ?Sized), pipeline: PipelineId, container: ContainerId) -> Result<bool, StorageFault> {
    Ok(get::<ContainerRow>(tables, container)?.is_some_and(|row| row.pipeline == pipeline))
}

/// At most one new pipeline of a kind a pass: the next plan sees it.
fn plan_new(
    replication: Replication,
    rows: &[(PipelineId, PipelineRow)],
    nodes: &Nodes,
    policy: &PipelinePolicy,
) -> Option<PipelineAction> {
    // Pipelines that lost a member do not count: they are to be replaced. They do count towards the bound, so that a datanode
    // that comes and goes does not gather pipelines.
    let mut whole: BTreeMap<DatanodeId, u32> = BTreeMap::new();
    let mut total: BTreeMap<DatanodeId, u32> = BTreeMap::new();
    for (id, row) in rows.iter().filter(|(_, row)| row.phase != PipelinePhase::Closing && row.replication == replication) {
        let is_being_made = row.phase == PipelinePhase::Allocated;
        let counts =
            row.datanodes().all(|member| is_fit(*id, member, nodes, policy) || is_being_made && nodes.is_healthy(member));
        for member in row.datanodes() {
            *total.entry(member).or_default() += 1;
            *whole.entry(member).or_default() += u32::from(counts);
        }
    }
    let wanted = match replication {
        Replication::One => 1,
        Replication::Three => policy.per_datanode.max(1),
    };
    let count = |of: &BTreeMap<DatanodeId, u32>, datanode| of.get(&datanode).copied().unwrap_or(0);
    let mut candidates: Vec<(u32, DatanodeId, &Node)> = nodes
        .healthy()
        .filter(|(id, _)| count(&total, *id) < wanted * 2)
        .map(|(id, node)| (count(&whole, id), id, node))
        .collect();
    candidates.sort_by_key(|(whole, id, _)| (*whole, *id));
    let (least, _, _) = candidates.first()?;
    if *least >= wanted {
        return None;
    }
    let members = bootstrap_first(choose(&candidates, replication.copies())?, rows);
    Some(PipelineAction::Create { replication, members })
}

/// The least used, on different racks as far as there are any.
fn choose(candidates: &[(u32, DatanodeId, &Node)], copies: usize) -> Option<Vec<DatanodeId>> {
    let mut chosen: Vec<DatanodeId> = Vec::with_capacity(copies);
    let mut racks: BTreeSet<&Option<String>> = BTreeSet::new();
    while chosen.len() < copies {
        let free = || candidates.iter().filter(|(_, id, _)| !chosen.contains(id));
        let (_, id, node) = free().find(|(_, _, node)| !racks.contains(&node.rack)).or_else(|| free().next())?;
        chosen.push(*id);
        racks.insert(&node.rack);
    }
    Some(chosen)
}

/// Who of a pipeline bootstraps it, and so likely leads it: put first the one that leads least, so that the leaders' work is
/// spread.
fn bootstrap_first(mut members: Vec<DatanodeId>, rows: &[(PipelineId, PipelineRow)]) -> Vec<DatanodeId> {
    let firsts = |datanode: DatanodeId| {
        rows.iter().filter(|(_, row)| row.phase != PipelinePhase::Closing && row.datanodes().next() == Some(datanode)).count()
    };
    if let Some(least) = (0..members.len()).min_by_key(|n| members.get(*n).map_or(0, |member| firsts(*member))) {
        members.swap(0, least);
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::census::Scope;
    use crate::plan::testing::{DEAD_AFTER, STALE_AFTER, World};

    const CREATE_WITHIN: Millis = Millis(60_000);
    const QUASI_CLOSE_AFTER: Millis = Millis(600_000);

    fn policy(replications: impl IntoIterator<Item = Replication>) -> PipelinePolicy {
        PipelinePolicy {
            replications: replications.into_iter().collect(),
            per_datanode: 1,
            create_within: CREATE_WITHIN,
            lost_after: Millis(30_000),
            quasi_close_after: QUASI_CLOSE_AFTER,
        }
    }

    fn plan_by(world: &mut World, policy: &PipelinePolicy) -> Vec<PipelineAction> {
        let nodes = world.nodes();
        plan_pipelines(&world.tables, &world.census, &nodes, &mut world.waiting, policy).expect("reads")
    }

    fn plan(world: &mut World) -> Vec<PipelineAction> {
        plan_by(world, &policy([Replication::Three]))
    }

    fn create(members: [u64; 3]) -> PipelineAction {
        PipelineAction::Create { replication: Replication::Three, members: members.map(DatanodeId).to_vec() }
    }

    #[test]
    fn three_healthy_datanodes_make_a_pipeline_and_two_do_not() {
        let mut world = World::with_datanodes(3);
        world.new_leader();
        world.hear_all();
        assert_eq!(plan(&mut world), [create([1, 2, 3])]);
        world.silence(3, STALE_AFTER);
        assert_eq!(plan(&mut world), []);
    }

    #[test]
    fn a_single_node_has_a_pipeline_of_its_own() {
        let mut world = World::with_datanodes(1);
        let actions = plan_by(&mut world, &policy([Replication::One]));
        assert_eq!(actions, [alone(1)]);
    }

    fn alone(member: u64) -> PipelineAction {
        PipelineAction::Create { replication: Replication::One, members: vec![DatanodeId(member)] }
    }

    #[test]
    fn pipelines_of_one_stand_beside_those_of_three_one_on_each_datanode() {
        let mut world = World::with_datanodes(3);
        let both = policy([Replication::Three, Replication::One]);
        assert_eq!(plan_by(&mut world, &both), [alone(1), create([1, 2, 3])]);
        world.open_pipeline([1, 2, 3]);
        for member in 1..=3 {
            assert_eq!(plan_by(&mut world, &both), [alone(member)]);
            world.open_lone_pipeline(member);
        }
        assert_eq!(plan_by(&mut world, &both), []);
    }

    #[test]
    fn a_pipeline_opens_when_all_its_members_serve_it_and_one_leads() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.allocate_pipeline([1, 2, 3]);
        world.serve(pipeline, 1, true);
        world.serve(pipeline, 2, false);
        assert_eq!(plan(&mut world), []);
        world.serve(pipeline, 3, false);
        assert_eq!(plan(&mut world), [PipelineAction::Open(pipeline)]);
    }

    #[test]
    fn a_pipeline_that_does_not_come_up_in_time_is_given_up() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.allocate_pipeline([1, 2, 3]);
        assert_eq!(plan(&mut world), []);
        world.pass_time(CREATE_WITHIN);
        assert_eq!(plan(&mut world), [PipelineAction::Close(pipeline)]);
    }

    #[test]
    fn with_three_datanodes_and_one_dead_the_pipeline_is_kept() {
        let mut world = World::with_datanodes(3);
        world.open_pipeline([1, 2, 3]);
        world.silence(3, DEAD_AFTER);
        assert_eq!(plan(&mut world), []);
    }

    #[test]
    fn a_wiped_datanode_brings_a_new_pipeline_and_only_then_the_old_one_closes() {
        let mut world = World::with_datanodes(3);
        let old = world.open_pipeline([1, 2, 3]);
        world.silence(3, STALE_AFTER);
        let wiped = world.register("dn3");
        assert_eq!(plan(&mut world), [], "the wiped datanode has not reported yet");
        world.hear(wiped, Scope::Everything, []);
        assert_eq!(plan(&mut world), [create([2, 1, wiped])]);
        let new = world.allocate_pipeline([1, 2, wiped]);
        assert_eq!(plan(&mut world), []);
        for member in [1, 2, wiped] {
            world.serve(new, member, member == 1);
        }
        assert_eq!(plan(&mut world), [PipelineAction::Open(new)]);
        world.open(new);
        assert_eq!(plan(&mut world), [PipelineAction::Close(old)]);
    }

    #[test]
    fn a_stale_member_closes_nothing_even_where_others_could_replace_it() {
        let mut world = World::with_datanodes(4);
        let old = world.open_pipeline([1, 2, 3]);
        let other = world.open_pipeline([1, 2, 4]);
        world.silence(3, STALE_AFTER);
        let actions = plan(&mut world);
        assert!(
            !actions.contains(&PipelineAction::Close(old)) && !actions.contains(&PipelineAction::Close(other)),
            "{actions:?}"
        );
    }

    #[test]
    fn a_closing_pipeline_stays_until_its_living_members_have_closed_their_replicas() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.written_container(pipeline);
        world.close_pipeline(pipeline);
        assert_eq!(plan_for(&mut world, pipeline), []);
        world.hold(1, container, ReplicaPhase::Closed, 9);
        world.finish(container, 9);
        assert_eq!(plan_for(&mut world, pipeline), [], "members 2 and 3 have not come to the closing entry");
        world.hold(2, container, ReplicaPhase::Closed, 9);
        world.silence(3, DEAD_AFTER);
        assert_eq!(plan_for(&mut world, pipeline), [PipelineAction::Remove(pipeline)]);
    }

    #[test]
    fn a_pipeline_without_a_majority_is_waited_for_and_then_quasi_closed() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        world.written_container(pipeline);
        world.close_pipeline(pipeline);
        world.silence(3, DEAD_AFTER);
        world.silence(2, DEAD_AFTER);
        assert_eq!(plan_for(&mut world, pipeline), [], "they may come back with what they acknowledged");
        world.pass_time_without(&[2, 3], QUASI_CLOSE_AFTER);
        assert_eq!(plan_for(&mut world, pipeline), [PipelineAction::Remove(pipeline)]);
    }

    #[test]
    fn new_pipelines_wait_until_the_census_is_complete() {
        let mut world = World::with_datanodes(4);
        world.new_leader();
        for datanode in 1..=3 {
            world.hear(datanode, Scope::Everything, []);
        }
        assert_eq!(plan(&mut world), [], "the fourth may be in pipelines of which we have not heard");
        world.pass_time_without(&[4], DEAD_AFTER);
        assert_eq!(plan(&mut world), [create([1, 2, 3])]);
    }

    #[test]
    fn members_stand_on_different_racks_where_there_are_any() {
        let mut world = World::with_racks(&["/a", "/a", "/a", "/b"]);
        assert_eq!(plan(&mut world), [create([1, 4, 2])]);
    }

    #[test]
    fn leaders_are_spread_over_the_members() {
        let mut world = World::with_datanodes(3);
        world.open_pipeline([1, 2, 3]);
        let two = PipelinePolicy { per_datanode: 2, ..policy([Replication::Three]) };
        assert_eq!(plan_by(&mut world, &two), [create([2, 1, 3])]);
    }

    /// What is planned for one pipeline, new ones left aside.
    fn plan_for(world: &mut World, pipeline: PipelineId) -> Vec<PipelineAction> {
        let is_about = |action: &PipelineAction| match action {
            PipelineAction::Create { .. } => false,
            PipelineAction::Open(id) | PipelineAction::Close(id) | PipelineAction::Remove(id) => *id == pipeline,
        };
        plan(world).into_iter().filter(is_about).collect()
    }
}
