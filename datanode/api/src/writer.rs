//! Writing one block: small ones inside their `put`, large ones streamed to every replica first.
//!
//! Memory is bounded: a streamed block's bytes wait in one bounded lane a replica, and share their buffers. A replica that
//! fails, or that keeps the others waiting for too long, is left behind as long as a majority holds the bytes; it fetches them
//! from a peer later. A failed block never fails what was pushed while that can still be sent again: see [`Replay`].

mod lane;

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rpc::{CallContext, CallError, NotApplied};
use types::{BlockLocation, PipelineId, Replica, RequestId};

use crate::{
    BlockClient, BlockWritten, ChunkChecksums, ChunkSummer, INLINE_BLOCK_MAX, PutBlock, PutContent, PutRejected, WriteBlock,
};
use lane::{Lane, Sent};

/// A block that did not come to be. Nothing refers to it; whoever leased it may give it back for deletion.
#[derive(Debug, thiserror::Error)]
#[error("block on {pipeline} failed: {cause}")]
pub struct BlockFailed {
    /// Better not asked for again at once.
    pub pipeline: PipelineId,
    pub cause: BlockFailure,
    pub replay: Replay,
}

/// What happened, for the log: the way on is the same for all, another block if there is a replay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockFailure {
    #[error("fewer than a majority of the replicas took the bytes; the last said: {0}")]
    Write(String),
    #[error("the put was rejected: {0}")]
    Rejected(PutRejected),
    #[error("no leader took the put in time; the last said: {0}")]
    NoLeader(String),
    /// The location names no replicas, or the writer was used on after a failure.
    #[error("the writer is unusable")]
    Unusable,
}

/// What was pushed into a block that failed.
#[derive(Debug)]
pub enum Replay {
    /// All of it, in order: push it into another block's writer.
    Whole(Vec<Bytes>),
    /// It had outgrown what is kept; only the request's sender can send it again.
    Lost,
}

/// Takes one block's bytes. Dropped without [`Self::finish`], the replicas drop what they were sent.
#[derive(Debug)]
pub struct BlockWriter {
    client: BlockClient,
    location: BlockLocation,
    request: RequestId,
    summer: ChunkSummer,
    kept: Replay,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// All of the bytes are in `kept`, and none has been sent.
    Buffering,
    Streaming(Streaming),
    Failed,
}

/// Larger pieces are cut, so that a lane's room can always hold one.
const PIECE_MAX: usize = 256 * 1024;

impl BlockWriter {
    pub(crate) fn new(client: BlockClient, location: BlockLocation, request: RequestId) -> Self {
        // Each block of a request is a request of its own: one answered from memory must not stand for another.
        let block = (u128::from(location.block.container.0) << 64) | u128::from(location.block.local);
        let request = RequestId::from_u128(request.to_u128() ^ block);
        Self {
            client,
            location,
            request,
            summer: ChunkSummer::default(),
            kept: Replay::Whole(Vec::new()),
            phase: Phase::Buffering,
        }
    }

    pub fn location(&self) -> &BlockLocation {
        &self.location
    }

    /// Bytes taken so far.
    pub fn length(&self) -> u64 {
        self.summer.length()
    }

    /// Bytes the block can still take.
    pub fn room(&self) -> u64 {
        self.location.length.saturating_sub(self.length())
    }

    /// Takes as much of `data` as the block has room for, and leaves the rest in it. Waits while a majority of the replicas
    /// has no room for more.
    pub async fn push(&mut self, data: &mut Bytes) -> Result<(), BlockFailed> {
        let room = usize::try_from(self.room()).unwrap_or(usize::MAX);
        let mut taken = data.split_to(data.len().min(room));
        self.summer.push(&taken);
        self.keep(&taken);
        if matches!(self.phase, Phase::Buffering) {
            if self.length() <= INLINE_BLOCK_MAX as u64 {
                return Ok(());
            }
            return self.start_streaming().await;
        }
        self.stream(&mut taken).await
    }

