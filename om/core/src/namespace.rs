//! Looking things up: buckets by name, keys and versions, and the bytes of an object.

use bucket_config::{ConfigKind, Document};
use tables::{ReadTables, StorageFault};
use types::{BucketId, BucketName, BucketPath, ObjectId, ObjectKey, VersionId, VolumeName};

use crate::rows::{
    self, AccessKeyId, AccessKeyRow, BucketConfigRow, BucketRow, CompletedRow, CredentialRow, KeyHead, KeyRow, Piece, UploadKey,
    UploadRow, UserId, UserRow, VersionRow, VolumeRow, bucket_key, config_key, key_key, name_key, upload_key,
};
use crate::tables::{
    ACCESS_KEYS, BUCKET_CONFIGS, BUCKET_NAMES, BUCKETS, COMPLETED_UPLOADS, KEYS, REVOKED_KEYS, SESSIONS, UPLOADS, USERS, VOLUMES,
};
use crate::versions;

pub fn bucket_by_name(
    tables: &dyn ReadTables,
    volume: &VolumeName,
    name: &BucketName,
) -> Result<Option<BucketRow>, StorageFault> {
    let Some(id) = rows::get::<BucketId>(tables, BUCKET_NAMES, &name_key(volume, name))? else {
        return Ok(None);
    };
    let bucket = bucket(tables, id)?;
    if bucket.is_none() {
        return Err(StorageFault(format!("{name} is the name of {id}, which does not exist")));
    }
    Ok(bucket)
}

pub fn bucket_by_path(tables: &dyn ReadTables, path: &BucketPath) -> Result<Option<BucketRow>, StorageFault> {
    bucket_by_name(tables, path.volume(), path.name())
}

pub fn bucket(tables: &dyn ReadTables, id: BucketId) -> Result<Option<BucketRow>, StorageFault> {
    rows::get(tables, BUCKETS, &bucket_key(id))
}

/// What is set on a bucket of one kind.
pub fn bucket_config(tables: &dyn ReadTables, id: BucketId, kind: ConfigKind) -> Result<Option<BucketConfigRow>, StorageFault> {
    let row: Option<BucketConfigRow> = rows::get(tables, BUCKET_CONFIGS, &config_key(id, kind))?;
    match row {
        Some(row) if row.document.kind() != kind => Err(rows::malformed(BUCKET_CONFIGS, "a document lies under another kind")),
        row => Ok(row),
    }
}

/// The same, as the document that it is.
pub fn bucket_document<D: Document>(tables: &dyn ReadTables, id: BucketId) -> Result<Option<D>, StorageFault> {
    Ok(bucket_config(tables, id, D::KIND)?.and_then(|row| D::of(row.document)))
}

pub fn current(tables: &dyn ReadTables, bucket: BucketId, key: &ObjectKey) -> Result<Option<KeyRow>, StorageFault> {
    rows::get(tables, KEYS, &key_key(bucket, key))
}

/// The current version without its body: enough for a condition.
pub fn current_head(tables: &dyn ReadTables, bucket: BucketId, key: &ObjectKey) -> Result<Option<KeyHead>, StorageFault> {
    tables.get(KEYS, &key_key(bucket, key))?.map(|value| KeyRow::decode_head(&value)).transpose()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Key,
    Version,
    /// What is there is a delete marker.
    DeleteMarker(VersionId),
}

/// The version asked for, or the current one.
pub fn version(
    tables: &dyn ReadTables,
    bucket: BucketId,
    key: &ObjectKey,
    version: Option<VersionId>,
) -> Result<Result<KeyRow, Missing>, StorageFault> {
    let current = current(tables, bucket, key)?;
    let older = match (current, version) {
        (Some(row), None) => return Ok(Ok(row)),
        (Some(row), Some(version)) if row.head.version == version => return Ok(Ok(row)),
        (None, None) => versions::newest_in_stack(tables, bucket, key)?,
        (_, Some(version)) => versions::in_stack(tables, bucket, key, version)?,
    };
    Ok(match (older, version) {
        (Some(VersionRow::Object(row)), Some(_)) => Ok(row),
        (Some(VersionRow::Marker(marker)), _) => Err(Missing::DeleteMarker(marker.version)),
        (None, Some(_)) => Err(Missing::Version),
        // An older object is never the newest of a key that shows nothing.
        (Some(VersionRow::Object(_)) | None, None) => Err(Missing::Key),
    })
}

