use super::*;
use crate::census::Scope;
use crate::plan::testing::{DEAD_AFTER, STALE_AFTER, World};

const POLICY: RepairPolicy = RepairPolicy { copies_per_datanode: 2, per_pass: 100, give_up_after: Millis(600_000), room: 0 };

fn plan(world: &World, underway: &mut Underway) -> RepairPlan {
    plan_repairs(&world.tables, &world.census, &world.nodes(), underway, POLICY).expect("reads")
}

fn begun(world: &World) -> Vec<(u64, Repair)> {
    let plan = plan(world, &mut Underway::default());
    plan.begun.into_iter().map(|(_, datanode, repair)| (datanode.0, repair)).collect()
}

fn closed_on_three(datanodes: u64) -> (World, ContainerId) {
    let mut world = World::with_datanodes(datanodes);
    let pipeline = world.open_pipeline([1, 2, 3]);
    let container = world.closed_container(pipeline, 7);
    (world, container)
}

#[test]
fn a_lost_replica_is_copied_to_a_datanode_without_one() {
    let (mut world, _) = closed_on_three(4);
    assert_eq!(begun(&world), []);
    world.silence(2, STALE_AFTER);
    assert_eq!(begun(&world), [], "a stale datanode may come back");
    world.pass_time_without(&[2], DEAD_AFTER);
    assert_eq!(begun(&world), [(4, Repair::Copy)]);
}

#[test]
fn a_wiped_datanode_gets_its_replicas_back() {
    let (mut world, container) = closed_on_three(3);
    let wiped = world.register("dn3");
    assert_eq!(begun(&world), [], "it has not reported yet");
    world.hear(wiped, Scope::Everything, []);
    let mut underway = Underway::default();
    let first = plan(&world, &mut underway);
    assert_eq!(first.begun, [(container, DatanodeId(wiped), Repair::Copy)]);
    assert_eq!(first.census.under_replicated, 1);
    assert_eq!(plan(&world, &mut underway).begun, [], "one order is enough");
    assert_eq!(sources(container, &world.container(container), &world.census, &world.nodes()), [DatanodeId(1), DatanodeId(2)]);
    world.hold(wiped, container, ReplicaPhase::Closed, 7);
    assert_eq!(plan(&world, &mut underway).census, ContainerCensus { containers: 1, ..ContainerCensus::default() });
    assert!(underway.is_empty());
}

#[test]
fn a_replica_that_waits_for_bytes_does_not_count() {
    let (mut world, container) = closed_on_three(4);
    world.hold_missing(3, container, 2);
    assert_eq!(begun(&world), [(4, Repair::Copy)]);
}

#[test]
fn a_replica_whose_bytes_nobody_can_bring_any_more_makes_room_for_a_copy() {
    let (mut world, container) = closed_on_three(3);
    world.hold_missing(3, container, 2);
    assert_eq!(begun(&world), [], "its pipeline may still bring them");
    world.leave(world.container(container).pipeline, 3);
    assert_eq!(begun(&world), [(3, Repair::Delete)]);
    world.lose(3, container);
    assert_eq!(begun(&world), [(3, Repair::Copy)]);
}

#[test]
fn of_a_surplus_one_replica_goes_and_the_rest_stay() {
    let (mut world, container) = closed_on_three(4);
    world.hold(4, container, ReplicaPhase::Closed, 7);
    let mut underway = Underway::default();
    assert_eq!(plan(&world, &mut underway).begun.len(), 1);
    assert_eq!(plan(&world, &mut underway).begun, []);
}

#[test]
fn a_surplus_is_left_alone_while_one_of_the_others_is_stale() {
    let (mut world, container) = closed_on_three(4);
    world.hold(4, container, ReplicaPhase::Closed, 7);
    world.silence(1, STALE_AFTER);
    assert_eq!(begun(&world), []);
}

#[test]
fn a_damaged_replica_is_replaced_first_and_removed_then() {
    let (mut world, container) = closed_on_three(4);
    world.hold(2, container, ReplicaPhase::Unhealthy, 7);
    assert_eq!(begun(&world), [(4, Repair::Copy)]);
    world.hold(4, container, ReplicaPhase::Closed, 7);
    assert_eq!(begun(&world), [(2, Repair::Delete)]);
}

#[test]
fn a_damaged_replica_makes_room_where_there_is_no_other_datanode() {
    let (mut world, container) = closed_on_three(3);
    world.hold(2, container, ReplicaPhase::Unhealthy, 7);
    assert_eq!(begun(&world), [(2, Repair::Delete)]);
    world.lose(2, container);
    assert_eq!(begun(&world), [(2, Repair::Copy)]);
}

