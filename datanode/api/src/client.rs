//! What writing and reading share: the way to the datanodes, and what experience with them teaches.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use types::{BlockLocation, DatanodeId, PipelineId, Replica, RequestId};

use crate::reader::{ObjectReader, Piece, ReadFailed};
use crate::{BlockAccess, BlockWriter, ByteStream};

#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Bytes that may wait for one replica: with three replicas that share their bytes, about the memory of one write.
    pub lane_bytes: usize,
    /// How long, in all, a block's writer waits for one replica while enough others are ready for more.
    pub lag_patience: Duration,
    /// A block that fails can be sent again to another one as long as it has not grown beyond this.
    pub replay_bytes: usize,
    /// For finding the leader and committing a block: longer than an election.
    pub put_timeout: Duration,
    /// For all of a streamed block's bytes; the pace of the client's upload is the gateway's concern.
    pub write_timeout: Duration,
    /// A block whose bytes no majority takes for this long fails.
    pub write_stall: Duration,
    /// A read that gives nothing for this long goes on with another replica.
    pub read_stall: Duration,
    /// A datanode that failed is asked last for this long.
    pub avoid_for: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            lane_bytes: 4 << 20,
            lag_patience: Duration::from_secs(1),
            replay_bytes: 8 << 20,
            put_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(3600),
            write_stall: Duration::from_secs(30),
            read_stall: Duration::from_secs(5),
            avoid_for: Duration::from_secs(10),
        }
    }
}

/// Writes and reads blocks. Clones share what is known of leaders and failures.
#[derive(Clone)]
pub struct BlockClient {
    pub(crate) access: Arc<dyn BlockAccess>,
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) experience: Arc<Experience>,
}

impl fmt::Debug for BlockClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockClient").field("config", &self.config).finish_non_exhaustive()
    }
}

impl BlockClient {
    pub fn new(access: Arc<dyn BlockAccess>, config: ClientConfig) -> Self {
        Self { access, config: Arc::new(config), experience: Arc::default() }
    }

    /// A writer of the block at `location`.
    pub fn writer(&self, location: BlockLocation, request: RequestId) -> BlockWriter {
        BlockWriter::new(self.clone(), location, request)
    }

    /// The bytes of `pieces`, in order. Comes back once the first of them is on its way, so that a caller can still answer
    /// with an error; a failure later ends the stream with an error item.
    pub async fn read(&self, pieces: Vec<Piece>, request: RequestId) -> Result<ByteStream, ReadFailed> {
        ObjectReader::open(self.clone(), pieces, request).await
    }
}

/// What was learnt about datanodes by calling them. Only ever a hint.
#[derive(Debug, Default)]
pub(crate) struct Experience {
    leaders: Mutex<BTreeMap<PipelineId, DatanodeId>>,
    failures: Mutex<BTreeMap<DatanodeId, Instant>>,
}

/// Far above the pipelines a cluster has at a time; beyond it we forget everything rather than grow.
const REMEMBERED_MAX: usize = 4096;

impl Experience {
    pub(crate) fn leader(&self, pipeline: PipelineId) -> Option<DatanodeId> {
        lock(&self.leaders).get(&pipeline).copied()
    }

    pub(crate) fn leads(&self, pipeline: PipelineId, datanode: DatanodeId) {
        let mut leaders = lock(&self.leaders);
        if leaders.len() >= REMEMBERED_MAX {
            leaders.clear();
        }
        leaders.insert(pipeline, datanode);
    }

    pub(crate) fn failed(&self, datanode: DatanodeId) {
        let mut failures = lock(&self.failures);
        if failures.len() >= REMEMBERED_MAX {
            failures.clear();
        }
        failures.insert(datanode, Instant::now());
    }

    pub(crate) fn worked(&self, datanode: DatanodeId) {
        lock(&self.failures).remove(&datanode);
    }

    /// Whether one of these failed just now.
    pub(crate) fn any_failed(&self, replicas: &[Replica], avoid_for: Duration) -> bool {
        let failures = lock(&self.failures);
        replicas.iter().any(|replica| failures.get(&replica.datanode).is_some_and(|at| at.elapsed() < avoid_for))
    }

    /// The replicas in the order to ask them: as given, those that failed just now last.
    pub(crate) fn in_order(&self, replicas: &[Replica], avoid_for: Duration) -> Vec<Replica> {
        let failures = lock(&self.failures);
        let mut ordered = replicas.to_vec();
        if !failures.is_empty() {
            ordered.sort_by_key(|replica| failures.get(&replica.datanode).is_some_and(|at| at.elapsed() < avoid_for));
        }
        ordered
    }
}

/// A hint stays a hint even if a thread panicked while it was written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
