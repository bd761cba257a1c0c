//! What a datanode is told with the answer to its heartbeat.
//!
//! Orders follow from the rows and from what the datanode itself has just reported, so they repeat until a report shows their
//! effect, and a new leader gives the same ones.

use tables::{ReadTables, StorageFault};
use types::{ContainerId, DatanodeId, PipelineId};

use crate::census::{Census, Node, ReplicaPhase};
use crate::rows::{ContainerPhase, ContainerRow, Counters, Member, PipelinePhase, PipelineRow, all, get, unfinished_in};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeOrder {
    CreatePipeline { pipeline: PipelineId, members: Vec<Member> },
    DestroyPipeline(PipelineId),
    CloseContainer { container: ContainerId, pipeline: Option<PipelineId> },
}

/// Orders about pipelines and about closing their containers.
pub fn plan_orders(
    tables: &(impl ReadTables + ?Sized),
    census: &Census,
    datanode: DatanodeId,
    node: &Node,
) -> Result<Vec<NodeOrder>, StorageFault> {
    let rows = all::<PipelineRow>(tables)?;
    let mut orders = Vec::new();
    for (id, row) in rows.iter().filter(|(_, row)| row.has(datanode)) {
        match row.phase {
            PipelinePhase::Allocated => {
                if !node.serves(*id) {
                    orders.push(NodeOrder::CreatePipeline { pipeline: *id, members: row.members.clone() });
                }
            }
            PipelinePhase::Open | PipelinePhase::Closing => {
                for container in unfinished_in(tables, *id)? {
                    let row = get::<ContainerRow>(tables, container)?;
                    let is_closing = row.is_some_and(|row| row.phase == ContainerPhase::Closing);
                    let replica = census.replica(container, datanode);
                    // Without a replica it was never written to here; closing it in the log keeps it so.
                    let is_open = replica.is_none_or(|replica| replica.phase == ReplicaPhase::Open);
                    if is_closing && is_open && node.serves(*id) {
                        orders.push(NodeOrder::CloseContainer { container, pipeline: Some(*id) });
                    }
                }
            }
        }
    }
    let next = Counters::read(tables)?.pipeline;
    for pipeline in node.pipelines.keys().filter(|id| id.0 < next) {
        if !rows.iter().any(|(id, row)| id == pipeline && row.has(datanode)) {
            orders.push(NodeOrder::DestroyPipeline(*pipeline));
        }
    }
    orders.extend(plan_stragglers(tables, census, datanode, node)?);
    Ok(orders)
}

/// Replicas that are still open although their container is finished: the log will close them if the pipeline is there, they
/// close by themselves if not.
fn plan_stragglers(
    tables: &(impl ReadTables + ?Sized),
    census: &Census,
    datanode: DatanodeId,
    node: &Node,
) -> Result<Vec<NodeOrder>, StorageFault> {
    let mut orders = Vec::new();
    for container in census.held_by(datanode) {
        if census.replica(container, datanode).is_none_or(|replica| replica.phase != ReplicaPhase::Open) {
            continue;
        }
        let Some(row) = get::<ContainerRow>(tables, container)? else {
            continue;
        };
        if matches!(row.phase, ContainerPhase::Closed | ContainerPhase::QuasiClosed) {
            let pipeline = node.serves(row.pipeline).then_some(row.pipeline);
            orders.push(NodeOrder::CloseContainer { container, pipeline });
        }
    }
    Ok(orders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::World;

    fn orders(world: &World, datanode: u64) -> Vec<NodeOrder> {
        let id = DatanodeId(datanode);
        plan_orders(&world.tables, &world.census, id, &world.nodes().0[&id]).expect("reads")
    }

    #[test]
    fn a_member_is_told_to_create_a_pipeline_until_it_serves_it_and_never_again() {
        let mut world = World::with_datanodes(4);
        let pipeline = world.allocate_pipeline([1, 2, 3]);
        assert!(matches!(orders(&world, 1)[..], [NodeOrder::CreatePipeline { .. }]));
        assert_eq!(orders(&world, 4), []);
        world.serve(pipeline, 1, true);
        assert_eq!(orders(&world, 1), []);
        world.open(pipeline);
        assert_eq!(orders(&world, 2), [], "a member that lost its log must not come back under its id");
    }

    #[test]
    fn members_close_a_closing_container_even_if_they_never_heard_of_it() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.open_container(pipeline);
        world.hold(1, container, ReplicaPhase::Open, 1);
        world.close_pipeline(pipeline);
        let close = NodeOrder::CloseContainer { container, pipeline: Some(pipeline) };
        assert_eq!(orders(&world, 1), std::slice::from_ref(&close));
        assert_eq!(orders(&world, 2), [close]);
        world.hold(1, container, ReplicaPhase::Closed, 2);
        assert_eq!(orders(&world, 1), []);
    }

    #[test]
    fn a_removed_pipeline_is_destroyed_and_an_unknown_one_is_not_touched() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        world.close_pipeline(pipeline);
        world.remove_pipeline(pipeline);
        world.serve(PipelineId(77), 1, true);
        assert_eq!(orders(&world, 1), [NodeOrder::DestroyPipeline(pipeline)]);
    }

    #[test]
    fn an_open_replica_without_its_pipeline_closes_by_itself() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.written_container(pipeline);
        world.close_pipeline(pipeline);
        world.remove_pipeline(pipeline);
        world.leave(pipeline, 2);
        assert_eq!(orders(&world, 2), [NodeOrder::CloseContainer { container, pipeline: None }]);
    }
}
