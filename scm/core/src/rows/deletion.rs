//! Blocks that nothing refers to, until every replica has given their space back.

use minicbor::{Decode, Encode};
use tables::Table;
use types::{ContainerId, DatanodeId};

use super::{DELETIONS, Row};

/// `deletions / transaction`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeletionRow {
    #[n(0)]
    pub container: ContainerId,
    /// Local ids.
    #[n(1)]
    pub blocks: Vec<u64>,
    /// Datanodes whose replica no longer has them. Who still owes is everybody else that holds a replica, at any time: a copy
    /// made in the meantime owes too.
    #[n(2)]
    pub done: Vec<DatanodeId>,
}

impl Row for DeletionRow {
    type Key = u64;
    const TABLE: Table = DELETIONS;
}
