//! From a container file's records, in file order, back to the rows of the index.
//!
//! Two readers need it. A rebuild has nothing but the file and believes all of it. A start has the index, which is the truth up
//! to its last flush, and looks at the records behind that only for bytes: what they committed comes again from the log, and
//! must find the bytes that were acknowledged with it.

use std::collections::BTreeMap;

use crate::record::{
    Body, CommitBody, ContainerState, DeleteBody, ExtentBody, FIRST_RECORD_AT, FileBody, InlineBody, Layout, MissingBody,
    ProgressBody, Salt, StateBody, WrittenBody,
};
use crate::rows::{BlockRow, BlockState, ContainerRow, Extent};
use crate::space::Span;

/// What a container file says, record by record.
#[derive(Debug, Default)]
pub struct Replay {
    file: Option<FileBody>,
    state: Option<StateBody>,
    /// Committed blocks and tombstones.
    blocks: BTreeMap<u64, BlockRow>,
    /// Whole, and not committed as far as the file has been read.
    written: BTreeMap<u64, BlockRow>,
    /// Extents that no block has claimed yet, by where their records begin.
    extents: BTreeMap<u64, (Extent, ExtentBody)>,
    /// What the file says is free.
    free: Vec<Span>,
    /// The same for all of the file, known ahead: begins and ends of stretches that do not touch.
    freed: BTreeMap<u64, u64>,
    /// What nothing points at, whether or not the file says so, and whose block it was.
    unclaimed: Vec<(u64, Span)>,
    progress: Option<ProgressBody>,
    end: u64,
}

/// All rows of one container, as its file tells them.
#[derive(Debug, PartialEq, Eq)]
pub struct Rebuilt {
    pub file: FileBody,
    pub row: ContainerRow,
    pub blocks: BTreeMap<u64, BlockRow>,
    /// In order, and not merged.
    pub dead: Vec<Span>,
    /// The last one in this file; the furthest one of all files on the disk counts.
    pub progress: Option<ProgressBody>,
}

/// What lies behind the end of what the index knows.
#[derive(Debug, PartialEq, Eq)]
pub struct Tail {
    /// Whole blocks that may yet be committed.
    pub written: BTreeMap<u64, BlockRow>,
    /// Records of blocks that nothing in the file can come to point at. The index may: then their bytes were damaged since.
    pub abandoned: Vec<(u64, Span)>,
    pub progress: Option<ProgressBody>,
}

impl Replay {
    /// Says ahead what the whole file says is free. No record there makes a block: its bytes may never have reached the disk, and
    /// the block that counts stands further on.
    pub fn expect_free(&mut self, mut spans: Vec<Span>) {
        spans.sort_unstable();
        for span in spans {
            match self.freed.last_entry() {
                Some(mut last) if span.start <= *last.get() => {
                    let end = span.end.max(*last.get());
                    last.insert(end);
                }
                _ => {
                    self.freed.insert(span.start, span.end);
                }
            }
        }
    }

    fn is_freed(&self, at: u64) -> bool {
        self.freed.range(..=at).next_back().is_some_and(|(_, end)| at < *end)
    }

    /// Takes the next record. `is_whole` is asked whether an extent's bytes are what its checksums say, where they may not have
    /// been synced: for a block that came with its commit at once, for a streamed one when its record says that it is whole.
    pub fn record(&mut self, layout: Layout, body: Body, mut is_whole: impl FnMut(&Extent, &[u8]) -> bool) {
        self.end = self.end.max(layout.end());
        let extent = Extent { record: layout.at, payload_at: layout.payload_at, length: layout.payload };
        match body {
            Body::File(file) => self.file = Some(file),
            Body::Extent(_) | Body::Inline(_) if self.is_freed(layout.at) => {}
            Body::Extent(body) => {
                self.extents.insert(layout.at, (extent, body));
            }
            Body::Inline(InlineBody { local, sums, index }) if is_whole(&extent, &sums) => {
                self.commit(
                    local,
                    BlockRow { state: BlockState::Stored, length: layout.payload.into(), index, extents: vec![extent], sums },
                );
            }
            Body::Inline(body) => self.unclaimed.push((body.local, extent.span())),
            Body::Written(body) => self.written(body, is_whole),
            Body::Commit(CommitBody { local, index }) => {
                if let Some(row) = self.written.remove(&local) {
                    self.commit(local, BlockRow { state: BlockState::Stored, index, ..row });
                }
            }
            Body::Missing(MissingBody { local, length, sums, index }) => {
                self.commit(local, BlockRow { state: BlockState::Missing, length, index, extents: Vec::new(), sums });
            }
            Body::Delete(body) => self.delete(body),
            Body::State(state) => self.state = Some(state),
            Body::Progress(progress) => self.progress = Some(progress),
            Body::Free(body) => self.free.extend(body.spans.iter().map(|(start, end)| Span { start: *start, end: *end })),
        }
    }

