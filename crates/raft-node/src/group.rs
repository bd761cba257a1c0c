//! One member of one group: proposals, reads, and how it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, ForwardReason, ForwardToLeader, InitializeError, LinearizableReadError, RaftError};
use openraft::metrics::RaftServerMetrics;
use openraft::raft::linearizable_read::LinearizerOption;
use openraft::{Instant as _, ServerState};
use runtime::{Entropy, Shutdown, SystemEntropy};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout_at;
use types::{Endpoint, GroupId, LogIndex, MemberId, RaftRole, RequestId};

use crate::raft::{MachineAdapter, Network, Node, Payload, Raft, TypeConfig};
use crate::wal::Wal;
use crate::{BootstrapError, GroupStatus, HostConfig, Leadership, MemberStatus, ProposeError};

mod compaction;
mod membership;

pub(crate) type Failure = watch::Sender<Option<String>>;

/// A command's place in the log and the machine's answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    pub index: LogIndex,
    pub answer: Bytes,
}

/// A handle to this process's member of a group.
#[derive(Clone)]
pub struct Group(Arc<Inner>);

struct Inner {
    id: GroupId,
    me: u64,
    raft: Raft,
    adapter: MachineAdapter,
    wal: Wal,
    network: Network,
    config: HostConfig,
    leadership: watch::Receiver<Leadership>,
    /// The last index that a flush is known to have reached.
    durable: AtomicU64,
    /// Room for commands under way, in units of [`PROPOSAL_UNIT`].
    proposals: Semaphore,
    compacting: tokio::sync::Mutex<()>,
    failure: Failure,
    stopped: AtomicBool,
    tasks: Shutdown,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("id", &self.0.id).field("me", &self.0.me).finish_non_exhaustive()
    }
}

/// A small command's task, channels and queue places cost about as much as its bytes.
const PROPOSAL_UNIT: usize = 4096;

/// What a failed try of a write or a read leads to.
enum Refusal {
    /// Certainly not applied, and soon to be different: a leader that waits for its first majority, or an election.
    Soon,
    Certain(ProposeError),
}

fn pause() -> Duration {
    Duration::from_millis(5 + SystemEntropy.u64() % 15)
}

impl Group {
    pub(crate) fn start(
        id: GroupId,
        raft: Raft,
        adapter: MachineAdapter,
        wal: Wal,
        network: Network,
        config: HostConfig,
        failure: Failure,
    ) -> Self {
        let (told, leadership) = watch::channel(Leadership::default());
        let me = *raft.node_id();
        let durable = AtomicU64::new(adapter.applied().index().0);
        let proposals = Semaphore::new((config.proposal_bytes / PROPOSAL_UNIT).max(1));
        let group = Self(Arc::new(Inner {
            id,
            me,
            raft,
            adapter,
            wal,
            network,
            config,
            leadership,
            durable,
            proposals,
            compacting: tokio::sync::Mutex::default(),
            failure,
            stopped: AtomicBool::new(false),
            tasks: Shutdown::default(),
        }));
        group.0.tasks.spawn_until(watch_leadership(group.clone(), told));
        group.0.tasks.spawn_until(compaction::write_behind(group.clone()));
        group
    }

    /// A group of one needs nobody's consent: it leads at once instead of waiting for a leader to fall silent.
    pub(crate) async fn stand_if_alone(&self) {
        if self.is_alone()
            && let Err(error) = self.0.raft.trigger().elect(false).await
        {
            tracing::warn!(group = %self.0.id, %error, "cannot stand for election");
        }
    }

    /// Whether this member is its own majority.
    fn is_alone(&self) -> bool {
        let metrics = self.0.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.voter_ids().eq([self.0.me])
    }

    pub fn id(&self) -> GroupId {
        self.0.id
    }

    pub fn me(&self) -> MemberId {
        MemberId(self.0.me)
    }

