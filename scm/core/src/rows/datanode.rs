//! Datanodes that have registered.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use tables::Table;
use types::{DatanodeId, Endpoint, Timestamp};

use super::{DATANODES, Row};

/// `datanodes / id`. Whether it is alive is in the census, not here.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DatanodeRow {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub data_endpoint: Endpoint,
    #[n(2)]
    pub rpc_endpoint: Endpoint,
    #[n(3)]
    pub rack: Option<String>,
    /// Grows with each registration that took an endpoint over: the latest holder of an endpoint is the one that runs there.
    #[n(4)]
    pub registration: u64,
    #[n(5)]
    pub registered: Timestamp,
}

impl Row for DatanodeRow {
    type Key = DatanodeId;
    const TABLE: Table = DATANODES;
}

/// Datanodes whose endpoint a later one has taken: their process cannot be running, so nobody needs to wait for it. They are
/// not forgotten, since their disks may come back.
pub fn superseded<'a>(rows: impl IntoIterator<Item = &'a (DatanodeId, DatanodeRow)>) -> BTreeSet<DatanodeId> {
    let mut holders: BTreeMap<&Endpoint, (u64, DatanodeId)> = BTreeMap::new();
    let mut superseded = BTreeSet::new();
    for (id, row) in rows {
        let claim = (row.registration, *id);
        let holder = holders.entry(&row.rpc_endpoint).or_insert(claim);
        if claim > *holder {
            superseded.insert(holder.1);
            *holder = claim;
        } else if claim < *holder {
            superseded.insert(*id);
        }
    }
    superseded
}
