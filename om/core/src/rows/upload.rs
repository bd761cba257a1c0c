//! Multipart uploads and their parts.

use minicbor::{Decode, Encode};
use tables::{StorageFault, Table};
use types::{
    Acl, BucketId, Checksum, ChecksumAlgorithm, ChecksumType, ETag, ObjectId, ObjectKey, ObjectLock, PartNumber, Replication,
    Salt, Timestamp, UploadId,
};

use super::{Attributes, Encryption, Piece, UserId, be64, key_key, malformed};
use crate::commands::KeyCommitted;

/// ```text
/// UPLOADS            bucket id be64 · key \0 · upload id be128               → UploadRow
/// PARTS              bucket id be64 · key \0 · upload id be128 · part be16   → PartRow
/// COMPLETED_UPLOADS  bucket id be64 · key \0 · upload id be128               → CompletedRow
/// COMPLETED_BY_TIME  time be64 · key of COMPLETED_UPLOADS                    → nothing
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UploadRow {
    #[n(0)]
    pub initiator: UserId,
    #[n(1)]
    pub owner: UserId,
    #[n(2)]
    pub initiated: Timestamp,
    #[n(3)]
    pub attributes: Attributes,
    #[n(4)]
    pub storage_class: Option<String>,
    #[n(5)]
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    #[n(6)]
    pub lock: Option<ObjectLock>,
    /// Of all its parts.
    #[n(7)]
    pub encryption: Option<Encryption>,
    /// Of the object that it becomes.
    #[n(8)]
    pub acl: Option<Acl>,
    /// How the blocks of its parts are kept; as its bucket's if absent.
    #[n(9)]
    pub replication: Option<Replication>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PartRow {
    /// The write that made this part: another when it is written again.
    #[n(0)]
    pub object: ObjectId,
    #[n(1)]
    pub size: u64,
    #[n(2)]
    pub etag: ETag,
    #[n(3)]
    pub checksum: Option<Checksum>,
    #[n(4)]
    pub modified: Timestamp,
    #[n(5)]
    pub pieces: Vec<Piece>,
    /// Of its stream, if the upload is encrypted.
    #[n(6)]
    pub salt: Option<Salt>,
}

/// How an upload ended, so that the same completion sent again is answered as the first.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CompletedRow {
    #[n(0)]
    pub upload: UploadRow,
    #[n(1)]
    pub answer: KeyCommitted,
    #[n(2)]
    pub completed: Timestamp,
}

/// Where an upload lies.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UploadKey {
    #[n(0)]
    pub bucket: BucketId,
    #[n(1)]
    pub key: ObjectKey,
    #[n(2)]
    pub upload: UploadId,
}

impl UploadKey {
    pub(crate) fn decode(table: Table, bytes: &[u8]) -> Result<Self, StorageFault> {
        let bad = || malformed(table, "a key is not an upload's");
        let bucket = BucketId(be64(table, bytes, 0)?);
        let terminator = bytes.len().checked_sub(17).filter(|at| *at > 8 && bytes[*at] == 0).ok_or_else(bad)?;
        let key = std::str::from_utf8(&bytes[8..terminator]).ok().and_then(|text| ObjectKey::parse(text).ok()).ok_or_else(bad)?;
        let id: [u8; 16] = bytes[terminator + 1..].try_into().map_err(|_| bad())?;
        Ok(Self { bucket, key, upload: UploadId::from_u128(u128::from_be_bytes(id)) })
    }
}

/// Where the uploads of one key begin.
fn upload_key_prefix(bucket: BucketId, key: &ObjectKey) -> Vec<u8> {
    let mut bytes = key_key(bucket, key);
    bytes.push(0);
    bytes
}

pub(crate) fn upload_key(at: &UploadKey) -> Vec<u8> {
    let mut bytes = upload_key_prefix(at.bucket, &at.key);
    bytes.extend_from_slice(&at.upload.to_u128().to_be_bytes());
    bytes
}

/// Where the parts of an upload begin: its own key.
pub(crate) fn parts_prefix(at: &UploadKey) -> Vec<u8> {
    upload_key(at)
}

pub(crate) fn part_key(at: &UploadKey, part: PartNumber) -> Vec<u8> {
    let mut bytes = parts_prefix(at);
    bytes.extend_from_slice(&part.get().to_be_bytes());
    bytes
}

pub(crate) fn completed_time_key(completed: Timestamp, upload_key: &[u8]) -> Vec<u8> {
    [&completed.0.to_be_bytes(), upload_key].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::UPLOADS;

    #[test]
    fn an_uploads_key_reads_back_and_keeps_the_order_of_object_keys() {
        let at = |key: &str, upload| UploadKey {
            bucket: BucketId(3),
            key: ObjectKey::parse(key).expect("legal"),
            upload: UploadId::from_u128(upload),
        };
        let first = at("a", u128::MAX);
        assert_eq!(UploadKey::decode(UPLOADS, &upload_key(&first)).expect("ours"), first);
        assert!(upload_key(&first) < upload_key(&at("a\u{1}", 0)));
        assert!(upload_key(&first) < upload_key(&at("aa", 0)));
        assert!(UploadKey::decode(UPLOADS, b"short").is_err());
    }
}
