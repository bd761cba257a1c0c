//! What several commands are made of: a session's end, a version's place, a copy's source.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::{BlockId, BucketId, ETag, ObjectKey, Timestamp, VersionId};

use crate::blocks::Freed;
use crate::condition::ReadConditions;
use crate::rows::{self, BucketRow, KeyRow, ObjectChecksum, Piece, Session, SessionRow, Versioning, key_key, session_key};
use crate::tables::{KEYS, OPEN_KEYS};

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
    pub(super) size: u64,
}

/// None if the commit names a block that the session was not given, or names one twice.
pub(super) fn sort_blocks(session: &SessionRow, named: &[CommittedBlock]) -> Option<Sorted> {
    let mut left: BTreeSet<BlockId> = session.blocks.iter().copied().collect();
    let mut pieces = Vec::with_capacity(named.len());
    let mut size: u64 = 0;
    for CommittedBlock { block, length } in named.iter().copied().filter(|named| named.length > 0) {
        if !left.remove(&block) {
            return None;
        }
        size = size.checked_add(length)?;
        pieces.push(Piece { block, offset: 0, length });
    }
    Some(Sorted { pieces, unused: left.into_iter().collect(), size })
}

/// Makes `row` the current version of its key, in place of `replaced`.
pub(super) fn link(
    tables: &mut dyn WriteTables,
    bucket: &BucketRow,
    key: &ObjectKey,
    replaced: Option<KeyRow>,
    mut row: KeyRow,
    freed: &mut Freed,
) -> Result<KeyCommitted, StorageFault> {
    if let Some(replaced) = &replaced {
        // Leaders' clocks differ; a key's history does not run backwards for that.
        row.head.modified = row.head.modified.max(replaced.head.modified);
    }
    let version = match bucket.versioning {
        Versioning::Unversioned => {
            if let Some(replaced) = replaced {
                freed.drop_pieces(tables, &replaced.body.pieces)?;
            }
            None
        }
    };
    rows::put(tables, KEYS, &key_key(bucket.id, key), &row);
    let head = row.head;
    Ok(KeyCommitted { etag: head.etag, modified: head.modified, version, size: head.size, checksum: head.checksum })
}
