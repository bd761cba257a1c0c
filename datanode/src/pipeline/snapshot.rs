//! What a member that is far behind gets instead of the log: which blocks are committed. Their bytes it fetches by itself.
//!
//! Of closed containers only the end is told: a member that holds less closes its replica by itself, and the SCM has it
//! replaced. So a snapshot is as long as the containers that are open, however long the pipeline has been alive.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use datanode_core::record::{ContainerState, Draft};
use datanode_core::rows::{BlockRow, BlockState};
use minicbor::{Decode, Encode};
use raft_node::{Progress, SnapshotSink, SnapshotSource, StateMachine};
use tables::StorageFault;
use types::ContainerId;

use super::machine::PipelineMachine;
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

const BLOCKS_A_FRAME: usize = 4096;

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

/// Collects a snapshot, and makes it the state at its end.
pub(super) struct Sink {
    machine: PipelineMachine,
    containers: BTreeMap<ContainerId, Received>,
    last: Option<ContainerId>,
}

struct Received {
    state: ContainerState,
    commit_index: u64,
    count: u64,
    blocks: BTreeMap<u64, FrameBlock>,
}

impl Sink {
    pub(super) fn new(machine: PipelineMachine) -> Self {
        Self { machine, containers: BTreeMap::new(), last: None }
    }

    fn install(&self, progress: &Progress) -> Result<(), DiskError> {
        let machine = &self.machine;
        for (id, received) in &self.containers {
            let Some(container) = machine.own_container(*id)? else { continue };
            if received.state == ContainerState::Open {
                take_over(&container, &received.blocks)?;
                continue;
            }
            let row = container.row();
            let is_complete = row.commit_index == received.commit_index && row.blocks == received.count;
            let state = if is_complete && received.state == ContainerState::Closed {
                ContainerState::Closed
            } else {
                ContainerState::QuasiClosed
            };
            container.turn().change_state(state, row.is_damaged)?;
        }
        for container in machine.store.of_pipeline(machine.pipeline) {
            let row = container.row();
            if !self.containers.contains_key(&container.id) && row.state == ContainerState::Open {
                container.turn().change_state(ContainerState::QuasiClosed, row.is_damaged)?;
            }
        }
        machine.set_applied(progress.clone());
        machine.flush_as(progress)?;
        machine.services.nudge(crate::FETCH_SERVICE);
        Ok(())
    }
}

/// Makes exactly these blocks the committed ones. Bytes that are here stay.
fn take_over(container: &Arc<Container>, blocks: &BTreeMap<u64, FrameBlock>) -> Result<(), DiskError> {
    let fault = |fault| container.disk.fault(fault);
    let turn = container.turn();
    let mut from = Some(0);
    let mut surplus = Vec::new();
    while let Some(first) = from {
        let (rows, next) = container.blocks(first, BLOCKS_A_FRAME).map_err(fault)?;
        from = next;
        surplus.extend(
            rows.iter().filter(|(local, row)| row.is_committed() && !blocks.contains_key(local)).map(|(local, _)| *local),
        );
    }
    turn.delete(&surplus).map_err(|error| error.into_disk_error(&container.disk))?;
    for (local, block) in blocks {
        let before = turn.lookup(*local).map_err(fault)?;
        let known = before.as_deref();
        if known.is_some_and(|row| {
            row.state == BlockState::Tombstone || (row.is_committed() && row.has_content(block.length, &block.sums))
        }) {
            continue;
        }
        let is_here = known.is_some_and(|row| row.state == BlockState::Written && row.has_content(block.length, &block.sums));
        let state = if is_here { BlockState::Stored } else { BlockState::Missing };
        let extents = known.filter(|_| is_here).map(|row| row.extents.clone()).unwrap_or_default();
        let after = BlockRow { state, length: block.length, index: block.index, extents, sums: block.sums.clone() };
        container.append(Need::Upkeep, &[(Draft::new(&after.commit_record(*local), 0), &[])])?;
        turn.set(*local, known, Some(after));
    }
    Ok(())
}

impl SnapshotSink for Sink {
    fn frame(&mut self, frame: &[u8]) -> Result<(), StorageFault> {
        match tables::decode(frame, "a pipeline's snapshot")? {
            Frame::Container { id, state, commit_index, blocks } => {
                self.containers.insert(id, Received { state, commit_index, count: blocks, blocks: BTreeMap::new() });
                self.last = Some(id);
            }
            Frame::Blocks(blocks) => {
                let received = self.last.and_then(|id| self.containers.get_mut(&id));
                let received = received.ok_or_else(|| StorageFault("a snapshot with blocks of no container".to_owned()))?;
                received.blocks.extend(blocks.into_iter().map(|block| (block.local, block)));
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>, progress: Progress) -> Result<(), StorageFault> {
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
