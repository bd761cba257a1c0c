//! A pipeline begins to take containers.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::PipelineId;

use super::Change;
use crate::rows::{PipelinePhase, PipelineRow, get, put};

/// Proposed once every member has reported the pipeline: from then on a member that does not serve it has lost its log, and
/// must not be told to create it again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OpenPipeline {
    #[n(0)]
    pub pipeline: PipelineId,
}

impl Change for OpenPipeline {
    /// Whether it is open now.
    type Outcome = bool;

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<bool, StorageFault> {
        let Some(mut row) = get::<PipelineRow>(tables, self.pipeline)? else {
            return Ok(false);
        };
        match row.phase {
            PipelinePhase::Allocated => {
                row.phase = PipelinePhase::Open;
                put(tables, self.pipeline, &row);
                Ok(true)
            }
            PipelinePhase::Open => Ok(true),
            PipelinePhase::Closing => Ok(false),
        }
    }
}
