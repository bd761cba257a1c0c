//! Rows of a disk's index.
//!
//! | table | key | value |
//! |---|---|---|
//! | `blocks` | container, local (big-endian `u64`s) | [`BlockRow`] |
//! | `containers` | container | [`ContainerRow`] |
//! | `groups` | pipeline | [`GroupRow`] |
//! | `dead` | container, begin of the span | its end |
//!
//! A value ends in a CRC32C over key and value: the store below does not verify what it reads.

use minicbor::{Decode, Encode};
use tables::StorageFault;
use types::{ContainerId, DatanodeId, Endpoint, GroupId, MemberId, PipelineId};

use crate::record::{Body, CommitBody, ContainerState, MissingBody, Salt};
use crate::space::Span;

/// A block is checksummed in chunks of this many bytes.
pub const CHUNK_BYTES: u64 = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum BlockState {
    /// Committed, and whole here.
    #[n(0)]
    Stored,
    /// Whole here, and not committed: nobody may read it yet.
    #[n(1)]
    Written,
    /// Committed, and its bytes are still to be fetched from a peer.
    #[n(2)]
    Missing,
    /// Deleted, perhaps before its commit came: a commit that comes is without effect.
    #[n(3)]
    Tombstone,
}

/// A stretch of a block in the container's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Extent {
    /// Where its record begins.
    #[n(0)]
    pub record: u64,
    /// From there to the bytes.
    #[n(1)]
    pub payload_at: u32,
    #[n(2)]
    pub length: u32,
}

impl Extent {
    pub fn payload(&self) -> u64 {
        self.record + u64::from(self.payload_at)
    }

