//! The pipelines that this datanode is a member of: each a Raft group whose state is containers on one disk.
//!
//! A pipeline lives on one disk, so that a failed disk takes with it exactly the pipelines that lived there.

mod apply;
mod machine;
mod snapshot;
mod spool;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use datanode_core::record::ContainerState;
use datanode_core::rows::{GroupMember, GroupRow};
use parking_lot::{Mutex, RwLock};
use raft_node::{BootstrapError, Group, OpenError, RaftHost};
use runtime::Reconcilers;
use scm_api::{PipelineMember, PipelineReport};
use tracing::{error, info, warn};
use types::{DatanodeId, Endpoint, GroupId, MemberId, PipelineId, Replica};

use crate::disk::{Changes, Disk, DiskError};
use crate::store::Store;
pub(crate) use machine::PipelineMachine;

/// A pipeline's group has the pipeline's number.
pub(crate) fn group_of(pipeline: PipelineId) -> GroupId {
    GroupId(pipeline.0)
}

const YIELD_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) id: PipelineId,
    pub(crate) disk: Arc<Disk>,
    pub(crate) group: Group,
    pub(crate) machine: PipelineMachine,
    members: Vec<GroupMember>,
}

impl Pipeline {
    /// Where the leader takes blocks, if it is known.
    pub(crate) fn leader_endpoint(&self) -> Option<Endpoint> {
        let (leader, _) = self.group.leader()?;
        self.members.iter().find(|member| member.member == leader).map(|member| member.data_endpoint.clone())
    }

    /// The other members, as replicas to fetch from.
    pub(crate) fn peers(&self) -> Vec<Replica> {
        let others = self.members.iter().filter(|member| member.member != self.group.me());
        others.map(|member| Replica { datanode: member.datanode, endpoint: member.data_endpoint.clone() }).collect()
    }

