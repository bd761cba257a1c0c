//! A real SCM on a real Raft group, and datanodes as values: they do what they are ordered, at once, and report it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use raft_node::{HostConfig, NoPeers, RaftHost, RaftTransport, TableMachine, TableOptions, Timings};
use rpc::{CallContext, CallError, PeerRole};
use runtime::{Clock, ManualClock, SeededEntropy, Shutdown};
use scm::{AuthorityParts, Config, Parts, ScmCore, ScmService};
use scm_api::token::TokenKeys;
use scm_api::{
    ContainerReport, DatanodeRegistered, DiskReport, Heartbeat, HeartbeatRejected, HeartbeatReply, LeaseBlocks, LeasedBlocks,
    Order, PipelineReport, RegisterDatanode, RegisterRejected, ReplicaState, Scm,
};
use tempfile::TempDir;
use types::{ContainerId, DatanodeId, Endpoint, GroupId, MemberId, Millis, PipelineId, Replication, RequestId, Timestamp};

pub(crate) const GROUP: GroupId = GroupId(1);

pub(crate) fn quick() -> Config {
    Config { pass_every: Duration::from_millis(20), close_full_after: Duration::from_secs(1), ..Config::default() }
}

pub(crate) fn cx() -> CallContext {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    CallContext::local(RequestId::from_u128(NEXT.fetch_add(1, Ordering::Relaxed).into()), Duration::from_secs(20))
}

/// One member's process.
pub(crate) struct Member {
    pub(crate) scm: Arc<ScmService>,
    pub(crate) host: RaftHost,
    shutdown: Shutdown,
}

impl Member {
    pub(crate) async fn start(
        dir: &Path,
        member: MemberId,
        transport: Arc<dyn RaftTransport>,
        config: Config,
        clock: Arc<ManualClock>,
        authority: Option<AuthorityParts>,
    ) -> (Self, raft_node::Group) {
        let shutdown = Shutdown::default();
        let timings =
            Timings { heartbeat: Duration::from_millis(100), election: Duration::from_millis(600)..Duration::from_millis(1200) };
        let host = HostConfig { timings, ..HostConfig::new(dir.join("log"), PeerRole::Scm) };
        let host = RaftHost::open(host, transport, shutdown.clone()).await.expect("opens");
        let machine = TableMachine::open(&dir.join("scm.redb"), ScmCore, TableOptions::default()).expect("opens");
        let group = host.start_group(GROUP, member, machine.clone()).await.expect("starts");
        let entropy = Arc::new(SeededEntropy::new(member.0 + clock.now().0));
        let parts = Parts { group: group.clone(), machine, clock, entropy, authority };
        let scm = ScmService::start(config, parts, shutdown.clone()).expect("valid settings");
        (Self { scm, host, shutdown }, group)
    }

    pub(crate) async fn stop(self) {
        self.shutdown.start();
        assert!(self.shutdown.drained(Duration::from_secs(20)).await, "everything ends");
    }
}

/// A cluster with an SCM of one member.
pub(crate) struct Cluster {
    pub(crate) member: Option<Member>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) datanodes: BTreeMap<&'static str, FakeDatanode>,
    /// Datanodes that do not speak.
    pub(crate) down: BTreeSet<&'static str>,
    config: Config,
    authority: Option<AuthorityParts>,
    dir: PathBuf,
    _temporary: TempDir,
}

impl Cluster {
    pub(crate) async fn start(config: Config) -> Self {
        Self::with_authority(config, None).await
    }

