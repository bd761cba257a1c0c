//! Object ids for a leader to give out.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{LogIndex, ObjectId};

use super::{Never, Outcome};

/// Reserves [`ReserveIds::COUNT`] object ids, from the one answered. They are the entry's own: no two entries have one index, so
/// no two leaders, nor one leader before and after a restart, give out the same id, and nothing needs to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ReserveIds {}

impl ReserveIds {
    /// Leaves 2^44 log entries; a leader needs one reservation a million writes.
    pub const COUNT: u64 = 1 << 20;

    pub(super) fn apply(self, log: LogIndex, _: &mut dyn WriteTables) -> Outcome<ObjectId, Never> {
        Ok(Ok(ObjectId(log.0.wrapping_mul(Self::COUNT))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tables::MemoryTables;

    #[test]
    fn two_reservations_do_not_meet() {
        let first = |log| ReserveIds {}.apply(LogIndex(log), &mut MemoryTables::default()).expect("memory").expect("never");
        assert_eq!(first(2).0 - first(1).0, ReserveIds::COUNT);
    }
}
