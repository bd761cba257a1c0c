//! What a member that is far behind gets instead of the log: which blocks are committed. Their bytes it fetches by itself.
//!
//! Of closed containers only the end is told: a member that holds less closes its replica by itself, and the SCM has it
//! replaced. So a snapshot is as long as the containers that are open, however long the pipeline has been alive.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use datanode_core::record::{ContainerState, Draft};
use datanode_core::rows::{BlockRow, BlockState};
use minicbor::{Decode, Encode};
use raft_node::{Progress, SnapshotSink, SnapshotSource, StateMachine};
use tables::StorageFault;
use types::ContainerId;

use super::machine::PipelineMachine;
use super::spool::Spool;
use crate::container::Container;
use crate::disk::{DiskError, Need};

#[derive(Debug, Encode, Decode)]
enum Frame {
    #[n(0)]
    Container {
        #[n(0)]
        id: ContainerId,
        #[n(1)]
        state: ContainerState,
        #[n(2)]
        commit_index: u64,
        #[n(3)]
        blocks: u64,
    },
    /// Blocks of the open container that was named last, in order.
    #[n(1)]
    Blocks(#[n(0)] Vec<FrameBlock>),
}

#[derive(Debug, Encode, Decode)]
struct FrameBlock {
    #[n(0)]
    local: u64,
    #[n(1)]
    length: u64,
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    sums: Vec<u8>,
    #[n(3)]
    index: u64,
}

/// Of the largest blocks, so many have about a megabyte of checksums.
const BLOCKS_A_FRAME: usize = 256;

/// Reads the containers as they are when their turn comes: later than the snapshot's place in the log, which does no harm, as
/// an entry that comes again changes nothing.
pub(super) struct Source {
    waiting: VecDeque<Arc<Container>>,
    open: Option<(Arc<Container>, u64)>,
}

impl Source {
    pub(super) fn new(containers: Vec<Arc<Container>>) -> Self {
        Self { waiting: containers.into(), open: None }
    }

    fn next(&mut self) -> Result<Option<Frame>, StorageFault> {
        if let Some((container, from)) = self.open.take() {
            let (rows, next) = container.blocks(from, BLOCKS_A_FRAME)?;
            self.open = next.map(|next| (container, next));
            let block = |(local, row): (u64, Arc<BlockRow>)| {
                row.is_committed().then(|| FrameBlock { local, length: row.length, sums: row.sums.clone(), index: row.index })
            };
            return Ok(Some(Frame::Blocks(rows.into_iter().filter_map(block).collect())));
        }
        let Some(container) = self.waiting.pop_front() else { return Ok(None) };
        let row = container.row();
        let frame = Frame::Container { id: container.id, state: row.state, commit_index: row.commit_index, blocks: row.blocks };
        if row.state == ContainerState::Open {
            self.open = Some((container, 0));
        }
        Ok(Some(frame))
    }
}

impl SnapshotSource for Source {
    fn next_frame(&mut self) -> Result<Option<Bytes>, StorageFault> {
        Ok(self.next()?.map(|frame| tables::encode(&frame).into()))
    }
}

/// The snapshot of a state that cannot be made durable.
pub(super) struct Unavailable(pub(super) StorageFault);

impl SnapshotSource for Unavailable {
    fn next_frame(&mut self) -> Result<Option<Bytes>, StorageFault> {
        Err(self.0.clone())
    }
}

/// Collects a snapshot in a file, and makes it the state at its end. Memory holds one frame at a time.
pub(super) struct Sink {
    machine: PipelineMachine,
    spool: Spool,
    has_container: bool,
}

impl Sink {
    pub(super) fn new(machine: PipelineMachine) -> Result<Self, StorageFault> {
        let spool = Spool::create(&machine.disk.spool_path(machine.pipeline));
        let spool = spool.map_err(|error| StorageFault(format!("a file for a snapshot: {error}")))?;
        Ok(Self { machine, spool, has_container: false })
    }

