//! What several commands are made of: a session's end, a version's place, a copy's source.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::{BlockId, BucketId, ETag, ObjectKey, Retention, Timestamp, VersionId};

use crate::blocks::Freed;
use crate::condition::ReadConditions;
use crate::judged::Judged;
use crate::rows::{self, BucketRow, KeyRow, LOCK_CLOCK, ObjectChecksum, Piece, Session, SessionRow, Versioning, session_key};
use crate::tables::{META, OPEN_KEYS};
use crate::versions;

/// The bucket is gone; another of its name would be another bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchBucket;

/// A block that holds bytes of the object, put and durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct CommittedBlock {
    #[n(0)]
    pub block: BlockId,
    #[n(1)]
    pub length: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyCommitted {
    #[n(0)]
    pub etag: ETag,
    #[n(1)]
    pub modified: Timestamp,
    /// Present in a versioned bucket.
    #[n(2)]
    pub version: Option<VersionId>,
    #[n(3)]
    pub size: u64,
    #[n(4)]
    pub checksum: Option<ObjectChecksum>,
}

/// The version that a copy reads.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CopySource {
    #[n(0)]
    pub bucket: BucketId,
    #[n(1)]
    pub key: ObjectKey,
    #[n(2)]
    pub version: Option<VersionId>,
    #[n(3)]
    pub conditions: ReadConditions,
    #[n(4)]
    pub judged: Option<Box<Judged>>,
}

/// Ends a session: its row is gone, and its blocks are the caller's to link or to free.
pub(super) fn take_session(tables: &mut dyn WriteTables, session: &Session) -> Result<Option<SessionRow>, StorageFault> {
    let key = session_key(session.object);
    let Some(row) = rows::get::<SessionRow>(tables, OPEN_KEYS, &key)? else {
        return Ok(None);
    };
    if row.bucket != session.bucket {
        return Ok(None);
    }
    tables.delete(OPEN_KEYS, &key);
    Ok(Some(row))
}

/// A session's blocks, told apart by what the commit names.
pub(super) struct Sorted {
    pub(super) pieces: Vec<Piece>,
    pub(super) unused: Vec<BlockId>,
    /// The bytes in all blocks together.
    pub(super) stored: u64,
}

/// None if the commit names a block that the session was not given, or names one twice.
pub(super) fn sort_blocks(session: &SessionRow, named: &[CommittedBlock]) -> Option<Sorted> {
    let mut left: BTreeSet<BlockId> = session.blocks.iter().copied().collect();
    let mut pieces = Vec::with_capacity(named.len());
    let mut stored: u64 = 0;
    for CommittedBlock { block, length } in named.iter().copied().filter(|named| named.length > 0) {
        if !left.remove(&block) {
            return None;
        }
        stored = stored.checked_add(length)?;
        pieces.push(Piece { block, offset: 0, length });
    }
    Some(Sorted { pieces, unused: left.into_iter().collect(), stored })
}

/// Makes `row` the current version of its key. `current` is what is there now.
pub(super) fn link(
    tables: &mut dyn WriteTables,
    bucket: &BucketRow,
    key: &ObjectKey,
    current: Option<KeyRow>,
    mut row: KeyRow,
    freed: &mut Freed,
) -> Result<KeyCommitted, StorageFault> {
    if let Some(default) = bucket.object_lock.and_then(|lock| lock.default) {
        let lock = row.head.lock.get_or_insert_default();
        if lock.retention.is_none() {
            let until = default.period.after(lock_clock(tables, row.head.modified)?);
            lock.retention = Some(Retention { mode: default.mode, until });
        }
    }
    versions::push(tables, bucket, key, current, &mut row, freed)?;
    let head = row.head;
    let version = (bucket.versioning == Versioning::Enabled).then_some(head.version);
    Ok(KeyCommitted { etag: head.etag, modified: head.modified, version, size: head.size, checksum: head.checksum })
}

/// The time from which a lock counts: never earlier than another lock counted from, whatever a leader's clock says.
///
/// Whether a lock has ended is asked of the leader's clock alone. A clock that is behind then keeps versions for longer, here and
/// there: every error is on the side of keeping.
fn lock_clock(tables: &mut dyn WriteTables, now: Timestamp) -> Result<Timestamp, StorageFault> {
    let floor: Option<Timestamp> = rows::get(tables, META, LOCK_CLOCK)?;
    if floor.is_none_or(|floor| floor < now) {
        rows::put(tables, META, LOCK_CLOCK, &now);
    }
    Ok(floor.map_or(now, |floor| floor.max(now)))
}
