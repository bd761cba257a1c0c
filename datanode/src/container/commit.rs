//! The flush: what waits in memory becomes durable, for all containers of a disk at once.

use std::sync::Arc;

use datanode_core::record::{Body, Draft, FreeBody};
use datanode_core::rows::GroupRow;
use datanode_core::space::Span;
use types::{ContainerId, PipelineId};

use super::{Container, file, progress_draft};
use crate::disk::{Changes, Disk, DiskError};

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
    let is_own = |container: &Container| group.is_some_and(|(pipeline, _)| container.pipeline() == pipeline);
    dirty.sort_by_key(|container: &Arc<Container>| is_own(container));
    let mut changes = Changes::default();
    let mut records = Vec::with_capacity(dirty.len());
    for (i, container) in dirty.iter().enumerate() {
        let own = group.filter(|_| i + 1 == dirty.len() && is_own(container));
        let draft = own.map(|(pipeline, row)| progress_draft(pipeline, row));
        records.push(container.begin_flush(draft, &mut changes)?);
    }
    for (container, (drafts, at)) in dirty.iter().zip(records) {
        let file = container.file()?;
        let records: Vec<(Draft, &[u8])> = drafts.into_iter().map(|draft| (draft, [].as_slice())).collect();
        file::write_records(&file, container.salt, &records, at)
            .map_err(|error| disk.fails("writing to a container's file", &error))?;
        let synced = container.syncer.sync_blocking(&file);
        synced.map_err(|why| disk.fail(format!("syncing a container's file: {why}")))?;
    }
    changes.groups.extend(group.map(|(pipeline, row)| (pipeline, Some(row.clone()))));
    let flushed = Flushed { containers: dirty.len(), rows: changes.blocks.len() };
    let punch = disk.index.commit(changes).map_err(|fault| disk.fault(fault))?;
    for container in &dirty {
        container.live.lock().flushing.clear();
    }
    for (id, span) in punch {
        if let Some(container) = dirty.iter().find(|container| container.id == id) {
            file::punch(&*container.file()?, span).map_err(|error| disk.fails("punching a container's file", &error))?;
        }
    }
    Ok(flushed)
}

/// Spans in one record, which stays far below the longest.
const SPANS_A_RECORD: usize = 4096;

impl Container {
    /// Hands over what is to be written, and keeps it readable until the flush is over; tells which records go where before the
    /// sync. Waits for its turn, so that no record before the end of the file is still on its way there.
    fn begin_flush(&self, progress: Option<Draft>, changes: &mut Changes) -> Result<(Vec<Draft>, u64), DiskError> {
        let _turn = self.turn();
        let mut live = self.live.lock();
        if live.is_gone {
            return Ok((Vec::new(), 0));
        }
        let dead: Vec<Span> = live.dead.drain(..).collect();
        let free = |spans: &[Span]| {
            let spans = spans.iter().map(|span| (span.start, span.end)).collect();
            Draft::new(&Body::Free(FreeBody { spans }), 0)
        };
        let drafts: Vec<Draft> = dead.chunks(SPANS_A_RECORD).map(free).chain(progress).collect();
        let at = match drafts.as_slice() {
            [] => 0,
            drafts => self.reserve(&mut live, drafts.iter().map(Draft::span).sum())?,
        };
        live.is_dirty = false;
        live.flushing = std::mem::take(&mut live.dirty);
        changes.blocks.extend(live.flushing.iter().map(|(local, row)| (self.id, *local, row.clone())));
        changes.dead.extend(dead.into_iter().map(|span| (self.id, span)));
        if std::mem::take(&mut live.drops_tombstones) {
            changes.without_tombstones.push(self.id);
        }
        if let Some(indexed_to) = live.unfinished.values().min().copied().or(live.tail) {
            live.row.indexed_to = indexed_to;
        }
        changes.containers.push((self.id, live.row.clone()));
        Ok((drafts, at))
    }
}
