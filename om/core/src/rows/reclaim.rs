//! Blocks that nothing refers to any more.

use minicbor::{Decode, Encode};
use tables::StorageFault;
use types::{BlockId, LogIndex, Timestamp};

use super::{be64, malformed};
use crate::tables::DELETED;

/// ```text
/// DELETED     time be64 · log index be64 · ordinal be32   → ReclaimRow
/// BLOCK_REFS  container be64 · local be64                 → u32, references besides the first
/// ```
/// In order of the time at which they were freed, so that the oldest are reclaimed first and a grace is a bound on the scan.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ReclaimRow {
    #[n(0)]
    pub blocks: Vec<BlockId>,
}

/// Names a row of the deleted table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct ReclaimKey {
    #[n(0)]
    pub freed: Timestamp,
    #[n(1)]
    pub log: LogIndex,
    #[n(2)]
    pub ordinal: u32,
}

impl ReclaimKey {
    pub(crate) fn encode(self) -> Vec<u8> {
        [&self.freed.0.to_be_bytes()[..], &self.log.0.to_be_bytes(), &self.ordinal.to_be_bytes()].concat()
    }

    pub(crate) fn decode(key: &[u8]) -> Result<Self, StorageFault> {
        let ordinal = key.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        Ok(Self {
            freed: Timestamp(be64(DELETED, key, 0)?),
            log: LogIndex(be64(DELETED, key, 8)?),
            ordinal: ordinal.ok_or_else(|| malformed(DELETED, "a key is too short"))?,
        })
    }
}

pub(crate) fn block_key(block: BlockId) -> Vec<u8> {
    [block.container.0.to_be_bytes(), block.local.to_be_bytes()].concat()
}