    /// Makes these the members of a new group. Exactly once, on exactly one of them, while all are empty.
    pub async fn bootstrap(&self, members: BTreeMap<MemberId, Endpoint>) -> Result<(), BootstrapError> {
        let members: BTreeMap<u64, Node> = members.into_iter().map(|(id, endpoint)| (id.0, Node(endpoint))).collect();
        match self.0.raft.initialize(members).await {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Err(BootstrapError::AlreadyInitialised),
            Err(RaftError::APIError(InitializeError::NotInMembers(_))) => Err(BootstrapError::NotAMember),
            Err(RaftError::Fatal(why)) => Err(BootstrapError::Stopped(why.to_string())),
        }
    }

    /// Whether the group has members, or this one has voted.
    pub fn is_initialised(&self) -> bool {
        let head = self.0.wal.head(self.0.id);
        self.0.wal.extent(self.0.id).last.is_some() || head.is_some_and(|head| head.vote.is_some_and(|vote| vote.term > 0))
    }

    /// Replicates a command and brings back the machine's answer. A request id that comes again within the machine's memory
    /// gets the first answer.
    pub async fn propose(
        &self,
        request: Option<RequestId>,
        command: Vec<u8>,
        deadline: Instant,
    ) -> Result<Proposed, ProposeError> {
        let payload = self.payload(request, command)?;
        let until = tokio::time::Instant::from_std(deadline);
        let Ok(turn) = timeout_at(until, self.0.proposals.acquire_many(self.room(&payload))).await else {
            return Err(ProposeError::Busy);
        };
        let _turn = turn.map_err(|_| ProposeError::Stopped("shut down".to_owned()))?;
        let patience = self.patience(deadline);
        loop {
            if Instant::now() >= deadline {
                return Err(ProposeError::TooLate);
            }
            let written = match timeout_at(until, self.0.raft.client_write(payload.clone())).await {
                Ok(Ok(written)) => written,
                Ok(Err(error)) => match self.refusal(error, Instant::now() < patience) {
                    Refusal::Soon => {
                        tokio::time::sleep(pause()).await;
                        continue;
                    }
                    Refusal::Certain(error) => return Err(error),
                },
                Err(_) => return Err(ProposeError::Unknown("no answer by the deadline".to_owned())),
            };
            return Ok(Proposed { index: LogIndex(written.log_id.index), answer: written.data.0 });
        }
    }

    /// Puts a command into the log without waiting for its commit; what is proposed later through this member stands behind it.
    /// Should this member stop leading at this moment the command may be lost while a later one, proposed when it leads again,
    /// is not: the later one's `apply` must look for what it builds on.
    pub fn propose_unawaited(&self, command: Vec<u8>) -> Result<(), ProposeError> {
        let payload = self.payload(None, command)?;
        let leader =
            self.0.raft.as_leader().map_err(|forward| ProposeError::NotLeader(forward.leader_node.map(|node| node.0)))?;
        // Without a fresh majority the command would be dropped, and nobody told. One who is alone is never acknowledged by
        // others and keeps the majority all the same.
        let lease = self.0.config.timings.election.end;
        if !self.is_alone() && leader.last_quorum_acked().is_none_or(|acked| acked.elapsed() >= lease) {
            return Err(ProposeError::NotLeader(None));
        }
        match self.0.raft.client_write_ff(payload, None).now_or_never() {
            Some(Ok(())) => Ok(()),
            Some(Err(fatal)) => Err(ProposeError::Stopped(fatal.to_string())),
            // It was not polled to its end, so it sent nothing.
            None => Err(ProposeError::Busy),
        }
    }

    fn payload(&self, request: Option<RequestId>, command: Vec<u8>) -> Result<Payload, ProposeError> {
        if self.0.stopped.load(Ordering::Relaxed) {
            return Err(ProposeError::Stopped("shut down".to_owned()));
        }
        let most = self.0.config.wal.max_command_bytes;
        if command.len() > most {
            return Err(ProposeError::TooLarge { bytes: command.len(), most });
        }
        Ok(Payload::new(request, &command))
    }

