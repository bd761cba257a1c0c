//! Whether writes may begin after a start.

use std::fmt;

use tables::{ReadTables, StorageFault};

use crate::census::{Census, Nodes};
use crate::plan::leases::writable;
use crate::rows::{ContainerPhase, ContainerRow, PipelinePhase, PipelineRow, Walk, all, walk};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SafeModePolicy {
    /// Of ten thousand containers that were ever written to, so many must have a reported replica.
    pub containers_per_10_000: u32,
    pub datanodes: u32,
}

/// What is still missing before writes may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    Datanodes { reported: usize, wanted: usize },
    Containers { reported: u64, wanted: u64 },
    Pipeline,
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Datanodes { reported, wanted } => write!(f, "{reported} of {wanted} datanodes have reported"),
            Self::Containers { reported, wanted } => write!(f, "{reported} of {wanted} containers have a reported replica"),
            Self::Pipeline => f.write_str("no open pipeline has a majority of its members"),
        }
    }
}

/// Everything that is awaited; safe mode ends when nothing is.
pub fn awaited(
    tables: &(impl ReadTables + ?Sized),
    census: &Census,
    nodes: &Nodes,
    policy: SafeModePolicy,
) -> Result<Vec<Awaited>, StorageFault> {
    let mut missing = Vec::new();
    let reported = nodes.0.values().filter(|node| node.reported_in_full).count();
    let wanted = policy.datanodes as usize;
    if reported < wanted {
        missing.push(Awaited::Datanodes { reported, wanted });
    }
    // Once everyone has spoken, waiting brings no more replicas to light: what is missing then is for the operator to see,
    // and no reason to refuse writes.
    let everyone_has_spoken = !nodes.0.is_empty() && nodes.0.values().all(|node| node.reported_in_full || node.is_superseded);
    if !everyone_has_spoken {
        let (mut known, mut reported) = (0u64, 0u64);
        walk::<ContainerRow>(tables, types::ContainerId(0), |id, row| {
            if row.was_reported && row.phase != ContainerPhase::Deleted {
                known += 1;
                reported += u64::from(census.replicas(id).next().is_some());
            }
            Walk::On
        })?;
        let wanted = (u128::from(known) * u128::from(policy.containers_per_10_000)).div_ceil(10_000);
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        if reported < wanted {
            missing.push(Awaited::Containers { reported, wanted });
        }
    }
    let can_write = all::<PipelineRow>(tables)?
        .iter()
        .any(|(id, row)| row.phase == PipelinePhase::Open && writable(*id, row, nodes).is_some());
    if !can_write {
        missing.push(Awaited::Pipeline);
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use types::{DatanodeId, Millis};

    use super::*;
    use crate::census::{ReplicaPhase, Scope};
    use crate::plan::testing::World;

    const POLICY: SafeModePolicy = SafeModePolicy { containers_per_10_000: 9990, datanodes: 2 };

    fn awaited_in(world: &World) -> Vec<Awaited> {
        awaited(&world.tables, &world.census, &world.nodes(), POLICY).expect("reads")
    }

    #[test]
    fn an_empty_cluster_waits_for_datanodes_and_a_pipeline() {
        let mut world = World::with_datanodes(3);
        world.new_leader();
        assert_eq!(awaited_in(&world), [Awaited::Datanodes { reported: 0, wanted: 2 }, Awaited::Pipeline]);
        world.hear_all();
        world.open_pipeline([1, 2, 3]);
        assert_eq!(awaited_in(&world), []);
    }

    #[test]
    fn a_new_leader_waits_until_written_containers_have_been_reported() {
        let mut world = World::with_datanodes(4);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.closed_container(pipeline, 7);
        world.new_leader();
        world.hear(1, Scope::Everything, []);
        world.hear(4, Scope::Everything, []);
        world.hear(3, Scope::Everything, []);
        assert_eq!(awaited_in(&world), [Awaited::Containers { reported: 0, wanted: 1 }]);
        world.hear(2, Scope::Everything, [(container, ReplicaPhase::Closed, 7)]);
        assert_eq!(awaited_in(&world), []);
    }

    #[test]
    fn a_lost_container_does_not_keep_a_cluster_read_only_once_everyone_has_spoken() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        world.closed_container(pipeline, 7);
        world.new_leader();
        for datanode in 1..=3 {
            world.hear(datanode, Scope::Everything, []);
        }
        assert_eq!(awaited_in(&world), []);
    }

    #[test]
    fn two_of_three_datanodes_are_enough_to_go_on_with() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.closed_container(pipeline, 7);
        world.new_leader();
        world.advance(Millis(500));
        for datanode in 1..=2 {
            world.hear(datanode, Scope::Everything, [(container, ReplicaPhase::Closed, 7)]);
        }
        assert_eq!(awaited_in(&world), []);
        assert!(!world.nodes().is_healthy(DatanodeId(3)));
    }
}
