//! The one type configuration, and the way between openraft's words and ours.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use openraft::alias::{EntryOf, LogIdOf, SnapshotMetaOf, StoredMembershipOf, VoteOf};
use openraft::vote::RaftLeaderId;
use openraft::{LogId, Membership};
use types::{Endpoint, RequestId};

use super::machine::MachineAdapter;
use crate::machine::Command;
use crate::progress::{LogPosition, Progress, StoredMembers};
use crate::wal::StoredVote;

openraft::declare_raft_types!(
    pub(crate) TypeConfig:
        D = Payload,
        R = Answer,
        NodeId = u64,
        Node = Node,
);

/// Where a member answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node(pub(crate) Endpoint);

/// openraft's own tests make members that answer nowhere.
#[cfg(test)]
impl Default for Node {
    fn default() -> Self {
        Self(Endpoint(String::new()))
    }
}

pub(crate) type Raft = openraft::Raft<TypeConfig, MachineAdapter>;
pub(crate) type RaftEntry = EntryOf<TypeConfig>;
pub(crate) type RaftLogId = LogIdOf<TypeConfig>;
pub(crate) type RaftVote = VoteOf<TypeConfig>;
pub(crate) type RaftMembers = StoredMembershipOf<TypeConfig>;
pub(crate) type RaftSnapshotMeta = SnapshotMetaOf<TypeConfig>;
type LeaderId = openraft::alias::LeaderIdOf<TypeConfig>;

/// A command as it stands in the log: a tag, the request id if there is one, the machine's bytes. Made once when it is proposed;
/// log, network and machine share the buffer.
#[derive(Clone)]
pub(crate) struct Payload(Bytes);

pub(crate) const TAG_BLANK: u8 = 0;
pub(crate) const TAG_COMMAND: u8 = 1;
pub(crate) const TAG_REQUEST: u8 = 2;
pub(crate) const TAG_MEMBERS: u8 = 3;
const REQUEST_ID: usize = 16;

impl Payload {
    pub(crate) fn new(request: Option<RequestId>, command: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(1 + REQUEST_ID + command.len());
        match request {
            Some(request) => {
                bytes.push(TAG_REQUEST);
                bytes.extend_from_slice(&request.to_u128().to_le_bytes());
            }
            None => bytes.push(TAG_COMMAND),
        }
        bytes.extend_from_slice(command);
        Self(Bytes::from(bytes))
    }

    /// What was read back from a log or a peer, if it is a command.
    pub(crate) fn from_stored(bytes: Bytes) -> Option<Self> {
        let payload = Self(bytes);
        payload.command().is_some().then_some(payload)
    }

    pub(crate) fn stored(&self) -> &Bytes {
        &self.0
    }

    pub(crate) fn command(&self) -> Option<Command<'_>> {
        let (tag, rest) = self.0.split_first()?;
        match *tag {
            TAG_COMMAND => Some(Command { request: None, bytes: rest }),
            TAG_REQUEST => {
                let (id, bytes) = rest.split_first_chunk::<REQUEST_ID>()?;
                Some(Command { request: Some(RequestId::from_u128(u128::from_le_bytes(*id))), bytes })
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command of {} bytes", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Answer(pub(crate) Bytes);

pub(crate) fn to_position(id: &RaftLogId) -> LogPosition {
    LogPosition { term: id.leader_id.term, leader: id.leader_id.node_id, index: id.index }
}

pub(crate) fn from_position(at: LogPosition) -> RaftLogId {
    LogId { leader_id: LeaderId::new(at.term, at.leader), index: at.index }
}

pub(crate) fn to_vote(vote: &RaftVote) -> StoredVote {
    StoredVote { term: vote.leader_id.term, leader: vote.leader_id.node_id, committed: vote.committed }
}

pub(crate) fn from_vote(vote: StoredVote) -> RaftVote {
    RaftVote { leader_id: LeaderId::new(vote.term, vote.leader), committed: vote.committed }
}

pub(crate) fn to_members(at: Option<&RaftLogId>, members: &Membership<u64, Node>) -> StoredMembers {
    StoredMembers {
        at: at.map(to_position),
        voters: members.get_joint_config().clone(),
        nodes: members.nodes().map(|(id, node)| (*id, node.0.clone())).collect(),
    }
}

/// Nothing: the voters are not among the nodes, so these are not members that anybody wrote.
pub(crate) fn from_members(members: &StoredMembers) -> Option<RaftMembers> {
    let membership = if members.voters.is_empty() && members.nodes.is_empty() {
        Membership::default()
    } else {
        let nodes = members.nodes.iter().map(|(id, endpoint)| (*id, Node(endpoint.clone())));
        Membership::new(members.voters.clone(), nodes.collect::<BTreeMap<_, _>>()).ok()?
    };
    Some(RaftMembers::new(members.at.map(from_position), membership))
}

pub(crate) fn to_progress(meta: &RaftSnapshotMeta) -> Progress {
    Progress {
        applied: meta.last_log_id.as_ref().map(to_position),
        members: to_members(meta.last_membership.log_id().as_ref(), meta.last_membership.membership()),
    }
}

pub(crate) fn from_progress(progress: &Progress) -> Option<RaftSnapshotMeta> {
    Some(RaftSnapshotMeta { last_log_id: progress.applied.map(from_position), last_membership: from_members(&progress.members)? })
}