    /// All of its record.
    pub fn span(&self) -> Span {
        Span { start: self.record, end: crate::record::align_record(self.payload() + u64::from(self.length)) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BlockRow {
    #[n(0)]
    pub state: BlockState,
    #[n(1)]
    pub length: u64,
    /// The log index of its commit; zero while there is none.
    #[n(2)]
    pub index: u64,
    /// In the block's order.
    #[n(3)]
    pub extents: Vec<Extent>,
    /// CRC32C of each chunk, little-endian.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub sums: Vec<u8>,
}

impl BlockRow {
    pub fn tombstone() -> Self {
        Self { state: BlockState::Tombstone, length: 0, index: 0, extents: Vec::new(), sums: Vec::new() }
    }

    /// Committed, whether or not the bytes are here.
    pub fn is_committed(&self) -> bool {
        matches!(self.state, BlockState::Stored | BlockState::Missing)
    }

    /// What the container's file says of its commit, when its bytes stand elsewhere in the file or not at all.
    pub fn commit_record(&self, local: u64) -> Body {
        match self.state {
            BlockState::Missing => {
                Body::Missing(MissingBody { local, length: self.length, sums: self.sums.clone(), index: self.index })
            }
            BlockState::Stored | BlockState::Written | BlockState::Tombstone => {
                Body::Commit(CommitBody { local, index: self.index })
            }
        }
    }

    pub fn has_content(&self, length: u64, sums: &[u8]) -> bool {
        self.length == length && self.sums == sums
    }

    pub fn sum_of_chunk(&self, chunk: u64) -> Option<u32> {
        let at = usize::try_from(chunk).ok()?.checked_mul(4)?;
        self.sums.get(at..at + 4)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ContainerRow {
    #[n(0)]
    pub state: ContainerState,
    #[n(1)]
    pub pipeline: PipelineId,
    /// The log index of the last commit it holds.
    #[n(2)]
    pub commit_index: u64,
    /// Committed blocks, missing ones included, and their bytes.
    #[n(3)]
    pub blocks: u64,
    #[n(4)]
    pub used: u64,
    #[n(5)]
    pub missing: u64,
    /// Some bytes are not what was written.
    #[n(6)]
    pub is_damaged: bool,
    /// Every record before this place of the file is in the index, or dead.
    #[n(7)]
    pub indexed_to: u64,
    /// The file's, so that it can be gone on with even if its own record is damaged.
    #[n(8)]
    #[cbor(with = "minicbor::bytes")]
    pub salt: [u8; 16],
}

impl ContainerRow {
    pub fn new(pipeline: PipelineId, salt: Salt) -> Self {
        Self {
            state: ContainerState::Open,
            pipeline,
            commit_index: 0,
            blocks: 0,
            used: 0,
            missing: 0,
            is_damaged: false,
            indexed_to: crate::record::FIRST_RECORD_AT,
            salt: salt.0,
        }
    }

    /// Keeps the counts in step with a block's row that changes.
    pub fn count(&mut self, before: Option<&BlockRow>, after: Option<&BlockRow>) {
        if let Some(row) = before.filter(|row| row.is_committed()) {
            self.blocks = self.blocks.saturating_sub(1);
            self.used = self.used.saturating_sub(row.length);
            self.missing = self.missing.saturating_sub(u64::from(row.state == BlockState::Missing));
        }
        if let Some(row) = after.filter(|row| row.is_committed()) {
            self.blocks += 1;
            self.used += row.length;
            self.missing += u64::from(row.state == BlockState::Missing);
            self.commit_index = self.commit_index.max(row.index);
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GroupMember {
    #[n(0)]
    pub member: MemberId,
    #[n(1)]
    pub datanode: DatanodeId,
    #[n(2)]
    pub rpc_endpoint: Endpoint,
    #[n(3)]
    pub data_endpoint: Endpoint,
}

/// A pipeline that this datanode is a member of.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GroupRow {
    #[n(0)]
    pub group: GroupId,
    #[n(1)]
    pub me: MemberId,
    #[n(2)]
    pub members: Vec<GroupMember>,
    /// How far the log has been applied durably, as the log's keeper encodes it; nothing before the first flush.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub progress: Vec<u8>,
    #[n(4)]
    pub index: u64,
}

pub fn block_key(container: ContainerId, local: u64) -> [u8; 16] {
    ((u128::from(container.0) << 64) | u128::from(local)).to_be_bytes()
}

pub fn split_block_key(key: &[u8]) -> Result<(ContainerId, u64), StorageFault> {
    let key: [u8; 16] = key.try_into().map_err(|_| StorageFault("a block's key of the wrong length".to_owned()))?;
    let key = u128::from_be_bytes(key);
    Ok((ContainerId((key >> 64) as u64), key as u64))
}

pub fn number_key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

pub fn split_number_key(key: &[u8]) -> Result<u64, StorageFault> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| StorageFault("a key of the wrong length".to_owned()))
}

/// A value with its checksum.
pub fn seal<T: Encode<()>>(key: &[u8], value: &T) -> Vec<u8> {
    let mut bytes = tables::encode(value);
    let sum = row_checksum(key, &bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// The value, if it is what was stored under this key.
pub fn open<'b, T: Decode<'b, ()>>(key: &[u8], bytes: &'b [u8], what: &'static str) -> Result<T, StorageFault> {
    let (value, sum) = bytes.split_last_chunk::<4>().ok_or_else(|| StorageFault(format!("{what} is cut short")))?;
    if row_checksum(key, value) != u32::from_le_bytes(*sum) {
        return Err(StorageFault(format!("{what} is damaged in the index")));
    }
    tables::decode(value, what)
}

fn row_checksum(key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_under_another_key_or_with_a_flipped_bit_is_damage() {
        let row = ContainerRow::new(PipelineId(4), Salt([1; 16]));
        let (key, other) = (number_key(1), number_key(2));
        let sealed = seal(&key, &row);
        assert_eq!(open::<ContainerRow>(&key, &sealed, "row").expect("whole"), row);
        assert!(open::<ContainerRow>(&other, &sealed, "row").is_err());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open::<ContainerRow>(&key, &flipped, "row").is_err(), "bit {bit}");
        }
        assert!(open::<ContainerRow>(&key, &sealed[..3], "row").is_err());
    }

    #[test]
    fn block_keys_order_by_container_then_block() {
        let keys = [(1, 0), (1, 5), (1, u64::MAX), (2, 0)].map(|(c, l)| block_key(ContainerId(c), l));
        assert!(keys.is_sorted());
        assert_eq!(split_block_key(&keys[2]).expect("16 bytes"), (ContainerId(1), u64::MAX));
    }

    #[test]
    fn counts_follow_a_block_from_missing_to_stored_to_deleted() {
        let mut container = ContainerRow::new(PipelineId(1), Salt::NONE);
        let missing = BlockRow { state: BlockState::Missing, length: 10, index: 7, extents: vec![], sums: vec![] };
        let stored = BlockRow { state: BlockState::Stored, ..missing.clone() };
        container.count(None, Some(&missing));
        assert_eq!((container.blocks, container.used, container.missing, container.commit_index), (1, 10, 1, 7));
        container.count(Some(&missing), Some(&stored));
        assert_eq!((container.blocks, container.used, container.missing), (1, 10, 0));
        container.count(Some(&stored), Some(&BlockRow::tombstone()));
        assert_eq!((container.blocks, container.used, container.missing, container.commit_index), (0, 0, 0, 7));
    }
}
