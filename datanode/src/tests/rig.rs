//! Builds datanodes for tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use datanode_api::{
    BlockAccess, BlockClient, BlockData, BlockPut, BlockWritten, ByteStream, ClientConfig, ContainerAccess, ExportContainer,
    ExportRejected, Piece, PutBlock, PutRejected, ReadBlock, ReadRejected, WriteBlock, WriteRejected,
};
use futures_util::TryStreamExt;
use parking_lot::Mutex;
use raft_node::{HostConfig, LocalNetwork, RaftHost, Timings, WalOptions};
use rpc::{CallContext, CallError, Never, NotApplied, PeerRole};
use runtime::{Clock, ManualClock, SeededEntropy, Shutdown};
use scm_api::token::{Access, BlockToken, Target, TokenKey, TokenKeys};
use scm_api::*;
use types::*;

use crate::{Config, Datanode, Parts};

pub(super) const PIPELINE: PipelineId = PipelineId(7);
pub(super) const CONTAINER: ContainerId = ContainerId(3);
pub(super) const NOW: Timestamp = Timestamp(1_000_000);

/// Waits until it is so, and fails the test if it does not come to be.
pub(super) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) fn block(local: u64) -> BlockId {
    BlockId { container: CONTAINER, local }
}

pub(super) fn cx() -> CallContext {
    CallContext::local(RequestId::from_u128(1), Duration::from_secs(20))
}

/// Bytes of which no stretch is like another, in this block or in others.
pub(super) fn content(local: u64, length: usize) -> Bytes {
    let word = |i: u64| {
        let mixed = (local << 32 | i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 32)).to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8) as u64).flat_map(word).collect();
    bytes.truncate(length);
    bytes.into()
}

/// Hands out ids, keys and orders, and remembers what it was told.
#[derive(Debug, Default)]
pub(super) struct TestScm(Mutex<ScmState>);

#[derive(Debug, Default)]
struct ScmState {
    ids: BTreeMap<String, DatanodeId>,
    orders: BTreeMap<DatanodeId, Vec<Order>>,
    held: BTreeMap<(DatanodeId, ContainerId), ContainerReport>,
    pipelines: BTreeMap<DatanodeId, Vec<PipelineReport>>,
    disks: BTreeMap<DatanodeId, Vec<DiskReport>>,
    deleted: Vec<u64>,
}

pub(super) fn key() -> TokenKey {
    TokenKey { id: 1, secret: [5; 32], seals_until: Timestamp(u64::MAX), expires: Timestamp(u64::MAX) }
}

impl TestScm {
    pub(super) fn order(&self, datanode: DatanodeId, order: Order) {
        self.0.lock().orders.entry(datanode).or_default().push(order);
    }

    pub(super) fn report(&self, datanode: DatanodeId, container: ContainerId) -> Option<ContainerReport> {
        self.0.lock().held.get(&(datanode, container)).cloned()
    }

    pub(super) fn disks(&self, datanode: DatanodeId) -> Vec<DiskReport> {
        self.0.lock().disks.get(&datanode).cloned().unwrap_or_default()
    }

    pub(super) fn pipelines(&self, datanode: DatanodeId) -> Vec<PipelineReport> {
        self.0.lock().pipelines.get(&datanode).cloned().unwrap_or_default()
    }

    pub(super) fn has_deleted(&self, transaction: u64) -> bool {
        self.0.lock().deleted.contains(&transaction)
    }
}

fn not_here<R>() -> CallError<R> {
    CallError::unavailable("not asked in these tests")
}

#[async_trait]
impl Scm for TestScm {
    async fn register_datanode(
        &self,
        _: CallContext,
        request: RegisterDatanode,
    ) -> Result<DatanodeRegistered, CallError<RegisterRejected>> {
        let mut state = self.0.lock();
        let next = DatanodeId(state.ids.len() as u64 + 1);
        let id = *state.ids.entry(request.name).or_insert(next);
        assert!(request.id.is_none_or(|known| known == id), "a datanode keeps its id");
        Ok(DatanodeRegistered { id, cluster_id: ClusterId::from_u128(9).to_string(), heartbeat_every_ms: 20 })
    }

