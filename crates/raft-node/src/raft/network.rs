//! Messages to other members.
//!
//! A call that failed is reported as unreachable whatever the cause, so that openraft backs off instead of asking again at once.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use openraft::alias::SnapshotOf;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use rpc::{CallContext, CallFault, MethodId, Reply};
use types::{Endpoint, GroupId, MemberId, RequestId};

use super::codec::encode_entry;
use super::machine::{SnapshotData, to_io};
use super::service::SERVICE_ID;
use super::types::{Node, RaftVote, TypeConfig, from_position, from_vote, to_position, to_progress, to_vote};
use super::wire::{self, Address, Appended, Ballot, SnapshotState, Transfer, Transferred, Voted};
use crate::{RaftTransport, SnapshotSource};

#[derive(Clone)]
pub(crate) struct Network {
    group: GroupId,
    transport: Arc<dyn RaftTransport>,
    calls: Arc<AtomicU64>,
}

impl Network {
    pub(crate) fn new(group: GroupId, transport: Arc<dyn RaftTransport>) -> Self {
        Self { group, transport, calls: Arc::default() }
    }

    fn to(&self, member: u64, endpoint: &Endpoint) -> Connection {
        Connection { to: Address { group: self.group, member }, endpoint: endpoint.clone(), network: self.clone() }
    }

    /// A position that, once applied here, shows everything acknowledged before this call.
    pub(crate) async fn read_index(&self, leader: MemberId, endpoint: &Endpoint, within: Duration) -> Result<u64, String> {
        let connection = self.to(leader.0, endpoint);
        let question = wire::ReadIndex { to: connection.to };
        let found: wire::ReadFrom = connection.call(wire::READ_INDEX, within, &question).await?;
        Ok(found.index)
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, node: &Node) -> Connection {
        self.to(target, &node.0)
    }
}

pub(crate) struct Connection {
    to: Address,
    endpoint: Endpoint,
    network: Network,
}

/// A full redb commit and two renames at the other end may take long; giving up would only start it all again.
const INSTALL: Duration = Duration::from_secs(600);
const FRAME_TRIES: u32 = 10;
const FRAME_TIMEOUT: Duration = Duration::from_secs(10);

impl Connection {
    async fn call<Q, A>(&self, method: u8, within: Duration, question: &Q) -> Result<A, String>
    where
        Q: Encode<()>,
        A: for<'b> Decode<'b, ()>,
    {
        self.send(method, within, Bytes::from(tables::encode(question))).await
    }

    async fn send<A>(&self, method: u8, within: Duration, body: Bytes) -> Result<A, String>
    where
        A: for<'b> Decode<'b, ()>,
    {
        let number = self.network.calls.fetch_add(1, Ordering::Relaxed);
        let cx = CallContext::local(RequestId::from_u128(u128::from(number)), within);
        let method = MethodId { service: SERVICE_ID, method };
        let to = (MemberId(self.to.member), &self.endpoint);
        let call = self.network.transport.call(to, method, cx, body);
        let answer = match tokio::time::timeout(within, call).await {
            Ok(Ok(Reply::Done(answer))) => answer,
            Ok(Ok(Reply::Rejected(_))) => return Err(format!("{} rejected the message", self.endpoint)),
            Ok(Err(CallFault::NotApplied(why))) => return Err(format!("{}: {why}", self.endpoint)),
            Ok(Err(CallFault::Unknown(why))) => return Err(format!("{}: {why}", self.endpoint)),
            Err(_) => return Err(format!("{} did not answer within {within:?}", self.endpoint)),
        };
        minicbor::decode(&answer).map_err(|error| format!("{}: its answer does not decode: {error}", self.endpoint))
    }

    async fn ballot(
        &self,
        method: u8,
        rpc: &VoteRequest<TypeConfig>,
        within: Duration,
    ) -> Result<VoteResponse<TypeConfig>, String> {
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
        let transfer = runtime::Entropy::u64(&runtime::SystemEntropy);
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
    async fn insist(&self, method: u8, body: Bytes) -> Result<SnapshotState, String> {
        let mut pause = Duration::from_millis(50);
        let mut tries = 0;
        loop {
            let refused = match self.send(method, FRAME_TIMEOUT, body.clone()).await {
                Ok(state) => return Ok(state),
                Err(why) => why,
            };
            tries += 1;
            if tries == FRAME_TRIES {
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
        let entries: Vec<_> = rpc.entries.iter().map(encode_entry).collect();
        let append = wire::Append {
            to: self.to,
            vote: to_vote(&rpc.vote),
            previous: rpc.prev_log_id.as_ref().map(to_position),
            committed: rpc.leader_commit.as_ref().map(to_position),
            entries: &wire::pack(&entries),
        };
        let appended = self.call(wire::APPEND, option.soft_ttl(), &append).await.map_err(unreachable)?;
        Ok(match appended {
            Appended::Success => AppendEntriesResponse::Success,
            Appended::Partial(upto) => AppendEntriesResponse::PartialSuccess(upto.map(from_position)),
            Appended::Conflict => AppendEntriesResponse::Conflict,
            Appended::HigherVote(vote) => AppendEntriesResponse::HigherVote(from_vote(vote)),
        })
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
