//! A pipeline is over: whoever still serves it is told to destroy it.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::PipelineId;

use super::Change;
use crate::rows::{ContainerPhase, ContainerRow, PipelinePhase, PipelineRow, delete, get, note_finished, put, unfinished_in};

/// Containers that are still closing become quasi-closed: their replicas close by themselves, at what each of them has.
/// Proposed while a majority of members lives only once no such container is left.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RemovePipeline {
    #[n(0)]
    pub pipeline: PipelineId,
}

impl Change for RemovePipeline {
    /// Whether it was there, and closing.
    type Outcome = bool;

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<bool, StorageFault> {
        let Some(row) = get::<PipelineRow>(tables, self.pipeline)? else {
            return Ok(false);
        };
        if row.phase != PipelinePhase::Closing {
            return Ok(false);
        }
        for container in unfinished_in(tables, self.pipeline)? {
            let mut row = get::<ContainerRow>(tables, container)?
                .ok_or_else(|| StorageFault(format!("{container} is indexed and has no row")))?;
            row.phase = ContainerPhase::QuasiClosed;
            put(tables, container, &row);
            note_finished(tables, self.pipeline, container);
        }
        delete::<PipelineRow>(tables, self.pipeline);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::ClosePipeline;
    use crate::command::testing::{cluster, open_container, open_pipeline};

    #[test]
    fn a_pipeline_that_goes_before_its_containers_are_closed_leaves_them_quasi_closed() {
        let mut tables = cluster(3);
        let pipeline = open_pipeline(&mut tables);
        let container = open_container(&mut tables, pipeline);
        assert!(!RemovePipeline { pipeline }.apply(&mut tables).expect("applies"), "an open pipeline is closed first");
        ClosePipeline { pipeline }.apply(&mut tables).expect("applies");
        assert!(RemovePipeline { pipeline }.apply(&mut tables).expect("applies"));
        let row = get::<ContainerRow>(&tables, container).expect("reads").expect("is there");
        assert_eq!(row.phase, ContainerPhase::QuasiClosed);
        assert_eq!(unfinished_in(&tables, pipeline).expect("reads"), []);
    }
}
