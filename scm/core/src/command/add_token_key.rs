//! The token keys turn over.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::Timestamp;

use super::Change;
use crate::rows::{Counters, TokenKeyRow, all, delete, put};

/// Adds a key behind the one that the leader saw as the newest, and forgets those that have expired.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AddTokenKey {
    /// The newest key when this was proposed: of two leaders that rotate at once, one does.
    #[n(0)]
    pub after: Option<u32>,
    #[n(1)]
    pub key: TokenKeyRow,
    #[n(2)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum KeyAdded {
    #[n(0)]
    Added,
    /// Another key came first.
    #[n(1)]
    AlreadyRotated,
}

impl Change for AddTokenKey {
    type Outcome = KeyAdded;

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<KeyAdded, StorageFault> {
        let keys = all::<TokenKeyRow>(tables)?;
        if keys.last().map(|(id, _)| *id) != self.after {
            return Ok(KeyAdded::AlreadyRotated);
        }
        for (id, _) in keys.iter().filter(|(_, key)| key.expires <= self.now) {
            delete::<TokenKeyRow>(tables, *id);
        }
        let mut counters = Counters::read(tables)?;
        put(tables, counters.token_key, &self.key);
        counters.token_key += 1;
        counters.write(tables);
        Ok(KeyAdded::Added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::{NOW, cluster, key_until};
    use types::Millis;

    #[test]
    fn of_two_rotations_planned_from_one_state_the_first_counts() {
        let mut tables = cluster(0);
        let rotation = AddTokenKey { after: Some(1), key: key_until(NOW + Millis(50)), now: Timestamp(5) };
        assert_eq!(rotation.clone().apply(&mut tables).expect("applies"), KeyAdded::Added);
        assert_eq!(rotation.apply(&mut tables).expect("applies"), KeyAdded::AlreadyRotated);
        assert_eq!(all::<TokenKeyRow>(&tables).expect("reads").len(), 2);
    }

    #[test]
    fn expired_keys_are_forgotten_and_their_ids_are_not_used_again() {
        let mut tables = cluster(0);
        let key = key_until(NOW + Millis(50));
        AddTokenKey { after: Some(1), key, now: NOW + Millis(1) }.apply(&mut tables).expect("applies");
        let ids: Vec<u32> = all::<TokenKeyRow>(&tables).expect("reads").into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, [2]);
    }
}