#[test]
fn where_no_replica_counts_nothing_is_removed() {
    let (mut world, container) = closed_on_three(4);
    for datanode in 1..=3 {
        world.hold(datanode, container, ReplicaPhase::Unhealthy, 7);
    }
    let plan = plan(&world, &mut Underway::default());
    assert_eq!(plan.begun, []);
    assert_eq!((plan.census.missing, plan.census.under_replicated), (1, 1));
}

#[test]
fn a_quasi_closed_replica_counts_when_it_is_as_full_as_the_closed_ones() {
    let (mut world, container) = closed_on_three(4);
    world.hold(3, container, ReplicaPhase::QuasiClosed, 7);
    assert_eq!(begun(&world), []);
    world.hold(3, container, ReplicaPhase::QuasiClosed, 6);
    assert_eq!(begun(&world), [(4, Repair::Copy)]);
    world.hold(4, container, ReplicaPhase::Closed, 7);
    assert_eq!(begun(&world), [(3, Repair::Delete)]);
}

#[test]
fn while_quasi_closed_the_fullest_replica_is_the_one_that_is_copied() {
    let mut world = World::with_datanodes(5);
    let pipeline = world.open_pipeline([1, 2, 3]);
    let container = world.written_container(pipeline);
    world.close_pipeline(pipeline);
    world.remove_pipeline(pipeline);
    world.hold(1, container, ReplicaPhase::QuasiClosed, 8);
    world.hold(2, container, ReplicaPhase::QuasiClosed, 11);
    world.silence(3, DEAD_AFTER);
    assert_eq!(sources(container, &world.container(container), &world.census, &world.nodes()), [DatanodeId(2)]);
    assert_eq!(begun(&world), [(4, Repair::Copy), (5, Repair::Copy)]);
}

#[test]
fn open_containers_are_left_to_their_pipeline_and_unwritten_ones_lack_nothing() {
    let mut world = World::with_datanodes(4);
    let pipeline = world.open_pipeline([1, 2, 3]);
    world.open_container(pipeline);
    assert_eq!(plan(&world, &mut Underway::default()).census.under_replicated, 0);
    world.written_container(pipeline);
    world.silence(2, DEAD_AFTER);
    let plan = plan(&world, &mut Underway::default());
    assert_eq!((plan.begun, plan.census.under_replicated), (vec![], 1));
}

#[test]
fn replicas_of_dropped_containers_go_and_those_of_unknown_ones_stay() {
    let (mut world, container) = closed_on_three(3);
    world.drop_container(container);
    world.hold(1, ContainerId(5_000), ReplicaPhase::Closed, 1);
    assert_eq!(begun(&world), [(1, Repair::Delete), (2, Repair::Delete), (3, Repair::Delete)]);
}

#[test]
fn nothing_is_repaired_before_everyone_has_reported_or_is_dead() {
    let (mut world, container) = closed_on_three(4);
    world.new_leader();
    for datanode in [1, 2] {
        world.hear(datanode, Scope::Everything, [(container, ReplicaPhase::Closed, 7)]);
    }
    world.hear(4, Scope::Everything, []);
    assert_eq!(begun(&world), []);
    world.pass_time_without(&[3], DEAD_AFTER);
    assert_eq!(begun(&world), [(4, Repair::Copy)]);
}

#[test]
fn copies_go_where_there_is_room_and_another_rack() {
    let mut world = World::with_racks(&["/a", "/a", "/b", "/a", "/b"]);
    let pipeline = world.open_pipeline([1, 2, 3]);
    let container = world.closed_container(pipeline, 7);
    world.silence(3, DEAD_AFTER);
    assert_eq!(begun(&world), [(5, Repair::Copy)]);
    world.set_remaining(5, 0);
    assert_eq!(begun(&world), [(4, Repair::Copy)]);
    let _ = container;
}

#[test]
fn a_repair_without_effect_is_planned_anew() {
    let (mut world, container) = closed_on_three(5);
    world.silence(2, DEAD_AFTER);
    let mut underway = Underway::default();
    assert_eq!(plan(&world, &mut underway).begun, [(container, DatanodeId(4), Repair::Copy)]);
    world.pass_time_without(&[2], POLICY.give_up_after);
    assert_eq!(plan(&world, &mut underway).begun.len(), 1);
}
