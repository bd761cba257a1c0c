//! Checksums as S3 names them, and the entity tag.

use std::fmt;

use minicbor::{Decode, Encode};

/// The algorithms of S3's `x-amz-checksum-…` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum ChecksumAlgorithm {
    #[n(0)]
    Crc32,
    #[n(1)]
    Crc32c,
    #[n(2)]
    Crc64Nvme,
    #[n(3)]
    Sha1,
    #[n(4)]
    Sha256,
}

impl ChecksumAlgorithm {
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    pub fn digest_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// Whether a multipart object's checksum covers its bytes or its parts' checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum ChecksumType {
    #[n(0)]
    FullObject,
    #[n(1)]
    Composite,
}

/// A digest of the right length for its algorithm.
#[derive(Clone, PartialEq, Eq, Hash, Encode)]
pub struct Checksum {
    #[n(0)]
    algorithm: ChecksumAlgorithm,
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    digest: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the digest has the wrong length for its algorithm")]
pub struct InvalidChecksum;

impl Checksum {
    pub fn new(algorithm: ChecksumAlgorithm, digest: &[u8]) -> Result<Self, InvalidChecksum> {
        if digest.len() == algorithm.digest_bytes() {
            Ok(Self { algorithm, digest: digest.to_vec() })
        } else {
            Err(InvalidChecksum)
        }
    }

    pub fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    pub fn digest(&self) -> &[u8] {
        &self.digest
    }
}

impl<'b, C> Decode<'b, C> for Checksum {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        #[derive(Decode)]
        struct Raw {
            #[n(0)]
            algorithm: ChecksumAlgorithm,
            #[n(1)]
            #[cbor(with = "minicbor::bytes")]
            digest: Vec<u8>,
        }
        let raw: Raw = d.decode_with(ctx)?;
        Self::new(raw.algorithm, &raw.digest).map_err(minicbor::decode::Error::message)
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:", self.algorithm)?;
        self.digest.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// An MD5 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Md5(#[cbor(with = "minicbor::bytes")] pub [u8; 16]);

impl fmt::Display for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An entity tag: the MD5 of an object put in one request, or the MD5 of its parts' MD5s with their number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct ETag {
    #[n(0)]
    pub md5: Md5,
    /// How many parts a multipart upload was completed with.
    #[n(1)]
    pub parts: Option<u16>,
}

impl ETag {
    pub fn whole(md5: Md5) -> Self {
        Self { md5, parts: None }
    }

    /// The text without quotes, as `x` or `x-n`, back to the value.
    pub fn parse(text: &str) -> Option<Self> {
        let (hex, parts) = match text.split_once('-') {
            Some((hex, parts)) => (hex, Some(parts.parse::<u16>().ok()?)),
            None => (text, None),
        };
        if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let value = u128::from_str_radix(hex, 16).ok()?;
        Some(Self { md5: Md5(value.to_be_bytes()), parts })
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts {
            Some(parts) => write!(f, "{}-{parts}", self.md5),
            None => self.md5.fmt(f),
        }
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_reads_back_with_and_without_parts() {
        for text in ["d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e-12"] {
            assert_eq!(ETag::parse(text).expect("well formed").to_string(), text);
        }
        for bad in
            ["", "x", "d41d8cd98f00b204e9800998ecf8427", "d41d8cd98f00b204e9800998ecf8427e-", "+41d8cd98f00b204e9800998ecf8427e"]
        {
            assert_eq!(ETag::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_digest_of_the_wrong_length_is_no_checksum_even_from_bytes() {
        assert_eq!(Checksum::new(ChecksumAlgorithm::Crc32, &[0; 8]), Err(InvalidChecksum));
        let good = Checksum::new(ChecksumAlgorithm::Crc64Nvme, &[7; 8]).expect("eight bytes");
        let bytes = minicbor::to_vec(&good).expect("encodes");
        assert_eq!(minicbor::decode::<Checksum>(&bytes).expect("decodes"), good);
    }
}