    fn room(&self, payload: &Payload) -> u32 {
        let most = self.0.config.proposal_bytes / PROPOSAL_UNIT;
        let units = payload.stored().len().div_ceil(PROPOSAL_UNIT).clamp(1, most.max(1));
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    /// How long to wait for a leader before sending the caller away: an election's length. Beyond it another member may know more.
    fn patience(&self, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.0.config.timings.election.end)
    }

    fn refusal(&self, error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>, patient: bool) -> Refusal {
        Refusal::Certain(match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
                return self.forwarded(&forward, patient);
            }
            RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => {
                ProposeError::Unknown("the leadership was lost".to_owned())
            }
            // Only a change of members gets these; they are refused before anything is written.
            RaftError::APIError(
                error @ (ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_)),
            ) => ProposeError::Stopped(error.to_string()),
            RaftError::Fatal(why) => ProposeError::Unknown(why.to_string()),
        })
    }

    fn forwarded(&self, forward: &ForwardToLeader<TypeConfig>, patient: bool) -> Refusal {
        let other = forward.leader_id.filter(|leader| *leader != self.0.me).and(forward.leader_node.clone()).map(|node| node.0);
        let soon = forward.reason == ForwardReason::LeaseExpired || other.is_none();
        if soon && patient && self.is_initialised() {
            return Refusal::Soon;
        }
        Refusal::Certain(ProposeError::NotLeader(other))
    }

    /// After Ok, reading the machine here shows everything acknowledged before the call. Only the leader can tell: by its lease
    /// where that holds, else by asking a majority.
    pub async fn read_barrier(&self, deadline: Instant) -> Result<(), ProposeError> {
        let until = tokio::time::Instant::from_std(deadline);
        let patience = self.patience(deadline);
        let lease = LinearizerOption::new(Some(self.0.config.timings.read_lease()), true);
        loop {
            let refused = match timeout_at(until, self.0.raft.ensure_linearizable(lease.clone())).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(refused)) => refused,
                Err(_) => return Err(ProposeError::TooLate),
            };
            match refused {
                RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)) => {
                    if let Refusal::Certain(error) = self.forwarded(&forward, Instant::now() < patience) {
                        return Err(error);
                    }
                    tokio::time::sleep(pause()).await;
                }
                RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => {
                    if Instant::now() >= patience {
                        return Err(ProposeError::NotLeader(None));
                    }
                    tokio::time::sleep(pause()).await;
                }
                RaftError::Fatal(why) => return Err(ProposeError::Stopped(why.to_string())),
            }
        }
    }

    /// As [`Self::read_barrier`], on any member: a follower asks the leader how far it must have applied, and waits for that.
    pub async fn follower_read_barrier(&self, deadline: Instant) -> Result<(), ProposeError> {
        let (leader, endpoint) = match self.leader() {
            Some((leader, endpoint)) if leader.0 != self.0.me => (leader, endpoint),
            _ => return self.read_barrier(deadline).await,
        };
        let within = deadline.saturating_duration_since(Instant::now());
        let index = self.0.network.read_index(leader, &endpoint, within).await;
        let index = index.map_err(|_| ProposeError::NotLeader(Some(endpoint)))?;
        let mut metrics = self.0.raft.metrics();
        let until = tokio::time::Instant::from_std(deadline);
        while metrics.borrow_and_update().last_applied.as_ref().is_none_or(|applied| applied.index < index) {
            match timeout_at(until, metrics.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(ProposeError::Stopped("shut down".to_owned())),
                Err(_) => return Err(ProposeError::TooLate),
            }
        }
        Ok(())
    }

    pub fn is_leader(&self) -> bool {
        self.0.raft.is_leader()
    }

    pub fn leader(&self) -> Option<(MemberId, Endpoint)> {
        leader_of(&self.0.raft.server_metrics().borrow_watched())
    }

    /// Why the group's core has stopped, if it has.
    fn core_fault(&self) -> Option<String> {
        self.0.raft.metrics().borrow_watched().running_state.as_ref().err().map(ToString::to_string)
    }

    /// Who leads, as it changes.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.0.leadership.clone()
    }

    pub fn status(&self) -> GroupStatus {
        let metrics = self.0.raft.metrics();
        let metrics = metrics.borrow_watched();
        let members = metrics.membership_config.membership();
        let voters: Vec<u64> = members.voter_ids().collect();
        let matched = |id: &u64| {
            let replication = metrics.replication.as_ref()?;
            replication.get(id)?.as_ref().map(|at| LogIndex(at.index))
        };
        let member = |(id, node): (&u64, &Node)| MemberStatus {
            id: MemberId(*id),
            endpoint: node.0.clone(),
            voter: voters.contains(id),
            matched: matched(id),
        };
        let index = |at: Option<&_>| LogIndex(at.map_or(0, |at: &openraft::alias::LogIdOf<TypeConfig>| at.index));
        GroupStatus {
            me: MemberId(self.0.me),
            role: role(metrics.state),
            term: metrics.current_term,
            leader: metrics.current_leader.map(MemberId),
            members: members.nodes().map(member).collect(),
            changing: metrics.membership_config != metrics.committed_membership_config,
            last_log: LogIndex(metrics.last_log_index.unwrap_or(0)),
            committed: index(metrics.local_committed.as_ref()),
            applied: index(metrics.last_applied.as_ref()),
            durable: LogIndex(self.0.durable.load(Ordering::Relaxed)),
            purged: index(metrics.purged.as_ref()),
            snapshot: index(metrics.snapshot.as_ref()),
        }
    }

    /// Stops this member and flushes its machine. The other members go on without it.
    pub async fn shutdown(&self) {
        if self.0.stopped.swap(true, Ordering::Relaxed) {
            return;
        }
        self.0.tasks.start();
        self.0.tasks.drained(Duration::from_secs(10)).await;
        if let Err(error) = self.0.raft.shutdown().await {
            tracing::error!(group = %self.0.id, %error, "stopping");
        }
        // Only for a quick start the next time: what is not flushed is in the log.
        if let Err(fault) = self.flush().await {
            tracing::error!(group = %self.0.id, %fault, "the last flush failed");
        }
    }

    fn fail(&self, why: String) {
        tracing::error!(group = %self.0.id, %why, "the group cannot go on; this process must end");
        self.0.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert(why);
            first
        });
    }
}