    fn written(&mut self, body: WrittenBody, mut is_whole: impl FnMut(&Extent, &[u8]) -> bool) {
        let claimed: Vec<_> = body.extents.iter().filter_map(|at| self.extents.remove(at)).collect();
        let mut row =
            BlockRow { state: BlockState::Written, length: body.length, index: 0, extents: Vec::new(), sums: Vec::new() };
        let mut offset = 0;
        for (extent, part) in &claimed {
            if part.offset != offset || !is_whole(extent, &part.sums) {
                break;
            }
            offset += u64::from(extent.length);
            row.extents.push(*extent);
            row.sums.extend_from_slice(&part.sums);
        }
        if row.extents.len() < body.extents.len() || offset != body.length {
            // Some extent's record is damaged or punched out, or its bytes did not reach the disk: the block is not whole.
            self.extents.extend(claimed.into_iter().map(|claimed| (claimed.0.record, claimed)));
            return;
        }
        if let Some(before) = self.written.insert(body.local, row) {
            self.abandon(body.local, &before);
        }
    }

    fn abandon(&mut self, local: u64, row: &BlockRow) {
        self.unclaimed.extend(row.extents.iter().map(|extent| (local, extent.span())));
    }

    fn commit(&mut self, local: u64, row: BlockRow) {
        match self.blocks.get(&local) {
            None => {}
            Some(before) if before.state == BlockState::Missing && row.state == BlockState::Stored => {}
            // It came too late: deleted, or here already.
            Some(_) => return,
        }
        // Other bytes were written under this number before, and are not the ones that were committed.
        if let Some(before) = self.written.remove(&local) {
            self.abandon(local, &before);
        }
        self.blocks.insert(local, row);
    }

    fn delete(&mut self, body: DeleteBody) {
        for local in body.locals {
            self.blocks.remove(&local);
            self.written.remove(&local);
            if body.leaves_tombstones {
                self.blocks.insert(local, BlockRow::tombstone());
            }
        }
    }

    /// Extents that no block has come to claim, among others.
    fn unclaimed(&self) -> Vec<(u64, Span)> {
        let unclaimed = self.extents.values().map(|(extent, body)| (body.local, extent.span()));
        self.unclaimed.iter().copied().chain(unclaimed).collect()
    }

    /// Everything, for an index that is made anew. Nothing if the file has no header.
    pub fn rebuilt(mut self) -> Option<Rebuilt> {
        let file = self.file.take()?;
        let state = self.state.take().unwrap_or(StateBody { state: ContainerState::Open, commit_index: 0, is_damaged: false });
        let is_known = |span: &Span| self.free.iter().any(|free| free.start <= span.start && span.end <= free.end);
        let unclaimed = self.unclaimed().into_iter().map(|(_, span)| span).filter(|span| !is_known(span)).collect::<Vec<_>>();
        let mut dead = self.free;
        dead.extend(unclaimed);
        dead.sort_unstable();
        if state.state != ContainerState::Open {
            // Nothing is committed any more that they could stop.
            self.blocks.retain(|_, row| row.state != BlockState::Tombstone);
        }
        let mut row = ContainerRow::new(file.pipeline, Salt(file.salt));
        self.blocks.values().for_each(|block| row.count(None, Some(block)));
        for (local, block) in self.written {
            self.blocks.entry(local).or_insert(block);
        }
        row.state = state.state;
        row.is_damaged = state.is_damaged;
        row.commit_index = row.commit_index.max(state.commit_index);
        row.indexed_to = self.end.max(FIRST_RECORD_AT);
        Some(Rebuilt { file, row, blocks: self.blocks, dead, progress: self.progress })
    }

