//! Datanodes that keep blocks in memory and fail as they are told to, for the tests of this package.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rpc::{CallContext, CallError, NotApplied};
use types::{BlockId, BlockLocation, ContainerId, DatanodeId, Endpoint, PipelineId, Replica};

use crate::{
    BlockAccess, BlockClient, BlockData, BlockPut, BlockWritten, ByteStream, ChunkSummer, ClientConfig, PutBlock, PutContent,
    PutRejected, ReadBlock, ReadRejected, WriteBlock, WriteRejected,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Away,
    /// Takes calls and bytes, and never answers.
    Stuck,
    /// Takes this many bytes of a write, or gives this many of a read, and breaks off.
    BreaksAfter(u64),
    /// The same, but goes silent instead.
    SilentAfter(u64),
    /// Gives less than it promised, and ends as if that were all.
    ShortBy(u64),
    Rejects(PutRejection),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PutRejection {
    Closed,
    DiskFull,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) moods: BTreeMap<DatanodeId, Mood>,
    pub(crate) leader: Option<DatanodeId>,
    pub(crate) written: BTreeMap<DatanodeId, Vec<u8>>,
    pub(crate) committed: Option<Vec<u8>>,
    pub(crate) inline_puts: u32,
    pub(crate) calls: Vec<(DatanodeId, &'static str)>,
    /// The request ids of the puts that were taken.
    pub(crate) requests: Vec<u128>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Fake(pub(crate) Arc<Mutex<State>>);

impl Fake {
    pub(crate) fn led_by(leader: u64) -> Self {
        let fake = Self::default();
        fake.state().leader = Some(DatanodeId(leader));
        fake
    }

    pub(crate) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no test panics with it held")
    }

    pub(crate) fn set(&self, datanode: u64, mood: Mood) -> &Self {
        self.state().moods.insert(DatanodeId(datanode), mood);
        self
    }

    pub(crate) fn client(&self) -> BlockClient {
        let config = ClientConfig {
            lane_bytes: 256 * 1024,
            lag_patience: Duration::from_millis(50),
            replay_bytes: 1 << 20,
            put_timeout: Duration::from_secs(3),
            read_stall: Duration::from_millis(50),
            ..ClientConfig::default()
        };
        BlockClient::new(Arc::new(self.clone()), config)
    }

    fn mood(&self, at: &Replica, call: &'static str) -> Mood {
        let mut state = self.state();
        state.calls.push((at.datanode, call));
        state.moods.get(&at.datanode).copied().unwrap_or(Mood::Well)
    }
}

pub(crate) fn location(replicas: u64) -> BlockLocation {
    let replica = |id| Replica { datanode: DatanodeId(id), endpoint: Endpoint(format!("dn{id}:1")) };
    BlockLocation {
        block: BlockId { container: ContainerId(1), local: 2 },
        pipeline: PipelineId(3),
        replicas: (1..=replicas).map(replica).collect(),
        length: 64 << 20,
        token: Bytes::from_static(b"token"),
    }
}

pub(crate) fn content(length: usize) -> Bytes {
    (0..length).map(|i| (i * 31 + i / 65536) as u8).collect()
}

fn away<R>() -> CallError<R> {
    CallError::NotApplied(NotApplied::Unreachable("away".into()))
}

#[async_trait]
impl BlockAccess for Fake {
    async fn write(
        &self,
        at: &Replica,
        _: CallContext,
        _: WriteBlock,
        mut data: ByteStream,
    ) -> Result<BlockWritten, CallError<WriteRejected>> {
        let mood = self.mood(at, "write");
        if mood == Mood::Away {
            return Err(away());
        }
        let mut summer = ChunkSummer::default();
        let mut bytes = Vec::new();
        loop {
            match mood {
                Mood::Stuck => std::future::pending().await,
                Mood::BreaksAfter(most) if summer.length() >= most => return Err(CallError::Unknown("broke".into())),
                Mood::SilentAfter(most) if summer.length() >= most => std::future::pending().await,
                _ => {}
            }
            match data.next().await {
                Some(Ok(piece)) => {
                    summer.push(&piece);
                    bytes.extend_from_slice(&piece);
                }
                Some(Err(_)) => return Err(CallError::Rejected(WriteRejected::Incomplete)),
                None => break,
            }
        }
        let length = summer.length();
        self.state().written.insert(at.datanode, bytes);
        Ok(BlockWritten { length, checksums: summer.finish() })
    }

    async fn put(&self, at: &Replica, cx: CallContext, request: PutBlock) -> Result<BlockPut, CallError<PutRejected>> {
        match self.mood(at, "put") {
            Mood::Away => return Err(away()),
            Mood::Stuck => {
                tokio::time::sleep(cx.remaining()).await;
                return Err(CallError::Unknown("no answer".into()));
            }
            Mood::Rejects(PutRejection::Closed) => return Err(CallError::Rejected(PutRejected::Closed)),
            Mood::Rejects(PutRejection::DiskFull) => return Err(CallError::Rejected(PutRejected::DiskFull)),
            _ => {}
        }
        let mut state = self.state();
        if state.leader != Some(at.datanode) {
            return Err(CallError::not_leader(state.leader.map(|id| Endpoint(format!("dn{}:1", id.0)))));
        }
        state.requests.push(cx.request_id.to_u128());
        match request.content {
            PutContent::Inline(bytes) => {
                state.inline_puts += 1;
                state.committed = Some(bytes.to_vec());
            }
            PutContent::Streamed => match state.written.get(&at.datanode).cloned() {
                Some(bytes) => state.committed = Some(bytes),
                None => return Err(CallError::Rejected(PutRejected::NotWritten)),
            },
        }
        Ok(BlockPut { length: request.length })
    }

    async fn read(&self, at: &Replica, _: CallContext, request: ReadBlock) -> Result<BlockData, CallError<ReadRejected>> {
        let mood = self.mood(at, "read");
        let block = match mood {
            Mood::Away => return Err(away()),
            Mood::Stuck => std::future::pending().await,
            _ => self.state().committed.clone().ok_or(CallError::Rejected(ReadRejected::NoSuchBlock))?,
        };
        let bytes = block[request.offset as usize..(request.offset + request.length) as usize].to_vec();
        let pieces: Vec<Bytes> = bytes.chunks(10_000).map(Bytes::copy_from_slice).collect();
        let length = request.length;
        let cut = |most: u64| {
            let mut left = most as usize;
            pieces.clone().into_iter().map_while(move |piece| {
                let taken = piece.slice(..piece.len().min(left));
                left -= taken.len();
                (!taken.is_empty()).then_some(Ok(taken))
            })
        };
        let stream: ByteStream = match mood {
            Mood::BreaksAfter(most) => {
                stream::iter(cut(most).chain([Err(io::Error::other("broke"))]).collect::<Vec<_>>()).boxed()
            }
            Mood::SilentAfter(most) => stream::iter(cut(most).collect::<Vec<_>>()).chain(stream::pending()).boxed(),
            Mood::ShortBy(less) => stream::iter(cut(length.saturating_sub(less)).collect::<Vec<_>>()).boxed(),
            _ => stream::iter(pieces.into_iter().map(Ok)).boxed(),
        };
        Ok(BlockData { length, stream })
    }
}
