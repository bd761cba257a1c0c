//! Where to read a container.

use types::{ContainerId, DatanodeId};

use crate::census::{Census, Health, Nodes, ReplicaPhase};
use crate::rows::{ContainerPhase, ContainerRow};

/// Datanodes whose replica is fit to be read, the surest first. Before anyone has reported one, the datanodes that were to
/// write it: a new leader can send readers there at once.
pub fn readable(id: ContainerId, row: &ContainerRow, census: &Census, nodes: &Nodes) -> Vec<DatanodeId> {
    if row.phase == ContainerPhase::Deleted {
        return Vec::new();
    }
    let mut found: Vec<_> = census
        .replicas(id)
        .filter(|(_, replica)| replica.phase != ReplicaPhase::Unhealthy)
        .map(|(datanode, replica)| {
            let health = nodes.health(datanode);
            let is_behind = row.sequence.is_some_and(|sequence| replica.commit_index < sequence);
            (health, is_behind || replica.missing_blocks > 0, datanode)
        })
        .filter(|(health, _, _)| *health != Health::Dead)
        .collect();
    found.sort();
    let mut found: Vec<DatanodeId> = found.into_iter().map(|(_, _, datanode)| datanode).collect();
    // A member that has not spoken to this leader yet may well hold it: last, so that nobody waits for it in vain.
    let silent = row.members.iter().filter(|member| {
        nodes.0.get(member).is_some_and(|node| !node.reported_in_full && !node.is_superseded) && !found.contains(member)
    });
    let silent: Vec<DatanodeId> = silent.copied().collect();
    found.extend(silent);
    if found.is_empty() && row.is_unfinished() {
        found.extend(row.members.iter().filter(|member| !nodes.is_dead(**member)));
    }
    found
}

#[cfg(test)]
mod tests {
    use types::Millis;

    use super::*;
    use crate::census::Scope;
    use crate::plan::testing::{STALE_AFTER, World};

    fn readable_in(world: &World, container: ContainerId) -> Vec<u64> {
        let found = readable(container, &world.container(container), &world.census, &world.nodes());
        found.into_iter().map(|datanode| datanode.0).collect()
    }

    #[test]
    fn healthy_and_whole_replicas_come_first_and_damaged_ones_never() {
        let mut world = World::with_datanodes(4);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.closed_container(pipeline, 7);
        world.hold(4, container, ReplicaPhase::QuasiClosed, 5);
        world.silence(1, STALE_AFTER);
        world.hold(2, container, ReplicaPhase::Unhealthy, 7);
        assert_eq!(readable_in(&world, container), [3, 4, 1]);
    }

    #[test]
    fn a_new_leader_points_to_the_writers_until_it_has_heard_from_them() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.closed_container(pipeline, 7);
        world.new_leader();
        world.advance(Millis(10));
        assert_eq!(readable_in(&world, container), [1, 2, 3]);
        world.hear(1, Scope::Everything, []);
        world.hear(3, Scope::Everything, [(container, ReplicaPhase::Closed, 7)]);
        assert_eq!(readable_in(&world, container), [3, 2]);
    }
}
