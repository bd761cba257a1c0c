//! Messages to other members.
//!
//! A call that failed is reported as unreachable whatever the cause, so that openraft backs off instead of asking again at once.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use minicbor::{Decode, Encode};
use openraft::alias::SnapshotOf;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use rpc::{CallContext, CallFault, MethodId, NotApplied, Reply};
use runtime::{Entropy, SystemEntropy};
use types::{Endpoint, GroupId, MemberId, RequestId};

use super::codec::encode_entry;
use super::machine::{SnapshotData, to_io};
use super::service::SERVICE_ID;
use super::types::{Node, RaftVote, TypeConfig, from_position, from_vote, to_position, to_progress, to_vote};
use super::wire::{self, Address, Appended, Ballot, SnapshotState, Transfer, Transferred, Turn, Voted};
use crate::{RaftTransport, SnapshotSource};

#[derive(Clone)]
pub(crate) struct Network {
    group: GroupId,
    transport: Arc<dyn RaftTransport>,
    /// How long an append may take that waits for a slow disk; a heartbeat may not.
    patience: Duration,
    calls: Arc<AtomicU64>,
}

impl Network {
    pub(crate) fn new(group: GroupId, transport: Arc<dyn RaftTransport>, patience: Duration) -> Self {
        Self { group, transport, patience, calls: Arc::default() }
    }

    fn to(&self, member: u64, endpoint: &Endpoint, purpose: Purpose) -> Connection {
        let to = Address { group: self.group, member };
        Connection { to, endpoint: endpoint.clone(), network: self.clone(), purpose }
    }

    /// A position that, once applied here, shows everything acknowledged before this call.
    pub(crate) async fn read_index(&self, leader: MemberId, endpoint: &Endpoint, within: Duration) -> Result<u64, Unanswered> {
        let connection = self.to(leader.0, endpoint, Purpose::Heartbeat);
        let question = wire::ReadIndex { to: connection.to };
        let found: wire::ReadFrom = connection.call(wire::READ_INDEX, within, &question).await?;
        Ok(found.index)
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, node: &Node) -> Connection {
        self.to(target, &node.0, Purpose::Replication)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Node) -> Connection {
        self.to(target, &node.0, Purpose::Heartbeat)
    }
}

pub(crate) struct Connection {
    to: Address,
    endpoint: Endpoint,
    network: Network,
    purpose: Purpose,
}

/// What a connection's appends are.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    /// Entries, in order, which may wait for a slow disk.
    Replication,
    /// Signs of life, each by itself, worthless when late. openraft sends each as a stream of its own, which must not be taken
    /// for a new stream of entries.
    Heartbeat,
}

/// A message without an answer.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Unanswered {
    why: String,
    /// The other member will not take this message however often it is sent.
    is_final: bool,
}

type Appends = Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>;

/// So many appends to one member are under way at once: enough to cover the way there and a sync, and few enough that a member
/// that comes back is not drowned.
const PIPELINE: usize = 8;

/// A full redb commit and two renames at the other end may take long; giving up would only start it all again.
const INSTALL: Duration = Duration::from_secs(600);
const FRAME_TRIES: u32 = 10;
const FRAME_TIMEOUT: Duration = Duration::from_secs(10);

impl Connection {
    async fn call<Q, A>(&self, method: u8, within: Duration, question: &Q) -> Result<A, Unanswered>
    where
        Q: Encode<()>,
        A: for<'b> Decode<'b, ()>,
    {
        self.send(method, within, Bytes::from(tables::encode(question))).await
    }

