//! How a Raft group stands, for the people who run it.

use minicbor::{Decode, Encode};

use crate::{Endpoint, MemberId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RaftRole {
    #[n(0)]
    Leader,
    #[n(1)]
    Follower,
    #[n(2)]
    Candidate,
    #[n(3)]
    Learner,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RaftMember {
    #[n(0)]
    pub id: MemberId,
    #[n(1)]
    pub endpoint: Endpoint,
    #[n(2)]
    pub role: RaftRole,
    /// How far the leader knows this member's log to agree with its own; only the leader can tell.
    #[n(3)]
    pub matched: Option<u64>,
}

/// One member's view of its group.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RaftStatus {
    #[n(0)]
    pub me: MemberId,
    #[n(1)]
    pub role: RaftRole,
    #[n(2)]
    pub term: u64,
    #[n(3)]
    pub leader: Option<MemberId>,
    #[n(4)]
    pub members: Vec<RaftMember>,
    /// The last entry in the log, whether committed or not.
    #[n(5)]
    pub last_log: u64,
    #[n(6)]
    pub applied: u64,
    /// The last applied entry that the state machine's own storage holds; the log is kept from here on.
    #[n(7)]
    pub durable: u64,
    /// The last entry that was removed from the log.
    #[n(8)]
    pub purged: u64,
    /// A digest over all rows at `applied`, where it was asked for.
    #[n(9)]
    pub state_digest: Option<String>,
}
