//! Containers are closed: what a whole replica holds is settled.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::ContainerId;

use super::Change;
use crate::rows::{ContainerPhase, ContainerRow, get, note_finished, put};

/// A replica was closed through its pipeline's log, or all quasi-closed replicas that there can be have been heard of.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FinishContainers {
    #[n(0)]
    pub containers: Vec<FinishedContainer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct FinishedContainer {
    #[n(0)]
    pub container: ContainerId,
    #[n(1)]
    pub sequence: u64,
    #[n(2)]
    pub used: u64,
    #[n(3)]
    pub blocks: u64,
}

impl Change for FinishContainers {
    /// How many were not closed before.
    type Outcome = u32;

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<u32, StorageFault> {
        let mut finished = 0;
        for FinishedContainer { container, sequence, used, blocks } in self.containers {
            let Some(mut row) = get::<ContainerRow>(tables, container)? else {
                continue;
            };
            match row.phase {
                ContainerPhase::Open | ContainerPhase::Closing => note_finished(tables, row.pipeline, container),
                ContainerPhase::QuasiClosed => {}
                ContainerPhase::Closed | ContainerPhase::Deleted => continue,
            }
            row.phase = ContainerPhase::Closed;
            row.was_reported = true;
            (row.sequence, row.used, row.blocks) = (Some(sequence), used, blocks);
            put(tables, container, &row);
            finished += 1;
        }
        Ok(finished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::CloseContainers;
    use crate::command::testing::{cluster, open_container, open_pipeline};
    use crate::rows::unfinished_in;

    #[test]
    fn the_first_settlement_of_a_container_stands() {
        let mut tables = cluster(3);
        let pipeline = open_pipeline(&mut tables);
        let container = open_container(&mut tables, pipeline);
        CloseContainers { containers: vec![container] }.apply(&mut tables).expect("applies");
        let finished = FinishedContainer { container, sequence: 40, used: 4096, blocks: 1 };
        assert_eq!(FinishContainers { containers: vec![finished] }.apply(&mut tables).expect("applies"), 1);
        assert_eq!(unfinished_in(&tables, pipeline).expect("reads"), []);
        let later = FinishedContainer { sequence: 41, ..finished };
        assert_eq!(FinishContainers { containers: vec![later] }.apply(&mut tables).expect("applies"), 0);
        let row = get::<ContainerRow>(&tables, container).expect("reads").expect("is there");
        assert_eq!((row.phase, row.sequence), (ContainerPhase::Closed, Some(40)));
    }
}
