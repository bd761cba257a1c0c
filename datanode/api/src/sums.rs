//! Chunk checksums, computed once as the bytes come by.

use crc_fast::{CrcAlgorithm, Digest};

use crate::{CHUNK_BYTES, ChunkChecksums};

/// Sums a block's chunks whatever the pieces it arrives in.
#[derive(Debug)]
pub struct ChunkSummer {
    digest: Digest,
    in_chunk: usize,
    sums: Vec<u32>,
    length: u64,
}

impl Default for ChunkSummer {
    fn default() -> Self {
        Self { digest: Digest::new(CrcAlgorithm::Crc32Iscsi), in_chunk: 0, sums: Vec::new(), length: 0 }
    }
}

impl ChunkSummer {
    pub fn push(&mut self, mut data: &[u8]) {
        self.length += data.len() as u64;
        while !data.is_empty() {
            let (now, later) = data.split_at(data.len().min(CHUNK_BYTES - self.in_chunk));
            self.digest.update(now);
            self.in_chunk += now.len();
            data = later;
            if self.in_chunk == CHUNK_BYTES {
                self.end_chunk();
            }
        }
    }

    /// Bytes seen so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Ends the last chunk where it stands: nothing may be pushed afterwards.
    pub fn end(&mut self) {
        if self.in_chunk > 0 {
            self.end_chunk();
        }
    }

    /// The checksums of the chunks that are complete, from the one with this number on, little-endian.
    pub fn sums_from(&self, chunk: usize) -> Vec<u8> {
        self.sums.iter().skip(chunk).flat_map(|sum| sum.to_le_bytes()).collect()
    }

    pub fn finish(mut self) -> ChunkChecksums {
        self.end();
        ChunkChecksums(self.sums)
    }

    fn end_chunk(&mut self) {
        self.sums.push(self.digest.finalize() as u32);
        self.digest.reset();
        self.in_chunk = 0;
    }
}

impl ChunkChecksums {
    /// The checksums of a block that is all here.
    pub fn of(block: &[u8]) -> Self {
        Self(block.chunks(CHUNK_BYTES).map(chunk_checksum).collect())
    }

    /// As many checksums as a block of this length has chunks.
    pub fn fit(&self, length: u64) -> bool {
        self.0.len() as u64 == length.div_ceil(CHUNK_BYTES as u64)
    }
}

/// CRC32C (Castagnoli) of one chunk.
pub fn chunk_checksum(chunk: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_a_block_arrives_in_do_not_change_its_checksums() {
        let block: Vec<u8> = (0..CHUNK_BYTES * 2 + 77).map(|i| (i * 31 % 251) as u8).collect();
        for piece in [1000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, block.len()] {
            let mut summer = ChunkSummer::default();
            block.chunks(piece).for_each(|data| summer.push(data));
            assert_eq!(summer.length(), block.len() as u64);
            let sums = summer.finish();
            assert!(sums.fit(block.len() as u64));
            assert_eq!(sums, ChunkChecksums::of(&block), "pieces of {piece}");
        }
        assert!(ChunkChecksums::of(b"").fit(0));
    }

    #[test]
    fn the_checksum_is_crc32c() {
        assert_eq!(chunk_checksum(b"123456789"), 0xe306_9283);
    }
}
