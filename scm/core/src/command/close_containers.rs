//! Containers take no more blocks.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::ContainerId;

use super::Change;
use crate::rows::{ContainerPhase, ContainerRow, get, put};

/// Full, or damaged somewhere, or their pipeline is closing. Orders to close them follow from the rows.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CloseContainers {
    #[n(0)]
    pub containers: Vec<ContainerId>,
}

impl Change for CloseContainers {
    /// How many were open.
    type Outcome = u32;

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<u32, StorageFault> {
        let mut closed = 0;
        for container in self.containers {
            let Some(mut row) = get::<ContainerRow>(tables, container)?.filter(|row| row.phase == ContainerPhase::Open) else {
                continue;
            };
            row.phase = ContainerPhase::Closing;
            put(tables, container, &row);
            closed += 1;
        }
        Ok(closed)
    }
}
