//! The checksum of a multipart object, from those of its parts.

use crc_fast::CrcAlgorithm;
use types::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, Md5};

use crate::encoding::base64_encode;
use crate::payload::ChecksumHasher;

/// The CRC of an algorithm that is one. Only those can be combined without reading the bytes again.
pub(crate) fn crc_of(algorithm: ChecksumAlgorithm) -> Option<CrcAlgorithm> {
    match algorithm {
        ChecksumAlgorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
        ChecksumAlgorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
        ChecksumAlgorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => None,
    }
}

/// What S3 does with an algorithm when the client does not say.
pub fn default_type(algorithm: ChecksumAlgorithm) -> ChecksumType {
    match algorithm {
        ChecksumAlgorithm::Crc64Nvme => ChecksumType::FullObject,
        ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c | ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => {
            ChecksumType::Composite
        }
    }
}

/// CRC64NVME has no composite form, the SHAs have no other.
pub fn is_supported(algorithm: ChecksumAlgorithm, kind: ChecksumType) -> bool {
    match (algorithm, kind) {
        (ChecksumAlgorithm::Crc64Nvme, ChecksumType::Composite)
        | (ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256, ChecksumType::FullObject) => false,
        (ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject)
        | (ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256, ChecksumType::Composite)
        | (ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c, _) => true,
    }
}

/// COMPOSITE: the checksum of the parts' checksums. `None` if a part's is of another algorithm.
pub fn composite<'c>(algorithm: ChecksumAlgorithm, parts: impl IntoIterator<Item = &'c Checksum>) -> Option<Checksum> {
    let mut hasher = ChecksumHasher::new(algorithm);
    for part in parts {
        if part.algorithm() != algorithm {
            return None;
        }
        hasher.update(part.digest());
    }
    Some(hasher.finish())
}

/// FULL_OBJECT: the checksum that the parts' bytes have together, from each part's checksum and length. `None` for an
/// algorithm that cannot be combined, or if a part's is of another.
pub fn full_object<'c>(algorithm: ChecksumAlgorithm, parts: impl IntoIterator<Item = (&'c Checksum, u64)>) -> Option<Checksum> {
    let crc = crc_of(algorithm)?;
    let mut combined: Option<u64> = None;
    for (part, length) in parts {
        if part.algorithm() != algorithm {
            return None;
        }
        let value = part.digest().iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        combined = Some(match combined {
            None => value,
            Some(before) => crc_fast::checksum_combine(crc, before, value, length),
        });
    }
    match combined {
        Some(value) => Some(crc_checksum(algorithm, value)),
        None => Some(ChecksumHasher::new(algorithm).finish()),
    }
}

/// The entity tag of a multipart object: the MD5 of its parts' MD5s, and their number.
pub fn multipart_etag(parts: &[Md5]) -> Option<ETag> {
    use md5::Digest;
    let number = u16::try_from(parts.len()).ok()?;
    let mut hasher = md5::Md5::new();
    parts.iter().for_each(|part| hasher.update(part.0));
    Some(ETag { md5: Md5(hasher.finalize().into()), parts: Some(number) })
}

/// As headers and XML write an object's checksum: a composite one ends with the number of parts.
pub fn object_checksum_text(checksum: &Checksum, kind: ChecksumType, parts: Option<u16>) -> String {
    let text = base64_encode(checksum.digest());
    match (kind, parts) {
        (ChecksumType::Composite, Some(parts)) => format!("{text}-{parts}"),
        (ChecksumType::Composite, None) | (ChecksumType::FullObject, _) => text,
    }
}

pub(crate) fn crc_checksum(algorithm: ChecksumAlgorithm, value: u64) -> Checksum {
    let bytes = value.to_be_bytes();
    let digest = &bytes[bytes.len() - algorithm.digest_bytes().min(bytes.len())..];
    #[expect(clippy::expect_used, reason = "the digest was cut to the algorithm's length in the line above")]
    Checksum::new(algorithm, digest).expect("of the algorithm's length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Checksum {
        let mut hasher = ChecksumHasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn checksums_of_123456789_are_those_of_the_standards() {
        for (algorithm, hex_digest) in [
            (ChecksumAlgorithm::Crc32, "cbf43926"),
            (ChecksumAlgorithm::Crc32c, "e3069283"),
            (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
            (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
            (ChecksumAlgorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
        ] {
            assert_eq!(hex::encode(sum(algorithm, b"123456789").digest()), hex_digest, "{algorithm:?}");
        }
    }

    #[test]
    fn a_composite_is_the_checksum_of_checksums_and_shows_its_parts() {
        let parts = [sum(ChecksumAlgorithm::Sha256, b"a"), sum(ChecksumAlgorithm::Sha256, b"b")];
        let expected = sum(ChecksumAlgorithm::Sha256, &[parts[0].digest(), parts[1].digest()].concat());
        let composite = composite(ChecksumAlgorithm::Sha256, &parts).expect("one algorithm");
        assert_eq!(composite, expected);
        assert!(object_checksum_text(&composite, ChecksumType::Composite, Some(2)).ends_with("=-2"));
        assert_eq!(super::composite(ChecksumAlgorithm::Sha1, &parts), None);
        assert_eq!(full_object(ChecksumAlgorithm::Sha256, [(&parts[0], 1)]), None);
    }

    #[test]
    fn a_multipart_tag_is_the_md5_of_md5s_and_their_number() {
        let parts = [Md5(md5_of(b"a")), Md5(md5_of(b"b"))];
        let etag = multipart_etag(&parts).expect("two parts");
        assert_eq!(etag.parts, Some(2));
        assert_eq!(etag.md5.0, md5_of(&[parts[0].0, parts[1].0].concat()));
    }

    fn md5_of(bytes: &[u8]) -> [u8; 16] {
        use md5::Digest;
        md5::Md5::digest(bytes).into()
    }

    proptest! {
        #[test]
        fn combining_parts_equals_reading_them_at_once(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..5)) {
            for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64Nvme] {
                let sums: Vec<_> = parts.iter().map(|part| (sum(algorithm, part), part.len() as u64)).collect();
                let combined = full_object(algorithm, sums.iter().map(|(sum, length)| (sum, *length)));
                prop_assert_eq!(combined, Some(sum(algorithm, &parts.concat())));
            }
        }
    }
}