    fn report(&self) -> PipelineReport {
        let status = self.group.status();
        let is_leader = self.group.is_leader();
        // Beyond what the log still holds, a member can only be brought back by a snapshot and by fetching every block.
        let lags = |member: &raft_node::MemberStatus| member.matched.is_some_and(|matched| matched < status.purged);
        let is_lagging = is_leader && status.members.iter().any(lags);
        PipelineReport { pipeline: self.id, is_leader, term: status.term, is_lagging }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PipelineError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Group(#[from] OpenError),
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    #[error("this datanode is not among the members")]
    NotAMember,
    #[error("no disk is in service")]
    NoDisk,
    #[error("its disk cannot carry out what its log holds")]
    Stopped,
    #[error("a task ended: {0}")]
    Ended(String),
}

#[derive(Debug)]
pub(crate) struct Pipelines {
    host: RaftHost,
    store: Arc<Store>,
    services: Reconcilers,
    running: RwLock<BTreeMap<PipelineId, Arc<Pipeline>>>,
    /// Those whose machine carries out no more entries, and their disks. Their logs are kept.
    stopped: Mutex<BTreeMap<PipelineId, Arc<Disk>>>,
    /// Pipelines are begun and ended one at a time.
    changing: tokio::sync::Mutex<()>,
    is_loaded: AtomicBool,
}

impl Pipelines {
    pub(crate) fn new(host: RaftHost, store: Arc<Store>, services: Reconcilers) -> Self {
        let (running, stopped, changing) = Default::default();
        Self { host, store, services, running, stopped, changing, is_loaded: AtomicBool::new(false) }
    }

    /// Whether the pipelines of before the start run again: before that, one that is not here may yet be.
    pub(crate) fn is_loaded(&self) -> bool {
        self.is_loaded.load(Ordering::Acquire)
    }

    pub(crate) fn get(&self, pipeline: PipelineId) -> Option<Arc<Pipeline>> {
        self.running.read().get(&pipeline).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Pipeline>> {
        self.running.read().values().cloned().collect()
    }

    pub(crate) fn reports(&self) -> Vec<PipelineReport> {
        self.all().iter().filter(|pipeline| pipeline.machine.failure().is_none()).map(|pipeline| pipeline.report()).collect()
    }

    /// Takes pipelines whose machine stopped out of their groups: what a member acknowledges it should also hold. Those that
    /// stopped for want of space begin again, from their logs, when there is some.
    pub(crate) async fn tend(&self) {
        // Where one is begun or ended at this moment, the next heartbeat sees to it.
        let Ok(_one_at_a_time) = self.changing.try_lock() else { return };
        for pipeline in self.all() {
            let Some(why) = pipeline.machine.failure() else { continue };
            yield_lead(&pipeline).await;
            self.running.write().remove(&pipeline.id);
            self.stopped.lock().insert(pipeline.id, Arc::clone(&pipeline.disk));
            self.host.stop_group(group_of(pipeline.id)).await;
            warn!(pipeline = %pipeline.id, %why, "stopped");
        }
        let has_room = |disk: &Disk| disk.failure().is_none() && !disk.room.ballast.is_released() && disk.space().remaining > 0;
        let waiting: Vec<_> = self.stopped.lock().iter().map(|(id, disk)| (*id, Arc::clone(disk))).collect();
        for (pipeline, disk) in waiting.into_iter().filter(|(_, disk)| has_room(disk)) {
            match self.resume(pipeline, &disk).await {
                Ok(()) => info!(%pipeline, "goes on"),
                Err(error) => warn!(%pipeline, %error, "cannot go on yet"),
            }
        }
    }

    async fn resume(&self, pipeline: PipelineId, disk: &Arc<Disk>) -> Result<(), PipelineError> {
        let reading = Arc::clone(disk);
        let rows = blocking(move || reading.index.groups().map_err(|fault| reading.fault(fault))).await?;
        if let Some(row) = rows.get(&pipeline) {
            self.start_or_close(pipeline, disk, row.clone()).await?;
        }
        self.stopped.lock().remove(&pipeline);
        Ok(())
    }

    /// Starts the pipelines that the disks know.
    pub(crate) async fn load(&self) -> Result<(), PipelineError> {
        let _one_at_a_time = self.changing.lock().await;
        for disk in &self.store.disks {
            let groups = blocking({
                let disk = Arc::clone(disk);
                move || disk.index.groups().map_err(|fault| disk.fault(fault))
            })
            .await?;
            for (pipeline, row) in groups {
                self.start_or_close(pipeline, disk, row).await?;
            }
        }
        self.close_orphans().await?;
        self.is_loaded.store(true, Ordering::Release);
        Ok(())
    }

    async fn start_or_close(&self, pipeline: PipelineId, disk: &Arc<Disk>, row: GroupRow) -> Result<(), PipelineError> {
        match self.start(pipeline, Arc::clone(disk), row).await {
            Ok(_) => Ok(()),
            // The log is not the one that belongs to this state: it was lost, the index was rebuilt from files that end before
            // it, or a snapshot that could not be taken in has taken the log's place. What is here is kept and closed; the SCM
            // decides which replica is fullest.
            Err(PipelineError::Group(OpenError::Mismatch { what, .. })) => {
                error!(%pipeline, %what, "the pipeline cannot go on; its containers are closed as they are");
                self.quasi_close(pipeline, disk).await
            }
            Err(error) => Err(error),
        }
    }

    /// Open containers of pipelines that are not here any more: a rebuilt index, or a crash while a pipeline was ended.
    async fn close_orphans(&self) -> Result<(), PipelineError> {
        let mut orphans = BTreeMap::new();
        for container in self.store.containers() {
            let row = container.row();
            if row.state == ContainerState::Open && self.get(row.pipeline).is_none() {
                orphans.insert(row.pipeline, Arc::clone(&container.disk));
            }
        }
        for (pipeline, disk) in orphans {
            self.quasi_close(pipeline, &disk).await?;
        }
        Ok(())
    }

    async fn start(&self, pipeline: PipelineId, disk: Arc<Disk>, row: GroupRow) -> Result<Arc<Pipeline>, PipelineError> {
        let (me, members) = (row.me, row.members.clone());
        let machine = PipelineMachine::new(pipeline, Arc::clone(&disk), Arc::clone(&self.store), row, self.services.clone())
            .map_err(|fault| disk.fault(fault))?;
        let group = self.host.start_group(group_of(pipeline), me, Arc::new(machine.clone())).await?;
        let started = Arc::new(Pipeline { id: pipeline, disk, group, machine, members });
        self.running.write().insert(pipeline, Arc::clone(&started));
        Ok(started)
    }

    /// Becomes a member of a pipeline. The same order again does what the first left undone.
    pub(crate) async fn create(
        &self,
        pipeline: PipelineId,
        members: Vec<PipelineMember>,
        me: DatanodeId,
    ) -> Result<(), PipelineError> {
        let _one_at_a_time = self.changing.lock().await;
        self.check_stopped(pipeline)?;
        let own = members.iter().find(|member| member.datanode == me).ok_or(PipelineError::NotAMember)?.member;
        let bootstraps = members.first().is_some_and(|first| first.datanode == me);
        let running = match self.get(pipeline) {
            Some(running) => running,
            None => {
                let load = |disk: &Disk| self.all().iter().filter(|one| std::ptr::eq(&*one.disk, disk)).count();
                let disk = self.store.choose_disk(load).ok_or(PipelineError::NoDisk)?;
                let member = |member: &PipelineMember| GroupMember {
                    member: member.member,
                    datanode: member.datanode,
                    rpc_endpoint: member.rpc_endpoint.clone(),
                    data_endpoint: member.data_endpoint.clone(),
                };
                let row = GroupRow {
                    group: group_of(pipeline),
                    me: own,
                    members: members.iter().map(member).collect(),
                    progress: Vec::new(),
                    index: 0,
                };
                // Before the log: a log without a row would be nobody's, and its container's writes refused.
                self.commit(&disk, Changes { groups: vec![(pipeline, Some(row.clone()))], ..Changes::default() }).await?;
                let started = self.start(pipeline, disk, row).await?;
                info!(%pipeline, members = members.len(), "joined pipeline");
                started
            }
        };
        if bootstraps && !running.group.is_initialised() {
            let addresses: BTreeMap<MemberId, Endpoint> =
                members.into_iter().map(|member| (member.member, member.rpc_endpoint)).collect();
            match running.group.bootstrap(addresses).await {
                Ok(()) | Err(BootstrapError::AlreadyInitialised) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Leaves a pipeline: its open containers are closed as they are here, its log is forgotten.
    pub(crate) async fn destroy(&self, pipeline: PipelineId) -> Result<(), PipelineError> {
        let _one_at_a_time = self.changing.lock().await;
        self.check_stopped(pipeline)?;
        let Some(disk) = self.disk_of(pipeline).await? else { return Ok(()) };
        // Out of the table first, so that no new write comes in; then the group, so that no entry does.
        self.running.write().remove(&pipeline);
        self.host.remove_group(group_of(pipeline)).await?;
        self.quasi_close(pipeline, &disk).await?;
        self.commit(&disk, Changes { groups: vec![(pipeline, None)], ..Changes::default() }).await?;
        info!(%pipeline, "left pipeline");
        Ok(())
    }

    /// The log of one that stopped may hold the only copy of what was acknowledged: nothing is done about it before it goes on.
    pub(crate) fn check_stopped(&self, pipeline: PipelineId) -> Result<(), PipelineError> {
        let is_stopped = self.stopped.lock().contains_key(&pipeline)
            || self.get(pipeline).is_some_and(|running| running.machine.failure().is_some());
        if is_stopped { Err(PipelineError::Stopped) } else { Ok(()) }
    }

    /// The disk with the pipeline's row, whether the pipeline runs or could not be started.
    async fn disk_of(&self, pipeline: PipelineId) -> Result<Option<Arc<Disk>>, PipelineError> {
        if let Some(running) = self.get(pipeline) {
            return Ok(Some(Arc::clone(&running.disk)));
        }
        let disks = self.store.disks.clone();
        blocking(move || {
            for disk in disks.iter().filter(|disk| disk.failure().is_none()) {
                if disk.index.groups().map_err(|fault| disk.fault(fault))?.contains_key(&pipeline) {
                    return Ok(Some(Arc::clone(disk)));
                }
            }
            Ok(None)
        })
        .await
    }

    async fn quasi_close(&self, pipeline: PipelineId, disk: &Arc<Disk>) -> Result<(), PipelineError> {
        let (store, disk) = (Arc::clone(&self.store), Arc::clone(disk));
        blocking(move || {
            for container in store.of_pipeline(pipeline) {
                let row = container.row();
                if row.state == ContainerState::Open {
                    warn!(container = %container.id, %pipeline, "closing by itself");
                    container.turn().change_state(ContainerState::QuasiClosed, row.is_damaged)?;
                }
            }
            store.flush(&disk, None).map(|_| ())
        })
        .await
    }

    async fn commit(&self, disk: &Arc<Disk>, changes: Changes) -> Result<(), PipelineError> {
        let disk = Arc::clone(disk);
        blocking(move || {
            let _flush = disk.commit.lock();
            disk.check()?;
            disk.commit_index(changes).map(|_| ())
        })
        .await
    }

    /// Waits until the pipelines of a single member have applied their whole log, so that what was acknowledged before the
    /// restart can be read. Those with more members need each other for that.
    pub(crate) async fn caught_up(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        for pipeline in self.all().iter().filter(|pipeline| pipeline.members.len() == 1) {
            if let Err(error) = pipeline.group.read_barrier(until).await {
                warn!(pipeline = %pipeline.id, %error, "the log is not applied yet");
            }
        }
    }
}

/// Hands the lead to another member: what a leader commits it should also hold.
async fn yield_lead(pipeline: &Pipeline) {
    if !pipeline.group.is_leader() {
        return;
    }
    let status = pipeline.group.status();
    let others = status.members.iter().filter(|member| member.voter && member.id != status.me);
    let Some(next) = others.max_by_key(|member| member.matched) else { return };
    match pipeline.group.transfer_leadership(next.id, Instant::now() + YIELD_TIMEOUT).await {
        Ok(()) => info!(pipeline = %pipeline.id, to = %next.id, "yielded the lead"),
        // The others elect one when they hear no more of us.
        Err(error) => warn!(pipeline = %pipeline.id, %error, "cannot yield the lead"),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, DiskError> + Send + 'static) -> Result<T, PipelineError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => Ok(outcome?),
        Err(error) => Err(PipelineError::Ended(error.to_string())),
    }
}
