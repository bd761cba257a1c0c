//! Blocks that nothing refers to any more are taken over for deletion.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::{BlockId, ContainerId};

use super::Change;
use crate::rows::{ContainerPhase, ContainerRow, Counters, DeletionRow, get, put};

/// A deletion is one order to a datanode: large enough to amortise its sync, small enough for a heartbeat reply.
pub const BLOCKS_PER_DELETION: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeleteBlocks {
    #[n(0)]
    pub blocks: Vec<BlockId>,
}

impl Change for DeleteBlocks {
    /// How many blocks there were to delete: what is gone with its container, or was never leased, is not.
    type Outcome = u64;

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<u64, StorageFault> {
        let mut by_container: BTreeMap<ContainerId, BTreeSet<u64>> = BTreeMap::new();
        for block in self.blocks {
            by_container.entry(block.container).or_default().insert(block.local);
        }
        let mut counters = Counters::read(tables)?;
        let mut taken = 0;
        for (container, blocks) in by_container {
            let row = get::<ContainerRow>(tables, container)?.filter(|row| row.phase != ContainerPhase::Deleted);
            let Some(row) = row else {
                continue;
            };
            let blocks: Vec<u64> = blocks.into_iter().filter(|local| (1..row.next_local).contains(local)).collect();
            for blocks in blocks.chunks(BLOCKS_PER_DELETION) {
                taken += blocks.len() as u64;
                let deletion = DeletionRow { container, blocks: blocks.to_vec(), done: Vec::new() };
                put(tables, counters.next_deletion(), &deletion);
            }
        }
        counters.write(tables);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::{cluster, open_container, open_pipeline};
    use crate::rows::all;

    #[test]
    fn deletions_are_grouped_by_container_and_name_only_blocks_that_were_leased() {
        let mut tables = cluster(3);
        let pipeline = open_pipeline(&mut tables);
        let containers = [open_container(&mut tables, pipeline), open_container(&mut tables, pipeline)];
        let block = |container, local| BlockId { container, local };
        let blocks = vec![
            block(containers[1], 1),
            block(containers[0], 1),
            block(containers[0], 1),
            block(containers[0], 2),
            block(containers[0], 0),
            block(ContainerId(99), 1),
        ];
        assert_eq!(DeleteBlocks { blocks }.apply(&mut tables).expect("applies"), 2);
        let rows = all::<DeletionRow>(&tables).expect("reads");
        let rows: Vec<_> = rows.into_iter().map(|(_, row)| (row.container, row.blocks)).collect();
        assert_eq!(rows, [(containers[0], vec![1]), (containers[1], vec![1])]);
    }
}
