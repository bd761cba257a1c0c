//! One leadership: what the leader keeps in memory from its beginning to its end.
//!
//! It begins empty each time and is usable only after the rows here have come to the end of the log, and the cluster has been
//! initialised. Another term is another leadership, even of the same member: what datanodes were told in between is unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use raft_node::Leadership;
use rpc::CallError;
use scm_api::DiskReport;
use scm_core::census::{Census, HealthPolicy};
use scm_core::plan::containers::Full;
use scm_core::plan::deletions::Deleting;
use scm_core::plan::pipelines::Waiting;
use scm_core::plan::repairs::Underway;
use scm_core::plan::safe_mode::Awaited;
use tokio::sync::watch;
use types::{DatanodeId, Endpoint, Timestamp};

use crate::uptime::Uptime;

/// The soft state.
#[derive(Debug)]
pub(crate) struct Soft {
    term: u64,
    pub(crate) census: Census,
    pub(crate) waiting: Waiting,
    pub(crate) full: Full,
    pub(crate) underway: Underway,
    pub(crate) deleting: Deleting,
    /// Deletions that datanodes are done with and the rows do not say yet.
    pub(crate) acknowledged: BTreeMap<DatanodeId, BTreeSet<u64>>,
    pub(crate) safe_mode: SafeMode,
    pub(crate) spoken: BTreeMap<DatanodeId, Spoken>,
    pub(crate) leases: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SafeMode {
    On(Vec<Awaited>),
    Off,
}

/// A datanode's last heartbeat, as far as the census has no use for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spoken {
    pub(crate) last: Option<Timestamp>,
    pub(crate) disks: Vec<DiskReport>,
    pub(crate) keys: KeysSent,
}

/// Which token keys a datanode was sent. A reply can be lost, so new keys go out with several in a row, and again now and then.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeysSent {
    newest: Option<u32>,
    since: u32,
}

const KEYS_AT_FIRST: u32 = 3;
const KEYS_AGAIN_EVERY: u32 = 16;

impl KeysSent {
    /// Whether they go with this reply.
    pub(crate) fn are_due(&mut self, newest: Option<u32>) -> bool {
        if self.newest != newest {
            *self = Self { newest, since: 0 };
        }
        self.since = self.since.wrapping_add(1);
        self.since <= KEYS_AT_FIRST || self.since.is_multiple_of(KEYS_AGAIN_EVERY)
    }
}

impl Soft {
    fn begin(term: u64, health: HealthPolicy, uptime: &Uptime) -> Self {
        Self {
            term,
            census: Census::begin(health, uptime.now()),
            waiting: Waiting::default(),
            full: Full::default(),
            underway: Underway::default(),
            deleting: Deleting::default(),
            acknowledged: BTreeMap::new(),
            safe_mode: SafeMode::On(Vec::new()),
            spoken: BTreeMap::new(),
            leases: 0,
        }
    }
}

/// This member does not lead, or not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotLeading(Option<Endpoint>);

impl<R> From<NotLeading> for CallError<R> {
    fn from(NotLeading(leader): NotLeading) -> Self {
        Self::not_leader(leader)
    }
}

impl From<NotLeading> for runtime::PassError {
    fn from(_: NotLeading) -> Self {
        Self::NotLeader
    }
}

/// How long a call waits for a leadership that is just beginning here.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long it waits while nobody is known to lead: most elections are over by then, and another member may know more.
const PATIENCE_WITHOUT_LEADER: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Leader {
    leadership: watch::Receiver<Leadership>,
    /// The term whose soft state may be used.
    term: watch::Sender<Option<u64>>,
    soft: Mutex<Option<Soft>>,
    uptime: Arc<Uptime>,
    health: HealthPolicy,
}

impl Leader {
    pub(crate) fn new(leadership: watch::Receiver<Leadership>, uptime: Arc<Uptime>, health: HealthPolicy) -> Self {
        Self { leadership, term: watch::Sender::new(None), soft: Mutex::new(None), uptime, health }
    }

    /// Who leads, as it changes.
    pub(crate) fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// The rows have come to the end of the log as of this term.
    pub(crate) fn begin(&self, term: u64) {
        *self.soft.lock() = Some(Soft::begin(term, self.health, &self.uptime));
        self.term.send_replace(Some(term));
    }

    pub(crate) fn end(&self) {
        self.term.send_replace(None);
        *self.soft.lock() = None;
    }

    /// Looks at, or changes, the soft state of the present leadership. The time in it is now.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Soft) -> T) -> Result<T, NotLeading> {
        let leadership = self.leadership.borrow().clone();
        let elsewhere = NotLeading(leadership.leader.filter(|_| !leadership.is_me).map(|(_, endpoint)| endpoint));
        if !leadership.is_me {
            return Err(elsewhere);
        }
        let mut soft = self.soft.lock();
        match soft.as_mut().filter(|soft| soft.term == leadership.term) {
            Some(soft) => {
                soft.census.advance(self.uptime.now());
                Ok(act(soft))
            }
            None => Err(elsewhere),
        }
    }

    /// Waits a little for a leadership that is just beginning. Where another member leads, the caller is sent there at once.
    pub(crate) async fn ready(&self, deadline: Instant) -> Result<(), NotLeading> {
        let began = Instant::now();
        let mut term = self.term.subscribe();
        let mut leadership = self.leadership.clone();
        loop {
            term.borrow_and_update();
            let now = leadership.borrow_and_update().clone();
            let Err(not_leading) = self.with(|_| ()) else {
                return Ok(());
            };
            let patience = match now.leader {
                _ if now.is_me => PATIENCE,
                None => PATIENCE_WITHOUT_LEADER,
                Some(_) => return Err(not_leading),
            };
            let changed = async {
                tokio::select! {
                    _ = term.changed() => {}
                    _ = leadership.changed() => {}
                }
            };
            let until = deadline.min(began + patience);
            if tokio::time::timeout_at(until.into(), changed).await.is_err() {
                return Err(not_leading);
            }
        }
    }

    /// Time is looked at now and then even when nobody calls.
    pub(crate) fn tick(&self) {
        self.uptime.now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_keys_go_out_with_several_replies_and_again_later() {
        let mut sent = KeysSent::default();
        let due: Vec<bool> = (0..17).map(|_| sent.are_due(Some(1))).collect();
        assert_eq!(due.iter().filter(|due| **due).count(), 4);
        assert!(due[..3].iter().all(|due| *due) && due[15]);
        assert!(sent.are_due(Some(2)), "a new key is sent at once");
    }
}
