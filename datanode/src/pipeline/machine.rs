//! A pipeline's state machine: what its log orders, done to the containers of one disk.
//!
//! A disk that fails must not take the process's other disks with it. Its pipelines then answer every entry with a failure and
//! never flush again: the log keeps what they were told, and the SCM replaces them.
//!
//! The same goes for a machine that could not carry an entry out on a disk that serves, because not even its ballast left space
//! for a few bytes. To pass the entry over would make a replica that counts as whole and is not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use datanode_core::command::{CommandAnswer, PipelineCommand};
use datanode_core::rows::GroupRow;
use parking_lot::Mutex;
use raft_node::{Entry, Progress, SnapshotSink, SnapshotSource, StateMachine};
use runtime::Reconcilers;
use tables::StorageFault;
use tracing::{debug, error};
use types::{ContainerId, LogIndex, PipelineId};

use super::apply::Plan;
use super::snapshot::{Sink, Source, Unavailable};
use crate::container::Container;
use crate::disk::{Disk, DiskError, Need};
use crate::store::Store;

/// Clones are the same machine.
#[derive(Debug, Clone)]
pub(crate) struct PipelineMachine(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) pipeline: PipelineId,
    pub(crate) disk: Arc<Disk>,
    pub(crate) store: Arc<Store>,
    pub(crate) services: Reconcilers,
    /// As the index has it.
    row: Mutex<GroupRow>,
    applied: Mutex<Progress>,
    applied_bytes: AtomicU64,
    /// Why it carries out no more entries.
    stopped: OnceLock<String>,
}

impl std::ops::Deref for PipelineMachine {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl PipelineMachine {
    pub(crate) fn new(
        pipeline: PipelineId,
        disk: Arc<Disk>,
        store: Arc<Store>,
        row: GroupRow,
        services: Reconcilers,
    ) -> Result<Self, StorageFault> {
        let applied = match row.progress.as_slice() {
            [] => Progress::default(),
            progress => tables::decode(progress, "a pipeline's progress")?,
        };
        let (row, applied) = (Mutex::new(row), Mutex::new(applied));
        let (applied_bytes, stopped) = (AtomicU64::new(0), OnceLock::new());
        Ok(Self(Arc::new(Inner { pipeline, disk, store, services, row, applied, applied_bytes, stopped })))
    }

    /// Nothing while it carries entries out.
    pub(crate) fn failure(&self) -> Option<String> {
        self.disk.failure().or_else(|| self.stopped.get().cloned())
    }

    /// No entry is carried out any more: one was not, and those behind it may build on it.
    pub(super) fn stop(&self, why: &DiskError) {
        if self.stopped.set(why.to_string()).is_ok() {
            error!(pipeline = %self.pipeline, %why, "the pipeline stops here");
        }
    }

    /// Every entry up to this one is in the index: none of them comes again.
    fn durable_index(&self) -> u64 {
        self.row.lock().index
    }

    pub(crate) fn row(&self) -> GroupRow {
        self.row.lock().clone()
    }

    /// Stores everything that is applied, as of `progress`.
    pub(super) fn flush_as(&self, progress: &Progress) -> Result<(), DiskError> {
        self.flush_to(tables::encode(progress), progress.index().0)
    }

    pub(crate) fn flush_to(&self, progress: Vec<u8>, index: u64) -> Result<(), DiskError> {
        let row = GroupRow { progress, index, ..self.row() };
        let flushed = self.store.flush(&self.disk, Some((self.pipeline, &row)))?;
        debug!(pipeline = %self.pipeline, index = row.index, containers = flushed.containers, rows = flushed.rows, "flushed");
        *self.row.lock() = row;
        Ok(())
    }

    pub(super) fn set_applied(&self, progress: Progress) {
        *self.applied.lock() = progress;
    }

