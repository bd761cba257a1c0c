//! A key's stack of versions: the current one in [`KEYS`], the older ones in [`VERSIONS`].
//!
//! A key that has a row in [`KEYS`] shows it. One that has none, and versions, begins with a delete marker. What every change of
//! the stack restores: the top is never an older object, at most one version is the null version, and [`NULL_VERSIONS`] knows it
//! exactly where it lies in [`VERSIONS`].

use tables::{ReadTables, StorageFault, Visit, WriteTables};
use types::{BucketId, ObjectId, ObjectKey, Timestamp, VersionId};

use crate::blocks::Freed;
use crate::rows::{
    self, BucketRow, DeleteMarker, KeyRow, Sequence, UserId, VersionHead, VersionRow, Versioning, key_key, malformed,
    version_key, versions_of,
};
use crate::tables::{KEYS, NULL_VERSIONS, VERSIONS};

/// The newest version that is not in [`KEYS`]: the current one, a delete marker, if [`KEYS`] has none.
pub(crate) fn newest_in_stack(
    tables: &dyn ReadTables,
    bucket: BucketId,
    key: &ObjectKey,
) -> Result<Option<VersionRow>, StorageFault> {
    let inside = versions_of(bucket, key);
    let mut found = None;
    tables.scan(VERSIONS, &inside, &mut |row_key, value| {
        if row_key.starts_with(&inside) {
            found = Some(tables::decode(value, VERSIONS.name)?);
        }
        Ok(Visit::Stop)
    })?;
    Ok(found)
}

/// How many objects of the stack lie above a place in it, counted up to `most`.
pub(crate) fn hidden_objects_above(
    tables: &dyn ReadTables,
    bucket: BucketId,
    key: &ObjectKey,
    sequence: Sequence,
    most: u32,
) -> Result<u32, StorageFault> {
    let (inside, end) = (versions_of(bucket, key), version_key(bucket, key, sequence));
    let mut counted = 0;
    tables.scan(VERSIONS, &inside, &mut |row_key, value| {
        if counted >= most || row_key >= end.as_slice() {
            return Ok(Visit::Stop);
        }
        counted += u32::from(matches!(VersionRow::decode_head(value)?, VersionHead::Object(_)));
        Ok(Visit::Next)
    })?;
    Ok(counted)
}

/// Whether a key has one version, which is not in [`KEYS`].
pub(crate) fn is_alone(tables: &dyn ReadTables, bucket: BucketId, key: &ObjectKey) -> Result<bool, StorageFault> {
    let (_, more) = rows::keys_under(tables, VERSIONS, &versions_of(bucket, key), 1)?;
    Ok(!more && tables.get(KEYS, &key_key(bucket, key))?.is_none())
}

/// Where in [`VERSIONS`] a version would lie; none for a null version that is not there.
fn sequence_of(
    tables: &dyn ReadTables,
    bucket: BucketId,
    key: &ObjectKey,
    version: VersionId,
) -> Result<Option<Sequence>, StorageFault> {
    if version.is_null() { rows::get(tables, NULL_VERSIONS, &key_key(bucket, key)) } else { Ok(Some(Sequence(version.0))) }
}

/// A version that is not the current object.
pub(crate) fn in_stack(
    tables: &dyn ReadTables,
    bucket: BucketId,
    key: &ObjectKey,
    version: VersionId,
) -> Result<Option<VersionRow>, StorageFault> {
    let Some(sequence) = sequence_of(tables, bucket, key, version)? else { return Ok(None) };
    let row: Option<VersionRow> = rows::get(tables, VERSIONS, &version_key(bucket, key, sequence))?;
    Ok(row.filter(|row| row.version() == version))
}

/// An object among the newest so many of a stack, whatever its version is called.
pub(crate) fn object_in_stack(
    tables: &dyn ReadTables,
    bucket: BucketId,
    key: &ObjectKey,
    object: ObjectId,
    most: usize,
) -> Result<Option<KeyRow>, StorageFault> {
    let inside = versions_of(bucket, key);
    let (mut found, mut seen) = (None, 0);
    tables.scan(VERSIONS, &inside, &mut |row_key, value| {
        if !row_key.starts_with(&inside) || seen == most {
            return Ok(Visit::Stop);
        }
        seen += 1;
        match VersionRow::decode_head(value)? {
            VersionHead::Object(head) if head.object == object => {
                found = Some(tables::decode(value, VERSIONS.name)?);
                Ok(Visit::Stop)
            }
            VersionHead::Object(_) | VersionHead::Marker(_) => Ok(Visit::Next),
        }
    })?;
    Ok(match found {
        Some(VersionRow::Object(row)) => Some(row),
        Some(VersionRow::Marker(_)) | None => None,
    })
}