    pub(crate) async fn with_authority(config: Config, authority: Option<AuthorityParts>) -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::at(Timestamp(1_790_000_000_000)));
        let mut cluster = Self {
            member: None,
            clock,
            datanodes: BTreeMap::new(),
            down: BTreeSet::new(),
            config,
            authority,
            dir: temporary.path().to_path_buf(),
            _temporary: temporary,
        };
        let group = cluster.start_member().await;
        let me = BTreeMap::from([(MemberId(1), Endpoint("scm1:9863".into()))]);
        group.bootstrap(me).await.expect("new");
        cluster
    }

    async fn start_member(&mut self) -> raft_node::Group {
        let (clock, authority) = (Arc::clone(&self.clock), self.authority.clone());
        let (member, group) =
            Member::start(&self.dir, MemberId(1), Arc::new(NoPeers), self.config.clone(), clock, authority).await;
        self.member = Some(member);
        group
    }

    pub(crate) async fn restart(&mut self) {
        self.member.take().expect("it runs").stop().await;
        self.start_member().await;
    }

    pub(crate) fn scm(&self) -> &ScmService {
        &self.member.as_ref().expect("it runs").scm
    }

    /// Registered and running from now on.
    pub(crate) async fn add(&mut self, name: &'static str) {
        let datanode = FakeDatanode::register(self.scm(), name, None).await.expect("admitted");
        self.datanodes.insert(name, datanode);
        self.down.remove(name);
    }

    /// Some time passes; every datanode that is up sends a heartbeat and does what it is told.
    pub(crate) async fn beat(&mut self) {
        self.clock.advance(Millis(500));
        let all: Vec<&'static str> = self.datanodes.keys().copied().filter(|name| !self.down.contains(name)).collect();
        for name in all {
            self.beat_of(name).await;
        }
    }

    async fn beat_of(&mut self, name: &'static str) {
        let mut datanode = self.datanodes.remove(name).expect("known");
        let reply = datanode.beat(&*self.member.as_ref().expect("it runs").scm).await;
        let orders = match reply {
            Ok(reply) => reply.orders,
            Err(CallError::Rejected(HeartbeatRejected::NotRegistered)) => {
                let again = FakeDatanode::register(self.scm(), name, Some(datanode.id)).await.expect("admitted");
                datanode.incarnation = again.incarnation;
                datanode.must_report_in_full = true;
                Vec::new()
            }
            Err(other) => panic!("{name}: {other}"),
        };
        for order in orders {
            datanode.obey(order, &self.datanodes);
        }
        self.datanodes.insert(name, datanode);
    }

    /// Time passes until the condition holds.
    pub(crate) async fn until(&mut self, what: &str, mut holds: impl AsyncFnMut(&mut Self) -> bool) {
        for _ in 0..2_000 {
            if holds(self).await {
                return;
            }
            self.beat().await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let overview = self.scm().overview(cx(), ()).await;
        panic!("{what}: never; {overview:?}\n{:#?}", self.scm().status());
    }

    pub(crate) async fn until_writable(&mut self) {
        self.until("writable", async |cluster| cluster.lease(1).await.is_ok()).await;
    }

    pub(crate) async fn lease(&self, count: u32) -> Result<LeasedBlocks, CallError<scm_api::LeaseRejected>> {
        lease(self.scm(), self.config.replication, count).await
    }

    pub(crate) async fn container(&self, id: ContainerId) -> scm_api::ContainerInfo {
        let request = scm_api::ContainerPageRequest { after: Some(ContainerId(id.0 - 1)), limit: 1 };
        let page = self.scm().containers(cx(), request).await.expect("answers");
        page.containers.into_iter().next().expect("is there")
    }

    /// Every datanode of the container's pipeline gets this many bytes in one block.
    pub(crate) fn write(&mut self, container: ContainerId, pipeline: PipelineId, used: u64) {
        for datanode in self.datanodes.values_mut().filter(|d| d.pipelines.contains_key(&pipeline)) {
            if self.down.contains(datanode.name) {
                continue;
            }
            let replica = datanode.replicas.entry(container).or_insert_with(|| fresh(pipeline));
            replica.used += used;
            replica.blocks += 1;
            replica.commit_index += 1;
        }
    }

    /// Empty disks under the same name and address.
    pub(crate) async fn wipe(&mut self, name: &'static str) {
        self.datanodes.remove(name);
        self.add(name).await;
    }

    pub(crate) fn holders(&self, container: ContainerId) -> BTreeSet<&'static str> {
        self.datanodes.values().filter(|d| d.replicas.contains_key(&container)).map(|d| d.name).collect()
    }
}

pub(crate) async fn lease(
    scm: &dyn Scm,
    replication: Replication,
    count: u32,
) -> Result<LeasedBlocks, CallError<scm_api::LeaseRejected>> {
    scm.lease_blocks(cx(), LeaseBlocks { replication, count, exclude: Vec::new() }).await
}

#[derive(Debug, Clone)]
pub(crate) struct FakeReplica {
    pub(crate) state: ReplicaState,
    pub(crate) pipeline: PipelineId,
    pub(crate) commit_index: u64,
    pub(crate) blocks: u64,
    pub(crate) used: u64,
}

fn fresh(pipeline: PipelineId) -> FakeReplica {
    FakeReplica { state: ReplicaState::Open, pipeline, commit_index: 0, blocks: 0, used: 0 }
}

#[derive(Debug, Clone)]
pub(crate) struct FakeDatanode {
    pub(crate) name: &'static str,
    pub(crate) id: DatanodeId,
    pub(crate) incarnation: u64,
    /// Pipelines it serves, and whether it leads them.
    pub(crate) pipelines: BTreeMap<PipelineId, bool>,
    pub(crate) replicas: BTreeMap<ContainerId, FakeReplica>,
    pub(crate) keys: TokenKeys,
    pub(crate) must_report_in_full: bool,
    gone: Vec<ContainerId>,
    deleted: Vec<u64>,
    /// Deletions it was told of and keeps to itself.
    pub(crate) holds_back_deletions: bool,
    pub(crate) deletion_orders: u32,
}