    fn install(&mut self, progress: &Progress) -> Result<(), DiskError> {
        let machine = &self.machine;
        // That the snapshot cannot be read stops this pipeline here, and is no fault of what the disk stores.
        let failed = |error: StorageFault| DiskError::Failed(error.0);
        let mut named = BTreeSet::new();
        let mut open: Option<TakeOver> = None;
        self.spool.rewind().map_err(failed)?;
        while let Some(frame) = self.spool.next().map_err(failed)? {
            match tables::decode(&frame, "a pipeline's snapshot").map_err(failed)? {
                Frame::Container { id, state, commit_index, blocks } => {
                    if let Some(open) = open.take() {
                        open.finish()?;
                    }
                    named.insert(id);
                    let Some(container) = machine.own_container(id)? else { continue };
                    match state {
                        ContainerState::Open => open = Some(TakeOver { container, from: Some(0) }),
                        _ => end(&container, state, commit_index, blocks)?,
                    }
                }
                Frame::Blocks(blocks) => {
                    if let Some(open) = &mut open {
                        open.take(blocks)?;
                    }
                }
            }
        }
        if let Some(open) = open {
            open.finish()?;
        }
        for container in machine.store.of_pipeline(machine.pipeline) {
            let row = container.row();
            if !named.contains(&container.id) && row.state == ContainerState::Open {
                container.turn().change_state(ContainerState::QuasiClosed, row.is_damaged)?;
            }
        }
        machine.set_applied(progress.clone());
        machine.flush_as(progress)?;
        machine.services.nudge(crate::FETCH_SERVICE);
        Ok(())
    }
}

/// Ends a container that is not open any more: closed only if nothing of it is amiss here.
fn end(container: &Container, state: ContainerState, commit_index: u64, blocks: u64) -> Result<(), DiskError> {
    let row = container.row();
    let is_complete = row.commit_index == commit_index && row.blocks == blocks;
    let state = match is_complete && state == ContainerState::Closed {
        true => ContainerState::Closed,
        false => ContainerState::QuasiClosed,
    };
    container.turn().change_state(state, row.is_damaged)
}

/// Makes exactly the blocks that come the committed ones of an open container. Bytes that are here stay.
struct TakeOver {
    container: Arc<Container>,
    /// What comes begins here; nothing if no number is left.
    from: Option<u64>,
}

impl TakeOver {
    /// The next blocks, in order.
    fn take(&mut self, blocks: Vec<FrameBlock>) -> Result<(), DiskError> {
        let Some(last) = blocks.last().map(|block| block.local) else { return Ok(()) };
        let blocks = blocks.into_iter().map(|block| (block.local, block)).collect();
        self.delete_others(Some(last), &blocks)?;
        self.from = last.checked_add(1);
        let fault = |fault| self.container.disk.fault(fault);
        let turn = self.container.turn();
        for (local, block) in blocks {
            let before = turn.lookup(local).map_err(fault)?;
            let known = before.as_deref();
            if known.is_some_and(|row| {
                row.state == BlockState::Tombstone || (row.is_committed() && row.has_content(block.length, &block.sums))
            }) {
                continue;
            }
            let is_here = known.is_some_and(|row| row.state == BlockState::Written && row.has_content(block.length, &block.sums));
            let state = if is_here { BlockState::Stored } else { BlockState::Missing };
            let extents = known.filter(|_| is_here).map(|row| row.extents.clone()).unwrap_or_default();
            let after = BlockRow { state, length: block.length, index: block.index, extents, sums: block.sums };
            self.container.append(Need::Upkeep, &[(Draft::new(&after.commit_record(local), 0), &[])])?;
            turn.set(local, known, Some(after));
        }
        Ok(())
    }

    fn finish(self) -> Result<(), DiskError> {
        self.delete_others(None, &BTreeMap::new())
    }

    /// Deletes what is committed here from the last frame's end to `last`, and not there.
    fn delete_others(&self, last: Option<u64>, there: &BTreeMap<u64, FrameBlock>) -> Result<(), DiskError> {
        let turn = self.container.turn();
        let mut from = self.from;
        while let Some(first) = from.filter(|first| last.is_none_or(|last| *first <= last)) {
            let (rows, next) = self.container.blocks(first, BLOCKS_A_FRAME).map_err(|fault| self.container.disk.fault(fault))?;
            from = next;
            let is_surplus = |(local, row): &&(u64, Arc<BlockRow>)| {
                last.is_none_or(|last| *local <= last) && row.is_committed() && !there.contains_key(local)
            };
            let surplus: Vec<u64> = rows.iter().filter(is_surplus).map(|(local, _)| *local).collect();
            turn.delete(&surplus).map_err(|error| error.into_disk_error(&self.container.disk))?;
        }
        Ok(())
    }
}

impl SnapshotSink for Sink {
    fn frame(&mut self, frame: &[u8]) -> Result<(), StorageFault> {
        match tables::decode(frame, "a pipeline's snapshot")? {
            Frame::Container { .. } => self.has_container = true,
            Frame::Blocks(_) if self.has_container => {}
            Frame::Blocks(_) => return Err(StorageFault("a snapshot with blocks of no container".to_owned())),
        }
        self.spool.push(frame)
    }

    fn finish(mut self: Box<Self>, progress: Progress) -> Result<(), StorageFault> {
        match self.install(&progress) {
            Ok(()) => Ok(()),
            // As in `apply`: it must not end the process while a disk serves.
            Err(error) => {
                self.machine.stop(&error);
                self.machine.health()
            }
        }
    }
}
