//! Messages from other members.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use minicbor::{Decode, Encode};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use openraft::{ReadPolicy, Snapshot};
use parking_lot::RwLock;
use rpc::{CallContext, CallFault, NotApplied, PeerRole, Reply, Service};
use tokio::sync::Mutex;
use types::GroupId;

use super::codec::decode_entry;
use super::machine::SnapshotData;
use super::turns::Turns;
use super::types::{Raft, from_position, from_progress, from_vote, to_position, to_vote};
use super::wire::{self, Address, Append, Appended, Ballot, SnapshotState, Transfer, Transferred, Voted};
use crate::{SnapshotSink, StateMachine};

pub(crate) const SERVICE_ID: u8 = 100;

/// What the service needs of a running group.
pub(crate) struct GroupEntry {
    pub(crate) me: u64,
    pub(crate) raft: Raft,
    pub(crate) machine: Arc<dyn StateMachine>,
    /// The snapshot being received. Held while a frame is taken in, so that frames are taken one at a time.
    pub(crate) incoming: Mutex<Option<Incoming>>,
    turns: Turns,
    /// This member may have promised a leader a lease before it was restarted, and does not know when: until that must have run
    /// out it helps nobody else to lead.
    silent_until: Instant,
}

pub(crate) struct Incoming {
    transfer: u64,
    vote: wire::SnapshotBegin,
    next: u64,
    crc32c: u32,
    sink: Box<dyn SnapshotSink>,
}

pub(crate) struct RaftService {
    role: PeerRole,
    groups: Arc<RwLock<HashMap<GroupId, Arc<GroupEntry>>>>,
}

fn refused(why: impl Into<String>) -> CallFault {
    CallFault::NotApplied(NotApplied::Refused(why.into()))
}

fn unavailable(why: impl ToString) -> CallFault {
    CallFault::NotApplied(NotApplied::Unavailable(why.to_string()))
}

/// The member may have acted on the message before it stopped.
fn unknown(why: impl ToString) -> CallFault {
    CallFault::Unknown(why.to_string())
}

fn decode<'b, T: Decode<'b, ()>>(body: &'b [u8]) -> Result<T, CallFault> {
    minicbor::decode(body).map_err(|error| refused(format!("the message does not decode: {error}")))
}

fn answer(answer: &impl Encode<()>) -> Result<Reply, CallFault> {
    Ok(Reply::Done(Bytes::from(tables::encode(answer))))
}

impl RaftService {
    pub(crate) fn new(role: PeerRole, groups: Arc<RwLock<HashMap<GroupId, Arc<GroupEntry>>>>) -> Self {
        Self { role, groups }
    }

    fn addressed(&self, to: Address) -> Result<Arc<GroupEntry>, CallFault> {
        let entry = self.groups.read().get(&to.group).cloned();
        let entry = entry.ok_or_else(|| unavailable(format!("{} does not run here", to.group)))?;
        if entry.me == to.member {
            Ok(entry)
        } else {
            Err(refused(format!("{} is member {} here, not {}", to.group, entry.me, to.member)))
        }
    }

    async fn append(&self, cx: &CallContext, body: &Bytes) -> Result<Reply, CallFault> {
        let append: Append<'_> = decode(body)?;
        let entries = wire::unpack(body, append.entries).ok_or_else(|| refused("the entries are cut off"))?;
        let entries: Result<Vec<_>, _> = entries.into_iter().map(|(at, payload)| decode_entry(at, payload)).collect();
        let request = AppendEntriesRequest {
            vote: from_vote(append.vote),
            prev_log_id: append.previous.map(from_position),
            entries: entries.map_err(|error| refused(error.to_string()))?,
            leader_commit: append.committed.map(from_position),
        };
        let entry = self.addressed(append.to)?;
        let mut appending = pin!(entry.raft.append_entries(request));
        let appended = match append.turn {
            None => appending.await,
            Some(turn) => {
                let taken = entry.turns.wait(turn, cx.deadline).await?;
                // Polled once it is in the core's queue, and the next may follow.
                let first = futures_util::poll!(appending.as_mut());
                taken.pass();
                match first {
                    Poll::Ready(appended) => appended,
                    Poll::Pending => appending.await,
                }
            }
        };
        let appended = match appended.map_err(unknown)? {
            AppendEntriesResponse::Success => Appended::Success,
            AppendEntriesResponse::PartialSuccess(upto) => Appended::Partial(upto.as_ref().map(to_position)),
            AppendEntriesResponse::Conflict => Appended::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Appended::HigherVote(to_vote(&vote)),
        };
        answer(&appended)
    }

