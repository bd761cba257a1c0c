//! Writing machines behind the log, and the log's purge behind that.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use tables::StorageFault;
use types::LogIndex;

use super::Group;
use crate::ProposeError;

/// Flushes the machine now and then, watches its health, and keeps the log short.
pub(super) async fn write_behind(group: Group) {
    let every = group.0.config.compaction.flush_every;
    loop {
        let _ = tokio::time::timeout(every, group.0.adapter.pressed()).await;
        if let Err(fault) = group.flush().await {
            return group.fail(fault.to_string());
        }
        if let Some(fault) = group.core_fault() {
            return group.fail(fault);
        }
        if group.is_log_long()
            && let Err(error) = group.compact().await
        {
            tracing::warn!(group = %group.id(), %error, "the log could not be purged");
        }
    }
}

impl Group {
    /// Makes durable what is applied, and tells how far that is.
    pub(super) async fn flush(&self) -> Result<LogIndex, StorageFault> {
        let machine = Arc::clone(self.0.adapter.machine());
        machine.health()?;
        let durable = self.0.durable.load(Ordering::Relaxed);
        if self.0.adapter.applied().index().0 == durable {
            return Ok(LogIndex(durable));
        }
        let flushed = tokio::task::spawn_blocking(move || machine.flush()).await;
        let flushed = flushed.unwrap_or_else(|error| Err(StorageFault(format!("the flush panicked: {error}"))))?;
        self.0.durable.fetch_max(flushed.0, Ordering::Relaxed);
        Ok(flushed)
    }

    fn is_log_long(&self) -> bool {
        let policy = &self.0.config.compaction;
        let extent = self.0.wal.extent(self.0.id);
        // Twice what is kept, so that a purge is worth its while.
        let entries = policy.log_entries.max(policy.keep_entries.saturating_mul(2));
        extent.entries > entries || extent.bytes > policy.log_bytes
    }

    /// How many entries stay behind the machine: those for laggards, fewer where they are large.
    fn kept_entries(&self) -> u64 {
        let policy = &self.0.config.compaction;
        let extent = self.0.wal.extent(self.0.id);
        let average = extent.bytes.checked_div(extent.entries).unwrap_or(0).max(1);
        policy.keep_entries.min(policy.log_bytes / 2 / average)
    }

    /// Flushes the machine and purges the log below that, but for the entries kept for followers that are a little behind.
    /// Returns once the purge has been asked for; entries that are being sent to somebody stay a little longer.
    pub async fn compact(&self) -> Result<(), ProposeError> {
        let _one_at_a_time = self.0.compacting.lock().await;
        let stopped = |why: String| ProposeError::Stopped(why);
        let durable = self.flush().await.map_err(|fault| stopped(fault.to_string()))?;
        if durable.0 == 0 {
            return Ok(());
        }
        let Some(upto) = durable.0.checked_sub(self.kept_entries()) else { return Ok(()) };
        if self.0.wal.extent(self.0.id).purged.is_some_and(|purged| purged.index >= upto) {
            return Ok(());
        }
        self.0.raft.trigger().snapshot().await.map_err(|fatal| stopped(fatal.to_string()))?;
        let mut metrics = self.0.raft.metrics();
        let marked = async {
            while metrics.borrow_and_update().snapshot.as_ref().is_none_or(|at| at.index < upto) {
                if metrics.changed().await.is_err() {
                    return;
                }
            }
        };
        // A mark that is long in coming was refused because another was under way: the next pass makes a new one.
        if tokio::time::timeout(Duration::from_secs(30), marked).await.is_err() {
            return Err(ProposeError::Busy);
        }
        self.0.raft.trigger().purge_log(upto).await.map_err(|fatal| stopped(fatal.to_string()))
    }
}
