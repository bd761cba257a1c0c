//! What stands guard over buckets, kept so that no request parses a policy.
//!
//! A kept guard is used only while the bucket's row, read in the same state as everything else of the request, names the entry that it was
//! made of: a change counts from the moment it is applied, on this member and on whichever leads next.

use std::collections::BTreeMap;
use std::sync::Arc;

use om_core::authorise::Guard;
use om_core::rows::BucketRow;
use parking_lot::Mutex;
use tables::{ReadTables, StorageFault};
use types::BucketId;

/// Beyond so many all are dropped: at a policy of the usual few KiB each this stays below some 100 MiB.
const MOST_KEPT: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Guards {
    /// Of buckets on which nothing was ever set: most of them.
    none: Arc<Guard>,
    kept: Mutex<BTreeMap<BucketId, Arc<Guard>>>,
}

impl Guards {
    pub(crate) fn of(&self, tables: &dyn ReadTables, bucket: &BucketRow) -> Result<Arc<Guard>, StorageFault> {
        if bucket.guarded.is_none() {
            return Ok(Arc::clone(&self.none));
        }
        if let Some(guard) = self.kept.lock().get(&bucket.id).filter(|guard| guard.is_of(bucket)) {
            return Ok(Arc::clone(guard));
        }
        let guard = Arc::new(Guard::load(tables, bucket)?);
        let mut kept = self.kept.lock();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(bucket.id, Arc::clone(&guard));
        Ok(guard)
    }
}
