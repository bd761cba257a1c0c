//! How containers go on from what their replicas say: full ones close, closed ones are settled, emptied ones are dropped.

use std::collections::{BTreeMap, BTreeSet};

use tables::{ReadTables, StorageFault};
use types::{ContainerId, DatanodeId, Millis};

use crate::census::{Census, Nodes, Replica, ReplicaPhase};
use crate::command::{ContainerNote, FinishedContainer};
use crate::rows::{ContainerPhase, ContainerRow, Walk, walk};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerPolicy {
    /// A container with this much in it is full: no block is leased from it any more, and it is closed when those that were
    /// leased have had their time. Closing it sooner would break off whoever is writing one.
    pub full_at: u64,
    pub close_full_after: Millis,
    /// A container with this much in it is closed at once.
    pub overfull_at: u64,
    /// A container's use is noted when it has grown by this much since.
    pub note_every: u64,
    /// Rows changed in one pass at most.
    pub per_pass: usize,
}

/// Since when this leader has known open containers to be full.
#[derive(Debug, Clone, Default)]
pub struct Full(BTreeMap<ContainerId, Millis>);

impl Full {
    /// For how long it has been full, as of now.
    fn note(&mut self, container: ContainerId, now: Millis) -> Millis {
        let since = *self.0.entry(container).or_insert(now);
        Millis(now.0.saturating_sub(since.0))
    }

