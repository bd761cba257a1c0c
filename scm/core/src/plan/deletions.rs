//! Who must still give deleted blocks back, and which deletions are done.

use std::collections::{BTreeMap, BTreeSet};

use tables::{ReadTables, StorageFault};
use types::{BlockId, ContainerId, DatanodeId, Millis};

use crate::census::{Census, Nodes, ReplicaPhase};
use crate::rows::{ContainerPhase, ContainerRow, DeletionRow, Walk, get, walk};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletionPolicy {
    /// Rows looked at in one pass; the next goes on behind them.
    pub rows_per_pass: usize,
    /// Transactions that one datanode is busy with at most.
    pub per_datanode: usize,
    /// An order that was not answered for so long is given again.
    pub repeat_after: Millis,
}

/// What was ordered and not yet acknowledged, and where the next pass begins. Soft: a new leader orders anew.
#[derive(Debug, Clone, Default)]
pub struct Deleting {
    ordered: BTreeMap<DatanodeId, BTreeMap<u64, Ordered>>,
    cursor: u64,
    /// Blocks in the rows of the pass so far, and of the last whole round.
    counting: u64,
    blocks: u64,
}

#[derive(Debug, Clone)]
struct Ordered {
    blocks: Vec<BlockId>,
    since: Millis,
    is_sent: bool,
}

impl Deleting {
    /// What this datanode has not been told yet.
    pub fn orders_for(&mut self, datanode: DatanodeId) -> Vec<(u64, Vec<BlockId>)> {
        let Some(ordered) = self.ordered.get_mut(&datanode) else {
            return Vec::new();
        };
        let mut orders = Vec::new();
        for (transaction, ordered) in ordered.iter_mut().filter(|(_, ordered)| !ordered.is_sent) {
            ordered.is_sent = true;
            orders.push((*transaction, ordered.blocks.clone()));
        }
        orders
    }

    /// The datanode is done with these.
    pub fn acknowledged(&mut self, datanode: DatanodeId, transactions: &[u64]) {
        if let Some(ordered) = self.ordered.get_mut(&datanode) {
            ordered.retain(|transaction, _| !transactions.contains(transaction));
        }
    }

    /// A process that has just started knows of no order.
    pub fn forget(&mut self, datanode: DatanodeId) {
        self.ordered.remove(&datanode);
    }

    /// Blocks that were still to be deleted when all rows had last been looked at.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletionPlan {
    pub finished: Vec<u64>,
    /// New orders given in this pass.
    pub ordered: usize,
    /// Rows remain behind the ones looked at.
    pub has_more: bool,
}

/// Looks at the next rows, gives orders for them and tells which are finished. `copying` are containers of which a replica is
/// on its way: the new one may still hold the blocks.
pub fn plan_deletions(
    tables: &(impl ReadTables + ?Sized),
    census: &Census,
    nodes: &Nodes,
    copying: &BTreeSet<ContainerId>,
    deleting: &mut Deleting,
    policy: DeletionPolicy,
) -> Result<DeletionPlan, StorageFault> {
    let now = census.now();
    for ordered in deleting.ordered.values_mut() {
        ordered.retain(|_, ordered| now.0.saturating_sub(ordered.since.0) < policy.repeat_after.0);
    }
    if deleting.cursor == 0 {
        deleting.counting = 0;
    }
    let mut rows = Vec::new();
    let mut has_more = false;
    walk::<DeletionRow>(tables, deleting.cursor, |transaction, row| {
        if rows.len() == policy.rows_per_pass {
            has_more = true;
            return Walk::Stop;
        }
        rows.push((transaction, row));
        Walk::On
    })?;
    let mut plan = DeletionPlan { has_more, ..DeletionPlan::default() };
    for (transaction, row) in &rows {
        deleting.counting += row.blocks.len() as u64;
        if plan_one(*transaction, row, tables, census, nodes, copying, deleting, policy, &mut plan)? == Owed::Nothing {
            plan.finished.push(*transaction);
        }
    }
    match rows.last() {
        Some((last, _)) if has_more => deleting.cursor = last + 1,
        _ => (deleting.cursor, deleting.blocks) = (0, deleting.counting),
    }
    Ok(plan)
}

#[derive(Debug, PartialEq, Eq)]
enum Owed {
    Nothing,
    Something,
}