    async fn heartbeat(&self, _: CallContext, heartbeat: Heartbeat) -> Result<HeartbeatReply, CallError<HeartbeatRejected>> {
        let mut state = self.0.lock();
        if heartbeat.is_full_report {
            state.held.retain(|(datanode, _), _| *datanode != heartbeat.id);
        }
        for report in heartbeat.containers {
            let at = (heartbeat.id, report.container);
            match report.is_deleted {
                true => state.held.remove(&at),
                false => state.held.insert(at, report),
            };
        }
        state.pipelines.insert(heartbeat.id, heartbeat.pipelines);
        state.disks.insert(heartbeat.id, heartbeat.disks);
        state.deleted.extend(heartbeat.deleted);
        let orders = state.orders.remove(&heartbeat.id).unwrap_or_default();
        Ok(HeartbeatReply { orders, token_keys: Some(TokenKeys { keys: vec![key()] }) })
    }

    async fn lease_blocks(&self, _: CallContext, _: LeaseBlocks) -> Result<LeasedBlocks, CallError<LeaseRejected>> {
        Err(not_here())
    }
    async fn locate_containers(&self, _: CallContext, _: LocateContainers) -> Result<ContainerLocations, CallError<Never>> {
        Err(not_here())
    }
    async fn token_keys(&self, _: CallContext, (): ()) -> Result<TokenKeys, CallError<Never>> {
        Err(not_here())
    }
    async fn delete_blocks(&self, _: CallContext, _: DeleteBlocks) -> Result<(), CallError<Never>> {
        Err(not_here())
    }
    async fn overview(&self, _: CallContext, (): ()) -> Result<ScmOverview, CallError<Never>> {
        Err(not_here())
    }
    async fn datanodes(&self, _: CallContext, (): ()) -> Result<Vec<DatanodeInfo>, CallError<Never>> {
        Err(not_here())
    }
    async fn pipelines(&self, _: CallContext, (): ()) -> Result<Vec<PipelineInfo>, CallError<Never>> {
        Err(not_here())
    }
    async fn containers(&self, _: CallContext, _: ContainerPageRequest) -> Result<ContainerPage, CallError<Never>> {
        Err(not_here())
    }
    async fn leave_safe_mode(&self, _: CallContext, (): ()) -> Result<(), CallError<Never>> {
        Err(not_here())
    }
    async fn roles(&self, _: CallContext, (): ()) -> Result<RaftStatus, CallError<Never>> {
        Err(not_here())
    }
    async fn transfer_leadership(&self, _: CallContext, _: TransferLeadership) -> Result<(), CallError<TransferRejected>> {
        Err(not_here())
    }
}

/// The datanodes of one process by their endpoints. One that is not there is unreachable.
#[derive(Debug, Clone, Default)]
pub(super) struct LocalPeers(Arc<Mutex<BTreeMap<Endpoint, Arc<Datanode>>>>);

impl LocalPeers {
    fn at<R>(&self, replica: &Replica) -> Result<Arc<Datanode>, CallError<R>> {
        let unreachable = || CallError::NotApplied(NotApplied::Unreachable(replica.endpoint.to_string()));
        self.0.lock().get(&replica.endpoint).cloned().ok_or_else(unreachable)
    }

    pub(super) fn attach(&self, endpoint: &Endpoint, datanode: &Arc<Datanode>) {
        self.0.lock().insert(endpoint.clone(), Arc::clone(datanode));
    }

    pub(super) fn detach(&self, endpoint: &Endpoint) {
        self.0.lock().remove(endpoint);
    }
}

#[async_trait]
impl BlockAccess for LocalPeers {
    async fn write(
        &self,
        at: &Replica,
        cx: CallContext,
        request: WriteBlock,
        data: ByteStream,
    ) -> Result<BlockWritten, CallError<WriteRejected>> {
        self.at(at)?.write(at, cx, request, data).await
    }
    async fn put(&self, at: &Replica, cx: CallContext, request: PutBlock) -> Result<BlockPut, CallError<PutRejected>> {
        self.at(at)?.put(at, cx, request).await
    }
    async fn read(&self, at: &Replica, cx: CallContext, request: ReadBlock) -> Result<BlockData, CallError<ReadRejected>> {
        self.at(at)?.read(at, cx, request).await
    }
}

#[async_trait]
impl ContainerAccess for LocalPeers {
    async fn export(
        &self,
        at: &Replica,
        cx: CallContext,
        request: ExportContainer,
    ) -> Result<ByteStream, CallError<ExportRejected>> {
        self.at(at)?.export(at, cx, request).await
    }
}

