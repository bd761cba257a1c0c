//! How far a state machine has come, as it stores it beside its rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use minicbor::{Decode, Encode};
use types::{Endpoint, LogIndex};

/// Where an entry stands: two logs that both hold it agree on everything up to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct LogPosition {
    #[n(0)]
    pub(crate) term: u64,
    /// The member that led the term.
    #[n(1)]
    pub(crate) leader: u64,
    #[n(2)]
    pub(crate) index: u64,
}

impl LogPosition {
    pub fn index(self) -> LogIndex {
        LogIndex(self.index)
    }

    pub fn term(self) -> u64 {
        self.term
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}#{}", self.term, self.leader, self.index)
    }
}

impl fmt::Debug for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The members of a group as one log entry sets them. Two sets of voters while a change is under way, one otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StoredMembers {
    #[n(0)]
    pub(crate) at: Option<LogPosition>,
    #[n(1)]
    pub(crate) voters: Vec<BTreeSet<u64>>,
    #[n(2)]
    pub(crate) nodes: BTreeMap<u64, Endpoint>,
}

/// The last entry a state machine has applied and the members as of it. Opaque: a machine stores it in the same transaction
/// as the rows it speaks of, and gives it back at the next start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Progress {
    #[n(0)]
    pub(crate) applied: Option<LogPosition>,
    #[n(1)]
    pub(crate) members: StoredMembers,
}

impl Progress {
    /// The last applied entry; nothing for a machine that has applied none.
    pub fn applied(&self) -> Option<LogPosition> {
        self.applied
    }

    /// The index of the last applied entry, zero for a machine that has applied none.
    pub fn index(&self) -> LogIndex {
        LogIndex(self.applied.map_or(0, |at| at.index))
    }
}
