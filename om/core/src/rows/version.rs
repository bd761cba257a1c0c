//! Versions that are not the current one, and delete markers.

use minicbor::{Decode, Decoder, Encode};
use tables::StorageFault;
use types::{BucketId, ObjectKey, Timestamp, VersionId};

use super::{KeyHead, KeyRow, Sequence, UserId, be64, key_key, malformed};
use crate::tables::VERSIONS;

/// ```text
/// VERSIONS       bucket id be64 · key \0 · !sequence be64   → VersionRow, newest first
/// NULL_VERSIONS  bucket id be64 · key                       → Sequence of the null version that lies in VERSIONS
/// ```
/// Keys hold any byte but NUL, so NUL ends one in [`VERSIONS`](crate::tables::VERSIONS) and keeps their order. The name of a
/// version is its sequence, but for the null version, which is found by [`NULL_VERSIONS`](crate::tables::NULL_VERSIONS).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack for as long as a row is looked at")]
pub enum VersionRow {
    #[n(0)]
    Object(#[n(0)] KeyRow),
    #[n(1)]
    Marker(#[n(0)] DeleteMarker),
}

/// What says that a key is deleted, while its versions remain.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeleteMarker {
    #[n(0)]
    pub sequence: Sequence,
    #[n(1)]
    pub version: VersionId,
    #[n(2)]
    pub modified: Timestamp,
    #[n(3)]
    pub owner: UserId,
    /// When a newer version took its place; none while it is the current one.
    #[n(4)]
    pub noncurrent: Option<Timestamp>,
}

/// What a listing shows of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionHead {
    Object(KeyHead),
    Marker(DeleteMarker),
}

impl VersionHead {
    pub fn sequence(&self) -> Sequence {
        match self {
            Self::Object(head) => head.sequence,
            Self::Marker(marker) => marker.sequence,
        }
    }

    pub fn version(&self) -> VersionId {
        match self {
            Self::Object(head) => head.version,
            Self::Marker(marker) => marker.version,
        }
    }
}

impl VersionRow {
    pub(crate) fn version(&self) -> VersionId {
        match self {
            Self::Object(row) => row.head.version,
            Self::Marker(marker) => marker.version,
        }
    }

    pub(crate) fn set_noncurrent(&mut self, since: Option<Timestamp>) {
        match self {
            Self::Object(row) => row.head.noncurrent = since,
            Self::Marker(marker) => marker.noncurrent = since,
        }
    }

    /// What is listed, without walking over an object's body.
    pub(crate) fn decode_head(value: &[u8]) -> Result<VersionHead, StorageFault> {
        let object = |decoder: &mut Decoder<'_>| KeyRow::decode_head_at(decoder).map(|head| (head, Vec::new()));
        Self::decode_part(value, object).map(|(head, _)| head)
    }

    /// The same, with what lifecycle rules ask for besides; a marker has no tags.
    pub(crate) fn decode_head_and_tags(value: &[u8]) -> Result<(VersionHead, Vec<(String, String)>), StorageFault> {
        Self::decode_part(value, KeyRow::decode_head_and_tags_at)
    }

    fn decode_part(
        value: &[u8],
        object: impl FnOnce(&mut Decoder<'_>) -> Result<(KeyHead, Vec<(String, String)>), minicbor::decode::Error>,
    ) -> Result<(VersionHead, Vec<(String, String)>), StorageFault> {
        let decode = |decoder: &mut Decoder<'_>| {
            decoder.array()?;
            let variant = decoder.u32()?;
            decoder.array()?;
            match variant {
                0 => object(decoder).map(|(head, tags)| (VersionHead::Object(head), tags)),
                1 => decoder.decode().map(|marker| (VersionHead::Marker(marker), Vec::new())),
                other => Err(minicbor::decode::Error::unknown_variant(other.into())),
            }
        };
        decode(&mut Decoder::new(value)).map_err(|error| malformed(VERSIONS, &error.to_string()))
    }
}

/// Where the versions of a key begin.
pub(crate) fn versions_of(bucket: BucketId, key: &ObjectKey) -> Vec<u8> {
    let mut bytes = key_key(bucket, key);
    bytes.push(0);
    bytes
}

pub(crate) fn version_key(bucket: BucketId, key: &ObjectKey, sequence: Sequence) -> Vec<u8> {
    let mut bytes = versions_of(bucket, key);
    bytes.extend_from_slice(&(!sequence.0).to_be_bytes());
    bytes
}

/// The key and the sequence in a row's key.
pub(crate) fn decode_version_key(row_key: &[u8]) -> Result<(&str, Sequence), StorageFault> {
    let bad = || malformed(VERSIONS, "a key is not a version's");
    let terminator = row_key.len().checked_sub(9).filter(|at| *at > 8 && row_key[*at] == 0).ok_or_else(bad)?;
    let key = std::str::from_utf8(&row_key[8..terminator]).map_err(|_| bad())?;
    Ok((key, Sequence(!be64(VERSIONS, row_key, terminator + 1)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::LogIndex;

    #[test]
    fn the_versions_of_a_key_lie_newest_first_and_before_those_of_later_keys() {
        let at =
            |key: &str, log| version_key(BucketId(3), &ObjectKey::parse(key).expect("legal"), Sequence::new(LogIndex(log), 0));
        assert!(at("a", 9) < at("a", 8));
        assert!(at("a", 1) < at("a\u{1}", 9));
        assert!(at("a", 1) < at("aa", 9));
        assert_eq!(decode_version_key(&at("a/b", 9)).expect("ours"), ("a/b", Sequence::new(LogIndex(9), 0)));
        assert!(decode_version_key(b"short").is_err());
    }

    #[test]
    fn a_marker_is_its_own_head() {
        let marker = DeleteMarker {
            sequence: Sequence(7),
            version: VersionId(7),
            modified: Timestamp(1),
            owner: UserId("ada".into()),
            noncurrent: None,
        };
        let bytes = tables::encode(&VersionRow::Marker(marker.clone()));
        assert_eq!(VersionRow::decode_head(&bytes).expect("ours"), VersionHead::Marker(marker));
    }
}
