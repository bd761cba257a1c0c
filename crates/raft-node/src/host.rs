//! The groups of one process, and what they share.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openraft::{Config, SnapshotPolicy};
use parking_lot::RwLock;
use rpc::{PeerRole, Service};
use runtime::Shutdown;
use tokio::sync::{oneshot, watch};
use types::{GroupId, MemberId};

use crate::group::{Failure, Group};
use crate::raft::{GroupEntry, LogStore, MachineAdapter, Network, Raft, RaftService};
use crate::wal::{Wal, WalOptions};
use crate::{OpenError, Progress, RaftTransport, StateMachine};

/// How patient members are with each other. Clocks may run at slightly different rates; nothing depends on what they show.
#[derive(Debug, Clone)]
pub struct Timings {
    pub heartbeat: Duration,
    /// A member that hears nothing from a leader for a time between these stands for election. A leader that hears nothing from a
    /// majority for the longer one takes no more writes.
    pub election: std::ops::Range<Duration>,
}

impl Timings {
    /// For so long after a majority was heard of no other member can lead, with room for clocks that run at different rates: those
    /// that stay up have promised more, and one that was restarted helps nobody to lead before the shorter election time is over.
    pub(crate) fn read_lease(&self) -> Duration {
        self.election.start * 2 / 3
    }
}

impl Default for Timings {
    /// Loaded disks sync in milliseconds and loaded processors pause for longer: several heartbeats may be lost before anybody
    /// stands for election.
    fn default() -> Self {
        Self { heartbeat: Duration::from_millis(250), election: Duration::from_millis(1000)..Duration::from_millis(2000) }
    }
}

/// When the machines' own storage is written, and how much of the log is kept.
#[derive(Debug, Clone)]
pub struct CompactionPolicy {
    /// The machine is flushed this often, if it has anything to flush.
    pub flush_every: Duration,
    /// And as soon as about this many bytes were applied.
    pub flush_bytes: u64,
    /// The log is purged when it holds more entries or bytes than this.
    pub log_entries: u64,
    pub log_bytes: u64,
    /// Entries that stay for followers that are a little behind; one that is further behind gets a snapshot.
    pub keep_entries: u64,
}

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self {
            flush_every: Duration::from_secs(1),
            flush_bytes: 8 << 20,
            log_entries: 50_000,
            log_bytes: 256 << 20,
            keep_entries: 20_000,
        }
    }
}

#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Where the log's segments are.
    pub dir: PathBuf,
    /// What this process is; members of its groups are processes of the same role.
    pub role: PeerRole,
    pub timings: Timings,
    pub wal: WalOptions,
    pub compaction: CompactionPolicy,
    /// Commands under way at once in one group, by their bytes; more wait their turn.
    pub proposal_bytes: usize,
}

impl HostConfig {
    pub fn new(dir: impl Into<PathBuf>, role: PeerRole) -> Self {
        Self {
            dir: dir.into(),
            role,
            timings: Timings::default(),
            wal: WalOptions::default(),
            compaction: CompactionPolicy::default(),
            proposal_bytes: 64 << 20,
        }
    }

    fn raft(&self) -> Result<Config, OpenError> {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let config = Config {
            cluster_name: format!("{:?}", self.role),
            heartbeat_interval: millis(self.timings.heartbeat),
            election_timeout_min: millis(self.timings.election.start),
            election_timeout_max: millis(self.timings.election.end),
            enable_pre_vote: Some(true),
            // We say when: a purge needs only a flush, and never removes what the machine does not hold.
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: u64::MAX,
            // Messages are bounded by bytes, see `LogStore`.
            max_payload_entries: 4096,
            backoff: "50ms 100ms ...1s".to_owned(),
            ..Config::default()
        };
        config.validate().map_err(|error| OpenError::Config(error.to_string()))
    }
}

/// One per process. Cloning it gives another handle to the same log and groups.
#[derive(Clone)]
pub struct RaftHost(Arc<Host>);

