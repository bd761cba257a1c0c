//! Objects under their keys.

use minicbor::{Decode, Decoder, Encode};
use tables::StorageFault;
use types::{
    Acl, BlockId, BucketId, Checksum, ChecksumType, ETag, LogIndex, ObjectId, ObjectKey, ObjectLock, PartNumber, Replication,
    Salt, Timestamp, VersionId,
};

use super::{Encryption, NativeAcl, UserId, malformed};
use crate::tables::KEYS;

/// The order in which the versions of a key were written: the log index, and the place within an entry that writes several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// An entry deletes at most 1,000 keys, and writes nothing else so often.
    const PER_ENTRY: u64 = 1024;

    pub(crate) fn new(log: LogIndex, ordinal: u64) -> Self {
        debug_assert!(ordinal < Self::PER_ENTRY, "an entry writes at most 1,024 versions");
        Self(log.0.wrapping_mul(Self::PER_ENTRY) + ordinal)
    }
}

/// Headers that S3 keeps with an object and gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum SystemHeader {
    #[n(0)]
    CacheControl,
    #[n(1)]
    ContentDisposition,
    #[n(2)]
    ContentEncoding,
    #[n(3)]
    ContentLanguage,
    #[n(4)]
    ContentType,
    #[n(5)]
    Expires,
    #[n(6)]
    WebsiteRedirectLocation,
}

/// What a client says about an object besides its bytes and its storage class.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Attributes {
    #[n(0)]
    pub headers: Vec<(SystemHeader, String)>,
    #[n(1)]
    pub metadata: Vec<(String, String)>,
    #[n(2)]
    pub tags: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ObjectChecksum {
    #[n(0)]
    pub checksum: Checksum,
    #[n(1)]
    pub kind: ChecksumType,
}

/// Consecutive bytes of an object: `length` bytes of a block, from `offset` on. Each piece is one reference to its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Piece {
    #[n(0)]
    pub block: BlockId,
    #[n(1)]
    pub offset: u64,
    #[n(2)]
    pub length: u64,
}

/// A part of an object that was uploaded in parts; their bytes follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PartEntry {
    #[n(0)]
    pub number: PartNumber,
    #[n(1)]
    pub size: u64,
    #[n(2)]
    pub checksum: Option<Checksum>,
    /// Of its stream, if the object is encrypted.
    #[n(3)]
    pub salt: Option<Salt>,
}

/// What a listing shows and a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyHead {
    #[n(0)]
    pub object: ObjectId,
    #[n(1)]
    pub sequence: Sequence,
    /// S3's name of this version: `null` where the bucket was not versioned when it was written.
    #[n(2)]
    pub version: VersionId,
    #[n(3)]
    pub size: u64,
    #[n(4)]
    pub etag: ETag,
    #[n(5)]
    pub modified: Timestamp,
    #[n(6)]
    pub owner: UserId,
    /// STANDARD if absent.
    #[n(7)]
    pub storage_class: Option<String>,
    #[n(8)]
    pub checksum: Option<ObjectChecksum>,
    /// When a newer version took its place; none while it is the current one.
    #[n(9)]
    pub noncurrent: Option<Timestamp>,
    #[n(10)]
    pub lock: Option<ObjectLock>,
}

impl KeyHead {
    /// S3's name of this version, where its bucket had versions to name when it was written.
    pub fn shown_version(&self) -> Option<VersionId> {
        (!self.version.is_null()).then_some(self.version)
    }
}

/// What only a reader of the object needs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyBody {
    #[n(0)]
    pub attributes: Attributes,
    /// In the object's order; their lengths add up to its size, or to what is stored for it if it is encrypted.
    #[n(1)]
    pub pieces: Vec<Piece>,
    /// None if it was put whole.
    #[n(2)]
    pub parts: Vec<PartEntry>,
    /// None if its bytes are stored as they are.
    #[n(3)]
    pub encryption: Option<Encryption>,
    /// None: its owner has full control, and nobody else has anything.
    #[n(4)]
    pub acl: Option<Acl>,
    /// How its blocks are kept; as its bucket's if absent.
    #[n(5)]
    pub replication: Option<Replication>,
    /// Ozone's; `None` is one without entries.
    #[n(6)]
    pub native_acl: Option<NativeAcl>,
}

