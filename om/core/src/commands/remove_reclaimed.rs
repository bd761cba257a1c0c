//! Blocks that somebody else now answers for.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::LogIndex;

use super::{Never, Outcome};
use crate::rows::ReclaimKey;
use crate::tables::DELETED;

/// Forgets rows of the deleted table. Proposed only after the SCM has durably taken their blocks over: the other order would
/// lose them in a crash between.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RemoveReclaimed {
    #[n(0)]
    pub rows: Vec<ReclaimKey>,
}

impl RemoveReclaimed {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), Never> {
        for row in self.rows {
            tables.delete(DELETED, &row.encode());
        }
        Ok(Ok(()))
    }
}