/// Makes `row` the current version of its key. `current` is what [`KEYS`] holds.
pub(crate) fn push(
    tables: &mut dyn WriteTables,
    bucket: &BucketRow,
    key: &ObjectKey,
    current: Option<KeyRow>,
    row: &mut KeyRow,
    freed: &mut Freed,
) -> Result<(), StorageFault> {
    let newest = make_way(tables, bucket, key, current, row.head.modified, freed)?;
    // Leaders' clocks differ; a key's history does not run backwards for that.
    row.head.modified = row.head.modified.max(newest);
    row.head.version = version_of(bucket, row.head.sequence);
    rows::put(tables, KEYS, &key_key(bucket.id, key), row);
    Ok(())
}

/// Makes a delete marker the current version. `current` is what [`KEYS`] holds.
pub(crate) fn push_marker(
    tables: &mut dyn WriteTables,
    bucket: &BucketRow,
    key: &ObjectKey,
    current: Option<KeyRow>,
    (sequence, modified, owner): (Sequence, Timestamp, UserId),
    freed: &mut Freed,
) -> Result<VersionId, StorageFault> {
    let newest = make_way(tables, bucket, key, current, modified, freed)?;
    let version = version_of(bucket, sequence);
    let marker = DeleteMarker { sequence, version, modified: modified.max(newest), owner, noncurrent: None };
    put_in_stack(tables, bucket.id, key, sequence, &VersionRow::Marker(marker));
    Ok(version)
}

fn version_of(bucket: &BucketRow, sequence: Sequence) -> VersionId {
    match bucket.versioning {
        Versioning::Unversioned | Versioning::Suspended => VersionId::NULL,
        Versioning::Enabled => VersionId(sequence.0),
    }
}

/// Whatever is current becomes an older version, or goes where the bucket keeps none. Answers its time.
fn make_way(
    tables: &mut dyn WriteTables,
    bucket: &BucketRow,
    key: &ObjectKey,
    current: Option<KeyRow>,
    now: Timestamp,
    freed: &mut Freed,
) -> Result<Timestamp, StorageFault> {
    let newest = current.as_ref().map_or(Timestamp(0), |row| row.head.modified);
    match (bucket.versioning, current) {
        (Versioning::Unversioned, current) => {
            if let Some(row) = current {
                tables.delete(KEYS, &key_key(bucket.id, key));
                freed.drop_pieces(tables, &row.body.pieces)?;
            }
            Ok(newest)
        }
        (Versioning::Suspended, Some(row)) if row.head.version.is_null() => {
            tables.delete(KEYS, &key_key(bucket.id, key));
            freed.drop_pieces(tables, &row.body.pieces)?;
            Ok(newest)
        }
        (versioning, current) => {
            if versioning == Versioning::Suspended {
                remove_from_stack(tables, bucket.id, key, VersionId::NULL, freed)?;
            }
            match current {
                Some(mut row) => {
                    row.head.noncurrent = Some(now.max(newest));
                    tables.delete(KEYS, &key_key(bucket.id, key));
                    let sequence = row.head.sequence;
                    put_in_stack(tables, bucket.id, key, sequence, &VersionRow::Object(row));
                    Ok(newest)
                }
                None => marker_makes_way(tables, bucket.id, key, now),
            }
        }
    }
}

fn marker_makes_way(
    tables: &mut dyn WriteTables,
    bucket: BucketId,
    key: &ObjectKey,
    now: Timestamp,
) -> Result<Timestamp, StorageFault> {
    let Some(VersionRow::Marker(mut marker)) = newest_in_stack(tables, bucket, key)? else { return Ok(Timestamp(0)) };
    let modified = marker.modified;
    marker.noncurrent.get_or_insert(now.max(modified));
    rows::put(tables, VERSIONS, &version_key(bucket, key, marker.sequence), &VersionRow::Marker(marker));
    Ok(modified)
}

