//! One group's part of the log, as openraft wants it.
//!
//! `append` returns when the entries can be read and reports the sync later; a vote, a truncation and a purge are waited for. All
//! of them pass through the one queue of the log, so their order on disk is the order of the calls.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};

use futures_util::Stream;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, RaftLogReader};
use tokio::sync::oneshot;
use types::GroupId;

use super::codec::{decode_entry, encode_entry};
use super::types::{RaftEntry, RaftLogId, RaftVote, TypeConfig, from_position, from_vote, to_position, to_vote};
use crate::wal::{Done, Wal};

#[derive(Clone)]
pub(crate) struct LogStore {
    wal: Wal,
    group: GroupId,
}

impl LogStore {
    pub(crate) fn new(wal: Wal, group: GroupId) -> Self {
        Self { wal, group }
    }

    /// Queues an operation and waits until it is on disk.
    async fn synced(&self, queue: impl FnOnce(&Wal, Done)) -> io::Result<()> {
        let (done, synced) = oneshot::channel();
        queue(&self.wal, Box::new(move |outcome| drop(done.send(outcome))));
        synced.await.unwrap_or_else(|_| Err(io::Error::other("the log was closed")))
    }

    /// At most this many payload bytes in one answer to replication, so that a message stays of a size to send.
    const MESSAGE_BYTES: usize = 2 << 20;
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (from, end)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + Send>(&mut self, range: R) -> io::Result<Vec<RaftEntry>> {
        let (from, end) = bounds(&range);
        let entries = match self.wal.read_cached(self.group, from, end) {
            Some(entries) => entries,
            None => {
                let (wal, group) = (self.wal.clone(), self.group);
                tokio::task::spawn_blocking(move || wal.read(group, from, end)).await.map_err(io::Error::other)??
            }
        };
        entries.into_iter().map(|(at, payload)| decode_entry(at, payload)).collect()
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<RaftEntry>> {
        let end = self.wal.limit(self.group, start, end, Self::MESSAGE_BYTES);
        self.try_get_log_entries(start..end).await
    }

    /// Piece by piece: what was committed at once may be more than fits well in memory.
    async fn entries_stream<R>(&mut self, range: R) -> impl Stream<Item = io::Result<RaftEntry>> + Send
    where
        R: RangeBounds<u64> + Clone + Debug + Send,
    {
        let (from, end) = bounds(&range);
        let start = (self.clone(), from, Vec::new().into_iter());
        futures_util::stream::try_unfold(start, move |(mut store, mut from, mut ready)| async move {
            loop {
                if let Some(entry) = ready.next() {
                    return Ok(Some((entry, (store, from, ready))));
                }
                let entries = if from < end { store.limited_get_log_entries(from, end).await? } else { Vec::new() };
                let Some(last) = entries.last() else { return Ok(None) };
                from = last.log_id.index + 1;
                ready = entries.into_iter();
            }
        })
    }

    async fn read_vote(&mut self) -> io::Result<Option<RaftVote>> {
        Ok(self.wal.head(self.group).and_then(|head| head.vote).map(from_vote))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let extent = self.wal.extent(self.group);
        Ok(LogState { last_purged_log_id: extent.purged.map(from_position), last_log_id: extent.last.map(from_position) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &RaftVote) -> io::Result<()> {
        let vote = to_vote(vote);
        self.synced(|wal, done| wal.save_vote(self.group, vote, done)).await
    }

    async fn save_committed(&mut self, committed: Option<RaftLogId>) -> io::Result<()> {
        if let Some(committed) = committed {
            self.wal.save_committed(self.group, to_position(&committed));
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<RaftLogId>> {
        Ok(self.wal.head(self.group).and_then(|head| head.committed).map(from_position))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = RaftEntry> + Send,
        I::IntoIter: Send,
    {
        let entries = entries.into_iter().map(|entry| encode_entry(&entry)).collect();
        self.wal.append(self.group, entries, Box::new(move |outcome| callback.io_completed(outcome)));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<RaftLogId>) -> io::Result<()> {
        let after = last.map(|last| last.index);
        self.synced(|wal, done| wal.truncate_after(self.group, after, done)).await
    }

    async fn purge(&mut self, upto: RaftLogId) -> io::Result<()> {
        let upto = to_position(&upto);
        self.synced(|wal, done| wal.purge(self.group, upto, done)).await
    }
}

#[cfg(test)]
mod tests;