    /// Commits the block, and tells its length.
    pub async fn finish(mut self) -> Result<u64, BlockFailed> {
        let length = self.length();
        let checksums = std::mem::take(&mut self.summer).finish();
        let content = match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Buffering => PutContent::Inline(self.joined()),
            Phase::Streaming(streaming) => {
                if let Err(cause) = streaming.finish(&checksums, self.location.replicas.len() / 2 + 1).await {
                    return Err(self.fail(cause));
                }
                PutContent::Streamed
            }
            Phase::Failed => return Err(self.fail(BlockFailure::Unusable)),
        };
        match self.put(length, checksums, content).await {
            Ok(()) => Ok(length),
            Err(cause) => Err(self.fail(cause)),
        }
    }

    fn fail(&mut self, cause: BlockFailure) -> BlockFailed {
        self.phase = Phase::Failed;
        let replay = std::mem::replace(&mut self.kept, Replay::Lost);
        BlockFailed { pipeline: self.location.pipeline, cause, replay }
    }

    fn keep(&mut self, data: &Bytes) {
        if self.length() > self.client.config.replay_bytes as u64 {
            self.kept = Replay::Lost;
        } else if let Replay::Whole(kept) = &mut self.kept {
            kept.push(data.clone());
        }
    }

    /// The whole block in one piece, without a copy where it came in one.
    fn joined(&self) -> Bytes {
        match &self.kept {
            Replay::Whole(kept) => match kept.as_slice() {
                [] => Bytes::new(),
                [one] => one.clone(),
                many => many.concat().into(),
            },
            Replay::Lost => Bytes::new(),
        }
    }

    async fn start_streaming(&mut self) -> Result<(), BlockFailed> {
        let write =
            WriteBlock { block: self.location.block, pipeline: self.location.pipeline, token: self.location.token.clone() };
        let lanes = self.location.replicas.iter().map(|replica| Lane::open(&self.client, replica, write.clone(), self.request));
        let BlockClient { config, experience, .. } = &self.client;
        // One that did not answer a moment ago is not worth every block's patience.
        let has_failed = experience.any_failed(&self.location.replicas, config.avoid_for);
        let patience = if has_failed { config.lag_patience / 20 } else { config.lag_patience };
        let stall = config.write_stall;
        self.phase = Phase::Streaming(Streaming { lanes: lanes.collect(), length: 0, patience, stall });
        let Replay::Whole(kept) = &self.kept else { return Err(self.fail(BlockFailure::Unusable)) };
        for mut data in kept.clone() {
            self.stream(&mut data).await?;
        }
        Ok(())
    }

    async fn stream(&mut self, data: &mut Bytes) -> Result<(), BlockFailed> {
        let majority = self.location.replicas.len() / 2 + 1;
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(PIECE_MAX.min(self.client.config.lane_bytes)));
            let Phase::Streaming(streaming) = &mut self.phase else { return Err(self.fail(BlockFailure::Unusable)) };
            if let Err(cause) = streaming.send(&piece, majority).await {
                return Err(self.fail(cause));
            }
        }
        Ok(())
    }

    /// Proposes the block to the pipeline's leader, looking for it until the put's time is over. A put is the same however
    /// often it arrives, so an unknown outcome is tried again like a failure.
    async fn put(&self, length: u64, checksums: ChunkChecksums, content: PutContent) -> Result<(), BlockFailure> {
        let put = PutBlock {
            block: self.location.block,
            pipeline: self.location.pipeline,
            token: self.location.token.clone(),
            length,
            checksums,
            content,
        };
        let BlockClient { access, config, experience } = &self.client;
        let replicas = &self.location.replicas;
        let mut at =
            experience.leader(put.pipeline).and_then(|leader| self.position(|replica| replica.datanode == leader)).unwrap_or(0);
        let cx = CallContext::local(self.request, config.put_timeout);
        let mut pause = PUT_PAUSE_MIN;
        let mut last = String::from("nothing");
        let mut redirects = 0;
        while !cx.is_over()
            && let Some(replica) = replicas.get(at)
        {
            // One replica that does not answer must not use up the time for the others.
            let deadline = cx.deadline.min(Instant::now() + cx.remaining().div_f32(2.0).max(PUT_TRY_MIN));
            let failure = match access.put(replica, CallContext { deadline, ..cx.clone() }, put.clone()).await {
                Ok(_) => {
                    experience.leads(put.pipeline, replica.datanode);
                    experience.worked(replica.datanode);
                    return Ok(());
                }
                Err(CallError::Rejected(rejection)) => return Err(BlockFailure::Rejected(rejection)),
                Err(failure) => failure,
            };
            last = format!("{}: {failure}", replica.endpoint);
            let hinted = match &failure {
                CallError::NotApplied(NotApplied::NotLeader(Some(leader))) => {
                    self.position(|replica| replica.endpoint == *leader)
                }
                _ => None,
            };
            match hinted.filter(|hinted| *hinted != at && redirects < replicas.len()) {
                Some(hinted) => {
                    redirects += 1;
                    at = hinted;
                }
                None => {
                    redirects = 0;
                    at = (at + 1) % replicas.len();
                    tokio::time::sleep(pause.min(cx.remaining())).await;
                    pause = (pause * 2).min(PUT_PAUSE_MAX);
                }
            }
        }
        Err(BlockFailure::NoLeader(last))
    }

    fn position(&self, is_it: impl Fn(&Replica) -> bool) -> Option<usize> {
        self.location.replicas.iter().position(is_it)
    }
}

