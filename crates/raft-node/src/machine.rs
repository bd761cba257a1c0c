//! What a group replicates.

use bytes::Bytes;
use tables::{StorageFault, WriteTables};
use types::{LogIndex, RequestId};

use crate::Progress;

/// A committed entry, as a state machine sees it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub index: LogIndex,
    /// Nothing in the entries that Raft itself writes (a leader's first, a change of members).
    pub command: Option<Command<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    /// The same on every try of one request: the machine gives a second arrival the first one's answer.
    pub request: Option<RequestId>,
    pub bytes: &'a [u8],
}

/// A replicated state. The methods block; they are called off the async threads, `apply` in log order and by one caller at a
/// time, `flush` and `snapshot` beside it.
///
/// A fault from any of them stops the group, and with it the process.
pub trait StateMachine: Send + Sync + 'static {
    /// What the machine's own storage durably holds when it is opened; the log is replayed from there.
    fn progress(&self) -> Result<Progress, StorageFault>;

    /// Applies entries in memory and gives one answer for each (an empty one where there is no command). Answers leave after
    /// this, so readers must see the entries when it returns. `progress` is where the batch ends.
    fn apply(&self, batch: &[Entry<'_>], progress: Progress) -> Result<Vec<Bytes>, StorageFault>;

    /// Makes all that was applied when it was called durable, together with its progress, and tells the index reached. The log
    /// is purged only below that.
    fn flush(&self) -> Result<LogIndex, StorageFault>;

    /// Pins the present state for streaming. What it streams is at least what the last `flush` reached.
    fn snapshot(&self) -> Result<(Progress, Box<dyn SnapshotSource>), StorageFault>;

    /// Begins to receive another member's snapshot. The present state stays as it is until the sink's `finish`.
    fn install(&self) -> Result<Box<dyn SnapshotSink>, StorageFault>;

    /// About how many bytes were applied and not yet flushed; a large number hurries `flush` along.
    fn applied_bytes(&self) -> u64 {
        0
    }

    /// A fault met outside of the other methods, such as damage found by a reader. Asked about once a second.
    fn health(&self) -> Result<(), StorageFault> {
        Ok(())
    }
}

/// A pinned state, given out in frames of about a megabyte.
pub trait SnapshotSource: Send {
    fn next_frame(&mut self) -> Result<Option<Bytes>, StorageFault>;
}

/// Takes the frames of a [`SnapshotSource`] in order. Dropped without `finish`, it leaves no trace.
pub trait SnapshotSink: Send {
    fn frame(&mut self, frame: &[u8]) -> Result<(), StorageFault>;

    /// Replaces the machine's state by what was received, durably and at once: a crash leaves the old state or the new one.
    fn finish(self: Box<Self>, progress: Progress) -> Result<(), StorageFault>;
}

/// A deterministic core over tables: the same commands at the same indexes leave the same rows and answers everywhere.
pub trait Core: Send + Sync + 'static {
    fn apply(&self, index: LogIndex, command: &[u8], tables: &mut dyn WriteTables) -> Result<Vec<u8>, StorageFault>;
}
