//! An object gets longer.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::{Checksum, ETag, LogIndex, ObjectId, ObjectKey, PartNumber, Timestamp};

use super::Outcome;
use super::shared::{CommittedBlock, KeyCommitted, Sorted, link, sort_blocks, take_session};
use crate::blocks::{Freed, add_reference};
use crate::condition::{ConditionFailed, WriteCondition};
use crate::namespace;
use crate::rows::{self, BucketRow, KeyRow, ObjectChecksum, PartEntry, Sequence, Session, SessionRow, Versioning, key_key};
use crate::tables::KEYS;

/// The state of the object that the bytes were written to follow. Tag and checksum of the whole were computed from it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AppendBase {
    #[n(0)]
    pub object: ObjectId,
    #[n(1)]
    pub etag: ETag,
    #[n(2)]
    pub size: u64,
}

/// Adds the session's blocks as one more part. Where the bucket keeps versions, the longer object is a new version that shares
/// the blocks of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AppendKey {
    #[n(0)]
    pub session: Session,
    #[n(1)]
    pub key: ObjectKey,
    #[n(2)]
    pub base: AppendBase,
    #[n(3)]
    pub blocks: Vec<CommittedBlock>,
    /// Of the whole.
    #[n(4)]
    pub etag: ETag,
    #[n(5)]
    pub checksum: Option<ObjectChecksum>,
    /// Of what is added.
    #[n(6)]
    pub part_checksum: Option<Checksum>,
    #[n(7)]
    pub condition: WriteCondition,
    #[n(8)]
    pub max_size: u64,
    #[n(9)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum AppendKeyRejected {
    #[n(0)]
    NoSuchBucket,
    #[n(1)]
    NoSuchSession,
    #[n(2)]
    NoSuchKey,
    #[n(3)]
    PreconditionFailed,
    #[n(4)]
    ForeignBlock,
    /// The object is no longer the one that was to be added to.
    #[n(5)]
    BaseChanged,
    #[n(6)]
    TooManyParts,
    #[n(7)]
    TooLarge,
    #[n(8)]
    Encrypted,
}

impl From<ConditionFailed> for AppendKeyRejected {
    fn from(failed: ConditionFailed) -> Self {
        match failed {
            ConditionFailed::Mismatch => Self::PreconditionFailed,
            ConditionFailed::Absent => Self::NoSuchKey,
        }
    }
}

impl AppendKey {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<KeyCommitted, AppendKeyRejected> {
        let Some(session) = take_session(tables, &self.session)? else {
            return Ok(Err(AppendKeyRejected::NoSuchSession));
        };
        let now = self.now;
        let mut freed = Freed::default();
        let outcome = self.append(log, tables, &session, &mut freed)?;
        if outcome.is_err() {
            freed.drop_handed_out(session.blocks);
        }
        freed.write(tables, log, now);
        Ok(outcome)
    }

    /// Changes nothing if it rejects.
    fn append(
        self,
        log: LogIndex,
        tables: &mut dyn WriteTables,
        session: &SessionRow,
        freed: &mut Freed,
    ) -> Result<Result<KeyCommitted, AppendKeyRejected>, StorageFault> {
        let Some(bucket) = namespace::bucket(tables, self.session.bucket)? else {
            return Ok(Err(AppendKeyRejected::NoSuchBucket));
        };
        let Some(sorted) = sort_blocks(session, &self.blocks) else {
            return Ok(Err(AppendKeyRejected::ForeignBlock));
        };
        let Some(current) = namespace::current(tables, bucket.id, &self.key)? else {
            return Ok(Err(AppendKeyRejected::NoSuchKey));
        };
        if let Err(failed) = self.condition.check(Some(&current.head)) {
            return Ok(Err(failed.into()));
        }
        let base = AppendBase { object: current.head.object, etag: current.head.etag, size: current.head.size };
        // What is sealed has one stream a part, with a salt of its own: nothing of that is built for appends.
        if session.encryption.is_some() || current.body.encryption.is_some() {
            return Ok(Err(AppendKeyRejected::Encrypted));
        }
        if base != self.base {
            return Ok(Err(AppendKeyRejected::BaseChanged));
        }
        let (key, now) = (self.key.clone(), self.now);
        let (row, unused) = match self.longer(current.clone(), sorted) {
            Ok(longer) => longer,
            Err(rejected) => return Ok(Err(rejected)),
        };
        freed.drop_handed_out(unused);
        put(tables, &bucket, &key, current, row, (Sequence::new(log, 0), now), freed).map(Ok)
    }