    /// The bytes, for an index that is there: committed blocks too count as written only, the log commits them again.
    pub fn tail(mut self) -> Tail {
        for (local, row) in std::mem::take(&mut self.blocks) {
            if row.state == BlockState::Stored
                && let Some(late) = self.written.insert(local, BlockRow { state: BlockState::Written, index: 0, ..row })
            {
                self.abandon(local, &late);
            }
        }
        let abandoned = self.unclaimed();
        Tail { written: self.written, abandoned, progress: self.progress }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RECORD_ALIGN;
    use types::{ClusterId, ContainerId, PipelineId};

    /// A file being written: places records one behind the other.
    struct File {
        replay: Replay,
        at: u64,
        /// The record whose bytes are not on the disk.
        torn: Option<u64>,
    }

    impl File {
        fn new() -> Self {
            let mut file = Self { replay: Replay::default(), at: 0, torn: None };
            let body = FileBody {
                format: 1,
                cluster: ClusterId::from_u128(1),
                container: ContainerId(1),
                pipeline: PipelineId(3),
                salt: [0; 16],
            };
            file.put(Body::File(body), 0);
            file.at = FIRST_RECORD_AT;
            file
        }

        fn put(&mut self, body: Body, payload: u32) -> u64 {
            let layout = Layout { at: self.at, body: 8, payload_at: RECORD_ALIGN as u32, payload };
            let torn = self.torn;
            self.replay.record(layout, body, |extent, _| Some(extent.record) != torn);
            self.at = layout.end();
            layout.at
        }

        fn stream(&mut self, local: u64, lengths: &[u32]) -> Vec<u64> {
            let mut offset = 0;
            let mut extents = Vec::new();
            for length in lengths {
                extents.push(self.put(Body::Extent(ExtentBody { local, offset, sums: vec![local as u8; 4] }), *length));
                offset += u64::from(*length);
            }
            self.put(Body::Written(WrittenBody { local, length: offset, extents: extents.clone() }), 0);
            extents
        }
    }

    #[test]
    fn a_streamed_block_is_its_extents_and_counts_once_it_is_committed() {
        let mut file = File::new();
        file.stream(5, &[65536, 10]);
        file.stream(6, &[20]);
        file.put(Body::Commit(CommitBody { local: 5, index: 9 }), 0);
        let rebuilt = file.replay.rebuilt().expect("a file record");
        assert_eq!((rebuilt.row.blocks, rebuilt.row.used, rebuilt.row.commit_index), (1, 65546, 9));
        assert_eq!(rebuilt.blocks[&5].state, BlockState::Stored);
        assert_eq!(rebuilt.blocks[&5].sums, [5; 8]);
        assert_eq!(rebuilt.blocks[&6].state, BlockState::Written);
    }

    #[test]
    fn a_block_written_twice_keeps_the_second_and_frees_the_first() {
        let mut file = File::new();
        let first = file.stream(5, &[100]);
        let second = file.stream(5, &[200]);
        let rebuilt = file.replay.rebuilt().expect("a file record");
        assert_eq!(rebuilt.blocks[&5].extents[0].record, second[0]);
        assert_eq!(rebuilt.dead.iter().map(|span| span.start).collect::<Vec<_>>(), first);
    }

    #[test]
    fn a_streamed_block_whose_bytes_did_not_reach_the_disk_is_none() {
        let mut file = File::new();
        let first = file.stream(5, &[100])[0];
        file.torn = Some(file.at);
        let torn = file.stream(5, &[65536, 10]);
        let tail = file.replay.tail();
        assert_eq!(tail.written[&5].extents[0].record, first, "what was whole before stays");
        assert_eq!(
            tail.abandoned.iter().map(|(local, span)| (*local, span.start)).collect::<Vec<_>>(),
            [(5, torn[0]), (5, torn[1])]
        );
    }

    #[test]
    fn what_was_freed_makes_no_block_and_does_not_stand_in_the_way_of_one() {
        let mut file = File::new();
        let torn = Span { start: FIRST_RECORD_AT, end: FIRST_RECORD_AT + 192 };
        file.replay.expect_free(vec![torn, Span { start: 4000, end: 4100 }]);
        file.put(Body::Inline(InlineBody { local: 5, sums: vec![1; 4], index: 3 }), 100);
        let again = file.put(Body::Inline(InlineBody { local: 5, sums: vec![1; 4], index: 3 }), 100);
        let rebuilt = file.replay.rebuilt().expect("a file record");
        assert_eq!(rebuilt.blocks[&5].extents[0].record, again);
    }

    #[test]
    fn unfinished_extents_are_dead_and_no_block() {
        let mut file = File::new();
        let at = file.put(Body::Extent(ExtentBody { local: 5, offset: 0, sums: vec![1; 4] }), 100);
        let rebuilt = file.replay.rebuilt().expect("a file record");
        assert!(rebuilt.blocks.is_empty());
        assert_eq!(rebuilt.dead, [Span { start: at, end: at + 192 }]);
    }

    #[test]
    fn a_deleted_block_stays_deleted_when_its_commit_comes_again() {
        let mut file = File::new();
        file.put(Body::Inline(InlineBody { local: 5, sums: vec![1; 4], index: 3 }), 100);
        file.put(Body::Delete(DeleteBody { locals: vec![5], leaves_tombstones: true }), 0);
        file.put(Body::Inline(InlineBody { local: 5, sums: vec![1; 4], index: 3 }), 100);
        let rebuilt = file.replay.rebuilt().expect("a file record");
        assert_eq!(rebuilt.blocks[&5], BlockRow::tombstone());
        assert_eq!(rebuilt.row.blocks, 0);
    }

    #[test]
    fn what_the_file_says_is_free_stays_known_when_its_records_are_punched_out() {
        let mut file = File::new();
        let extents = file.stream(5, &[65536]);
        let free = vec![(extents[0], extents[0] + 100_000), (1 << 30, 2 << 30)];
        file.put(Body::Free(crate::record::FreeBody { spans: free.clone() }), 0);
        file.put(Body::Delete(DeleteBody { locals: vec![5], leaves_tombstones: false }), 0);
        let rebuilt = file.replay.rebuilt().expect("a file record");
        assert_eq!(rebuilt.dead, free.into_iter().map(|(start, end)| Span { start, end }).collect::<Vec<_>>());
        assert!(rebuilt.blocks.is_empty());
    }

    #[test]
    fn closing_forgets_the_tombstones() {
        let mut file = File::new();
        file.put(Body::Delete(DeleteBody { locals: vec![5], leaves_tombstones: true }), 0);
        file.put(Body::State(StateBody { state: ContainerState::Closed, commit_index: 12, is_damaged: false }), 0);
        let rebuilt = file.replay.rebuilt().expect("a file record");
        assert!(rebuilt.blocks.is_empty());
        assert_eq!((rebuilt.row.state, rebuilt.row.commit_index), (ContainerState::Closed, 12));
    }

    #[test]
    fn a_missing_block_is_stored_once_it_was_fetched() {
        let mut file = File::new();
        file.put(Body::Missing(MissingBody { local: 5, length: 100, sums: vec![5; 4], index: 8 }), 0);
        file.stream(5, &[100]);
        file.put(Body::Commit(CommitBody { local: 5, index: 8 }), 0);
        let rebuilt = file.replay.rebuilt().expect("a file record");
        assert_eq!((rebuilt.row.blocks, rebuilt.row.missing), (1, 0));
        assert_eq!(rebuilt.blocks[&5].state, BlockState::Stored);
    }

    #[test]
    fn what_was_committed_wins_over_what_was_written_before_and_after() {
        let history = || {
            let mut file = File::new();
            let before = file.stream(5, &[100])[0];
            let committed = file.put(Body::Inline(InlineBody { local: 5, sums: vec![1; 4], index: 3 }), 50);
            let after = file.stream(5, &[200])[0];
            (file.replay, before, committed, after)
        };
        let (replay, _, committed, _) = history();
        let rebuilt = replay.rebuilt().expect("a file record");
        assert_eq!((rebuilt.blocks[&5].state, rebuilt.blocks[&5].extents[0].record), (BlockState::Stored, committed));
        let (replay, before, committed, after) = history();
        let tail = replay.tail();
        assert_eq!(tail.written[&5].extents[0].record, committed);
        assert_eq!(tail.abandoned.iter().map(|(_, span)| span.start).collect::<Vec<_>>(), [before, after]);
    }

    #[test]
    fn a_tail_offers_committed_blocks_as_written_ones() {
        let mut file = File::new();
        file.put(Body::Inline(InlineBody { local: 4, sums: vec![1; 4], index: 3 }), 100);
        file.stream(5, &[100]);
        file.put(Body::Commit(CommitBody { local: 5, index: 8 }), 0);
        let tail = file.replay.tail();
        assert!(tail.written.values().all(|row| row.state == BlockState::Written && row.index == 0));
        assert_eq!(tail.written.keys().copied().collect::<Vec<_>>(), [4, 5]);
    }
}