/// A short election is over after a few of these.
const PUT_PAUSE_MIN: Duration = Duration::from_millis(20);
const PUT_PAUSE_MAX: Duration = Duration::from_millis(500);
const PUT_TRY_MIN: Duration = Duration::from_secs(1);
/// A call that failed has ended already; one that only stands still is not waited for.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Streaming {
    lanes: Vec<Lane>,
    length: u64,
    /// What is left of the time that slow replicas may cost this block.
    patience: Duration,
    /// And of the time that a majority may stand still.
    stall: Duration,
}

impl Streaming {
    /// Gives a piece to every lane. Waits for a majority as long as a stall may be, for the others only as long as the patience
    /// lasts; whoever has not got the piece by then is left behind.
    async fn send(&mut self, piece: &Bytes, majority: usize) -> Result<(), BlockFailure> {
        let mut queued = 0;
        let mut waits = FuturesUnordered::new();
        for lane in &mut self.lanes {
            match lane.try_send(piece) {
                Sent::Queued => queued += 1,
                Sent::Full => waits.push(lane.send(piece)),
                Sent::Closed => {}
            }
        }
        let stalled_at = tokio::time::Instant::now() + self.stall;
        while queued < majority
            && let Ok(Some(sent)) = tokio::time::timeout_at(stalled_at, waits.next()).await
        {
            queued += usize::from(sent == Sent::Queued);
        }
        let waiting_since = Instant::now();
        while let Ok(Some(_)) = tokio::time::timeout(self.patience.saturating_sub(waiting_since.elapsed()), waits.next()).await {}
        drop(waits);
        self.patience = self.patience.saturating_sub(waiting_since.elapsed());
        self.length += piece.len() as u64;
        let (kept, left) = std::mem::take(&mut self.lanes).into_iter().partition(|lane| lane.keeps_up(self.length));
        self.lanes = kept;
        if self.lanes.len() >= majority { Ok(()) } else { Err(failure_of(left).await) }
    }

    /// Waits until a majority holds the bytes as we sent them, and for the others while patience lasts: a leader that is a
    /// moment behind would refuse the put. A call that is left alone runs on; its replica then has nothing to fetch.
    async fn finish(self, checksums: &ChunkChecksums, majority: usize) -> Result<(), BlockFailure> {
        let expected = BlockWritten { length: self.length, checksums: checksums.clone() };
        let mut calls: FuturesUnordered<_> = self.lanes.into_iter().map(|lane| tokio::spawn(lane.finish())).collect();
        let mut written = 0;
        let mut last = String::from("nothing");
        // The last of the bytes may still be on their way to a slow disk.
        let mut until = tokio::time::Instant::now() + self.stall * 2;
        while let Ok(next) = tokio::time::timeout_at(until, calls.next()).await {
            match next {
                None => break,
                Some(Ok(Ok(found))) if found == expected => written += 1,
                Some(Ok(Ok(_))) => last = "its checksums differ".to_owned(),
                Some(Ok(Err(error))) => last = error.to_string(),
                Some(Err(ended)) => last = ended.to_string(),
            }
            if written >= majority {
                until = until.min(tokio::time::Instant::now() + self.patience);
            }
        }
        if written >= majority { Ok(()) } else { Err(BlockFailure::Write(last)) }
    }
}

async fn failure_of(lanes: Vec<Lane>) -> BlockFailure {
    let mut last = String::from("nothing");
    for lane in lanes {
        let endpoint = lane.replica.endpoint.clone();
        last = match tokio::time::timeout(FAILURE_PAUSE, lane.outcome()).await {
            Ok(Err(error)) => format!("{endpoint}: {error}"),
            Ok(Ok(_)) | Err(_) => format!("{endpoint}: took no more bytes"),
        };
    }
    BlockFailure::Write(last)
}

#[cfg(test)]
mod tests;