    /// The row with the new part behind the others.
    fn longer(self, mut row: KeyRow, sorted: Sorted) -> Result<(KeyRow, Vec<types::BlockId>), AppendKeyRejected> {
        let parts = &mut row.body.parts;
        if parts.is_empty() {
            let whole = row.head.checksum.as_ref().map(|whole| whole.checksum.clone());
            let first = PartNumber::new(1).ok_or(AppendKeyRejected::TooManyParts)?;
            parts.push(PartEntry { number: first, size: row.head.size, checksum: whole, salt: None });
        }
        let last = parts.last().map_or(0, |part| u64::from(part.number.get()));
        let number = PartNumber::new(last + 1).ok_or(AppendKeyRejected::TooManyParts)?;
        parts.push(PartEntry { number, size: sorted.stored, checksum: self.part_checksum, salt: None });
        row.head.size =
            row.head.size.checked_add(sorted.stored).filter(|size| *size <= self.max_size).ok_or(AppendKeyRejected::TooLarge)?;
        row.body.pieces.extend(sorted.pieces);
        row.head.etag = self.etag;
        row.head.checksum = self.checksum;
        Ok((row, sorted.unused))
    }
}

/// In place where there is but one version of it; else as a version of its own.
fn put(
    tables: &mut dyn WriteTables,
    bucket: &BucketRow,
    key: &ObjectKey,
    current: KeyRow,
    mut row: KeyRow,
    (sequence, now): (Sequence, Timestamp),
    freed: &mut Freed,
) -> Result<KeyCommitted, StorageFault> {
    row.head.sequence = sequence;
    row.head.modified = now.max(row.head.modified);
    if bucket.versioning != Versioning::Enabled && row.head.version.is_null() {
        rows::put(tables, KEYS, &key_key(bucket.id, key), &row);
        let head = row.head;
        return Ok(KeyCommitted {
            etag: head.etag,
            modified: head.modified,
            version: None,
            size: head.size,
            checksum: head.checksum,
        });
    }
    // A lock holds the version that it was put on.
    row.head.lock = None;
    for piece in &current.body.pieces {
        add_reference(tables, piece.block)?;
    }
    link(tables, bucket, key, Some(current), row, freed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VersioningStatus;
    use crate::testing::{Namespace, block, etag, key};
    use types::BucketId;

    fn append_of(om: &Namespace, bucket: BucketId, session: Session, local: u64, length: u64) -> AppendKey {
        let head = om.current(bucket, "log").expect("it is there").head;
        AppendKey {
            session,
            key: key("log"),
            base: AppendBase { object: head.object, etag: head.etag, size: head.size },
            blocks: vec![CommittedBlock { block: block(local), length }],
            etag: etag(local as u8),
            checksum: None,
            part_checksum: None,
            condition: WriteCondition::Always,
            max_size: 1_000,
            now: om.now(),
        }
    }

    fn append(om: &mut Namespace, bucket: BucketId, local: u64) -> Result<KeyCommitted, AppendKeyRejected> {
        let session = om.open(bucket, [local]);
        om.apply(append_of(om, bucket, session, local, 10))
    }

    #[test]
    fn an_object_grows_by_parts() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "logs");
        om.write(bucket, "log", [(1, 10), (2, 5)]);
        assert_eq!(append(&mut om, bucket, 3).expect("it is as it was").size, 25);
        assert_eq!(append(&mut om, bucket, 4).expect("it is as it was").size, 35);
        let row = om.current(bucket, "log").expect("it is there");
        assert_eq!(
            row.body.parts.iter().map(|part| (part.number.get(), part.size)).collect::<Vec<_>>(),
            [(1, 15), (2, 10), (3, 10)]
        );
        assert_eq!(om.deleted_blocks(), []);
        om.check();
        om.delete(bucket, "log");
        assert_eq!(om.deleted_blocks(), [1, 2, 3, 4]);
        om.check();
    }

    #[test]
    fn with_versions_the_shorter_one_stays() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "logs");
        om.set_versioning(bucket, VersioningStatus::Enabled);
        let short = om.write(bucket, "log", [(1, 10)]).version.expect("a versioned bucket");
        let long = append(&mut om, bucket, 2).expect("it is as it was").version.expect("a versioned bucket");
        assert_eq!(om.versions(bucket), [format!("log {long}*"), format!("log {short}")]);
        om.check();
        om.delete_version(bucket, "log", long).expect("it is not locked");
        assert_eq!(om.deleted_blocks(), [2]);
        om.check();
    }

    #[test]
    fn what_changed_meanwhile_is_not_added_to_and_the_blocks_are_freed() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "logs");
        om.write(bucket, "log", [(1, 10)]);
        let (late, early) = (om.open(bucket, [2]), om.open(bucket, [3]));
        let (late, early) = (append_of(&om, bucket, late, 2, 10), append_of(&om, bucket, early, 3, 10));
        assert!(om.apply(early).is_ok());
        assert_eq!(om.apply(late), Err(AppendKeyRejected::BaseChanged));
        assert_eq!(om.deleted_blocks(), [2]);
        let session = om.open(bucket, [4]);
        assert_eq!(om.apply(append_of(&om, bucket, session, 4, 2_000)), Err(AppendKeyRejected::TooLarge));
        let session = om.open(bucket, [5]);
        let gone = append_of(&om, bucket, session, 5, 10);
        om.delete(bucket, "log");
        assert_eq!(om.apply(gone), Err(AppendKeyRejected::NoSuchKey));
        om.check();
    }
}