    async fn ballot(&self, body: &[u8], pre_vote: bool) -> Result<Reply, CallFault> {
        let ballot: Ballot = decode(body)?;
        let entry = self.addressed(ballot.to)?;
        if !ballot.transfer && Instant::now() < entry.silent_until {
            let vote = to_vote(&entry.raft.metrics().borrow_watched().vote);
            return answer(&Voted { vote, granted: false, last: None });
        }
        let request = VoteRequest {
            vote: from_vote(ballot.vote),
            last_log_id: ballot.last.map(from_position),
            leadership_transfer: ballot.transfer,
        };
        let voted =
            if pre_vote { entry.raft.pre_vote(request).await } else { entry.raft.vote(request).await }.map_err(unknown)?;
        let VoteResponse { vote, vote_granted, last_log_id } = voted;
        answer(&Voted { vote: to_vote(&vote), granted: vote_granted, last: last_log_id.as_ref().map(to_position) })
    }

    async fn transfer(&self, body: &[u8]) -> Result<Reply, CallFault> {
        let Transfer { to, from, last, next } = decode(body)?;
        let entry = self.addressed(to)?;
        let request = TransferLeaderRequest::new(from_vote(from), next, last.map(from_position));
        let transferred = match entry.raft.handle_transfer_leader(request).await.map_err(unknown)? {
            Ok(()) => Transferred::Done,
            Err(TransferLeaderError::VoteChanged { actual, .. }) => Transferred::VoteChanged(to_vote(&actual)),
            Err(TransferLeaderError::LogNotFlushed { actual, .. }) => Transferred::NotFlushed(actual.as_ref().map(to_position)),
        };
        answer(&transferred)
    }

    async fn snapshot_begin(&self, body: &[u8]) -> Result<Reply, CallFault> {
        let begin: wire::SnapshotBegin = decode(body)?;
        let entry = self.addressed(begin.to)?;
        let mut incoming = entry.incoming.lock().await;
        let state = entry.snapshot_state(0);
        if from_vote(state.vote) > from_vote(begin.vote) {
            // A leader that was deposed must not cut off its successor's transfer.
            return answer(&state);
        }
        let already = incoming.as_ref().is_some_and(|incoming| incoming.transfer == begin.transfer);
        if !already {
            // The former transfer goes first: two files under construction would take the room of two.
            *incoming = None;
            let machine = Arc::clone(&entry.machine);
            let sink = tokio::task::spawn_blocking(move || machine.install()).await.map_err(unknown)?;
            let sink = sink.map_err(unavailable)?;
            *incoming = Some(Incoming { transfer: begin.transfer, vote: begin, next: 0, crc32c: 0, sink });
        }
        answer(&entry.snapshot_state(incoming.as_ref().map_or(0, |incoming| incoming.next)))
    }

