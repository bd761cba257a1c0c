//! A batch of log entries on one container: decided first, then written in one piece, then made known.

use std::collections::BTreeMap;
use std::sync::Arc;

use datanode_core::command::{CommandAnswer, PutBlock, PutDecision, decide_put};
use datanode_core::record::{Body, CommitBody, ContainerState, Draft, InlineBody, MissingBody};
use datanode_core::rows::{BlockRow, BlockState, Extent};
use datanode_core::space::Span;
use tables::StorageFault;
use types::LogIndex;

use crate::container::{Container, Turn};
use crate::disk::{DiskError, Need};

/// What a batch does to a container. Holds its turn from the first look to the last row.
pub(super) struct Plan<'a> {
    container: &'a Arc<Container>,
    turn: Turn<'a>,
    state: ContainerState,
    closed_at: Option<LogIndex>,
    records: Vec<(Draft, &'a [u8])>,
    rows: BTreeMap<u64, PlannedRow>,
    free: Vec<Span>,
}

struct PlannedRow {
    before: Option<Arc<BlockRow>>,
    after: BlockRow,
    /// The record that holds the block's bytes, where this batch writes them, and who waits for the answer.
    inline: Option<(usize, usize)>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(container: &'a Arc<Container>) -> Self {
        let turn = container.turn();
        let state = turn.state();
        Self { container, turn, state, closed_at: None, records: Vec::new(), rows: BTreeMap::new(), free: Vec::new() }
    }

    pub(super) fn put(&mut self, slot: usize, index: LogIndex, put: &PutBlock<'a>) -> Result<CommandAnswer, StorageFault> {
        let planned = self.rows.get(&put.local).map(|row| &row.after);
        let before = match planned {
            Some(_) => None,
            None => self.turn.lookup(put.local)?,
        };
        let decision = decide_put(self.state, planned.or(before.as_deref()), put);
        let (state, body, content): (_, _, &[u8]) = match decision {
            PutDecision::AlreadyDone => return Ok(CommandAnswer::Done),
            PutDecision::Refuse(answer) => return Ok(answer),
            PutDecision::StoreInline => {
                let body = InlineBody { local: put.local, sums: put.sums.to_vec(), index: index.0 };
                (BlockState::Stored, Body::Inline(body), put.content.map_or(&[], |content| content))
            }
            PutDecision::CommitWritten => {
                (BlockState::Stored, Body::Commit(CommitBody { local: put.local, index: index.0 }), &[])
            }
            PutDecision::MarkMissing => {
                let body = MissingBody { local: put.local, length: put.length, sums: put.sums.to_vec(), index: index.0 };
                (BlockState::Missing, Body::Missing(body), &[])
            }
        };
        let mut after = BlockRow { state, length: put.length, index: index.0, extents: Vec::new(), sums: put.sums.to_vec() };
        match (&before, decision) {
            (Some(written), PutDecision::CommitWritten) => after.extents = written.extents.clone(),
            // Other bytes were written under this number before; nobody wants them now.
            (Some(written), _) => self.free.extend(written.extents.iter().map(Extent::span)),
            (None, _) => {}
        }
        let inline = (decision == PutDecision::StoreInline).then_some((self.records.len(), slot));
        self.records.push((Draft::new(&body, content.len() as u32), content));
        self.rows.insert(put.local, PlannedRow { before, after, inline });
        Ok(CommandAnswer::Done)
    }

    pub(super) fn close(&mut self, index: LogIndex) -> CommandAnswer {
        // One that was closed by itself lacks entries: it is not whole because the others are.
        if self.state == ContainerState::Open {
            self.state = ContainerState::Closed;
            self.closed_at = Some(index);
            let is_damaged = self.container.row().is_damaged;
            self.records.push((self.turn.state_record(ContainerState::Closed, index.0, is_damaged), &[]));
        }
        CommandAnswer::Done
    }

    /// Tells whether some block's bytes are not here.
    pub(super) fn carry_out(mut self, answers: &mut [CommandAnswer]) -> Result<bool, DiskError> {
        let need = if self.rows.values().any(|row| row.inline.is_some()) { Need::Data } else { Need::Upkeep };
        match self.container.append(need, &self.records) {
            Ok(positions) => {
                for (record, row) in self.rows.values_mut().filter_map(|row| Some((row.inline?.0, row))) {
                    if let (Some(at), Some((draft, _))) = (positions.get(record), self.records.get(record)) {
                        let layout = draft.layout(*at);
                        row.after.extents = vec![Extent { record: *at, payload_at: layout.payload_at, length: layout.payload }];
                    }
                }
            }
            Err(DiskError::Full) if need == Need::Data => self.carry_out_without_content(answers)?,
            Err(error) => return Err(error),
        }
        let is_missing = self.rows.values().any(|row| row.after.state == BlockState::Missing);
        for (local, row) in self.rows {
            self.turn.set(local, row.before.as_deref(), Some(row.after));
        }
        self.turn.free(self.free);
        if let Some(index) = self.closed_at {
            let is_damaged = self.container.row().is_damaged;
            self.turn.set_state(ContainerState::Closed, index.0, is_damaged);
        }
        Ok(is_missing)
    }

    /// The entries are committed whether we have room or not: the blocks are then missing here, like any whose bytes did not
    /// arrive, and come from a peer once there is room.
    fn carry_out_without_content(&mut self, answers: &mut [CommandAnswer]) -> Result<(), DiskError> {
        for (local, row) in &mut self.rows {
            let Some((record, slot)) = row.inline else { continue };
            row.after.state = BlockState::Missing;
            if let Some(record) = self.records.get_mut(record) {
                *record = (Draft::new(&row.after.commit_record(*local), 0), &[]);
            }
            if let Some(answer) = answers.get_mut(slot) {
                *answer = CommandAnswer::DiskFull;
            }
        }
        self.container.append(Need::Upkeep, &self.records).map(|_| ())
    }
}