/// Versions that may have been written over one that is being read before its reader is lost.
const MOST_ABOVE: usize = 1_000;

/// One object that was under the key once, for whoever is reading it: also after another version has come above it.
pub fn object(
    tables: &dyn ReadTables,
    bucket: BucketId,
    key: &ObjectKey,
    object: ObjectId,
) -> Result<Option<KeyRow>, StorageFault> {
    match current(tables, bucket, key)?.filter(|row| row.head.object == object) {
        Some(row) => Ok(Some(row)),
        None => versions::object_in_stack(tables, bucket, key, object, MOST_ABOVE),
    }
}

pub fn upload(tables: &dyn ReadTables, at: &UploadKey) -> Result<Option<UploadRow>, StorageFault> {
    rows::get(tables, UPLOADS, &upload_key(at))
}

/// How an upload ended, if that is remembered.
pub fn completed(tables: &dyn ReadTables, at: &UploadKey) -> Result<Option<CompletedRow>, StorageFault> {
    rows::get(tables, COMPLETED_UPLOADS, &upload_key(at))
}

/// None also of the one that exists by itself, as long as nothing was set on it.
pub fn volume(tables: &dyn ReadTables, name: &VolumeName) -> Result<Option<VolumeRow>, StorageFault> {
    rows::get(tables, VOLUMES, name.as_str().as_bytes())
}

pub fn user(tables: &dyn ReadTables, id: &UserId) -> Result<Option<UserRow>, StorageFault> {
    rows::get(tables, USERS, id.0.as_bytes())
}

/// Whether somebody ended this access key, so that it must not come back by itself.
pub fn is_revoked(tables: &dyn ReadTables, id: &AccessKeyId) -> Result<bool, StorageFault> {
    Ok(tables.get(REVOKED_KEYS, id.0.as_bytes())?.is_some())
}

/// A temporary credential.
pub fn credential(tables: &dyn ReadTables, id: &AccessKeyId) -> Result<Option<CredentialRow>, StorageFault> {
    rows::get(tables, SESSIONS, id.0.as_bytes())
}

pub fn access_key(tables: &dyn ReadTables, id: &AccessKeyId) -> Result<Option<AccessKeyRow>, StorageFault> {
    rows::get(tables, ACCESS_KEYS, id.0.as_bytes())
}

/// A half-open span of an object's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: u64,
    pub end: u64,
}

impl Span {
    pub fn length(self) -> u64 {
        self.end - self.start
    }
}

