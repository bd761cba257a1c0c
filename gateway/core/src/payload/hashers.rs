//! The hashes themselves.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use types::{Checksum, ChecksumAlgorithm, Md5};

use crate::checksum::{crc_checksum, crc_of};

/// One of S3's checksums, as the bytes come.
pub struct ChecksumHasher {
    algorithm: ChecksumAlgorithm,
    state: State,
}

enum State {
    Crc(Box<crc_fast::Digest>),
    Sha(Context),
}

impl ChecksumHasher {
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        let state = match (crc_of(algorithm), algorithm) {
            (Some(crc), _) => State::Crc(Box::new(crc_fast::Digest::new(crc))),
            // SHA-1 here finds damage; it protects nothing against people.
            (None, ChecksumAlgorithm::Sha1) => State::Sha(Context::new(&SHA1_FOR_LEGACY_USE_ONLY)),
            (None, _) => State::Sha(Context::new(&SHA256)),
        };
        Self { algorithm, state }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(digest) => digest.update(bytes),
            State::Sha(context) => context.update(bytes),
        }
    }

    pub fn finish(self) -> Checksum {
        match self.state {
            State::Crc(digest) => crc_checksum(self.algorithm, digest.finalize()),
            State::Sha(context) =>
            {
                #[expect(clippy::expect_used, reason = "the hash of an algorithm has that algorithm's length")]
                Checksum::new(self.algorithm, context.finish().as_ref()).expect("of the algorithm's length")
            }
        }
    }
}

impl std::fmt::Debug for ChecksumHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChecksumHasher({:?})", self.algorithm)
    }
}

/// MD5, for entity tags.
#[derive(Default)]
pub struct Md5Hasher(md5::Md5);

impl Md5Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        md5::Digest::update(&mut self.0, bytes);
    }

    pub fn finish(self) -> Md5 {
        Md5(md5::Digest::finalize(self.0).into())
    }
}

impl std::fmt::Debug for Md5Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Md5Hasher")
    }
}
