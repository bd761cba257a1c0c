//! What a pipeline's log orders, and how a replica decides on it.
//!
//! Whether a block's bytes are here differs between replicas; whether it is committed must not. So a decision about commitment
//! looks only at what earlier entries did, and at nothing that a disk or the network did to this replica alone.

use minicbor::bytes::ByteSlice;
use minicbor::{Decode, Encode};
use types::ContainerId;

use crate::record::ContainerState;
use crate::rows::{BlockRow, BlockState};

/// An entry of a pipeline's log. Numbers are never reused.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum PipelineCommand<'b> {
    #[n(0)]
    PutBlock(#[b(0)] PutBlock<'b>),
    /// After it the container takes no block; its replicas are equal.
    #[n(1)]
    CloseContainer(#[n(0)] ContainerId),
}

#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct PutBlock<'b> {
    #[n(0)]
    pub container: ContainerId,
    #[n(1)]
    pub local: u64,
    #[n(2)]
    pub length: u64,
    #[b(3)]
    pub sums: &'b ByteSlice,
    /// The block itself, or nothing if it was streamed to the replicas before.
    #[b(4)]
    pub content: Option<&'b ByteSlice>,
}

/// The answer to an entry, as the state machine gives it to the proposer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CommandAnswer {
    #[n(0)]
    Done,
    #[n(1)]
    Closed,
    /// Committed before with other content.
    #[n(2)]
    Exists,
    /// Deleted before this commit came.
    #[n(3)]
    Deleted,
    /// Committed, but this replica had no space for the bytes.
    #[n(4)]
    DiskFull,
    /// Committed, but this replica's disk is out of service.
    #[n(5)]
    DiskFailed,
}

/// What a put does to this replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutDecision {
    /// It has been done before, by the same entry or an equal one.
    AlreadyDone,
    Refuse(CommandAnswer),
    /// The bytes came with the entry.
    StoreInline,
    /// The bytes that were written here are the block.
    CommitWritten,
    /// The bytes are not here, or not these bytes.
    MarkMissing,
}

pub fn decide_put(state: ContainerState, existing: Option<&BlockRow>, put: &PutBlock<'_>) -> PutDecision {
    match existing {
        Some(row) if row.state == BlockState::Tombstone => PutDecision::Refuse(CommandAnswer::Deleted),
        Some(row) if row.is_committed() => {
            if row.has_content(put.length, put.sums) {
                PutDecision::AlreadyDone
            } else {
                PutDecision::Refuse(CommandAnswer::Exists)
            }
        }
        _ if state != ContainerState::Open => PutDecision::Refuse(CommandAnswer::Closed),
        Some(row) if row.has_content(put.length, put.sums) => PutDecision::CommitWritten,
        _ if put.content.is_some() => PutDecision::StoreInline,
        _ => PutDecision::MarkMissing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: BlockState, length: u64, sums: &[u8]) -> BlockRow {
        BlockRow { state, length, index: 1, extents: vec![], sums: sums.to_vec() }
    }

    fn put<'a>(length: u64, sums: &'a [u8], content: Option<&'a [u8]>) -> PutBlock<'a> {
        PutBlock { container: ContainerId(1), local: 1, length, sums: sums.into(), content: content.map(Into::into) }
    }

    #[test]
    fn an_entry_reads_back_without_copying_its_content() {
        let command = PipelineCommand::PutBlock(put(3, &[1, 2, 3, 4], Some(b"abc")));
        let bytes = tables::encode(&command);
        assert_eq!(tables::decode::<PipelineCommand<'_>>(&bytes, "command").expect("decodes"), command);
    }

    #[test]
    fn a_put_that_comes_twice_is_done_once_even_after_the_close() {
        let stored = row(BlockState::Stored, 3, &[1; 4]);
        for state in [ContainerState::Open, ContainerState::Closed] {
            assert_eq!(decide_put(state, Some(&stored), &put(3, &[1; 4], None)), PutDecision::AlreadyDone);
            let other = put(3, &[2; 4], None);
            assert_eq!(decide_put(state, Some(&stored), &other), PutDecision::Refuse(CommandAnswer::Exists));
        }
    }

    #[test]
    fn a_closed_container_commits_nothing_new() {
        let written = row(BlockState::Written, 3, &[1; 4]);
        for existing in [None, Some(&written)] {
            let decision = decide_put(ContainerState::Closed, existing, &put(3, &[1; 4], Some(b"abc")));
            assert_eq!(decision, PutDecision::Refuse(CommandAnswer::Closed));
        }
    }

    #[test]
    fn streamed_bytes_count_only_if_they_are_the_committed_ones() {
        let written = row(BlockState::Written, 3, &[1; 4]);
        assert_eq!(decide_put(ContainerState::Open, Some(&written), &put(3, &[1; 4], None)), PutDecision::CommitWritten);
        assert_eq!(decide_put(ContainerState::Open, Some(&written), &put(3, &[2; 4], None)), PutDecision::MarkMissing);
        assert_eq!(decide_put(ContainerState::Open, None, &put(3, &[1; 4], None)), PutDecision::MarkMissing);
    }

    #[test]
    fn a_commit_that_comes_after_the_delete_is_refused() {
        let decision = decide_put(ContainerState::Open, Some(&BlockRow::tombstone()), &put(3, &[1; 4], Some(b"abc")));
        assert_eq!(decision, PutDecision::Refuse(CommandAnswer::Deleted));
    }
}