    async fn snapshot_frame(&self, body: &Bytes) -> Result<Reply, CallFault> {
        let wire::SnapshotFrame { to, transfer, number, crc32c, frame } = decode(body)?;
        let entry = self.addressed(to)?;
        if crc32c::crc32c(frame) != crc32c {
            return Err(refused("the frame does not match its checksum"));
        }
        let mut slot = entry.incoming.lock().await;
        let mut incoming = match slot.take() {
            Some(incoming) if incoming.transfer == transfer => incoming,
            other => {
                *slot = other;
                return Err(refused("no such transfer"));
            }
        };
        if number != incoming.next {
            let next = incoming.next;
            *slot = Some(incoming);
            // The one before was taken, its answer was lost.
            return if number < next { answer(&entry.snapshot_state(next)) } else { Err(refused("a frame is missing")) };
        }
        let frame = body.slice_ref(frame);
        let taken = tokio::task::spawn_blocking(move || incoming.sink.frame(&frame).map(|()| incoming));
        let mut incoming = taken.await.map_err(unknown)?.map_err(unavailable)?;
        incoming.next += 1;
        incoming.crc32c = crc32c::crc32c_append(incoming.crc32c, &crc32c.to_le_bytes());
        let next = incoming.next;
        *slot = Some(incoming);
        answer(&entry.snapshot_state(next))
    }

    async fn snapshot_finish(&self, body: &[u8]) -> Result<Reply, CallFault> {
        let finish: wire::SnapshotFinish = decode(body)?;
        let entry = self.addressed(finish.to)?;
        let incoming = entry.incoming.lock().await.take();
        let Some(incoming) = incoming.filter(|incoming| incoming.transfer == finish.transfer) else {
            return Err(refused("no such transfer"));
        };
        if (incoming.next, incoming.crc32c) != (finish.frames, finish.crc32c) {
            return Err(refused("the frames received are not those sent"));
        }
        let wire::SnapshotBegin { vote, progress, .. } = incoming.vote;
        let meta = from_progress(&progress).ok_or_else(|| refused("the snapshot names no valid members"))?;
        let snapshot = Snapshot { meta, snapshot: SnapshotData::Received(incoming.sink) };
        let installed = entry.raft.install_full_snapshot(from_vote(vote), snapshot).await.map_err(unknown)?;
        answer(&SnapshotState { vote: to_vote(&installed.vote), next: finish.frames })
    }

    async fn read_index(&self, body: &[u8]) -> Result<Reply, CallFault> {
        let wire::ReadIndex { to } = decode(body)?;
        let entry = self.addressed(to)?;
        let found = entry.raft.get_read_linearizer(ReadPolicy::ReadIndex).await.map_err(unavailable)?;
        answer(&wire::ReadFrom { index: found.read_log_id().index() })
    }
}

impl GroupEntry {
    pub(crate) fn new(me: u64, raft: Raft, machine: Arc<dyn StateMachine>, silent_until: Instant) -> Self {
        Self { me, raft, machine, incoming: Mutex::new(None), turns: Turns::default(), silent_until }
    }

    /// Takes no more messages.
    pub(crate) fn close(&self) {
        self.turns.close();
    }

    fn snapshot_state(&self, next: u64) -> SnapshotState {
        SnapshotState { vote: to_vote(&self.raft.metrics().borrow_watched().vote), next }
    }
}

#[async_trait]
impl Service for RaftService {
    fn id(&self) -> u8 {
        SERVICE_ID
    }

    async fn handle(&self, method: u8, cx: CallContext, body: Bytes) -> Result<Reply, CallFault> {
        if cx.is_over() {
            return Err(CallFault::NotApplied(NotApplied::TooLate));
        }
        // Members of a group are processes of one role: nobody else has a say in its log.
        if !cx.peer.is_one_of(&[self.role]) {
            return Err(refused(format!("{:?} is no member of a group here", cx.peer)));
        }
        match method {
            wire::APPEND => self.append(&cx, &body).await,
            wire::VOTE => self.ballot(&body, false).await,
            wire::PRE_VOTE => self.ballot(&body, true).await,
            wire::TRANSFER => self.transfer(&body).await,
            wire::SNAPSHOT_BEGIN => self.snapshot_begin(&body).await,
            wire::SNAPSHOT_FRAME => self.snapshot_frame(&body).await,
            wire::SNAPSHOT_FINISH => self.snapshot_finish(&body).await,
            wire::READ_INDEX => self.read_index(&body).await,
            other => Err(refused(format!("raft has no method {other}"))),
        }
    }
}
