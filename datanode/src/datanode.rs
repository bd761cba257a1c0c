//! The datanode put together.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use datanode_api::{
    BlockAccess, BlockData, BlockPut, BlockWritten, ByteStream, ContainerAccess, ExportContainer, ExportRejected, PutBlock,
    PutRejected, ReadBlock, ReadRejected, WriteBlock, WriteRejected,
};
use raft_node::RaftHost;
use rpc::{CallContext, CallError, NotApplied};
use runtime::{Clock, Entropy, Reconcilers, Shutdown};
use scm_api::Scm;
use tables::StorageFault;
use tokio::sync::{Notify, Semaphore, watch};
use types::{ClusterId, DatanodeId, Replica};

use crate::background::fetch::Fetch;
use crate::background::heartbeat::Beat;
use crate::background::orders::Orders;
use crate::background::scrub::{self, Scrub};
use crate::pipeline::Pipelines;
use crate::store::Store;
use crate::tokens::TokenGate;
use crate::{Config, InvalidConfig, ops};

/// What one datanode asks of another.
pub trait Peers: BlockAccess + ContainerAccess {}

impl<T: BlockAccess + ContainerAccess> Peers for T {}

/// What a datanode is built from.
pub struct Parts {
    pub raft: RaftHost,
    pub scm: Arc<dyn Scm>,
    /// The way to the other datanodes.
    pub peers: Arc<dyn Peers>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub shutdown: Shutdown,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    #[error("{what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{}: another process uses this disk", _0.display())]
    InUse(PathBuf),
    #[error("{}: {fault}; `trioxide repair index --disk {}` makes the index anew from the container files", path.display(), path.display())]
    Disk { path: PathBuf, fault: StorageFault },
    #[error("starting the pipelines: {0}")]
    Pipelines(String),
}

/// A running datanode. It serves blocks in this process as it is, and through [`crate::serve`] to others.
#[derive(Debug)]
pub struct Datanode(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) store: Arc<Store>,
    pub(crate) pipelines: Pipelines,
    pub(crate) tokens: TokenGate,
    pub(crate) scm: Arc<dyn Scm>,
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) shutdown: Shutdown,
    pub(crate) orders: Orders,
    pub(crate) disk_reads: Arc<Semaphore>,
    pub(crate) write_streams: Arc<Semaphore>,
    /// Chosen at the process's start: tells a restart from a pause.
    pub(crate) incarnation: u64,
    /// Something is worth telling before the next heartbeat is due.
    pub(crate) beat: Notify,
    pub(crate) report_in_full: AtomicBool,
    pub(crate) is_registered: AtomicBool,
    /// Whether token keys have come.
    pub(crate) ready: watch::Sender<bool>,
    /// An SCM answered the last heartbeat.
    pub(crate) is_heard: AtomicBool,
    services: Reconcilers,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datanode").field("name", &self.config.name).finish_non_exhaustive()
    }
}

/// A single node replays its log before it serves; more than this is for another member to answer.
const CATCH_UP: Duration = Duration::from_secs(30);
/// A fetch that failed is tried again after this.
const FETCH_PAUSE: Duration = Duration::from_secs(5);

impl Datanode {
    /// Opens the disks, starts the pipelines they know, and begins to heartbeat. The SCM need not be there yet.
    pub async fn start(config: Config, parts: Parts) -> Result<Arc<Self>, StartError> {
        config.validate()?;
        let Parts { raft, scm, peers, clock, entropy, shutdown } = parts;
        let (opening, dice) = (config.clone(), Arc::clone(&entropy));
        let store = tokio::task::spawn_blocking(move || Store::open(&opening, dice)).await;
        let store = Arc::new(store.map_err(|error| StartError::Pipelines(error.to_string()))??);
        let services = Reconcilers::new(Arc::clone(&clock), shutdown.clone());
        let inner = Arc::new(Inner {
            pipelines: Pipelines::new(raft, Arc::clone(&store), services.clone()),
            store,
            tokens: TokenGate::new(clock),
            scm,
            peers,
            shutdown: shutdown.clone(),
            orders: Orders::default(),
            disk_reads: Arc::new(Semaphore::new(config.disk_reads)),
            write_streams: Arc::new(Semaphore::new(config.write_streams)),
            incarnation: entropy.u64(),
            beat: Notify::new(),
            report_in_full: AtomicBool::new(false),
            is_registered: AtomicBool::new(false),
            ready: watch::Sender::new(false),
            is_heard: AtomicBool::new(false),
            services: services.clone(),
            entropy,
            config,
        });
        inner.pipelines.load().await.map_err(|error| StartError::Pipelines(error.to_string()))?;
        inner.pipelines.caught_up(CATCH_UP).await;
        services.start(Fetch::new(Arc::clone(&inner)), FETCH_PAUSE);
        if inner.config.scrub_bytes_per_second > 0 {
            services.start(Scrub::new(Arc::clone(&inner)), scrub::PAUSE);
        }
        shutdown.spawn_until(Beat::new(Arc::clone(&inner)).run());
        Ok(Arc::new(Self(inner)))
    }

    /// Its identity, once it has registered for the first time.
    pub fn identity(&self) -> Option<(ClusterId, DatanodeId)> {
        self.0.store.owner().ok().flatten()
    }

    /// Whether block tokens can be checked, and so blocks be served.
    pub fn is_ready(&self) -> bool {
        self.0.tokens.has_keys()
    }

    /// Whether the SCM's leader hears of this datanode, so that it gets new work and counts as alive.
    pub fn is_heard(&self) -> bool {
        self.0.is_heard.load(Ordering::Acquire)
    }

    /// Resolves once it [`Self::is_ready`].
    pub async fn ready(&self) {
        // The sender lives as long as we do.
        let _ = self.0.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// The background services, for their status.
    pub fn services(&self) -> &Reconcilers {
        &self.0.services
    }

    #[cfg(test)]
    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }
}

#[async_trait]
impl BlockAccess for Datanode {
    async fn write(
        &self,
        _: &Replica,
        cx: CallContext,
        request: WriteBlock,
        data: ByteStream,
    ) -> Result<BlockWritten, CallError<WriteRejected>> {
        check_deadline(&cx)?;
        ops::write::run(&self.0, cx, request, data).await
    }

    async fn put(&self, _: &Replica, cx: CallContext, request: PutBlock) -> Result<BlockPut, CallError<PutRejected>> {
        check_deadline(&cx)?;
        ops::put::run(&self.0, cx, request).await
    }

    async fn read(&self, _: &Replica, cx: CallContext, request: ReadBlock) -> Result<BlockData, CallError<ReadRejected>> {
        check_deadline(&cx)?;
        ops::read::run(&self.0, request).await
    }
}

#[async_trait]
impl ContainerAccess for Datanode {
    async fn export(
        &self,
        _: &Replica,
        cx: CallContext,
        request: ExportContainer,
    ) -> Result<ByteStream, CallError<ExportRejected>> {
        check_deadline(&cx)?;
        ops::export::run(&self.0, &request)
    }
}

fn check_deadline<R>(cx: &CallContext) -> Result<(), CallError<R>> {
    if cx.is_over() { Err(CallError::NotApplied(NotApplied::TooLate)) } else { Ok(()) }
}
