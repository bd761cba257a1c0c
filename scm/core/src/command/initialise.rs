//! The cluster's first entry.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::{ClusterId, Timestamp};

use super::Change;
use crate::rows::{Authority, ClusterRow, Counters, TokenKeyRow, put};

/// Gives the cluster its identity, its authority and its first token key. Whoever leads first proposes it, and whoever leads
/// next may do so again without effect.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Initialise {
    #[n(0)]
    pub id: ClusterId,
    #[n(1)]
    pub now: Timestamp,
    #[n(2)]
    pub authority: Option<Authority>,
    #[n(3)]
    pub token_key: TokenKeyRow,
}

/// What the cluster is, by this entry or an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Initialised {
    #[n(0)]
    pub cluster: ClusterRow,
}

impl Change for Initialise {
    type Outcome = Initialised;

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<Initialised, StorageFault> {
        if let Some(cluster) = ClusterRow::read(tables)? {
            return Ok(Initialised { cluster });
        }
        let cluster = ClusterRow { id: self.id, created: self.now, authority: self.authority };
        cluster.write(tables);
        let mut counters = Counters::read(tables)?;
        put(tables, counters.token_key, &self.token_key);
        counters.token_key += 1;
        counters.write(tables);
        Ok(Initialised { cluster })
    }
}

#[cfg(test)]
mod tests {
    use tables::MemoryTables;

    use super::*;
    use crate::command::testing::{NOW, key_until};
    use crate::rows::all;

    #[test]
    fn the_first_initialisation_stands() {
        let mut tables = MemoryTables::default();
        let first = Initialise { id: ClusterId::from_u128(1), now: NOW, authority: None, token_key: key_until(NOW) };
        let second = Initialise { id: ClusterId::from_u128(2), ..first.clone() };
        first.apply(&mut tables).expect("applies");
        let after_first = tables.clone();
        let answer = second.apply(&mut tables).expect("applies");
        assert_eq!(answer.cluster.id, ClusterId::from_u128(1));
        assert_eq!(tables, after_first);
        assert_eq!(all::<TokenKeyRow>(&tables).expect("reads").len(), 1);
    }
}
