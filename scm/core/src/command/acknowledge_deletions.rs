//! Datanodes have given blocks' space back.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::DatanodeId;

use super::Change;
use crate::rows::{DeletionRow, get, put};

/// Acknowledgements of many datanodes travel in one entry.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AcknowledgeDeletions {
    #[n(0)]
    pub acknowledgements: Vec<Acknowledgement>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Acknowledgement {
    #[n(0)]
    pub datanode: DatanodeId,
    #[n(1)]
    pub transactions: Vec<u64>,
}

impl Change for AcknowledgeDeletions {
    type Outcome = ();

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<(), StorageFault> {
        for Acknowledgement { datanode, transactions } in self.acknowledgements {
            for transaction in transactions {
                let Some(mut row) = get::<DeletionRow>(tables, transaction)? else {
                    continue;
                };
                if !row.done.contains(&datanode) {
                    row.done.push(datanode);
                    put(tables, transaction, &row);
                }
            }
        }
        Ok(())
    }
}
