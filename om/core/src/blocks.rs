//! References to blocks, and what becomes of a block that has none left.
//!
//! A block has one reference a piece that names it (in a key, a version or a part) or a session that it was handed out to. The
//! first reference costs no row: [`BLOCK_REFS`] counts those besides it, which only copies make. The entry that removes the last
//! one writes the block to [`DELETED`], so a block is never both live and deleted, and never deleted twice.

use tables::{StorageFault, WriteTables};
use types::{BlockId, LogIndex, Timestamp};

use crate::rows::{self, Piece, ReclaimKey, ReclaimRow, block_key};
use crate::tables::{BLOCK_REFS, DELETED};

/// One more piece refers to the block. It must be live.
pub(crate) fn add_reference(tables: &mut dyn WriteTables, block: BlockId) -> Result<(), StorageFault> {
    let key = block_key(block);
    let extra: u32 = rows::get(tables, BLOCK_REFS, &key)?.unwrap_or(0);
    let extra = extra.checked_add(1).ok_or_else(|| StorageFault(format!("{block} has more references than can be counted")))?;
    rows::put(tables, BLOCK_REFS, &key, &extra);
    Ok(())
}

/// Collects what one entry frees; [`Self::write`] must follow.
#[derive(Debug, Default)]
#[must_use = "blocks that are not written leak"]
pub(crate) struct Freed {
    blocks: Vec<BlockId>,
}

/// Few enough for a row to stay small, enough for an object of ordinary size to need one.
const BLOCKS_PER_ROW: usize = 256;

impl Freed {
    pub(crate) fn drop_reference(&mut self, tables: &mut dyn WriteTables, block: BlockId) -> Result<(), StorageFault> {
        let key = block_key(block);
        match rows::get::<u32>(tables, BLOCK_REFS, &key)? {
            None | Some(0) => self.blocks.push(block),
            Some(1) => tables.delete(BLOCK_REFS, &key),
            Some(extra) => rows::put(tables, BLOCK_REFS, &key, &(extra - 1)),
        }
        Ok(())
    }

    pub(crate) fn drop_pieces(&mut self, tables: &mut dyn WriteTables, pieces: &[Piece]) -> Result<(), StorageFault> {
        pieces.iter().try_for_each(|piece| self.drop_reference(tables, piece.block))
    }

    /// Blocks that no row but a session's ever named: they have exactly one reference.
    pub(crate) fn drop_handed_out(&mut self, blocks: impl IntoIterator<Item = BlockId>) {
        self.blocks.extend(blocks);
    }

    pub(crate) fn write(self, tables: &mut dyn WriteTables, log: LogIndex, freed: Timestamp) {
        for (ordinal, blocks) in (0..).zip(self.blocks.chunks(BLOCKS_PER_ROW)) {
            let key = ReclaimKey { freed, log, ordinal };
            rows::put(tables, DELETED, &key.encode(), &ReclaimRow { blocks: blocks.to_vec() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tables::{MemoryTables, ReadTables};
    use types::ContainerId;

    const BLOCK: BlockId = BlockId { container: ContainerId(1), local: 1 };

    #[test]
    fn a_copied_block_is_freed_with_its_last_reference() {
        let mut tables = MemoryTables::default();
        add_reference(&mut tables, BLOCK).expect("memory");
        for (log, is_freed) in [(1, false), (2, true)] {
            let mut freed = Freed::default();
            freed.drop_reference(&mut tables, BLOCK).expect("memory");
            freed.write(&mut tables, LogIndex(log), Timestamp(5));
            let key = ReclaimKey { freed: Timestamp(5), log: LogIndex(log), ordinal: 0 };
            assert_eq!(tables.get(DELETED, &key.encode()).expect("memory").is_some(), is_freed);
        }
        assert_eq!(tables.get(BLOCK_REFS, &block_key(BLOCK)).expect("memory"), None);
    }
}
