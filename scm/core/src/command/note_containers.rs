//! What containers hold, as far as it must outlive the leader's memory.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::ContainerId;

use super::Change;
use crate::rows::{ContainerPhase, ContainerRow, get, put};

/// Proposed when a container is first reported, and now and then as it fills.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NoteContainers {
    #[n(0)]
    pub notes: Vec<ContainerNote>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ContainerNote {
    #[n(0)]
    pub container: ContainerId,
    #[n(1)]
    pub used: u64,
    #[n(2)]
    pub blocks: u64,
}

impl Change for NoteContainers {
    type Outcome = ();

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<(), StorageFault> {
        for ContainerNote { container, used, blocks } in self.notes {
            let Some(mut row) = get::<ContainerRow>(tables, container)?.filter(|row| row.phase != ContainerPhase::Deleted) else {
                continue;
            };
            (row.was_reported, row.used, row.blocks) = (true, used, blocks);
            put(tables, container, &row);
        }
        Ok(())
    }
}
