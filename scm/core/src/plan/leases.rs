//! Which containers the next block ids come from.

use std::collections::BTreeSet;

use tables::{ReadTables, StorageFault};
use types::{ContainerId, PipelineId, Replication};

use crate::census::{Census, Health, Nodes};
use crate::command::{Slot, SlotShare};
use crate::rows::{ContainerPhase, ContainerRow, PipelinePhase, PipelineRow, all, get, unfinished_in};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeasePolicy {
    /// Containers that a pipeline fills at once, so that writers spread.
    pub open_per_pipeline: u32,
    /// A container with this much in it gets no more blocks.
    pub full_at: u64,
    /// A datanode with less room than this takes no new blocks.
    pub room: u64,
    /// Containers that one lease is spread over at most.
    pub spread: u32,
}

/// How well a pipeline would take writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// All its members are well.
    Full,
    /// A majority is: writes are taken, with fewer copies than there should be until the others are back.
    Majority,
}

/// Whether writes to the pipeline would succeed; none if not.
pub fn writable(id: PipelineId, row: &PipelineRow, nodes: &Nodes) -> Option<Strength> {
    let serving = row
        .datanodes()
        .filter(|datanode| nodes.0.get(datanode).is_some_and(|node| node.health == Health::Healthy && node.serves(id)));
    match serving.count() {
        count if count == row.members.len() => Some(Strength::Full),
        count if count >= row.majority() => Some(Strength::Majority),
        _ => None,
    }
}

#[derive(Debug, Clone)]
pub struct Wish {
    pub replication: Replication,
    pub count: u32,
    /// Pipelines that failed a writer: taken only if there is no other.
    pub exclude: BTreeSet<PipelineId>,
    /// Any number that differs from lease to lease: where the choice starts, so that leases go around all pipelines.
    pub turn: u64,
}

/// Shares of the wished count; empty when no pipeline takes writes.
pub fn plan_lease(
    tables: &(impl ReadTables + ?Sized),
    census: &Census,
    nodes: &Nodes,
    wish: &Wish,
    policy: LeasePolicy,
) -> Result<Vec<SlotShare>, StorageFault> {
    let mut candidates = Vec::new();
    for (id, row) in all::<PipelineRow>(tables)? {
        if row.phase != PipelinePhase::Open || row.replication != wish.replication || !has_room(&row, nodes, policy) {
            continue;
        }
        if let Some(strength) = writable(id, &row, nodes) {
            candidates.push(((wish.exclude.contains(&id), strength), id));
        }
    }
    let Some(best) = candidates.iter().map(|(rank, _)| *rank).min() else {
        return Ok(Vec::new());
    };
    let mut chosen: Vec<PipelineId> = candidates.into_iter().filter(|(rank, _)| *rank == best).map(|(_, id)| id).collect();
    let start = usize::try_from(wish.turn % chosen.len() as u64).unwrap_or(0);
    chosen.rotate_left(start);
    let most = policy.spread.clamp(1, wish.count.max(1)) as usize;
    let mut slots = Vec::new();
    // Round by round over the pipelines, so that a lease too small for all containers still spans pipelines first.
    let by_pipeline = chosen.iter().map(|id| slots_of(*id, tables, census, policy)).collect::<Result<Vec<_>, _>>()?;
    for round in 0..policy.open_per_pipeline.max(1) as usize {
        slots.extend(by_pipeline.iter().filter_map(|slots| slots.get(round)));
    }
    slots.truncate(most);
    Ok(share(wish.count, &slots))
}

/// The containers that a pipeline fills at present, and new ones up to the number there should be.
fn slots_of(
    pipeline: PipelineId,
    tables: &(impl ReadTables + ?Sized),
    census: &Census,
    policy: LeasePolicy,
) -> Result<Vec<Slot>, StorageFault> {
    let wanted = policy.open_per_pipeline.max(1) as usize;
    let mut slots = Vec::with_capacity(wanted);
    for container in unfinished_in(tables, pipeline)? {
        if slots.len() == wanted {
            break;
        }
        let is_open = get::<ContainerRow>(tables, container)?.is_some_and(|row| row.phase == ContainerPhase::Open);
        if is_open && used(census, container) < policy.full_at {
            slots.push(Slot::Container(container));
        }
    }
    slots.resize(wanted, Slot::New(pipeline));
    Ok(slots)
}

fn used(census: &Census, container: ContainerId) -> u64 {
    census.replicas(container).map(|(_, replica)| replica.used).max().unwrap_or(0)
}

fn has_room(row: &PipelineRow, nodes: &Nodes, policy: LeasePolicy) -> bool {
    let is_short = |node: &crate::census::Node| node.health != Health::Dead && node.space.remaining < policy.room;
    !row.datanodes().any(|datanode| nodes.0.get(&datanode).is_some_and(is_short))
}