    async fn send<A>(&self, method: u8, within: Duration, body: Bytes) -> Result<A, Unanswered>
    where
        A: for<'b> Decode<'b, ()>,
    {
        let number = self.network.calls.fetch_add(1, Ordering::Relaxed);
        let cx = CallContext::local(RequestId::from_u128(u128::from(number)), within);
        let method = MethodId { service: SERVICE_ID, method };
        let to = (MemberId(self.to.member), &self.endpoint);
        let unanswered = |why: &dyn fmt::Display| Unanswered { why: format!("{}: {why}", self.endpoint), is_final: false };
        let call = self.network.transport.call(to, method, cx, body);
        let answer = match tokio::time::timeout(within, call).await {
            Ok(Ok(Reply::Done(answer))) => answer,
            Ok(Ok(Reply::Rejected(_))) => return Err(unanswered(&"it rejected the message")),
            Ok(Err(CallFault::NotApplied(why @ NotApplied::Refused(_)))) => {
                return Err(Unanswered { is_final: true, ..unanswered(&why) });
            }
            Ok(Err(CallFault::NotApplied(why))) => return Err(unanswered(&why)),
            Ok(Err(CallFault::Unknown(why))) => return Err(unanswered(&why)),
            Err(_) => return Err(unanswered(&format!("no answer within {within:?}"))),
        };
        minicbor::decode(&answer).map_err(|error| unanswered(&format!("its answer does not decode: {error}")))
    }

    async fn append(
        &self,
        rpc: &AppendEntriesRequest<TypeConfig>,
        turn: Option<Turn>,
        within: Duration,
    ) -> Result<AppendEntriesResponse<TypeConfig>, Unanswered> {
        let entries: Vec<_> = rpc.entries.iter().map(encode_entry).collect();
        let append = wire::Append {
            to: self.to,
            vote: to_vote(&rpc.vote),
            previous: rpc.prev_log_id.as_ref().map(to_position),
            committed: rpc.leader_commit.as_ref().map(to_position),
            entries: &wire::pack(&entries),
            turn,
        };
        let appended = self.call(wire::APPEND, within, &append).await?;
        Ok(match appended {
            Appended::Success => AppendEntriesResponse::Success,
            Appended::Partial(upto) => AppendEntriesResponse::PartialSuccess(upto.map(from_position)),
            Appended::Conflict => AppendEntriesResponse::Conflict,
            Appended::HigherVote(vote) => AppendEntriesResponse::HigherVote(from_vote(vote)),
        })
    }

    async fn ballot(
        &self,
        method: u8,
        rpc: &VoteRequest<TypeConfig>,
        within: Duration,
    ) -> Result<VoteResponse<TypeConfig>, Unanswered> {
        let ballot = Ballot {
            to: self.to,
            vote: to_vote(&rpc.vote),
            last: rpc.last_log_id.as_ref().map(to_position),
            transfer: rpc.leadership_transfer,
        };
        let Voted { vote, granted, last } = self.call(method, within, &ballot).await?;
        Ok(VoteResponse::new(from_vote(vote), last.map(from_position), granted))
    }

    async fn send_snapshot(
        &self,
        vote: RaftVote,
        snapshot: SnapshotOf<TypeConfig, SnapshotData>,
    ) -> Result<RaftVote, StreamingError<TypeConfig>> {
        let SnapshotData::Source(source) = snapshot.snapshot else {
            return Err(unreachable("there are no rows to send").into());
        };
        let transfer = SystemEntropy.u64();
        let progress = to_progress(&snapshot.meta);
        let begin = wire::SnapshotBegin { to: self.to, vote: to_vote(&vote), transfer, progress };
        let state = self.insist(wire::SNAPSHOT_BEGIN, Bytes::from(tables::encode(&begin))).await.map_err(unreachable)?;
        if from_vote(state.vote) > vote {
            return Ok(from_vote(state.vote));
        }
        let (mut frames, mut total, mut source) = (0, 0, source);
        loop {
            let (back, frame) = read_frame(source).await?;
            source = back;
            let Some(frame) = frame else { break };
            let crc32c = crc32c::crc32c(&frame);
            total = crc32c::crc32c_append(total, &crc32c.to_le_bytes());
            let message = wire::SnapshotFrame { to: self.to, transfer, number: frames, crc32c, frame: &frame };
            let body = Bytes::from(tables::encode(&message));
            let state = self.insist(wire::SNAPSHOT_FRAME, body).await.map_err(unreachable)?;
            if from_vote(state.vote) > vote {
                return Ok(from_vote(state.vote));
            }
            frames += 1;
        }
        let finish = wire::SnapshotFinish { to: self.to, transfer, frames, crc32c: total };
        let state: SnapshotState = self.call(wire::SNAPSHOT_FINISH, INSTALL, &finish).await.map_err(unreachable)?;
        Ok(from_vote(state.vote))
    }