/// A byte range as asked for, before the size is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum ByteRange {
    /// First and last, both included.
    #[n(0)]
    Span(#[n(0)] u64, #[n(1)] u64),
    #[n(1)]
    From(#[n(0)] u64),
    /// The last so many.
    #[n(2)]
    Suffix(#[n(0)] u64),
}

impl ByteRange {
    /// What a reader of `size` bytes gets, cut at the end; none if the range begins beyond it.
    pub fn within(self, size: u64) -> Option<Span> {
        let (start, end) = match self {
            Self::Span(first, last) if first <= last => (first, last.saturating_add(1).min(size)),
            Self::Span(..) => return None,
            Self::From(first) => (first, size),
            Self::Suffix(count) => (size.saturating_sub(count), size),
        };
        (start < end).then_some(Span { start, end })
    }

    /// The same, if nothing had to be cut.
    pub fn wholly_within(self, size: u64) -> Option<Span> {
        match self {
            Self::Span(_, last) if last >= size => None,
            Self::Suffix(count) if count > size => None,
            _ => self.within(size),
        }
    }
}

/// A piece and where it lies in its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedPiece {
    pub object_offset: u64,
    pub piece: Piece,
    /// From the block's start to where the object's bytes in it end: what a reader's token has to cover.
    pub readable: u64,
}

/// The pieces under `span`, cut to it, in order.
pub fn pieces_under(pieces: &[Piece], span: Span) -> impl Iterator<Item = PlacedPiece> {
    let mut offset = 0;
    pieces.iter().filter_map(move |piece| {
        let begins = offset;
        offset += piece.length;
        let (start, end) = (begins.max(span.start), offset.min(span.end));
        (start < end).then(|| PlacedPiece {
            object_offset: start,
            piece: Piece { block: piece.block, offset: piece.offset + (start - begins), length: end - start },
            readable: piece.offset + piece.length,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VersioningStatus;
    use crate::testing::{Namespace, key};
    use types::{BlockId, ContainerId};

    fn piece(local: u64, offset: u64, length: u64) -> Piece {
        Piece { block: BlockId { container: ContainerId(1), local }, offset, length }
    }

    #[test]
    fn an_object_that_was_written_over_is_found_as_long_as_its_version_is_there() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "cat", [(1, 10)]);
        let first = om.current(bucket, "cat").expect("it is there").head.object;
        let find = |om: &Namespace| {
            let found = object(&om.tables, bucket, &key("cat"), first).expect("memory");
            found.map(|row| row.body.pieces[0].block.local)
        };
        assert_eq!(find(&om), Some(1));
        om.set_versioning(bucket, VersioningStatus::Enabled);
        om.write(bucket, "cat", [(2, 10)]);
        om.delete(bucket, "cat");
        assert_eq!(find(&om), Some(1));
        om.delete_version(bucket, "cat", VersionId::NULL).expect("it is not locked");
        assert_eq!(find(&om), None);
    }

    #[test]
    fn ranges_are_cut_at_the_end_of_the_object() {
        let span = |start, end| Some(Span { start, end });
        assert_eq!(ByteRange::Span(2, 3).within(10), span(2, 4));
        assert_eq!(ByteRange::Span(2, 300).within(10), span(2, 10));
        assert_eq!(ByteRange::Span(10, 11).within(10), None);
        assert_eq!(ByteRange::Span(5, 4).within(10), None);
        assert_eq!(ByteRange::Span(0, u64::MAX).within(10), span(0, 10));
        assert_eq!(ByteRange::From(9).within(10), span(9, 10));
        assert_eq!(ByteRange::From(10).within(10), None);
        assert_eq!(ByteRange::Suffix(3).within(10), span(7, 10));
        assert_eq!(ByteRange::Suffix(30).within(10), span(0, 10));
        assert_eq!(ByteRange::Suffix(0).within(10), None);
        assert_eq!(ByteRange::Suffix(1).within(0), None);
        assert_eq!(ByteRange::Span(2, 300).wholly_within(10), None);
        assert_eq!(ByteRange::Span(2, 9).wholly_within(10), span(2, 10));
    }

    #[test]
    fn a_span_cuts_the_pieces_at_its_ends() {
        let pieces = [piece(1, 0, 10), piece(2, 5, 10), piece(3, 0, 10)];
        let under: Vec<_> = pieces_under(&pieces, Span { start: 8, end: 21 }).collect();
        assert_eq!(
            under,
            [
                PlacedPiece { object_offset: 8, piece: piece(1, 8, 2), readable: 10 },
                PlacedPiece { object_offset: 10, piece: piece(2, 5, 10), readable: 15 },
                PlacedPiece { object_offset: 20, piece: piece(3, 0, 1), readable: 10 },
            ]
        );
        assert_eq!(pieces_under(&pieces, Span { start: 30, end: 40 }).count(), 0);
    }
}