/// What all datanodes of a test share.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) scm: Arc<TestScm>,
    pub(super) peers: LocalPeers,
    pub(super) network: LocalNetwork,
    pub(super) clock: Arc<ManualClock>,
    /// How long a machine may stay unflushed.
    pub(super) flush_every: Duration,
    /// Entries that a purge leaves in the log.
    pub(super) keep_entries: u64,
}

impl World {
    /// Nothing is flushed but by orders and at the end.
    pub(super) fn new() -> Self {
        Self {
            scm: Arc::default(),
            peers: LocalPeers::default(),
            network: LocalNetwork::default(),
            clock: Arc::new(ManualClock::at(NOW)),
            flush_every: Duration::from_secs(3600),
            keep_entries: 20_000,
        }
    }

    pub(super) async fn start(&self, name: &str, dir: &Path) -> Node {
        self.start_with(name, dir, |_| {}).await
    }

    pub(super) async fn start_with(&self, name: &str, dir: &Path, configure: impl FnOnce(&mut Config)) -> Node {
        let endpoint = Endpoint(format!("{name}:9882"));
        let rpc_endpoint = Endpoint(format!("{name}:9859"));
        let shutdown = Shutdown::default();
        let mut host = HostConfig::new(dir.join("wal"), PeerRole::Datanode);
        host.timings =
            Timings { heartbeat: Duration::from_millis(50), election: Duration::from_millis(300)..Duration::from_millis(600) };
        host.wal = WalOptions {
            first_segment_bytes: 2 << 20,
            segment_bytes: 8 << 20,
            max_command_bytes: 1 << 20,
            ..WalOptions::default()
        };
        host.compaction.flush_every = self.flush_every;
        host.compaction.flush_bytes = u64::MAX;
        host.compaction.keep_entries = self.keep_entries;
        let transport = self.network.transport(rpc_endpoint.clone(), PeerRole::Datanode);
        let raft = RaftHost::open(host, transport, shutdown.clone()).await.expect("the log opens");
        self.network.attach(rpc_endpoint.clone(), raft.service());
        let mut config = Config::new(name, vec![dir.join("disk")], endpoint.clone(), rpc_endpoint.clone());
        config.heartbeat_every = Duration::from_millis(20);
        config.scrub_bytes_per_second = 0;
        config.reserve_bytes = Some(0);
        config.ballast_bytes = Some(0);
        configure(&mut config);
        let parts = Parts {
            raft: raft.clone(),
            scm: Arc::clone(&self.scm) as Arc<dyn Scm>,
            peers: Arc::new(self.peers.clone()),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::new(SeededEntropy::new(dir.as_os_str().len() as u64)),
            shutdown: shutdown.clone(),
        };
        let datanode = Datanode::start(config, parts).await.expect("the datanode starts");
        datanode.ready().await;
        self.peers.attach(&endpoint, &datanode);
        let (_, id) = datanode.identity().expect("registered");
        let dir = dir.to_path_buf();
        Node { datanode, raft, id, member: MemberId(id.0), endpoint, rpc_endpoint, shutdown, world: self.clone(), dir }
    }

    /// Makes these the members of [`PIPELINE`], and waits until it has a leader.
    pub(super) async fn pipeline(&self, nodes: &[&Node]) {
        self.pipeline_named(PIPELINE, nodes).await;
    }

    pub(super) async fn pipeline_named(&self, id: PipelineId, nodes: &[&Node]) {
        let member = |node: &&Node| PipelineMember {
            member: node.member,
            datanode: node.id,
            rpc_endpoint: node.rpc_endpoint.clone(),
            data_endpoint: node.endpoint.clone(),
        };
        let members: Vec<PipelineMember> = nodes.iter().map(member).collect();
        for node in nodes {
            self.scm.order(node.id, Order::CreatePipeline { pipeline: id, members: members.clone() });
        }
        until("the pipeline has a leader", async || {
            let of = |node: &Node| self.scm.pipelines(node.id).into_iter().find(|report| report.pipeline == id);
            nodes.iter().all(|node| of(node).is_some())
                && nodes.iter().any(|node| of(node).is_some_and(|report| report.is_leader))
        })
        .await;
    }