struct Host {
    config: HostConfig,
    raft_config: Arc<Config>,
    wal: Wal,
    transport: Arc<dyn RaftTransport>,
    /// What the service delivers to; shared with it.
    entries: Arc<RwLock<HashMap<GroupId, Arc<GroupEntry>>>>,
    groups: tokio::sync::Mutex<HashMap<GroupId, Group>>,
    failure: Failure,
    shutdown: Shutdown,
}

impl fmt::Debug for RaftHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftHost").field("dir", &self.0.config.dir).finish_non_exhaustive()
    }
}

impl RaftHost {
    /// Reads the log back. When `shutdown` starts, the groups stop, their machines are flushed and the log is closed.
    pub async fn open(config: HostConfig, transport: Arc<dyn RaftTransport>, shutdown: Shutdown) -> Result<Self, OpenError> {
        let raft_config = Arc::new(config.raft()?);
        let (dir, options) = (config.dir.clone(), config.wal.clone());
        let wal = tokio::task::spawn_blocking(move || Wal::open(&dir, options));
        let wal = wal.await.map_err(|error| OpenError::Raft(error.to_string()))??;
        let host = Self(Arc::new(Host {
            config,
            raft_config,
            wal,
            transport,
            entries: Arc::default(),
            groups: tokio::sync::Mutex::default(),
            failure: watch::Sender::new(None),
            shutdown: shutdown.clone(),
        }));
        let at_end = host.clone();
        shutdown.spawn(async move {
            at_end.0.shutdown.started().await;
            at_end.stop().await;
        });
        Ok(host)
    }

    /// The groups that have a log here, running or not: a datanode's pipelines after a restart.
    pub fn groups_on_disk(&self) -> Vec<GroupId> {
        self.0.wal.groups()
    }

    /// Which member of a group lives here, if its log does.
    pub fn member_on_disk(&self, group: GroupId) -> Option<MemberId> {
        self.0.wal.head(group).map(|head| MemberId(head.me))
    }

    /// Runs this process's member of a group. `me` must be the id its log was begun with.
    pub async fn start_group(&self, group: GroupId, me: MemberId, machine: Arc<dyn StateMachine>) -> Result<Group, OpenError> {
        let mut groups = self.0.groups.lock().await;
        if groups.contains_key(&group) {
            return Err(OpenError::AlreadyRunning(group));
        }
        let progress = self.begin_log(group, me, &machine).await?;
        let host = &*self.0;
        let vote = host.wal.head(group).and_then(|head| head.vote);
        let promised = vote.is_some_and(|vote| vote.term > 0 && vote.leader != me.0);
        let silence = if promised { host.config.timings.election.start } else { Duration::ZERO };
        let silent_until = Instant::now() + silence;
        let adapter = MachineAdapter::new(machine, progress, host.config.compaction.flush_bytes);
        let network = Network::new(group, Arc::clone(&host.transport), host.config.timings.election.end);
        let log = LogStore::new(host.wal.clone(), group);
        let raft = Raft::new(me.0, Arc::clone(&host.raft_config), network.clone(), log, adapter.clone());
        let raft = raft.await.map_err(|error| OpenError::Raft(error.to_string()))?;
        adapter.set_running();
        let entry = GroupEntry::new(me.0, raft.clone(), Arc::clone(adapter.machine()), silent_until);
        host.entries.write().insert(group, Arc::new(entry));
        let started = Group::start(group, raft, adapter, host.wal.clone(), network, host.config.clone(), host.failure.clone());
        started.stand_if_alone().await;
        groups.insert(group, started.clone());
        Ok(started)
    }

