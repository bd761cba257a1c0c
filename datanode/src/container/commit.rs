//! The flush: what waits in memory becomes durable, for all containers of a disk at once.

use std::sync::Arc;

use datanode_core::record::Draft;
use datanode_core::rows::{ContainerRow, GroupRow};
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
    let mut dirty: Vec<Arc<Container>> = ids.into_iter().filter_map(container).collect();
    let is_own = |container: &Container| group.is_some_and(|(pipeline, _)| container.pipeline() == pipeline);
    dirty.sort_by_key(|container| is_own(container));
    let mut changes = Changes::default();
    let mut progress = None;
    for (i, container) in dirty.iter().enumerate() {
        let own = group.filter(|_| i + 1 == dirty.len() && is_own(container));
        let draft = own.map(|(pipeline, row)| progress_draft(pipeline, row));
        let (at, row) = container.begin_flush(draft.as_ref(), &mut changes)?;
        progress = draft.zip(at);
        changes.containers.extend(row.map(|row| (container.id, row)));
    }
    let last = dirty.len().saturating_sub(1);
    for (i, container) in dirty.iter().enumerate() {
        let file = container.file()?;
        if i == last
            && let Some((draft, at)) = &progress
        {
            file::write_records(&file, container.salt, &[(draft.clone(), &[])], *at)
                .map_err(|error| disk.fails("writing to a container's file", &error))?;
        }
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

impl Container {
    /// Hands over what is to be written, and keeps it readable until the flush is over. Waits for its turn, so that no record
    /// before the end of the file is still on its way there.
    fn begin_flush(
        &self,
        draft: Option<&Draft>,
        changes: &mut Changes,
    ) -> Result<(Option<u64>, Option<ContainerRow>), DiskError> {
        let _turn = self.turn();
        let mut live = self.live.lock();
        if live.is_gone {
            return Ok((None, None));
        }
        let at = draft.map(|draft| self.reserve(&mut live, draft.span())).transpose()?;
        live.is_dirty = false;
        live.flushing = std::mem::take(&mut live.dirty);
        changes.blocks.extend(live.flushing.iter().map(|(local, row)| (self.id, *local, row.clone())));
        changes.dead.extend(live.dead.drain(..).map(|span| (self.id, span)));
        if std::mem::take(&mut live.drops_tombstones) {
            changes.without_tombstones.push(self.id);
        }
        if let Some(indexed_to) = live.unfinished.values().min().copied().or(live.tail) {
            live.row.indexed_to = indexed_to;
        }
        Ok((at, Some(live.row.clone())))
    }
}
