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

/// Of texts of policies. Beyond it all are dropped; a policy takes some five times the room of its text.
const MOST_TEXT: usize = 16 << 20;
/// What a guard without a policy counts as.
const LEAST_TEXT: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Guards {
    /// Of buckets on which nothing was ever set: most of them.
    none: Arc<Guard>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    guards: BTreeMap<BucketId, Arc<Guard>>,
    text: usize,
}

impl Kept {
    fn keep(&mut self, bucket: BucketId, guard: Arc<Guard>) {
        let room = |guard: &Guard| guard.text_length() + LEAST_TEXT;
        if self.text + room(&guard) > MOST_TEXT {
            *self = Self::default();
        }
        self.text += room(&guard);
        if let Some(old) = self.guards.insert(bucket, guard) {
            self.text -= room(&old);
        }
    }
}

impl Guards {
    pub(crate) fn of(&self, tables: &dyn ReadTables, bucket: &BucketRow) -> Result<Arc<Guard>, StorageFault> {
        if bucket.guarded.is_none() {
            return Ok(Arc::clone(&self.none));
        }
        if let Some(guard) = self.kept.lock().guards.get(&bucket.id).filter(|guard| guard.is_of(bucket)) {
            return Ok(Arc::clone(guard));
        }
        let guard = Arc::new(Guard::load(tables, bucket)?);
        if let Some(error) = guard.unreadable() {
            tracing::error!(bucket = %bucket.name, %error, "the bucket's policy cannot be read: nobody is let in until it is replaced");
        }
        self.kept.lock().keep(bucket.id, Arc::clone(&guard));
        Ok(guard)
    }
}
