//! What reading costs, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Work done on disk rows since the start, for metrics and for tests that hold a query to its cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanStats {
    /// Descents of the tree: gets, starts of scans and jumps within them.
    pub seeks: u64,
    /// Rows that scans stood on.
    pub rows: u64,
}

#[derive(Debug, Default)]
pub(super) struct Stats {
    seeks: AtomicU64,
    rows: AtomicU64,
}

impl Stats {
    pub(super) fn note_seek(&self) {
        self.seeks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_row(&self) {
        self.rows.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> ScanStats {
        ScanStats { seeks: self.seeks.load(Ordering::Relaxed), rows: self.rows.load(Ordering::Relaxed) }
    }
}
