//! How a group stands.

use types::{Endpoint, LogIndex, MemberId, RaftMember, RaftRole, RaftStatus};

/// Who leads, as this member knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leadership {
    pub leader: Option<(MemberId, Endpoint)>,
    pub is_me: bool,
    pub term: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    pub id: MemberId,
    pub endpoint: Endpoint,
    pub voter: bool,
    /// How far the leader knows this member's log to agree with its own; only the leader can tell.
    pub matched: Option<LogIndex>,
}

/// One member's view of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStatus {
    pub me: MemberId,
    pub role: RaftRole,
    pub term: u64,
    pub leader: Option<MemberId>,
    pub members: Vec<MemberStatus>,
    /// Whether a change of members has been written and is not yet committed.
    pub changing: bool,
    pub last_log: LogIndex,
    pub committed: LogIndex,
    pub applied: LogIndex,
    /// The last applied entry that the state machine's own storage holds.
    pub durable: LogIndex,
    /// The last entry removed from the log.
    pub purged: LogIndex,
    /// The last entry that a follower too far behind would get as part of a snapshot.
    pub snapshot: LogIndex,
}

impl GroupStatus {
    /// In the words that travel to an operator.
    pub fn to_raft_status(&self, state_digest: Option<String>) -> RaftStatus {
        let member = |m: &MemberStatus| RaftMember {
            id: m.id,
            endpoint: m.endpoint.clone(),
            role: match (Some(m.id) == self.leader, m.voter) {
                (true, _) => RaftRole::Leader,
                (false, true) => RaftRole::Follower,
                (false, false) => RaftRole::Learner,
            },
            matched: m.matched.map(|index| index.0),
        };
        RaftStatus {
            me: self.me,
            role: self.role,
            term: self.term,
            leader: self.leader,
            members: self.members.iter().map(member).collect(),
            last_log: self.last_log.0,
            applied: self.applied.0,
            durable: self.durable.0,
            purged: self.purged.0,
            state_digest,
        }
    }
}
