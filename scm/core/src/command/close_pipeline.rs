//! A pipeline takes no more containers, and those it has are closed.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::PipelineId;

use super::{Change, CloseContainers};
use crate::rows::{PipelinePhase, PipelineRow, get, put, unfinished_in};

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ClosePipeline {
    #[n(0)]
    pub pipeline: PipelineId,
}

impl Change for ClosePipeline {
    /// Whether this entry began the closing.
    type Outcome = bool;

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<bool, StorageFault> {
        let Some(mut row) = get::<PipelineRow>(tables, self.pipeline)? else {
            return Ok(false);
        };
        if row.phase == PipelinePhase::Closing {
            return Ok(false);
        }
        row.phase = PipelinePhase::Closing;
        put(tables, self.pipeline, &row);
        let containers = unfinished_in(tables, self.pipeline)?;
        CloseContainers { containers }.apply(tables)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::{cluster, open_container, open_pipeline};
    use crate::command::{AllocateBlocks, AllocateRejected, OpenPipeline, Slot, SlotShare};
    use crate::rows::{ContainerPhase, ContainerRow};

    #[test]
    fn closing_a_pipeline_closes_its_containers_and_ends_leases_on_them() {
        let mut tables = cluster(3);
        let pipeline = open_pipeline(&mut tables);
        let container = open_container(&mut tables, pipeline);
        assert!(ClosePipeline { pipeline }.apply(&mut tables).expect("applies"));
        let row = get::<ContainerRow>(&tables, container).expect("reads").expect("is there");
        assert_eq!(row.phase, ContainerPhase::Closing);
        for slot in [Slot::Container(container), Slot::New(pipeline)] {
            let lease = AllocateBlocks { shares: vec![SlotShare { slot, count: 1 }] };
            assert_eq!(lease.apply(&mut tables).expect("applies"), Err(AllocateRejected::NothingOpen));
        }
        assert!(!OpenPipeline { pipeline }.apply(&mut tables).expect("applies"), "a closing pipeline stays closing");
    }
}