    pub(super) fn client(&self) -> BlockClient {
        let config = ClientConfig {
            read_stall: Duration::from_millis(500),
            lag_patience: Duration::from_millis(300),
            ..ClientConfig::default()
        };
        BlockClient::new(Arc::new(self.peers.clone()), config)
    }
}

/// A running datanode.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) datanode: Arc<Datanode>,
    pub(super) raft: RaftHost,
    pub(super) id: DatanodeId,
    pub(super) member: MemberId,
    pub(super) endpoint: Endpoint,
    pub(super) rpc_endpoint: Endpoint,
    pub(super) shutdown: Shutdown,
    pub(super) world: World,
    pub(super) dir: PathBuf,
}

impl Node {
    pub(super) fn replica(&self) -> Replica {
        Replica { datanode: self.id, endpoint: self.endpoint.clone() }
    }

    pub(super) fn data_file(&self) -> PathBuf {
        self.dir.join("disk/containers").join(format!("{}.data", CONTAINER.0))
    }

    /// Ends it in order: everything is flushed.
    pub(super) async fn stop(self) {
        self.world.peers.detach(&self.endpoint);
        self.world.network.detach(&self.rpc_endpoint);
        self.shutdown.start();
        assert!(self.shutdown.drained(Duration::from_secs(20)).await, "everything ends");
        let weak = Arc::downgrade(&self.datanode);
        drop(self.datanode);
        until("the disks are free", async || weak.upgrade().is_none()).await;
    }

    /// What a killed process leaves: copies its directories as they are at this moment to `to`, then ends it.
    pub(super) async fn kill(self, to: &Path) {
        {
            let _no_commit: Vec<_> = self.datanode.inner().store.disks.iter().map(|disk| disk.commit.lock()).collect();
            copy_dir(&self.dir, to);
        }
        self.stop().await;
    }

    pub(super) async fn flush(&self) {
        let pipeline = self.datanode.inner().pipelines.get(PIPELINE).expect("a member");
        pipeline.group.compact().await.expect("flushes");
    }

    /// Reads through the datanode itself.
    pub(super) async fn read(&self, local: u64, offset: u64, length: u64) -> Result<Vec<u8>, String> {
        let token = seal(Target::Block(block(local)), Access::Read, offset + length);
        let request = ReadBlock { block: block(local), token, offset, length };
        let data = self.datanode.read(&self.replica(), cx(), request).await.map_err(|error| error.to_string())?;
        let bytes: Vec<Bytes> = data.stream.try_collect().await.map_err(|error| error.to_string())?;
        Ok(bytes.concat())
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("listed");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("known").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

pub(super) fn seal(target: Target, access: Access, max_length: u64) -> Bytes {
    BlockToken { target, access, max_length, expires: NOW + Millis(3_600_000), caller: "test".into() }.seal(&key())
}

pub(super) fn location(local: u64, nodes: &[&Node], access: Access, length: u64) -> BlockLocation {
    BlockLocation {
        block: block(local),
        pipeline: PIPELINE,
        replicas: nodes.iter().map(|node| node.replica()).collect(),
        length,
        token: seal(Target::Block(block(local)), access, length),
    }
}

/// Writes a block as a gateway does.
pub(super) async fn write(client: &BlockClient, nodes: &[&Node], local: u64, bytes: &Bytes) -> Result<u64, String> {
    let location = location(local, nodes, Access::Write, 1 << 30);
    let mut writer = client.writer(location, RequestId::from_u128(77));
    for piece in bytes.chunks(60_000) {
        let mut piece = bytes.slice_ref(piece);
        while !piece.is_empty() {
            writer.push(&mut piece).await.map_err(|error| error.to_string())?;
        }
    }
    writer.finish().await.map_err(|error| error.to_string())
}

/// Reads a stretch of a block as a gateway does.
pub(super) async fn read(client: &BlockClient, nodes: &[&Node], local: u64, offset: u64, length: u64) -> Result<Vec<u8>, String> {
    let location = location(local, nodes, Access::Read, offset + length);
    let pieces = vec![Piece { location, offset, length }];
    let stream = client.read(pieces, RequestId::from_u128(78)).await.map_err(|error| error.to_string())?;
    let bytes: Vec<Bytes> = stream.try_collect().await.map_err(|error| error.to_string())?;
    Ok(bytes.concat())
}
