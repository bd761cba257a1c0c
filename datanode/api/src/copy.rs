//! A container on its way from one datanode to another.
//!
//! A stream of records, each a little-endian `u32` length and that many bytes of CBOR. First [`CopyRecord::Container`], then for
//! each block [`CopyRecord::Block`] followed by exactly its bytes, then [`CopyRecord::End`]: a stream without it is no copy.

use bytes::{Buf, Bytes, BytesMut};
use minicbor::{Decode, Encode};
use types::{ContainerId, PipelineId};

use crate::ChunkChecksums;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum CopyRecord {
    #[n(0)]
    Container {
        #[n(0)]
        container: ContainerId,
        /// Closed through its pipeline's log; quasi-closed otherwise.
        #[n(1)]
        is_closed: bool,
        #[n(2)]
        commit_index: u64,
        #[n(3)]
        pipeline: PipelineId,
    },
    #[n(1)]
    Block {
        #[n(0)]
        local: u64,
        #[n(1)]
        length: u64,
        #[n(2)]
        checksums: ChunkChecksums,
        /// The log index that committed it.
        #[n(3)]
        index: u64,
    },
    #[n(2)]
    End {
        #[n(0)]
        blocks: u64,
    },
}

/// A block of 4 GiB has 65,536 checksums of at most 5 bytes.
const RECORD_MAX: usize = 512 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a container copy")]
pub struct NotACopy;

impl CopyRecord {
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = vec![0; 4];
        #[expect(clippy::expect_used, reason = "a Vec takes every byte")]
        minicbor::encode(self, &mut bytes).expect("a Vec takes every byte");
        let length = (bytes.len() - 4) as u32;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes.into()
    }

    /// Takes the record at the start of `buffer`, if it is all there.
    pub fn take(buffer: &mut BytesMut) -> Result<Option<Self>, NotACopy> {
        let Some(length) = buffer.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize) else { return Ok(None) };
        if length > RECORD_MAX {
            return Err(NotACopy);
        }
        if buffer.len() < 4 + length {
            return Ok(None);
        }
        let record = minicbor::decode(&buffer[4..4 + length]).map_err(|_| NotACopy)?;
        buffer.advance(4 + length);
        Ok(Some(record))
    }
}