    /// Sends a part of a snapshot until it is answered: what was sent before it is worth some patience.
    async fn insist(&self, method: u8, body: Bytes) -> Result<SnapshotState, Unanswered> {
        let mut pause = Duration::from_millis(50);
        let mut tries = 0;
        loop {
            let refused = match self.send(method, FRAME_TIMEOUT, body.clone()).await {
                Ok(state) => return Ok(state),
                Err(why) => why,
            };
            tries += 1;
            // Said no, it will say no again: the transfer is another's by now.
            if tries == FRAME_TRIES || refused.is_final {
                return Err(refused);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}

async fn read_frame(
    mut source: Box<dyn SnapshotSource>,
) -> Result<(Box<dyn SnapshotSource>, Option<Bytes>), StreamingError<TypeConfig>> {
    let read = tokio::task::spawn_blocking(move || {
        let frame = source.next_frame();
        (source, frame)
    });
    let (source, frame) = read.await.map_err(|error| unreachable(error.to_string()))?;
    Ok((source, frame.map_err(|fault| unreachable(to_io(fault).to_string()))?))
}

fn unreachable(why: impl ToString) -> Unreachable<TypeConfig> {
    Unreachable::from_string(why)
}

impl RaftNetworkV2<TypeConfig> for Connection {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Ok(self.append(&rpc, None, option.soft_ttl()).await.map_err(unreachable)?)
    }

    /// Several appends under way at once: the disk of the other member need not idle while an answer travels.
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Appends>, RPCError<TypeConfig>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
    {
        let (stream, within) = match self.purpose {
            Purpose::Replication => (Some(SystemEntropy.u64()), option.soft_ttl().max(self.network.patience)),
            Purpose::Heartbeat => (None, option.soft_ttl()),
        };
        let this = &*self;
        let calls = input.enumerate().map(move |(number, rpc)| async move {
            let last = rpc.entries.last().map(|entry| entry.log_id).or(rpc.prev_log_id);
            let turn = stream.map(|stream| Turn { stream, number: number as u64 });
            let appended = this.append(&rpc, turn, within).await;
            (rpc.prev_log_id, last, appended)
        });
        let answers: BoxStream<'s, _> = Box::pin(calls.buffered(PIPELINE));
        let results = futures_util::stream::unfold(Some(answers), async |answers| {
            let mut answers = answers?;
            let (previous, last, appended) = answers.next().await?;
            let (result, goes_on) = match appended {
                // What follows one that was not taken whole would be refused.
                Ok(AppendEntriesResponse::PartialSuccess(upto)) => (Ok(Ok(upto)), upto == last),
                Ok(appended) => {
                    let result = appended.into_stream_result(previous, last);
                    let taken = result.is_ok();
                    (Ok(result), taken)
                }
                Err(error) => (Err(unreachable(error).into()), false),
            };
            Some((result, goes_on.then_some(answers)))
        });
        let results: BoxStream<'s, _> = Box::pin(results);
        Box::pin(std::future::ready(Ok(results)))
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Ok(self.ballot(wire::VOTE, &rpc, option.soft_ttl()).await.map_err(unreachable)?)
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Ok(self.ballot(wire::PRE_VOTE, &rpc, option.soft_ttl()).await.map_err(unreachable)?)
    }

    async fn full_snapshot(
        &mut self,
        vote: RaftVote,
        snapshot: SnapshotOf<TypeConfig, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            closed = cancel => Err(closed.into()),
            sent = self.send_snapshot(vote, snapshot) => sent.map(SnapshotResponse::new),
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let (next, last) = (*rpc.to_node_id(), rpc.last_log_id().map(to_position));
        let transfer = Transfer { to: self.to, from: to_vote(rpc.from_leader()), last, next };
        let transferred = self.call(wire::TRANSFER, option.soft_ttl(), &transfer).await.map_err(unreachable)?;
        Ok(match transferred {
            Transferred::Done => Ok(()),
            Transferred::VoteChanged(actual) => {
                Err(TransferLeaderError::VoteChanged { expected: *rpc.from_leader(), actual: from_vote(actual) })
            }
            Transferred::NotFlushed(actual) => Err(TransferLeaderError::LogNotFlushed {
                expected: rpc.last_log_id().cloned(),
                actual: actual.map(from_position),
            }),
        })
    }
}