#[expect(clippy::too_many_arguments, reason = "one step of the plan above, with all that it was given")]
fn plan_one(
    transaction: u64,
    row: &DeletionRow,
    tables: &(impl ReadTables + ?Sized),
    census: &Census,
    nodes: &Nodes,
    copying: &BTreeSet<ContainerId>,
    deleting: &mut Deleting,
    policy: DeletionPolicy,
    plan: &mut DeletionPlan,
) -> Result<Owed, StorageFault> {
    let container = get::<ContainerRow>(tables, row.container)?.filter(|row| row.phase != ContainerPhase::Deleted);
    let Some(container) = container else {
        return Ok(Owed::Nothing);
    };
    let mut holders = 0;
    let mut owing = 0;
    for (datanode, replica) in census.replicas(row.container).filter(|(datanode, _)| !nodes.is_dead(*datanode)) {
        holders += usize::from(replica.phase != ReplicaPhase::Unhealthy);
        if row.done.contains(&datanode) {
            continue;
        }
        owing += 1;
        let ordered = deleting.ordered.entry(datanode).or_default();
        if nodes.is_healthy(datanode) && ordered.len() < policy.per_datanode && !ordered.contains_key(&transaction) {
            let blocks = row.blocks.iter().map(|local| BlockId { container: row.container, local: *local }).collect();
            ordered.insert(transaction, Ordered { blocks, since: census.now(), is_sent: false });
            plan.ordered += 1;
        }
    }
    // With a replica missing, the copy that will replace it, or the datanode that comes back with it, would owe again.
    let is_settled = holders >= container.replication.copies() && owing == 0 && !copying.contains(&row.container);
    Ok(if is_settled && nodes.is_complete() { Owed::Nothing } else { Owed::Something })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{DEAD_AFTER, World};

    const POLICY: DeletionPolicy = DeletionPolicy { rows_per_pass: 10, per_datanode: 5, repeat_after: Millis(10_000) };

    fn plan(world: &World, deleting: &mut Deleting) -> DeletionPlan {
        let copying = BTreeSet::new();
        plan_deletions(&world.tables, &world.census, &world.nodes(), &copying, deleting, POLICY).expect("reads")
    }

    fn orders(deleting: &mut Deleting, datanode: u64) -> Vec<u64> {
        deleting.orders_for(DatanodeId(datanode)).into_iter().map(|(transaction, _)| transaction).collect()
    }

    #[test]
    fn every_holder_is_told_once_until_the_answer_is_overdue() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.closed_container(pipeline, 7);
        world.delete_block(container, 1);
        let mut deleting = Deleting::default();
        assert_eq!(plan(&world, &mut deleting).ordered, 3);
        assert_eq!(orders(&mut deleting, 2), [1]);
        assert_eq!(orders(&mut deleting, 2), [0u64; 0]);
        assert_eq!(plan(&world, &mut deleting).ordered, 0);
        world.pass_time(POLICY.repeat_after);
        assert_eq!(plan(&world, &mut deleting).ordered, 3);
        assert_eq!(orders(&mut deleting, 2), [1]);
    }

    #[test]
    fn a_deletion_is_done_when_all_copies_there_should_be_have_acknowledged_it() {
        let mut world = World::with_datanodes(4);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.closed_container(pipeline, 7);
        world.delete_block(container, 1);
        let mut deleting = Deleting::default();
        world.acknowledge(1, &[1, 2]);
        assert_eq!(plan(&world, &mut deleting).finished, [0u64; 0]);
        world.silence(3, DEAD_AFTER);
        assert_eq!(plan(&world, &mut deleting).finished, [0u64; 0], "the third copy is still to be replaced");
        world.hold(4, container, ReplicaPhase::Closed, 7);
        let after = plan(&world, &mut deleting);
        assert_eq!(after.finished, [0u64; 0], "and its replacement holds the block too");
        assert_eq!(orders(&mut deleting, 4), [1]);
        world.acknowledge(1, &[4]);
        assert_eq!(plan(&world, &mut deleting).finished, [1]);
    }

    #[test]
    fn a_busy_datanode_is_given_no_more_and_later_rows_are_still_looked_at() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.closed_container(pipeline, 40);
        for local in 1..=25 {
            world.delete_block(container, local);
        }
        let mut deleting = Deleting::default();
        assert!(plan(&world, &mut deleting).has_more);
        assert_eq!(orders(&mut deleting, 1), [1, 2, 3, 4, 5]);
        world.acknowledge(25, &[1, 2, 3]);
        assert!(plan(&world, &mut deleting).has_more);
        assert_eq!(plan(&world, &mut deleting).finished, [25]);
        assert_eq!(deleting.blocks(), 25);
    }

    #[test]
    fn deletions_of_a_dropped_container_are_done() {
        let mut world = World::with_datanodes(3);
        let pipeline = world.open_pipeline([1, 2, 3]);
        let container = world.closed_container(pipeline, 7);
        world.delete_block(container, 1);
        world.drop_container(container);
        assert_eq!(plan(&world, &mut Deleting::default()).finished, [1]);
    }
}
