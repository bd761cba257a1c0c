//! Object ids, given out from ranges that the log reserves.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use om_core::{Proposal, ReserveIds};
use parking_lot::Mutex;
use raft_node::{Group, ProposeError};
use runtime::Shutdown;
use types::ObjectId;

/// Gives every id once: a range belongs to the entry that reserved it, and to the member that was answered. A member keeps its
/// range when it stops leading and leads again; what is left of it at a crash is lost, of 2^64.
#[derive(Debug, Clone)]
pub(crate) struct ObjectIds {
    group: Group,
    shutdown: Shutdown,
    ranges: Arc<Mutex<Ranges>>,
    reserving: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Ranges {
    now: Range<u64>,
    next: Range<u64>,
    is_reserving: bool,
}

impl ObjectIds {
    pub(crate) fn new(group: Group, shutdown: Shutdown) -> Self {
        Self { group, shutdown, ranges: Arc::default(), reserving: Arc::default() }
    }

    /// Waits for the log only where there is no id left: at a leader's first write.
    pub(crate) async fn next(&self, deadline: Instant) -> Result<ObjectId, ProposeError> {
        loop {
            if let Some(id) = self.take(deadline) {
                return Ok(id);
            }
            let _one_at_a_time = self.reserving.lock().await;
            if self.ranges.lock().next.is_empty() {
                self.reserve(deadline).await?;
            }
        }
    }

    fn take(&self, deadline: Instant) -> Option<ObjectId> {
        let mut ranges = self.ranges.lock();
        if ranges.now.is_empty() {
            ranges.now = std::mem::take(&mut ranges.next);
        }
        let id = ranges.now.next().map(ObjectId);
        let is_low = ranges.now.end - ranges.now.start < ReserveIds::COUNT / 2;
        if id.is_some() && is_low && ranges.next.is_empty() && !ranges.is_reserving {
            ranges.is_reserving = true;
            let ids = self.clone();
            self.shutdown.spawn_until(async move {
                // A failure shows when the present range has run out.
                let _ = ids.reserve(deadline).await;
                ids.ranges.lock().is_reserving = false;
            });
        }
        id
    }

    async fn reserve(&self, deadline: Instant) -> Result<(), ProposeError> {
        let command = tables::encode(&om_core::Command::from(ReserveIds {}));
        let proposed = self.group.propose(None, command, deadline).await?;
        let answer = ReserveIds::answer(&proposed.answer).map_err(|fault| ProposeError::Unknown(fault.to_string()))?;
        let first = match answer {
            Ok(ObjectId(first)) => first,
            Err(never) => match never {},
        };
        let mut ranges = self.ranges.lock();
        if ranges.next.is_empty() {
            ranges.next = first..first + ReserveIds::COUNT;
        }
        Ok(())
    }
}
