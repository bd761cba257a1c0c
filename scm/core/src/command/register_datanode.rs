//! A datanode gets its identity, or tells where it is now.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::{DatanodeId, Endpoint, Timestamp};

use super::Change;
use crate::rows::{Counters, DatanodeRow, all, get, put, superseded};

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RegisterDatanode {
    /// None on empty disks.
    #[n(0)]
    pub id: Option<DatanodeId>,
    #[n(1)]
    pub name: String,
    #[n(2)]
    pub data_endpoint: Endpoint,
    #[n(3)]
    pub rpc_endpoint: Endpoint,
    #[n(4)]
    pub rack: Option<String>,
    #[n(5)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum RegisterRejected {
    #[n(0)]
    #[error("the id was never given out")]
    UnknownId,
}

impl Change for RegisterDatanode {
    type Outcome = Result<DatanodeId, RegisterRejected>;

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<Self::Outcome, StorageFault> {
        let mut counters = Counters::read(tables)?;
        let known = match self.id {
            Some(id) => match get::<DatanodeRow>(tables, id)? {
                Some(row) => Some((id, row)),
                None => return Ok(Err(RegisterRejected::UnknownId)),
            },
            None => None,
        };
        let registration = match &known {
            // It still holds its endpoint: nothing is taken over from anybody.
            Some((id, row))
                if row.rpc_endpoint == self.rpc_endpoint && !superseded(&all::<DatanodeRow>(tables)?).contains(id) =>
            {
                row.registration
            }
            _ => counters.next_registration(),
        };
        let (id, registered) = match known {
            Some((id, row)) => (id, row.registered),
            None => (counters.next_datanode(), self.now),
        };
        let Self { name, data_endpoint, rpc_endpoint, rack, .. } = self;
        put(tables, id, &DatanodeRow { name, data_endpoint, rpc_endpoint, rack, registration, registered });
        counters.write(tables);
        Ok(Ok(id))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::command::testing::{cluster, registration};
    use tables::MemoryTables;

    fn superseded_in(tables: &MemoryTables) -> BTreeSet<DatanodeId> {
        superseded(&all::<DatanodeRow>(tables).expect("reads"))
    }

    #[test]
    fn a_wiped_datanode_gets_a_new_id_and_its_old_one_is_superseded_until_those_disks_return() {
        let mut tables = cluster(3);
        let wiped = registration("dn2").apply(&mut tables).expect("applies").expect("a new datanode");
        assert_eq!(wiped, DatanodeId(4));
        assert_eq!(superseded_in(&tables), BTreeSet::from([DatanodeId(2)]));

        let old_disks = RegisterDatanode { id: Some(DatanodeId(2)), ..registration("dn2") };
        assert_eq!(old_disks.apply(&mut tables).expect("applies"), Ok(DatanodeId(2)));
        assert_eq!(superseded_in(&tables), BTreeSet::from([DatanodeId(4)]));
    }

    #[test]
    fn registering_again_changes_nothing_and_moving_takes_the_new_place() {
        let mut tables = cluster(2);
        let before = tables.clone();
        let again = RegisterDatanode { id: Some(DatanodeId(1)), ..registration("dn1") };
        assert_eq!(again.clone().apply(&mut tables).expect("applies"), Ok(DatanodeId(1)));
        assert_eq!(tables, before);

        let moved = RegisterDatanode { rpc_endpoint: Endpoint("elsewhere:9859".into()), ..again };
        moved.apply(&mut tables).expect("applies").expect("known");
        assert_eq!(superseded_in(&tables), BTreeSet::new());
    }

    #[test]
    fn an_id_of_another_cluster_is_refused() {
        let mut tables = cluster(1);
        let foreign = RegisterDatanode { id: Some(DatanodeId(9)), ..registration("dn9") };
        assert_eq!(foreign.apply(&mut tables).expect("applies"), Err(RegisterRejected::UnknownId));
    }
}