    fn forget(&mut self, container: ContainerId) {
        self.0.remove(&container);
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerPlan {
    pub close: Vec<ContainerId>,
    pub finish: Vec<FinishedContainer>,
    pub note: Vec<ContainerNote>,
    pub drop: Vec<ContainerId>,
}

impl ContainerPlan {
    pub fn len(&self) -> usize {
        self.close.len() + self.finish.len() + self.note.len() + self.drop.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

pub fn plan_containers(
    tables: &(impl ReadTables + ?Sized),
    census: &Census,
    nodes: &Nodes,
    full: &mut Full,
    policy: ContainerPolicy,
) -> Result<ContainerPlan, StorageFault> {
    let now = census.now();
    let mut plan = ContainerPlan::default();
    walk::<ContainerRow>(tables, ContainerId(0), |id, row| {
        let replicas: Vec<(DatanodeId, Replica)> = census.replicas(id).map(|(node, replica)| (node, *replica)).collect();
        match row.phase {
            ContainerPhase::Open => {
                if must_close(id, &replicas, now, full, policy) {
                    full.forget(id);
                    plan.close.push(id);
                }
                plan_unfinished(id, &row, &replicas, policy, &mut plan);
            }
            ContainerPhase::Closing => plan_unfinished(id, &row, &replicas, policy, &mut plan),
            ContainerPhase::QuasiClosed => plan_quasi_closed(id, &row, &replicas, nodes, &mut plan),
            ContainerPhase::Closed => {
                if is_empty(&row, &replicas, nodes) {
                    plan.drop.push(id);
                }
            }
            ContainerPhase::Deleted => {}
        }
        if plan.len() < policy.per_pass { Walk::On } else { Walk::Stop }
    })?;
    Ok(plan)
}

fn must_close(
    id: ContainerId,
    replicas: &[(DatanodeId, Replica)],
    now: Millis,
    full: &mut Full,
    policy: ContainerPolicy,
) -> bool {
    let used = most_used(replicas);
    let has_drained = used >= policy.full_at && full.note(id, now) >= policy.close_full_after;
    // A replica that is damaged or closed by itself takes no more writes: better a new container than two copies of this one.
    let is_broken = replicas.iter().any(|(_, replica)| replica.phase != ReplicaPhase::Open);
    has_drained || used >= policy.overfull_at || is_broken
}

fn most_used(replicas: &[(DatanodeId, Replica)]) -> u64 {
    replicas.iter().map(|(_, replica)| replica.used).max().unwrap_or(0)
}

fn plan_unfinished(
    id: ContainerId,
    row: &ContainerRow,
    replicas: &[(DatanodeId, Replica)],
    policy: ContainerPolicy,
    plan: &mut ContainerPlan,
) {
    let closed = replicas.iter().find(|(_, replica)| replica.phase == ReplicaPhase::Closed);
    if let Some((_, replica)) = closed {
        plan.finish.push(finished(id, replica));
        return;
    }
    let used = most_used(replicas);
    let blocks = replicas.iter().map(|(_, replica)| replica.blocks).max().unwrap_or(0);
    let is_first_word = !row.was_reported && !replicas.is_empty();
    if is_first_word || used >= row.used.saturating_add(policy.note_every) {
        plan.note.push(ContainerNote { container: id, used, blocks });
    }
}

fn plan_quasi_closed(
    id: ContainerId,
    row: &ContainerRow,
    replicas: &[(DatanodeId, Replica)],
    nodes: &Nodes,
    plan: &mut ContainerPlan,
) {
    // One closed through the log after all: it has everything that was ever acknowledged.
    if let Some((_, replica)) = replicas.iter().find(|(_, replica)| replica.phase == ReplicaPhase::Closed) {
        plan.finish.push(finished(id, replica));
        return;
    }
    let has_spoken = |member: &DatanodeId| {
        nodes.0.get(member).is_none_or(|node| node.is_superseded || node.reported_in_full && !nodes.is_dead(*member))
    };
    let is_still_open = replicas.iter().any(|(node, replica)| replica.phase == ReplicaPhase::Open && !nodes.is_dead(*node));
    if !row.members.iter().all(has_spoken) || is_still_open {
        return;
    }
    let whole = replicas.iter().filter(|(node, replica)| {
        replica.phase == ReplicaPhase::QuasiClosed && replica.missing_blocks == 0 && !nodes.is_dead(*node)
    });
    match whole.max_by_key(|(_, replica)| replica.commit_index) {
        Some((_, fullest)) => plan.finish.push(finished(id, fullest)),
        // No member has it, and none ever reported it: leased and never written to.
        None if !row.was_reported && replicas.is_empty() => plan.drop.push(id),
        None => {}
    }
}

fn finished(container: ContainerId, replica: &Replica) -> FinishedContainer {
    let Replica { commit_index, blocks, used, .. } = *replica;
    FinishedContainer { container, sequence: commit_index, used, blocks }
}

/// As many replicas as there should be are known, and not one of them, not even a damaged one, holds a block.
fn is_empty(row: &ContainerRow, replicas: &[(DatanodeId, Replica)], nodes: &Nodes) -> bool {
    let whole: BTreeSet<DatanodeId> = replicas
        .iter()
        .filter(|(node, replica)| replica.phase == ReplicaPhase::Closed && nodes.is_healthy(*node))
        .map(|(node, _)| *node)
        .collect();
    whole.len() >= row.replication.copies()
        && replicas.iter().all(|(_, replica)| replica.blocks == 0 && replica.missing_blocks == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{DEAD_AFTER, World};

    const POLICY: ContainerPolicy =
        ContainerPolicy { full_at: 900, close_full_after: Millis(60_000), overfull_at: 2_000, note_every: 500, per_pass: 100 };

    fn plan(world: &World) -> ContainerPlan {
        plan_with(world, &mut Full::default())
    }

    fn plan_with(world: &World, full: &mut Full) -> ContainerPlan {
        plan_containers(&world.tables, &world.census, &world.nodes(), full, POLICY).expect("reads")
    }

    #[test]
    fn a_container_is_noted_when_first_reported() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.open_container(pipeline);
        assert!(plan(&world).is_empty());
        world.fill(container, 100);
        assert_eq!(plan(&world).note, [ContainerNote { container, used: 100, blocks: 1 }]);
        world.note(container, 100);
        assert!(plan(&world).is_empty());
    }

    #[test]
    fn a_full_container_is_closed_when_its_last_writers_have_had_their_time_or_at_once_when_overfull() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let (one, other) = (world.open_container(pipeline), world.open_container(pipeline));
        world.fill(one, 900);
        let mut full = Full::default();
        assert_eq!(plan_with(&world, &mut full).close, []);
        world.pass_time(POLICY.close_full_after);
        world.fill(other, 2_000);
        assert_eq!(plan_with(&world, &mut full).close, [one, other]);
    }

    #[test]
    fn a_damaged_replica_closes_an_open_container() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.written_container(pipeline);
        world.hold(2, container, ReplicaPhase::Unhealthy, 3);
        assert_eq!(plan(&world).close, [container]);
    }

    #[test]
    fn the_first_replica_closed_through_the_log_settles_its_container() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.written_container(pipeline);
        world.close_pipeline(pipeline);
        assert!(plan(&world).is_empty());
        world.hold(2, container, ReplicaPhase::Closed, 12);
        let finish = plan(&world).finish;
        assert_eq!(finish.iter().map(|f| (f.container, f.sequence)).collect::<Vec<_>>(), [(container, 12)]);
    }

    #[test]
    fn of_quasi_closed_replicas_the_fullest_settles_once_every_member_has_spoken() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.written_container(pipeline);
        world.close_pipeline(pipeline);
        world.remove_pipeline(pipeline);
        world.hold(1, container, ReplicaPhase::QuasiClosed, 8);
        world.hold(2, container, ReplicaPhase::QuasiClosed, 11);
        world.silence(3, DEAD_AFTER);
        assert!(plan(&world).is_empty(), "the third may hold more");
        world.hold(3, container, ReplicaPhase::QuasiClosed, 9);
        assert_eq!(plan(&world).finish[0].sequence, 11);
    }

    #[test]
    fn a_superseded_member_is_not_waited_for() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.written_container(pipeline);
        world.close_pipeline(pipeline);
        world.remove_pipeline(pipeline);
        world.hold(1, container, ReplicaPhase::QuasiClosed, 8);
        world.hold(2, container, ReplicaPhase::QuasiClosed, 7);
        world.register("dn3");
        assert_eq!(plan(&world).finish[0].sequence, 8);
    }

    #[test]
    fn a_closed_container_is_dropped_when_all_its_replicas_are_known_to_be_empty() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.closed_container(pipeline, 7);
        assert!(plan(&world).is_empty());
        world.empty(container, &[1, 2]);
        assert!(plan(&world).is_empty());
        world.empty(container, &[3]);
        assert_eq!(plan(&world).drop, [container]);
        world.hold(2, container, ReplicaPhase::Unhealthy, 7);
        assert!(plan(&world).is_empty(), "a damaged replica may hold what the others lost");
    }
}
