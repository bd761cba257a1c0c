//! Containers whose last block is gone are given up.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::ContainerId;

use super::Change;
use crate::rows::{ContainerPhase, ContainerRow, get, put};

/// Proposed when every replica of a closed container is known and holds no block. Orders to delete the replicas follow.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DropContainers {
    #[n(0)]
    pub containers: Vec<ContainerId>,
}

impl Change for DropContainers {
    /// How many were there to drop.
    type Outcome = u32;

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<u32, StorageFault> {
        let mut dropped = 0;
        for container in self.containers {
            let Some(mut row) = get::<ContainerRow>(tables, container)? else {
                continue;
            };
            // An open or closing container may still be written to by whoever holds a lease.
            if !matches!(row.phase, ContainerPhase::Closed | ContainerPhase::QuasiClosed) {
                continue;
            }
            row.phase = ContainerPhase::Deleted;
            (row.used, row.blocks) = (0, 0);
            put(tables, container, &row);
            dropped += 1;
        }
        Ok(dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::{cluster, open_container, open_pipeline};

    #[test]
    fn a_container_that_may_still_be_written_to_is_never_dropped() {
        let mut tables = cluster(3);
        let pipeline = open_pipeline(&mut tables);
        let container = open_container(&mut tables, pipeline);
        assert_eq!(DropContainers { containers: vec![container] }.apply(&mut tables).expect("applies"), 0);
        let row = get::<ContainerRow>(&tables, container).expect("reads").expect("is there");
        assert_eq!(row.phase, ContainerPhase::Open);
    }
}
