//! Deletions that nobody owes any more are forgotten.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};

use super::Change;
use crate::rows::{DeletionRow, delete, get};

/// Proposed when every replica there is has given the blocks back, and there are as many replicas as there should be.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FinishDeletions {
    #[n(0)]
    pub transactions: Vec<u64>,
}

impl Change for FinishDeletions {
    /// How many there were.
    type Outcome = u32;

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<u32, StorageFault> {
        let mut finished = 0;
        for transaction in self.transactions {
            if get::<DeletionRow>(tables, transaction)?.is_some() {
                delete::<DeletionRow>(tables, transaction);
                finished += 1;
            }
        }
        Ok(finished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::{cluster, open_container, open_pipeline};
    use crate::command::{AcknowledgeDeletions, Acknowledgement, DeleteBlocks};
    use types::{BlockId, DatanodeId};

    #[test]
    fn a_deletion_lasts_through_acknowledgements_until_it_is_finished() {
        let mut tables = cluster(3);
        let pipeline = open_pipeline(&mut tables);
        let container = open_container(&mut tables, pipeline);
        let blocks = vec![BlockId { container, local: 1 }];
        DeleteBlocks { blocks }.apply(&mut tables).expect("applies");
        let by = |datanode| Acknowledgement { datanode: DatanodeId(datanode), transactions: vec![1, 99] };
        let acknowledgements = vec![by(2), by(1), by(2)];
        AcknowledgeDeletions { acknowledgements }.apply(&mut tables).expect("applies");
        let row = get::<DeletionRow>(&tables, 1).expect("reads").expect("is there");
        assert_eq!(row.done, [DatanodeId(2), DatanodeId(1)]);
        assert_eq!(FinishDeletions { transactions: vec![1, 1, 7] }.apply(&mut tables).expect("applies"), 1);
        assert_eq!(get::<DeletionRow>(&tables, 1).expect("reads"), None);
    }
}