    /// Entries that were not carried out, all of them, stop the machine.
    pub(crate) fn apply_commands(
        &self,
        batch: &[(LogIndex, Option<PipelineCommand<'_>>)],
    ) -> Result<Vec<CommandAnswer>, DiskError> {
        if let Some(why) = self.failure() {
            return Err(DiskError::Failed(why));
        }
        self.carry_out(batch).inspect_err(|error| self.stop(error))
    }

    fn carry_out(&self, batch: &[(LogIndex, Option<PipelineCommand<'_>>)]) -> Result<Vec<CommandAnswer>, DiskError> {
        let mut answers = vec![CommandAnswer::Done; batch.len()];
        let mut containers: BTreeMap<ContainerId, Option<Arc<Container>>> = BTreeMap::new();
        for command in batch.iter().filter_map(|(_, command)| command.as_ref()) {
            let id = match command {
                PipelineCommand::PutBlock(put) => put.container,
                PipelineCommand::CloseContainer(id) => *id,
            };
            if let std::collections::btree_map::Entry::Vacant(entry) = containers.entry(id) {
                entry.insert(self.own_container(id)?);
            }
        }
        let mut plans: BTreeMap<ContainerId, Plan<'_>> =
            containers.iter().filter_map(|(id, container)| Some((*id, Plan::new(container.as_ref()?)))).collect();
        for (slot, (index, command)) in batch.iter().enumerate() {
            let answer = match command {
                None => continue,
                Some(PipelineCommand::PutBlock(put)) => plans.get_mut(&put.container).map(|plan| plan.put(slot, *index, put)),
                Some(PipelineCommand::CloseContainer(id)) => plans.get_mut(id).map(|plan| Ok(plan.close(*index))),
            };
            // Without a plan the container is not this pipeline's.
            answers[slot] = answer.unwrap_or(Ok(CommandAnswer::Closed)).map_err(|fault| self.disk.fault(fault))?;
        }
        let mut is_missing = false;
        for plan in plans.into_values() {
            is_missing |= plan.carry_out(&mut answers)?;
        }
        if is_missing {
            self.services.nudge(crate::FETCH_SERVICE);
        }
        Ok(answers)
    }

    /// The container, made if need be; nothing if it is another pipeline's.
    pub(super) fn own_container(&self, id: ContainerId) -> Result<Option<Arc<Container>>, DiskError> {
        let container = self.store.get_or_create(&self.disk, Need::Upkeep, id, self.pipeline)?;
        Ok(Some(container).filter(|found| found.pipeline() == self.pipeline && !found.is_gone()))
    }
}

impl StateMachine for PipelineMachine {
    fn progress(&self) -> Result<Progress, StorageFault> {
        Ok(self.applied.lock().clone())
    }

    fn apply(&self, batch: &[Entry<'_>], progress: Progress) -> Result<Vec<Bytes>, StorageFault> {
        let mut commands = Vec::with_capacity(batch.len());
        let mut bytes = 0;
        for entry in batch {
            bytes += entry.command.map_or(0, |command| command.bytes.len() as u64);
            let command = entry.command.map(|command| tables::decode(command.bytes, "a pipeline's log entry"));
            commands.push((entry.index, command.transpose()?));
        }
        let answers = match self.apply_commands(&commands) {
            Ok(answers) => {
                self.set_applied(progress);
                self.applied_bytes.fetch_add(bytes, Ordering::Relaxed);
                answers
            }
            Err(_) => vec![CommandAnswer::DiskFailed; batch.len()],
        };
        let encoded = |(entry, answer): (&Entry<'_>, CommandAnswer)| match entry.command {
            Some(_) => tables::encode(&answer).into(),
            None => Bytes::new(),
        };
        Ok(batch.iter().zip(answers).map(encoded).collect())
    }

    fn flush(&self) -> Result<LogIndex, StorageFault> {
        // Before the rows: they may be ahead of it, never behind.
        let progress = self.applied.lock().clone();
        self.applied_bytes.store(0, Ordering::Relaxed);
        match self.flush_as(&progress) {
            Ok(()) => Ok(progress.index()),
            Err(error) => {
                self.health()?;
                debug!(pipeline = %self.pipeline, %error, "not flushed");
                Ok(LogIndex(self.durable_index()))
            }
        }
    }

    fn snapshot(&self) -> Result<(Progress, Box<dyn SnapshotSource>), StorageFault> {
        let progress = self.applied.lock().clone();
        if let Err(error) = self.flush_as(&progress) {
            // A fault would end the process, and with it the disks that serve. Who asked is told so instead, and asks again.
            self.health()?;
            return Ok((progress, Box::new(Unavailable(StorageFault(error.to_string())))));
        }
        Ok((progress, Box::new(Source::new(self.store.of_pipeline(self.pipeline)))))
    }

    fn install(&self) -> Result<Box<dyn SnapshotSink>, StorageFault> {
        Ok(Box::new(Sink::new(self.clone())?))
    }

    fn applied_bytes(&self) -> u64 {
        self.applied_bytes.load(Ordering::Relaxed)
    }

    fn health(&self) -> Result<(), StorageFault> {
        if self.store.disks.iter().any(|disk| disk.failure().is_none()) {
            return Ok(());
        }
        // Nothing is left to serve from.
        Err(StorageFault(format!("all disks are out of service; {}", self.disk.failure().unwrap_or_default())))
    }
}