    /// Makes sure that log, machine and member belong together, and that the log knows of the group.
    async fn begin_log(&self, group: GroupId, me: MemberId, machine: &Arc<dyn StateMachine>) -> Result<Progress, OpenError> {
        let asked = Arc::clone(machine);
        let progress = tokio::task::spawn_blocking(move || asked.progress()).await;
        let progress = progress.map_err(|error| OpenError::Raft(error.to_string()))??;
        let dir = &self.0.config.dir;
        let mismatch = |what: String| OpenError::Mismatch { dir: dir.clone(), group, what };
        match self.0.wal.head(group) {
            Some(head) if head.me != me.0 => Err(mismatch(format!("the log is that of {}, not of {me}", MemberId(head.me)))),
            Some(head) if progress.applied < head.purged => {
                Err(mismatch(format!("the state ends at {}, the log begins behind it", progress.index())))
            }
            Some(_) => Ok(progress),
            // Its votes went with its log: it must not vote again under the same id.
            None if progress.applied.is_some() => Err(mismatch(format!(
                "the state holds entries up to {} but there is no log; the member must join anew under a fresh id",
                progress.index()
            ))),
            None => {
                let (done, synced) = oneshot::channel();
                self.0.wal.start_group(group, me.0, Box::new(move |outcome| drop(done.send(outcome))));
                let synced = synced.await.unwrap_or_else(|_| Err(std::io::Error::other("the log was closed")));
                synced.map_err(OpenError::io("writing to the log in", dir))?;
                Ok(progress)
            }
        }
    }

    /// Stops a group, if it runs. Its log stays: the group can be started again from it.
    pub async fn stop_group(&self, group: GroupId) {
        self.stop_one(&mut *self.0.groups.lock().await, group).await;
    }

    async fn stop_one(&self, groups: &mut HashMap<GroupId, Group>, group: GroupId) {
        if let Some(entry) = self.0.entries.write().remove(&group) {
            entry.close();
        }
        if let Some(running) = groups.remove(&group) {
            running.shutdown().await;
        }
    }

    /// Stops a group, if it runs, and forgets its log. The machine's own storage is the caller's to delete, afterwards.
    pub async fn remove_group(&self, group: GroupId) -> Result<(), OpenError> {
        let mut groups = self.0.groups.lock().await;
        self.stop_one(&mut groups, group).await;
        if self.0.wal.head(group).is_none() {
            return Ok(());
        }
        let (done, synced) = oneshot::channel();
        self.0.wal.remove_group(group, Box::new(move |outcome| drop(done.send(outcome))));
        let synced = synced.await.unwrap_or_else(|_| Err(std::io::Error::other("the log was closed")));
        synced.map_err(OpenError::io("writing to the log in", &self.0.config.dir))
    }

    /// Takes the messages of other members, for all groups.
    pub fn service(&self) -> Arc<dyn Service> {
        Arc::new(RaftService::new(self.0.config.role, Arc::clone(&self.0.entries)))
    }

    /// Resolves when the log, a group or its machine met a fault after which this process must end. Never otherwise.
    pub async fn failed(&self) -> String {
        let mut log = self.0.wal.failure();
        let mut groups = self.0.failure.subscribe();
        let of_log = log.wait_for(Option::is_some);
        let of_groups = groups.wait_for(Option::is_some);
        let failed = tokio::select! {
            failed = of_log => failed.map(|text| text.clone()),
            failed = of_groups => failed.map(|text| text.clone()),
        };
        match failed {
            Ok(Some(text)) => text,
            // Without a failure the channel closes only with the host itself.
            _ => std::future::pending().await,
        }
    }

    /// How often the log was synced since it was opened.
    pub fn wal_syncs(&self) -> u64 {
        self.0.wal.syncs()
    }

    async fn stop(&self) {
        let groups: Vec<Group> = self.0.groups.lock().await.drain().map(|(_, group)| group).collect();
        self.0.entries.write().drain().for_each(|(_, entry)| entry.close());
        for group in groups {
            group.shutdown().await;
        }
        let wal = self.0.wal.clone();
        if tokio::task::spawn_blocking(move || wal.close()).await.is_err() {
            tracing::error!("closing the log panicked");
        }
    }
}
