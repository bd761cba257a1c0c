//! A small core, and clusters of it in one process over a network that can be cut.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raft_node::{
    CompactionPolicy, Core, Group, HostConfig, LocalNetwork, RaftHost, RaftTransport, TableMachine, TableOptions, Timings,
    WalOptions,
};
use rpc::PeerRole;
use runtime::Shutdown;
use tables::{StorageFault, Table, WriteTables};
use tempfile::TempDir;
use types::{Endpoint, GroupId, LogIndex, MemberId, RequestId};

pub(crate) const WORDS: Table = Table { id: 1, name: "words" };
pub(crate) const COUNTS: Table = Table { id: 2, name: "counts" };
pub(crate) const GROUP: GroupId = GroupId(7);

/// `word=value` sets a word; `word+` counts it. The answer is the word's count, or the index it was set at.
pub(crate) struct Words;

impl Core for Words {
    fn apply(&self, index: LogIndex, command: &[u8], tables: &mut dyn WriteTables) -> Result<Vec<u8>, StorageFault> {
        let text = std::str::from_utf8(command).map_err(|_| StorageFault("not a text".to_owned()))?;
        if let Some(word) = text.strip_suffix('+') {
            let before = tables.get(COUNTS, word.as_bytes())?.map_or(0, |count| count[0]);
            tables.put(COUNTS, word.as_bytes(), vec![before + 1]);
            return Ok(vec![before + 1]);
        }
        let (word, value) = text.split_once('=').ok_or_else(|| StorageFault(format!("neither set nor count: {text}")))?;
        tables.put(WORDS, word.as_bytes(), value.as_bytes().to_vec());
        Ok(index.0.to_be_bytes().to_vec())
    }
}

pub(crate) type Machine = TableMachine<Words>;

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

pub(crate) fn quick(dir: &Path) -> HostConfig {
    HostConfig {
        timings: Timings {
            heartbeat: Duration::from_millis(50),
            election: Duration::from_millis(300)..Duration::from_millis(600),
        },
        wal: WalOptions {
            first_segment_bytes: 1 << 20,
            segment_bytes: 1 << 20,
            max_command_bytes: 256 << 10,
            ..WalOptions::default()
        },
        compaction: CompactionPolicy { flush_every: Duration::from_millis(50), keep_entries: 4, ..Default::default() },
        ..HostConfig::new(dir, PeerRole::Om)
    }
}

pub(crate) struct Member {
    pub(crate) host: RaftHost,
    pub(crate) group: Group,
    pub(crate) machine: Arc<Machine>,
    pub(crate) shutdown: Shutdown,
    pub(crate) endpoint: Endpoint,
}

impl Member {
    pub(crate) async fn start(config: HostConfig, id: u64, transport: Arc<dyn RaftTransport>) -> Self {
        let shutdown = Shutdown::default();
        let rows = config.dir.join("rows.redb");
        std::fs::create_dir_all(&config.dir).expect("a folder");
        let host = RaftHost::open(config, transport, shutdown.clone()).await.expect("the log opens");
        let machine = Machine::open(&rows, Words, TableOptions { cache_bytes: 1 << 20, ..Default::default() });
        let machine = machine.expect("the tables open");
        let group = host.start_group(GROUP, MemberId(id), machine.clone()).await.expect("the group starts");
        Self { host, group, machine, shutdown, endpoint: endpoint(id) }
    }

    pub(crate) async fn stop(self) {
        let Self { host, group, machine, shutdown, .. } = self;
        shutdown.start();
        assert!(shutdown.drained(Duration::from_secs(20)).await, "everything ends");
        drop((host, group));
        // A message of another member may still be on its way out; the files are free once nothing holds the machine.
        let deadline = soon();
        while Arc::strong_count(&machine) > 1 {
            assert!(Instant::now() < deadline, "something still holds the machine");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) fn word(&self, word: &str) -> Option<String> {
        let value = self.machine.read(|tables, _| tables.get(WORDS, word.as_bytes())).expect("readable");
        value.map(|value| String::from_utf8(value).expect("text"))
    }

    pub(crate) fn count(&self, word: &str) -> u8 {
        let value = self.machine.read(|tables, _| tables.get(COUNTS, word.as_bytes())).expect("readable");
        value.map_or(0, |value| value[0])
    }

    pub(crate) async fn set(&self, word: &str, value: &str) -> LogIndex {
        let command = format!("{word}={value}").into_bytes();
        self.group.propose(None, command, soon()).await.expect("written").index
    }

    pub(crate) async fn until(&self, what: &str, mut reached: impl FnMut(&Self) -> bool) {
        let deadline = soon();
        while !reached(self) {
            assert!(Instant::now() < deadline, "{what}: never reached, {:?}", self.group.status());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(crate) fn endpoint(id: u64) -> Endpoint {
    Endpoint(format!("member-{id}:1"))
}

pub(crate) fn request(id: u128) -> Option<RequestId> {
    Some(RequestId::from_u128(id))
}

/// Three members or more, each with its folder, on one network.
pub(crate) struct Cluster {
    pub(crate) network: LocalNetwork,
    pub(crate) dir: TempDir,
    pub(crate) members: BTreeMap<u64, Member>,
}

impl Cluster {
    pub(crate) async fn start(ids: &[u64]) -> Self {
        let mut cluster =
            Self { network: LocalNetwork::default(), dir: TempDir::new().expect("a folder"), members: BTreeMap::new() };
        for id in ids {
            cluster.restart(*id).await;
        }
        let members = ids.iter().map(|id| (MemberId(*id), endpoint(*id))).collect();
        cluster.members[&ids[0]].group.bootstrap(members).await.expect("an empty group");
        cluster
    }

    /// Starts a member, for the first time or again.
    pub(crate) async fn restart(&mut self, id: u64) {
        let config = quick(&self.dir.path().join(id.to_string()));
        let transport = self.network.transport(endpoint(id), PeerRole::Om);
        let member = Member::start(config, id, transport).await;
        self.network.attach(endpoint(id), member.host.service());
        self.members.insert(id, member);
    }

    pub(crate) async fn stop(&mut self, id: u64) {
        self.network.detach(&endpoint(id));
        self.members.remove(&id).expect("running").stop().await;
    }

    /// The member that leads and is reached by a majority.
    pub(crate) async fn leader(&self) -> &Member {
        let deadline = soon();
        loop {
            for member in self.members.values() {
                if member.group.is_leader() && member.group.read_barrier(Instant::now() + Duration::from_secs(1)).await.is_ok() {
                    return member;
                }
            }
            assert!(Instant::now() < deadline, "nobody leads");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn follower(&self) -> &Member {
        let leader = self.leader().await.group.me();
        self.members.values().find(|member| member.group.me() != leader).expect("more than one")
    }
}
