//! An object gets longer.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::sealed::plain_length;
use types::{BlockId, Checksum, ETag, LogIndex, ObjectId, ObjectKey, PartNumber, Precondition, Salt, Timestamp};

use super::Outcome;
use super::shared::{CommittedBlock, KeyCommitted, Sorted, link, sort_blocks, take_session};
use crate::blocks::{Freed, add_reference};
use crate::condition::{ConditionFailed, WriteCondition};
use crate::namespace;
use crate::notifications::{Event, note};
use crate::rows::{
    self, BucketRow, EventKind, KeyRow, ObjectChecksum, Origin, PartEntry, Sequence, Session, SessionEncryption, SessionRow,
    Versioning, key_key,
};
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
    /// Noted if the bucket has somebody told.
    #[n(10)]
    pub origin: Option<Origin>,
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
    PreconditionFailed(#[n(0)] Option<Precondition>),
    #[n(4)]
    ForeignBlock,
    /// The object is no longer the one that was to be added to.
    #[n(5)]
    BaseChanged,
    #[n(6)]
    TooManyParts,
    #[n(7)]
    TooLarge,
    /// What the session wrote is not sealed as the object is.
    #[n(8)]
    Encrypted,
}

impl From<ConditionFailed> for AppendKeyRejected {
    fn from(failed: ConditionFailed) -> Self {
        match failed {
            ConditionFailed::Mismatch(which) => Self::PreconditionFailed(Some(which)),
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
        // Moved to blocks of another kind since the session was opened.
        let kept = session.storage.as_ref().map_or(bucket.replication, |storage| storage.replication);
        if base != self.base || kept != current.body.replication.unwrap_or(bucket.replication) {
            return Ok(Err(AppendKeyRejected::BaseChanged));
        }
        let (key, now, origin) = (self.key.clone(), self.now, self.origin.clone());
        let (salt, added) = match sealed_for(&current, session, sorted.stored) {
            Ok(found) => found,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let (row, unused) = match self.longer(current.clone(), sorted, salt, added) {
            Ok(longer) => longer,
            Err(rejected) => return Ok(Err(rejected)),
        };
        freed.drop_handed_out(unused);
        let appended = put(tables, &bucket, &key, current, row, (Sequence::new(log, 0), now), freed)?;
        note(tables, &bucket, Event::created(EventKind::Put, &key, &appended), Sequence::new(log, 0), origin.as_ref())?;
        Ok(Ok(appended))
    }

    /// The row with the new part behind the others.
    fn longer(
        self,
        mut row: KeyRow,
        sorted: Sorted,
        salt: Option<Salt>,
        added: u64,
    ) -> Result<(KeyRow, Vec<BlockId>), AppendKeyRejected> {
        let own_salt = row.body.encryption.as_ref().map(|encryption| encryption.salt);
        let parts = &mut row.body.parts;
        if parts.is_empty() {
            let whole = row.head.checksum.as_ref().map(|whole| whole.checksum.clone());
            let first = PartNumber::new(1).ok_or(AppendKeyRejected::TooManyParts)?;
            // The stream of an object that was put whole has the object's salt.
            parts.push(PartEntry { number: first, size: row.head.size, checksum: whole, salt: own_salt });
        }
        let last = parts.last().map_or(0, |part| u64::from(part.number.get()));
        let number = PartNumber::new(last + 1).ok_or(AppendKeyRejected::TooManyParts)?;
        parts.push(PartEntry { number, size: added, checksum: self.part_checksum, salt });
        row.head.size =
            row.head.size.checked_add(added).filter(|size| *size <= self.max_size).ok_or(AppendKeyRejected::TooLarge)?;
        row.body.pieces.extend(sorted.pieces);
        row.head.etag = self.etag;
        row.head.checksum = self.checksum;
        Ok((row, sorted.unused))
    }
}

/// The salt of the new part's stream, and how many bytes there are in so many stored ones. They must be sealed under the key of the
/// very object that they are to follow.
fn sealed_for(current: &KeyRow, session: &SessionRow, stored: u64) -> Result<(Option<Salt>, u64), AppendKeyRejected> {
    match (&current.body.encryption, &session.encryption) {
        (None, None) => Ok((None, stored)),
        (Some(_), Some(SessionEncryption::Append { object, salt })) if *object == current.head.object => {
            Ok((Some(*salt), plain_length(stored).ok_or(AppendKeyRejected::ForeignBlock)?))
        }
        (_, _) => Err(AppendKeyRejected::Encrypted),
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
    use crate::testing::{Namespace, block, etag, key, sealed_object};
    use types::BucketId;

    fn append_of(om: &Namespace, bucket: BucketId, session: Session, local: u64, length: u64) -> AppendKey {
        let head = om.current(bucket, "log").expect("it is there").head;
        AppendKey {
            origin: None,
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

    #[test]
    fn a_sealed_object_grows_by_streams_with_salts_of_their_own() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "logs");
        om.write_sealed(bucket, "log", [(1, 26)], sealed_object(7));
        let object = om.current(bucket, "log").expect("it is there").head.object;
        for (local, salt) in [(2, Salt([8; 16])), (3, Salt([9; 16]))] {
            let session = om.open_sealed(bucket, [local], SessionEncryption::Append { object, salt });
            om.apply(append_of(&om, bucket, session, local, 17)).expect("it is as it was");
        }
        let row = om.current(bucket, "log").expect("it is there");
        let parts: Vec<_> = row.body.parts.iter().map(|part| (part.size, part.salt)).collect();
        let salts = [sealed_object(7).salt, Salt([8; 16]), Salt([9; 16])].map(Some);
        assert_eq!((row.head.size, parts), (12, vec![(10, salts[0]), (1, salts[1]), (1, salts[2])]));
        om.check();
    }

    #[test]
    fn what_is_sealed_for_another_object_or_not_at_all_is_not_added() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "logs");
        om.write_sealed(bucket, "log", [(1, 26)], sealed_object(7));
        let plain = om.open(bucket, [2]);
        assert_eq!(om.apply(append_of(&om, bucket, plain, 2, 17)), Err(AppendKeyRejected::Encrypted));
        let salt = Salt([8; 16]);
        let other = om.open_sealed(bucket, [3], SessionEncryption::Append { object: ObjectId(999), salt });
        assert_eq!(om.apply(append_of(&om, bucket, other, 3, 17)), Err(AppendKeyRejected::Encrypted));
        let object = om.open_sealed(bucket, [4], SessionEncryption::Object(sealed_object(8)));
        assert_eq!(om.apply(append_of(&om, bucket, object, 4, 17)), Err(AppendKeyRejected::Encrypted));
        om.write(bucket, "log", [(5, 10)]);
        let object = om.current(bucket, "log").expect("it is there").head.object;
        let sealed = om.open_sealed(bucket, [6], SessionEncryption::Append { object, salt });
        assert_eq!(om.apply(append_of(&om, bucket, sealed, 6, 17)), Err(AppendKeyRejected::Encrypted));
        assert_eq!(om.deleted_blocks(), [1, 2, 3, 4, 6]);
        om.check();
    }
}