fn share(count: u32, slots: &[Slot]) -> Vec<SlotShare> {
    let Ok(among) = u32::try_from(slots.len()) else {
        return Vec::new();
    };
    let share = |(n, slot): (u32, &Slot)| SlotShare { slot: *slot, count: count / among + u32::from(n < count % among) };
    (0..among).zip(slots).map(share).filter(|share| share.count > 0).collect()
}

#[cfg(test)]
mod tests {
    use types::Millis;

    use super::*;
    use crate::plan::testing::{DEAD_AFTER, STALE_AFTER, World};

    const POLICY: LeasePolicy = LeasePolicy { open_per_pipeline: 2, full_at: 900, room: 100, spread: 8 };

    fn wish(count: u32) -> Wish {
        Wish { replication: Replication::Three, count, exclude: BTreeSet::new(), turn: 0 }
    }

    fn plan(world: &World, wish: &Wish) -> Vec<SlotShare> {
        plan_lease(&world.tables, &world.census, &world.nodes(), wish, POLICY).expect("reads")
    }

    fn pipelines(shares: &[SlotShare], world: &World) -> BTreeSet<PipelineId> {
        let pipeline_of = |share: &SlotShare| match share.slot {
            Slot::New(pipeline) => pipeline,
            Slot::Container(container) => world.container(container).pipeline,
        };
        shares.iter().map(pipeline_of).collect()
    }

    #[test]
    fn a_lease_is_spread_over_new_containers_and_then_over_the_same_ones() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let shares = plan(&world, &wish(11));
        let new = Slot::New(pipeline);
        assert_eq!(shares, [SlotShare { slot: new, count: 6 }, SlotShare { slot: new, count: 5 }]);
        let open = world.allocate(shares);
        let again: Vec<Slot> = plan(&world, &wish(4)).into_iter().map(|share| share.slot).collect();
        assert_eq!(again, open.iter().map(|a| Slot::Container(a.container)).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_container_gets_no_more_blocks() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let open = world.allocate(plan(&world, &wish(2)));
        world.fill(open[0].container, 900);
        let slots: Vec<Slot> = plan(&world, &wish(2)).into_iter().map(|share| share.slot).collect();
        assert_eq!(slots, [Slot::Container(open[1].container), Slot::New(pipeline)]);
    }

    #[test]
    fn a_pipeline_with_all_members_goes_before_one_with_a_majority() {
        let mut world = World::with_datanodes(4);
        let broken = world.open_pipeline([1, 2, 3]);
        let whole = world.open_pipeline([1, 2, 4]);
        assert_eq!(pipelines(&plan(&world, &wish(8)), &world), BTreeSet::from([broken, whole]));
        world.silence(3, STALE_AFTER);
        assert_eq!(pipelines(&plan(&world, &wish(8)), &world), BTreeSet::from([whole]));
    }

    #[test]
    fn with_one_of_three_datanodes_down_writes_go_on() {
        let mut world = World::with_datanodes(3);
        let only = world.open_pipeline([1, 2, 3]);
        world.silence(3, DEAD_AFTER);
        assert_eq!(pipelines(&plan(&world, &wish(8)), &world), BTreeSet::from([only]));
        world.silence(2, Millis(DEAD_AFTER.0));
        assert_eq!(plan(&world, &wish(8)), []);
    }

    #[test]
    fn an_excluded_pipeline_is_taken_only_if_there_is_no_other() {
        let mut world = World::with_datanodes(4);
        let one = world.open_pipeline([1, 2, 3]);
        let exclude = Wish { exclude: BTreeSet::from([one]), ..wish(4) };
        assert_eq!(pipelines(&plan(&world, &exclude), &world), BTreeSet::from([one]));
        let other = world.open_pipeline([1, 2, 4]);
        assert_eq!(pipelines(&plan(&world, &exclude), &world), BTreeSet::from([other]));
    }

    #[test]
    fn a_pipeline_with_a_full_datanode_takes_no_new_blocks() {
        let mut world = World::with_datanodes(3);
        world.open_pipeline([1, 2, 3]);
        world.set_remaining(2, 99);
        assert_eq!(plan(&world, &wish(4)), []);
    }

    #[test]
    fn leases_take_turns_where_there_are_more_pipelines_than_a_lease_spans() {
        let mut world = World::with_datanodes(4);
        let first = world.open_pipeline([1, 2, 3]);
        let second = world.open_pipeline([1, 2, 4]);
        let of = |turn| pipelines(&plan(&world, &Wish { turn, ..wish(1) }), &world);
        assert_eq!((of(0), of(1), of(2)), (BTreeSet::from([first]), BTreeSet::from([second]), BTreeSet::from([first])));
    }
}
