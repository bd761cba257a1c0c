//! A [`StateMachine`] as openraft wants it.
//!
//! Building a snapshot copies nothing: it makes durable what is applied and remembers where that is, which is all that a purge of
//! the log needs. The rows are read only when a follower is so far behind that it needs them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{Stream, StreamExt};
use openraft::alias::SnapshotOf;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, RaftSnapshotBuilder, Snapshot};
use parking_lot::Mutex;
use tables::StorageFault;
use tokio::sync::Notify;
use types::LogIndex;

use super::types::{
    Answer, RaftLogId, RaftMembers, RaftSnapshotMeta, TypeConfig, from_members, from_position, from_progress, to_members,
    to_position, to_progress,
};
use crate::{Entry, Progress, SnapshotSink, SnapshotSource, StateMachine};

/// The state of a machine, or the promise of it.
pub(crate) enum SnapshotData {
    /// It can be had; nobody needed it.
    Mark,
    Source(Box<dyn SnapshotSource>),
    /// Received whole, not yet in place.
    Received(Box<dyn SnapshotSink>),
}

#[derive(Clone)]
pub(crate) struct MachineAdapter {
    shared: Arc<Adapter>,
}

struct Adapter {
    machine: Arc<dyn StateMachine>,
    /// What `apply` or an install has reached.
    applied: Mutex<Progress>,
    /// What the machine held durably when that was asked for last.
    marked: Mutex<Progress>,
    /// Until then nobody asks for the rows, only where they stand.
    running: AtomicBool,
    /// Told when the machine holds so many unflushed bytes that its flush should not wait for its turn.
    pressure: Notify,
    pressure_bytes: u64,
}

/// So many entries, or bytes of commands, are applied as one batch at most: readers wait for one batch, no longer.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1 << 20;

pub(crate) fn to_io(fault: StorageFault) -> io::Error {
    io::Error::other(fault.to_string())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StorageFault> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?.map_err(to_io)
}

fn snapshot(progress: &Progress, data: SnapshotData) -> io::Result<SnapshotOf<TypeConfig, SnapshotData>> {
    let meta = from_progress(progress).ok_or_else(|| io::Error::other("the machine's progress names no valid members"))?;
    Ok(Snapshot { meta, snapshot: data })
}

impl MachineAdapter {
    pub(crate) fn new(machine: Arc<dyn StateMachine>, progress: Progress, pressure_bytes: u64) -> Self {
        let adapter = Adapter {
            machine,
            applied: Mutex::new(progress.clone()),
            marked: Mutex::new(progress),
            running: AtomicBool::new(false),
            pressure: Notify::new(),
            pressure_bytes,
        };
        Self { shared: Arc::new(adapter) }
    }

    /// Resolves when a flush should not wait for its turn.
    pub(crate) async fn pressed(&self) {
        self.shared.pressure.notified().await;
    }

    /// From now on a snapshot is asked for because its rows are needed.
    pub(crate) fn set_running(&self) {
        self.shared.running.store(true, Ordering::Relaxed);
    }

    pub(crate) fn machine(&self) -> &Arc<dyn StateMachine> {
        &self.shared.machine
    }

    pub(crate) fn applied(&self) -> Progress {
        self.shared.applied.lock().clone()
    }

    async fn apply_batch(&self, batch: Vec<EntryResponder<TypeConfig>>) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let (batch, answers) = blocking(move || {
            let mut progress = shared.applied.lock().clone();
            for (entry, _) in &batch {
                progress.applied = Some(to_position(&entry.log_id));
                if let EntryPayload::Membership(members) = &entry.payload {
                    progress.members = to_members(Some(&entry.log_id), members);
                }
            }
            let entries: Vec<Entry<'_>> = batch
                .iter()
                .map(|(entry, _)| Entry {
                    index: LogIndex(entry.log_id.index),
                    command: match &entry.payload {
                        EntryPayload::Normal(payload) => payload.command(),
                        EntryPayload::Blank | EntryPayload::Membership(_) => None,
                    },
                })
                .collect();
            let answers = shared.machine.apply(&entries, progress.clone())?;
            if answers.len() != entries.len() {
                return Err(StorageFault(format!("{} answers to {} entries", answers.len(), entries.len())));
            }
            *shared.applied.lock() = progress;
            Ok((batch, answers))
        })
        .await?;
        if self.shared.machine.applied_bytes() >= self.shared.pressure_bytes {
            self.shared.pressure.notify_one();
        }
        for ((_, responder), answer) in batch.into_iter().zip(answers) {
            if let Some(responder) = responder {
                responder.send(Answer(answer));
            }
        }
        Ok(())
    }
}

fn install(machine: &dyn StateMachine, data: SnapshotData, progress: Progress) -> Result<(), StorageFault> {
    match data {
        SnapshotData::Received(sink) => sink.finish(progress),
        SnapshotData::Source(mut source) => {
            let mut sink = machine.install()?;
            while let Some(frame) = source.next_frame()? {
                sink.frame(&frame)?;
            }
            sink.finish(progress)
        }
        SnapshotData::Mark => Err(StorageFault("a mark has no rows to install".to_owned())),
    }
}

fn command_bytes(item: &EntryResponder<TypeConfig>) -> usize {
    match &item.0.payload {
        EntryPayload::Normal(payload) => payload.stored().len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    }
}

impl RaftStateMachine<TypeConfig> for MachineAdapter {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<RaftLogId>, RaftMembers)> {
        let progress = self.applied();
        let members = from_members(&progress.members).ok_or_else(|| io::Error::other("the machine's members are not valid"))?;
        Ok((progress.applied.map(from_position), members))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + Send,
    {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(item) = entries.next().await {
            let item = item?;
            bytes += command_bytes(&item);
            batch.push(item);
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                self.apply_batch(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.apply_batch(batch).await }
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &RaftSnapshotMeta, data: SnapshotData) -> io::Result<()> {
        let progress = to_progress(meta);
        let reached = progress.clone();
        let machine = Arc::clone(&self.shared.machine);
        blocking(move || install(&*machine, data, progress)).await?;
        *self.shared.marked.lock() = reached.clone();
        *self.shared.applied.lock() = reached;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<TypeConfig, SnapshotData>>> {
        if !self.shared.running.load(Ordering::Relaxed) {
            let progress = self.applied();
            return progress.applied.map(|_| snapshot(&progress, SnapshotData::Mark)).transpose();
        }
        let machine = Arc::clone(&self.shared.machine);
        let (progress, source) = blocking(move || machine.snapshot()).await?;
        progress.applied.map(|_| snapshot(&progress, SnapshotData::Source(source))).transpose()
    }
}

impl RaftSnapshotBuilder<TypeConfig> for MachineAdapter {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<TypeConfig, SnapshotData>> {
        let shared = Arc::clone(&self.shared);
        let progress = blocking(move || {
            let progress = shared.applied.lock().clone();
            let durable = shared.machine.flush()?;
            let mut marked = shared.marked.lock();
            if durable >= progress.index() {
                *marked = progress;
            } else {
                // It could not, for now, and has its reasons; what it may not go on with, it says by a fault. The log stays.
                tracing::warn!(%durable, applied = %progress.index(), "a flush fell short");
            }
            Ok(marked.clone())
        })
        .await?;
        snapshot(&progress, SnapshotData::Mark)
    }
}