fn role(state: ServerState) -> RaftRole {
    match state {
        ServerState::Leader => RaftRole::Leader,
        ServerState::Follower | ServerState::Shutdown => RaftRole::Follower,
        ServerState::Candidate => RaftRole::Candidate,
        ServerState::Learner => RaftRole::Learner,
    }
}

fn leader_of(metrics: &RaftServerMetrics<TypeConfig>) -> Option<(MemberId, Endpoint)> {
    let leader = metrics.current_leader?;
    let node = metrics.membership_config.membership().get_node(&leader)?;
    Some((MemberId(leader), node.0.clone()))
}

/// Tells of every change of leader, and of the end.
async fn watch_leadership(group: Group, told: watch::Sender<Leadership>) {
    // These change with the roles alone; the full metrics change with every entry.
    let mut metrics = group.0.raft.server_metrics();
    loop {
        let leadership = {
            let seen = metrics.borrow_and_update();
            Leadership { leader: leader_of(&seen), is_me: seen.state == ServerState::Leader, term: seen.vote.leader_id.term }
        };
        told.send_if_modified(|known| {
            let changed = *known != leadership;
            *known = leadership;
            changed
        });
        if metrics.changed().await.is_err() {
            let why = group.core_fault().unwrap_or_else(|| "the core of the group ended".to_owned());
            return group.fail(why);
        }
    }
}
