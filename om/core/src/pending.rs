//! What the background services look for, a bounded piece at a time.

use tables::{ReadTables, StorageFault, Visit};
use types::{BlockId, BucketId, ObjectId, Timestamp};

use crate::rows::{self, ReclaimKey, ReclaimRow, SessionRow, be64};
use crate::tables::{COMPLETED_BY_TIME, DELETED, ENDING_BUCKETS, OPEN_KEYS, SESSIONS_BY_EXPIRY};

/// Freed blocks whose grace is over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reclaim {
    pub rows: Vec<ReclaimKey>,
    pub blocks: Vec<BlockId>,
    pub more: bool,
}

/// The oldest rows that were freed before a time, until they name `blocks` blocks or more.
pub fn reclaim(tables: &dyn ReadTables, freed_before: Timestamp, blocks: usize) -> Result<Reclaim, StorageFault> {
    let mut found = Reclaim::default();
    tables.scan(DELETED, b"", &mut |key, value| {
        let key = ReclaimKey::decode(key)?;
        if key.freed >= freed_before {
            return Ok(Visit::Stop);
        }
        if found.blocks.len() >= blocks {
            found.more = true;
            return Ok(Visit::Stop);
        }
        let row: ReclaimRow = tables::decode(value, DELETED.name)?;
        found.rows.push(key);
        found.blocks.extend(row.blocks);
        Ok(Visit::Next)
    })?;
    Ok(found)
}

/// One look at a stretch of the open keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OldSessions {
    pub objects: Vec<ObjectId>,
    /// Where the next look begins; none at the end of the table.
    pub next: Option<ObjectId>,
}

/// Sessions opened before a time, among the `rows` rows from `from` on.
pub fn old_sessions(
    tables: &dyn ReadTables,
    from: ObjectId,
    opened_before: Timestamp,
    rows: usize,
) -> Result<OldSessions, StorageFault> {
    let mut found = OldSessions::default();
    let mut seen = 0;
    tables.scan(OPEN_KEYS, &rows::session_key(from), &mut |key, value| {
        let object = ObjectId(be64(OPEN_KEYS, key, 0)?);
        if seen == rows {
            found.next = Some(object);
            return Ok(Visit::Stop);
        }
        seen += 1;
        let row: SessionRow = tables::decode(value, OPEN_KEYS.name)?;
        if row.opened < opened_before {
            found.objects.push(object);
        }
        Ok(Visit::Next)
    })?;
    Ok(found)
}

/// A bucket that is gone and whose uploads are not.
pub fn ending_bucket(tables: &dyn ReadTables) -> Result<Option<BucketId>, StorageFault> {
    let (keys, _) = rows::keys_under(tables, ENDING_BUCKETS, b"", 1)?;
    keys.first().map(|key| be64(ENDING_BUCKETS, key, 0).map(BucketId)).transpose()
}

/// When the oldest remembered completion was.
/// When the first of the temporary credentials ends.
pub fn first_credential_to_end(tables: &dyn ReadTables) -> Result<Option<Timestamp>, StorageFault> {
    let (keys, _) = rows::keys_under(tables, SESSIONS_BY_EXPIRY, b"", 1)?;
    keys.first().map(|key| rows::be64(SESSIONS_BY_EXPIRY, key, 0).map(Timestamp)).transpose()
}

pub fn oldest_completion(tables: &dyn ReadTables) -> Result<Option<Timestamp>, StorageFault> {
    let (keys, _) = rows::keys_under(tables, COMPLETED_BY_TIME, b"", 1)?;
    keys.first().map(|key| be64(COMPLETED_BY_TIME, key, 0).map(Timestamp)).transpose()
}

/// Rows of a table, counted up to `most`.
pub fn count(tables: &dyn ReadTables, table: tables::Table, most: usize) -> Result<u64, StorageFault> {
    let mut rows = 0;
    tables.scan(table, b"", &mut |_, _| {
        rows += 1;
        Ok(if rows == most { Visit::Stop } else { Visit::Next })
    })?;
    Ok(rows as u64)
}
