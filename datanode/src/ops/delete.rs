//! Giving the space of blocks back, as the SCM orders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use types::{BlockId, ContainerId};

use crate::datanode::Inner;
use crate::disk::{Disk, DiskError};

/// Deletes the blocks that are here. Durable when it returns; what is not here needs no deleting. Blocks.
pub(crate) fn run(datanode: &Inner, blocks: &[BlockId]) -> Result<(), DiskError> {
    let mut by_container: BTreeMap<ContainerId, BTreeSet<u64>> = BTreeMap::new();
    for block in blocks {
        by_container.entry(block.container).or_default().insert(block.local);
    }
    let mut disks: Vec<Arc<Disk>> = Vec::new();
    for (id, locals) in by_container {
        let Some(container) = datanode.store.get(id) else { continue };
        container.disk.check()?;
        let locals: Vec<u64> = locals.into_iter().collect();
        let deleted = container.turn().delete(&locals);
        deleted.map_err(|error| error.into_disk_error(&container.disk))?;
        if !disks.iter().any(|disk| Arc::ptr_eq(disk, &container.disk)) {
            disks.push(Arc::clone(&container.disk));
        }
    }
    for disk in disks {
        datanode.store.flush(&disk, None)?;
    }
    metrics::counter!("datanode_blocks_deleted").increment(blocks.len() as u64);
    Ok(())
}
