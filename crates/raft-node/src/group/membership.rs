//! Who belongs to a group.
//!
//! A member joins as a learner, under an id that was never used, and votes once its log has caught up. A member whose log was lost
//! is removed and joins anew: under its former id it could vote twice.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};

use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::ClientWriteResponse;
use tokio::time::timeout_at;
use types::{Endpoint, MemberId};

use super::{Group, Refusal, pause};
use crate::raft::{Node, TypeConfig};
use crate::{GroupStatus, MembershipError, ProposeError};

type Written = Result<ClientWriteResponse<TypeConfig>, RaftError<TypeConfig, ClientWriteError<TypeConfig>>>;

/// A learner is taken for caught up when it lacks no more entries than pass by in a moment.
const CAUGHT_UP: u64 = 256;

impl Group {
    /// An id for a new member: the index of an entry, so it is never given twice.
    pub async fn allocate_member_id(&self, deadline: Instant) -> Result<MemberId, ProposeError> {
        let written = self.insist(deadline, || self.0.raft.write_blank()).await;
        match written {
            Ok(written) => Ok(MemberId(written.log_id.index)),
            Err(MembershipError::Propose(error)) => Err(error),
            Err(error) => Err(ProposeError::Stopped(error.to_string())),
        }
    }

    /// Begins to replicate to a new member, which does not vote yet.
    pub async fn add_learner(&self, member: MemberId, endpoint: Endpoint, deadline: Instant) -> Result<(), MembershipError> {
        self.insist(deadline, || self.0.raft.add_learner(member.0, Node(endpoint.clone()), false)).await.map(drop)
    }

    /// Makes a learner a voter, once it has caught up: a voter that is far behind would hold up every commit.
    pub async fn promote(&self, member: MemberId, deadline: Instant) -> Result<(), MembershipError> {
        self.await_caught_up(member, deadline).await?;
        let change = || ChangeMembers::AddVoterIds(BTreeSet::from([member.0]));
        self.insist(deadline, || self.0.raft.change_membership(change(), true)).await.map(drop)
    }

    /// Takes a member out of the group. A leader that removes itself hands over first.
    pub async fn remove(&self, member: MemberId, deadline: Instant) -> Result<(), MembershipError> {
        let status = self.status();
        let Some(known) = status.members.iter().find(|known| known.id == member) else {
            return Err(MembershipError::NoSuchMember(member));
        };
        let voters = status.members.iter().filter(|known| known.voter).count();
        if known.voter && voters == 1 {
            return Err(MembershipError::LastVoter(member));
        }
        let only = BTreeSet::from([member.0]);
        let change = || match known.voter {
            true => ChangeMembers::RemoveVoters(only.clone()),
            false => ChangeMembers::RemoveNodes(only.clone()),
        };
        self.insist(deadline, || self.0.raft.change_membership(change(), false)).await.map(drop)
    }

    /// Hands the leadership to a voter and waits until it has it.
    pub async fn transfer_leadership(&self, to: MemberId, deadline: Instant) -> Result<(), MembershipError> {
        let status = self.status();
        if status.leader != Some(self.me()) {
            return Err(ProposeError::NotLeader(self.leader().map(|(_, endpoint)| endpoint)).into());
        }
        if !status.members.iter().any(|known| known.id == to && known.voter) {
            return Err(MembershipError::NoSuchMember(to));
        }
        if to == self.me() {
            return Ok(());
        }
        let asked = self.0.raft.trigger().transfer_leader(to.0).await;
        asked.map_err(|fatal| ProposeError::Stopped(fatal.to_string()))?;
        self.await_status(deadline, |status| status.leader == Some(to)).await
    }

    async fn await_caught_up(&self, member: MemberId, deadline: Instant) -> Result<(), MembershipError> {
        let status = self.status();
        if status.leader != Some(self.me()) {
            return Err(ProposeError::NotLeader(self.leader().map(|(_, endpoint)| endpoint)).into());
        }
        if !status.members.iter().any(|known| known.id == member) {
            return Err(MembershipError::NoSuchMember(member));
        }
        let caught_up = |status: &GroupStatus| {
            let matched = status.members.iter().find(|known| known.id == member).and_then(|known| known.matched);
            matched.is_some_and(|matched| matched.0 + CAUGHT_UP >= status.last_log.0)
        };
        self.await_status(deadline, caught_up).await
    }

    async fn await_status(&self, deadline: Instant, reached: impl Fn(&GroupStatus) -> bool) -> Result<(), MembershipError> {
        let mut metrics = self.0.raft.metrics();
        let until = tokio::time::Instant::from_std(deadline);
        loop {
            drop(metrics.borrow_and_update());
            if reached(&self.status()) {
                return Ok(());
            }
            match timeout_at(until, metrics.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(ProposeError::Stopped("shut down".to_owned()).into()),
                Err(_) => return Err(ProposeError::TooLate.into()),
            }
        }
    }

    /// Writes an entry about members, again and again while the leader is not yet sure of its majority.
    async fn insist<F>(
        &self,
        deadline: Instant,
        write: impl Fn() -> F,
    ) -> Result<ClientWriteResponse<TypeConfig>, MembershipError>
    where
        F: Future<Output = Written>,
    {
        let until = tokio::time::Instant::from_std(deadline);
        let patience = self.patience(deadline);
        loop {
            let error = match timeout_at(until, write()).await {
                Ok(Ok(written)) => return Ok(written),
                Ok(Err(error)) => error,
                Err(_) => return Err(ProposeError::Unknown("no answer by the deadline".to_owned()).into()),
            };
            let again = match error {
                RaftError::APIError(ClientWriteError::ChangeMembershipError(refused)) => match refused {
                    ChangeMembershipError::InProgress(_) => return Err(MembershipError::Busy),
                    ChangeMembershipError::UncommittedLeaderLog(_) => Instant::now() < patience,
                    other => return Err(MembershipError::Refused(other.to_string())),
                },
                other => match self.refusal(other, Instant::now() < patience) {
                    Refusal::Soon => true,
                    Refusal::Certain(error) => return Err(error.into()),
                },
            };
            if !again {
                return Err(MembershipError::Busy);
            }
            tokio::time::sleep(pause().max(Duration::from_millis(5))).await;
        }
    }
}