fn put_in_stack(tables: &mut dyn WriteTables, bucket: BucketId, key: &ObjectKey, sequence: Sequence, row: &VersionRow) {
    if row.version().is_null() {
        rows::put(tables, NULL_VERSIONS, &key_key(bucket, key), &sequence);
    }
    rows::put(tables, VERSIONS, &version_key(bucket, key, sequence), row);
}

/// What [`remove`] took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removed {
    Object,
    Marker,
}

/// Removes one version for good; the one below the current one takes its place.
pub(crate) fn remove(
    tables: &mut dyn WriteTables,
    bucket: BucketId,
    key: &ObjectKey,
    version: VersionId,
    freed: &mut Freed,
) -> Result<Option<Removed>, StorageFault> {
    let current: Option<KeyRow> = rows::get(tables, KEYS, &key_key(bucket, key))?;
    let is_current = current.as_ref().is_some_and(|row| row.head.version == version);
    if let Some(row) = current.as_ref().filter(|_| is_current) {
        tables.delete(KEYS, &key_key(bucket, key));
        freed.drop_pieces(tables, &row.body.pieces)?;
        promote(tables, bucket, key)?;
        return Ok(Some(Removed::Object));
    }
    let removed = remove_from_stack(tables, bucket, key, version, freed)?;
    if current.is_none() && removed.is_some() {
        promote(tables, bucket, key)?;
    }
    Ok(removed)
}

fn remove_from_stack(
    tables: &mut dyn WriteTables,
    bucket: BucketId,
    key: &ObjectKey,
    version: VersionId,
    freed: &mut Freed,
) -> Result<Option<Removed>, StorageFault> {
    let Some(sequence) = sequence_of(tables, bucket, key, version)? else { return Ok(None) };
    let at = version_key(bucket, key, sequence);
    let row: Option<VersionRow> = rows::get(tables, VERSIONS, &at)?;
    let Some(row) = row.filter(|row| row.version() == version) else {
        return if version.is_null() { Err(malformed(NULL_VERSIONS, "it names a version that is not there")) } else { Ok(None) };
    };
    tables.delete(VERSIONS, &at);
    if version.is_null() {
        tables.delete(NULL_VERSIONS, &key_key(bucket, key));
    }
    match row {
        VersionRow::Object(row) => {
            freed.drop_pieces(tables, &row.body.pieces)?;
            Ok(Some(Removed::Object))
        }
        VersionRow::Marker(_) => Ok(Some(Removed::Marker)),
    }
}

/// The newest of the stack becomes the current version.
fn promote(tables: &mut dyn WriteTables, bucket: BucketId, key: &ObjectKey) -> Result<(), StorageFault> {
    let Some(mut newest) = newest_in_stack(tables, bucket, key)? else { return Ok(()) };
    newest.set_noncurrent(None);
    match newest {
        VersionRow::Marker(marker) => {
            rows::put(tables, VERSIONS, &version_key(bucket, key, marker.sequence), &VersionRow::Marker(marker));
        }
        VersionRow::Object(row) => {
            tables.delete(VERSIONS, &version_key(bucket, key, row.head.sequence));
            if row.head.version.is_null() {
                tables.delete(NULL_VERSIONS, &key_key(bucket, key));
            }
            rows::put(tables, KEYS, &key_key(bucket, key), &row);
        }
    }
    Ok(())
}

/// Writes a version anew where it lies: its tags or its lock changed.
pub(crate) fn rewrite(tables: &mut dyn WriteTables, bucket: BucketId, key: &ObjectKey, row: KeyRow) -> Result<(), StorageFault> {
    let at = key_key(bucket, key);
    let current: Option<KeyRow> = rows::get(tables, KEYS, &at)?;
    if current.is_some_and(|current| current.head.sequence == row.head.sequence) {
        rows::put(tables, KEYS, &at, &row);
    } else {
        let sequence = row.head.sequence;
        rows::put(tables, VERSIONS, &version_key(bucket, key, sequence), &VersionRow::Object(row));
    }
    Ok(())
}
