//! The body: its framing, what vouches for it, and what is computed from it.
//!
//! [`PayloadPlan`] reads from the head what will come. [`BodyDecoder`] takes the bytes as they arrive and gives back the
//! object's own, slices of what was pushed, never copies; every byte is hashed once, by what the request needs and nothing
//! else. Only [`BodyDecoder::finish`] tells that the body was whole and right: until then nothing that was given out may
//! become visible.

mod chunked;
mod decoder;
mod hashers;
mod plan;

pub use chunked::ChunkDecoder;
pub use decoder::{BodyDecoder, BodySummary};
pub use hashers::{ChecksumHasher, Md5Hasher};
pub use plan::{
    ChecksumSource, EtagDigest, ExpectedChecksum, PayloadPlan, parse_checksum_algorithm, parse_checksum_type,
    refuse_unknown_checksums,
};

use types::ChecksumAlgorithm;

/// The header, or the trailer, that carries a checksum of this algorithm.
pub fn checksum_header(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "x-amz-checksum-crc32",
        ChecksumAlgorithm::Crc32c => "x-amz-checksum-crc32c",
        ChecksumAlgorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
        ChecksumAlgorithm::Sha1 => "x-amz-checksum-sha1",
        ChecksumAlgorithm::Sha256 => "x-amz-checksum-sha256",
    }
}

#[cfg(test)]
mod tests;