pub(crate) fn introduction(name: &str, id: Option<DatanodeId>) -> RegisterDatanode {
    RegisterDatanode {
        id,
        name: name.into(),
        data_endpoint: Endpoint(format!("{name}:9882")),
        rpc_endpoint: Endpoint(format!("{name}:9859")),
        disks: disks(),
        rack: None,
    }
}

fn disks() -> Vec<DiskReport> {
    vec![DiskReport { path: "/data".into(), capacity: 1 << 40, used: 0, remaining: 1 << 40, failed: None }]
}

impl FakeDatanode {
    pub(crate) async fn register(
        scm: &dyn Scm,
        name: &'static str,
        id: Option<DatanodeId>,
    ) -> Result<Self, CallError<RegisterRejected>> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static INCARNATION: AtomicU64 = AtomicU64::new(1);
        let DatanodeRegistered { id, .. } = scm.register_datanode(cx(), introduction(name, id)).await?;
        Ok(Self {
            name,
            id,
            incarnation: INCARNATION.fetch_add(1, Ordering::Relaxed),
            pipelines: BTreeMap::new(),
            replicas: BTreeMap::new(),
            keys: TokenKeys::default(),
            must_report_in_full: true,
            gone: Vec::new(),
            deleted: Vec::new(),
            holds_back_deletions: false,
            deletion_orders: 0,
        })
    }

    pub(crate) fn heartbeat(&self) -> Heartbeat {
        let pipeline = |(id, is_leader): (&PipelineId, &bool)| PipelineReport {
            pipeline: *id,
            is_leader: *is_leader,
            term: 1,
            is_lagging: false,
        };
        let present = self.replicas.iter().map(|(id, replica)| report(*id, replica, false));
        let gone = self.gone.iter().map(|id| report(*id, &fresh(PipelineId(0)), true));
        Heartbeat {
            id: self.id,
            incarnation: self.incarnation,
            disks: disks(),
            pipelines: self.pipelines.iter().map(pipeline).collect(),
            containers: present.chain(gone).collect(),
            is_full_report: self.must_report_in_full,
            deleted: self.deleted.clone(),
        }
    }

    pub(crate) async fn beat(&mut self, scm: &dyn Scm) -> Result<HeartbeatReply, CallError<HeartbeatRejected>> {
        let reply = scm.heartbeat(cx(), self.heartbeat()).await?;
        self.must_report_in_full = false;
        self.gone.clear();
        self.deleted.clear();
        if let Some(keys) = &reply.token_keys {
            self.keys = keys.clone();
        }
        Ok(reply)
    }

    pub(crate) fn obey(&mut self, order: Order, others: &BTreeMap<&'static str, Self>) {
        match order {
            Order::CreatePipeline { pipeline, members } => {
                let leads = members.first().is_some_and(|first| first.datanode == self.id);
                self.pipelines.entry(pipeline).or_insert(leads);
            }
            Order::DestroyPipeline { pipeline } => {
                self.pipelines.remove(&pipeline);
                for replica in self.replicas.values_mut().filter(|r| r.pipeline == pipeline && r.state == ReplicaState::Open) {
                    replica.state = ReplicaState::QuasiClosed;
                }
            }
            Order::CloseContainer { container, pipeline } => {
                let replica = self.replicas.entry(container).or_insert_with(|| fresh(pipeline.unwrap_or(PipelineId(0))));
                if replica.state == ReplicaState::Open {
                    let through_the_log = pipeline.is_some_and(|pipeline| self.pipelines.contains_key(&pipeline));
                    replica.state = if through_the_log { ReplicaState::Closed } else { ReplicaState::QuasiClosed };
                }
            }
            Order::ReplicateContainer { container, sources } => {
                let source = others.values().find(|other| sources.iter().any(|source| source.datanode == other.id));
                if let Some(replica) = source.and_then(|source| source.replicas.get(&container)) {
                    self.replicas.entry(container).or_insert_with(|| replica.clone());
                }
            }
            Order::DeleteContainer { container } => {
                self.replicas.remove(&container);
                self.gone.push(container);
            }
            Order::DeleteBlocks { transaction, blocks } => {
                self.deletion_orders += 1;
                if !self.holds_back_deletions {
                    for block in blocks {
                        if let Some(replica) = self.replicas.get_mut(&block.container) {
                            replica.blocks = replica.blocks.saturating_sub(1);
                        }
                    }
                    self.deleted.push(transaction);
                }
            }
            Order::ReportInFull => self.must_report_in_full = true,
        }
    }
}

fn report(container: ContainerId, replica: &FakeReplica, is_deleted: bool) -> ContainerReport {
    let FakeReplica { state, commit_index, blocks, used, .. } = *replica;
    ContainerReport { container, state, commit_index, blocks, used, missing_blocks: 0, is_deleted }
}