/// ```text
/// KEYS      bucket id be64 · key   → KeyRow
/// ```
/// The head comes first, so that a listing decodes it and leaves thousands of pieces alone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyRow {
    #[n(0)]
    pub head: KeyHead,
    #[n(1)]
    pub body: KeyBody,
}

impl KeyRow {
    /// The head alone, without walking over the body.
    pub(crate) fn decode_head(value: &[u8]) -> Result<KeyHead, StorageFault> {
        let mut decoder = Decoder::new(value);
        Self::decode_head_at(&mut decoder).map_err(|error| malformed(KEYS, &error.to_string()))
    }

    /// What lifecycle rules ask for: the head and the tags, without walking over the pieces.
    pub(crate) fn decode_head_and_tags(value: &[u8]) -> Result<(KeyHead, Vec<(String, String)>), StorageFault> {
        let mut decoder = Decoder::new(value);
        Self::decode_head_and_tags_at(&mut decoder).map_err(|error| malformed(KEYS, &error.to_string()))
    }

    pub(super) fn decode_head_and_tags_at(
        decoder: &mut Decoder<'_>,
    ) -> Result<(KeyHead, Vec<(String, String)>), minicbor::decode::Error> {
        let head = Self::decode_head_at(decoder)?;
        decoder.array()?;
        let attributes: Attributes = decoder.decode()?;
        Ok((head, attributes.tags))
    }

    pub(super) fn decode_head_at(decoder: &mut Decoder<'_>) -> Result<KeyHead, minicbor::decode::Error> {
        decoder.array()?;
        decoder.decode()
    }
}

pub(crate) fn key_key(bucket: BucketId, key: &ObjectKey) -> Vec<u8> {
    key_prefix(bucket, key.as_bytes())
}

/// Where the keys of a bucket that begin with `prefix` begin.
pub(crate) fn key_prefix(bucket: BucketId, prefix: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + prefix.len());
    bytes.extend_from_slice(&bucket.0.to_be_bytes());
    bytes.extend_from_slice(prefix);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{ContainerId, Md5};

    #[test]
    fn a_head_decodes_without_its_body() {
        let head = KeyHead {
            object: ObjectId(7),
            sequence: Sequence::new(LogIndex(3), 2),
            version: VersionId::NULL,
            size: 5,
            etag: ETag::whole(Md5([1; 16])),
            modified: Timestamp(9),
            owner: UserId("ada".into()),
            storage_class: None,
            checksum: None,
            noncurrent: None,
            lock: None,
        };
        let piece = Piece { block: BlockId { container: ContainerId(1), local: 2 }, offset: 0, length: 5 };
        let tags = vec![("k".to_owned(), "v".to_owned())];
        let attributes = Attributes { tags: tags.clone(), ..Attributes::default() };
        let body = KeyBody {
            attributes,
            pieces: vec![piece],
            parts: Vec::new(),
            encryption: None,
            acl: None,
            replication: None,
            native_acl: None,
        };
        let row = KeyRow { head: head.clone(), body };
        let bytes = tables::encode(&row);
        assert_eq!(KeyRow::decode_head(&bytes).expect("ours"), head);
        assert_eq!(KeyRow::decode_head_and_tags(&bytes).expect("ours"), (head, tags));
        assert_eq!(tables::decode::<KeyRow>(&bytes, "key").expect("ours"), row);
    }

    #[test]
    fn sequences_grow_with_the_log_and_within_an_entry() {
        assert!(Sequence::new(LogIndex(3), 1023) < Sequence::new(LogIndex(4), 0));
        assert!(Sequence::new(LogIndex(3), 0) < Sequence::new(LogIndex(3), 1));
    }
}
