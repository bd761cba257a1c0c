//! The flush: what waits in memory becomes durable, for all containers of a disk at once.

use std::sync::Arc;

use datanode_core::record::{Body, ContainerState, Draft, FreeBody};
use datanode_core::rows::GroupRow;
use datanode_core::space::Span;
use tracing::warn;
use types::{ContainerId, PipelineId};

use super::{Container, drop_tombstones, progress_draft};
use crate::disk::{Changes, Disk, DiskError, Need, is_full};

/// What a flush did, for the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flushed {
    pub(crate) containers: usize,
    pub(crate) rows: usize,
}

/// Makes every change durable that was made to the disk's containers before the call, and with them how far a pipeline's log
/// has been applied: the caller has read that before, so the containers hold at least as much.
///
/// The files are synced before the index speaks of their bytes. The record of the progress goes into the file that is synced
/// last: found after a crash, it proves the others.
///
/// One that fails changes nothing: what it took from memory is there again for the next.
pub(crate) fn flush(
    disk: &Disk,
    container: impl Fn(ContainerId) -> Option<Arc<Container>>,
    group: Option<(PipelineId, &GroupRow)>,
) -> Result<Flushed, DiskError> {
    let _one_at_a_time = disk.commit.lock();
    disk.check()?;
    // Only with the lock held: whoever takes a container from the list must have flushed it before the next one looks.
    let ids = std::mem::take(&mut *disk.dirty.lock());
    let mut dirty = Vec::new();
    for id in ids {
        match container(id) {
            Some(found) => dirty.push(found),
            // Being made at this moment: the next flush finds it.
            None => {
                disk.dirty.lock().insert(id);
            }
        }
    }
    let mut parts = Vec::with_capacity(dirty.len());
    let stored = store(disk, &mut dirty, group, &mut parts);
    let (flushed, punch) = match stored {
        Ok(stored) => stored,
        Err(error) => {
            for part in parts {
                part.take_back();
            }
            // Also those whose part was not begun.
            disk.dirty.lock().extend(dirty.iter().map(|container| container.id));
            return Err(error);
        }
    };
    for part in parts {
        part.container.live.lock().flushing.clear();
    }
    for (id, span) in punch {
        let Some(container) = dirty.iter().find(|container| container.id == id && !container.is_gone()) else { continue };
        match container.file()?.punch(span) {
            Err(error) if is_full(&error) => warn!(container = %id, ?span, "no space to give space back; it stays in use"),
            punched => punched.map_err(|error| disk.fails("punching a container's file", &error))?,
        }
    }
    Ok(flushed)
}

/// Writes and commits; adds to `parts` what was begun with each container, so that it can be taken back.
fn store(
    disk: &Disk,
    dirty: &mut [Arc<Container>],
    group: Option<(PipelineId, &GroupRow)>,
    parts: &mut Vec<Part>,
) -> Result<(Flushed, Vec<(ContainerId, Span)>), DiskError> {
    let is_own = |container: &Container| group.is_some_and(|(pipeline, _)| container.pipeline() == pipeline);
    dirty.sort_by_key(|container| is_own(container));
    let mut changes = Changes::default();
    for (i, container) in dirty.iter().enumerate() {
        let own = group.filter(|_| i + 1 == dirty.len() && is_own(container));
        let draft = own.map(|(pipeline, row)| progress_draft(pipeline, row));
        parts.extend(container.begin_flush(draft, &mut changes)?);
    }
    for Part { container, records, at, .. } in parts.iter() {
        let file = container.file()?;
        let records: Vec<(Draft, &[u8])> = records.iter().map(|draft| (draft.clone(), [].as_slice())).collect();
        file.write_records(Need::Upkeep, container.salt, &records, *at)
            .map_err(|error| disk.fails("writing to a container's file", &error))?;
        let synced = container.syncer.sync_blocking(&file);
        synced.map_err(|why| disk.fail(format!("syncing a container's file: {why}")))?;
    }
    changes.groups.extend(group.map(|(pipeline, row)| (pipeline, Some(row.clone()))));
    let flushed = Flushed { containers: dirty.len(), rows: changes.blocks.len() };
    Ok((flushed, disk.commit_index(changes)?))
}

/// A container's part in a flush: what was taken from its memory, and what goes to its file.
#[derive(Debug)]
struct Part {
    container: Arc<Container>,
    records: Vec<Draft>,
    /// Where they go.
    at: u64,
    dead: Vec<Span>,
    drops_tombstones: bool,
}

impl Part {
    /// The flush failed: the next one has to bring what this one would have brought.
    fn take_back(self) {
        let mut live = self.container.live.lock();
        if live.is_gone {
            return;
        }
        let mut rows = std::mem::take(&mut live.flushing);
        if live.row.state != ContainerState::Open {
            drop_tombstones(&mut rows);
        }
        // What has changed since then is newer.
        rows.append(&mut live.dirty);
        live.dirty = rows;
        live.dead.extend(self.dead);
        live.drops_tombstones |= self.drops_tombstones;
        self.container.mark_dirty(&mut live);
    }
}

/// Spans in one record, which stays far below the longest.
const SPANS_A_RECORD: usize = 4096;

impl Container {
    /// Hands over what is to be written, and keeps it readable until the flush is over; tells which records go where before the
    /// sync. Waits for its turn, so that no record before the end of the file is still on its way there.
    fn begin_flush(self: &Arc<Self>, progress: Option<Draft>, changes: &mut Changes) -> Result<Option<Part>, DiskError> {
        let _turn = self.turn();
        let mut live = self.live.lock();
        if live.is_gone {
            return Ok(None);
        }
        let free = |spans: &[Span]| {
            let spans = spans.iter().map(|span| (span.start, span.end)).collect();
            Draft::new(&Body::Free(FreeBody { spans }), 0)
        };
        let records: Vec<Draft> = live.dead.chunks(SPANS_A_RECORD).map(free).chain(progress).collect();
        let at = match records.as_slice() {
            [] => 0,
            records => self.reserve(&mut live, records.iter().map(Draft::span).sum())?,
        };
        // Nothing fails from here on.
        live.is_dirty = false;
        live.flushing = std::mem::take(&mut live.dirty);
        changes.blocks.extend(live.flushing.iter().map(|(local, row)| (self.id, *local, row.clone())));
        let dead = std::mem::take(&mut live.dead);
        changes.dead.extend(dead.iter().map(|span| (self.id, *span)));
        let drops_tombstones = std::mem::take(&mut live.drops_tombstones);
        if drops_tombstones {
            changes.without_tombstones.push(self.id);
        }
        if let Some(indexed_to) = live.unfinished.values().min().copied().or(live.tail) {
            live.row.indexed_to = indexed_to;
        }
        changes.containers.push((self.id, live.row.clone()));
        Ok(Some(Part { container: Arc::clone(self), records, at, dead, drops_tombstones }))
    }
}
