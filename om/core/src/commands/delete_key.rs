//! An object goes: for good, or under a delete marker.

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, WriteTables};
use types::{BucketId, Bypass, LogIndex, ObjectKey, Precondition, Timestamp, VersionId};

use super::Outcome;
use crate::blocks::Freed;
use crate::condition::{ConditionFailed, WriteCondition};
use crate::namespace;
use crate::notifications::{Event, note};
use crate::rows::{
    BucketRow, DeleteMarker, EventKind, KeyHead, KeyRow, Origin, Sequence, UserId, VersionHead, VersionRow, Versioning,
};
use crate::versions::{self, Removed};

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeleteKey {
    #[n(0)]
    pub bucket: BucketId,
    #[n(1)]
    pub deletion: KeyDeletion,
    #[n(2)]
    pub now: Timestamp,
    /// Of a delete marker; the bucket's if absent.
    #[n(3)]
    pub owner: Option<UserId>,
    /// Noted if the bucket has somebody told.
    #[n(4)]
    pub origin: Option<Origin>,
}

/// Every condition is one on the version that is named, or on the current one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyDeletion {
    #[n(0)]
    pub key: ObjectKey,
    #[n(1)]
    pub version: Option<VersionId>,
    #[n(2)]
    pub condition: WriteCondition,
    /// To the second, which is what clients are told.
    #[n(3)]
    pub if_modified: Option<Timestamp>,
    #[n(4)]
    pub if_size: Option<u64>,
    #[n(5)]
    pub bypass: Option<Bypass>,
}

impl KeyDeletion {
    /// Of the current version, whatever it is.
    pub fn of(key: ObjectKey) -> Self {
        Self { key, version: None, condition: WriteCondition::Always, if_modified: None, if_size: None, bypass: None }
    }

    fn is_conditional(&self) -> bool {
        self.condition != WriteCondition::Always || self.if_modified.is_some() || self.if_size.is_some()
    }

    fn check(&self, there: &VersionHead) -> Result<(), Precondition> {
        let (outcome, modified, size) = match there {
            VersionHead::Object(head) => (self.condition.check(Some(head)), head.modified, head.size),
            VersionHead::Marker(marker) => (self.check_marker(), marker.modified, 0),
        };
        if let Err(failed) = outcome {
            return Err(match failed {
                ConditionFailed::Mismatch(which) => which,
                ConditionFailed::Absent => Precondition::IfMatch,
            });
        }
        if self.if_modified.is_some_and(|wanted| wanted.seconds() != modified.seconds()) {
            return Err(Precondition::IfLastModified);
        }
        if self.if_size.is_some_and(|wanted| wanted != size) {
            return Err(Precondition::IfSize);
        }
        Ok(())
    }

    /// A marker is there, so any tag at all is right; it has none, so no certain one is.
    fn check_marker(&self) -> Result<(), ConditionFailed> {
        match self.condition {
            WriteCondition::Always | WriteCondition::IfPresent | WriteCondition::IfNoneMatch(_) => Ok(()),
            WriteCondition::IfAbsent => Err(ConditionFailed::Mismatch(Precondition::IfNoneMatch)),
            WriteCondition::IfMatch(_) => Err(ConditionFailed::Mismatch(Precondition::IfMatch)),
        }
    }
}

/// What a deletion did; an absent key is deleted well enough.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct DeletedKey {
    /// The version that is gone, or the delete marker that was made.
    #[n(0)]
    pub version: Option<VersionId>,
    /// A delete marker was made, or is gone.
    #[n(1)]
    pub delete_marker: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum DeleteKeyRejected {
    #[n(0)]
    NoSuchBucket,
    #[n(1)]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    /// A retention or a legal hold keeps the version.
    #[n(2)]
    Locked,
}

impl DeleteKey {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<DeletedKey, DeleteKeyRejected> {
        let Some(bucket) = namespace::bucket(tables, self.bucket)? else {
            return Ok(Err(DeleteKeyRejected::NoSuchBucket));
        };
        let mut freed = Freed::default();
        let (owner, origin) = (self.owner.as_ref().unwrap_or(&bucket.owner), self.origin.as_ref());
        let entry = Entry { bucket: &bucket, now: self.now, owner, origin };
        let outcome = delete_one(tables, &entry, Sequence::new(log, 0), &self.deletion, &mut freed)?;
        freed.write(tables, log, self.now);
        Ok(outcome)
    }
}

/// What all deletions of one entry share.
pub(super) struct Entry<'a> {
    pub(super) bucket: &'a BucketRow,
    pub(super) now: Timestamp,
    pub(super) owner: &'a UserId,
    pub(super) origin: Option<&'a Origin>,
}

impl Entry<'_> {
    fn note(
        &self,
        tables: &mut dyn WriteTables,
        kind: EventKind,
        deletion: &KeyDeletion,
        version: Option<VersionId>,
        sequence: Sequence,
    ) -> Result<(), StorageFault> {
        let event = Event { version, ..Event::of(kind, &deletion.key, self.now) };
        note(tables, self.bucket, event, sequence, self.origin)
    }
}

/// Deletes one key of a bucket, as alone as in a list.
pub(super) fn delete_one(
    tables: &mut dyn WriteTables,
    entry: &Entry<'_>,
    sequence: Sequence,
    deletion: &KeyDeletion,
    freed: &mut Freed,
) -> Result<Result<DeletedKey, DeleteKeyRejected>, StorageFault> {
    match deletion.version {
        Some(version) => delete_version(tables, entry, (version, sequence), deletion, freed),
        None => delete_current(tables, entry, sequence, deletion, freed),
    }
}

fn delete_version(
    tables: &mut dyn WriteTables,
    entry: &Entry<'_>,
    (version, sequence): (VersionId, Sequence),
    deletion: &KeyDeletion,
    freed: &mut Freed,
) -> Result<Result<DeletedKey, DeleteKeyRejected>, StorageFault> {
    let bucket = entry.bucket.id;
    // Whatever version was asked for is named as deleted: it certainly does not exist afterwards.
    let gone = |delete_marker| DeletedKey { version: Some(version), delete_marker };
    let Some(there) = version_head(tables, bucket, &deletion.key, version)? else { return Ok(Ok(gone(false))) };
    if let Err(which) = deletion.check(&there) {
        return Ok(Err(DeleteKeyRejected::PreconditionFailed(Some(which))));
    }
    let bypass = deletion.bypass.unwrap_or_default();
    if matches!(&there, VersionHead::Object(head) if head.lock.is_some_and(|lock| lock.holds(entry.now, bypass))) {
        return Ok(Err(DeleteKeyRejected::Locked));
    }
    let removed = versions::remove(tables, bucket, &deletion.key, version, freed)?;
    entry.note(tables, EventKind::Delete, deletion, Some(version), sequence)?;
    Ok(Ok(gone(removed == Some(Removed::Marker))))
}

fn version_head(
    tables: &dyn ReadTables,
    bucket: BucketId,
    key: &ObjectKey,
    version: VersionId,
) -> Result<Option<VersionHead>, StorageFault> {
    let current: Option<KeyHead> = namespace::current_head(tables, bucket, key)?;
    if let Some(head) = current.filter(|head| head.version == version) {
        return Ok(Some(VersionHead::Object(head)));
    }
    Ok(versions::in_stack(tables, bucket, key, version)?.map(|row| match row {
        VersionRow::Object(row) => VersionHead::Object(row.head),
        VersionRow::Marker(marker) => VersionHead::Marker(marker),
    }))
}

/// Without versions the object is gone; with them it is under a delete marker, even where there was none.
fn delete_current(
    tables: &mut dyn WriteTables,
    entry: &Entry<'_>,
    sequence: Sequence,
    deletion: &KeyDeletion,
    freed: &mut Freed,
) -> Result<Result<DeletedKey, DeleteKeyRejected>, StorageFault> {
    let (bucket, key) = (entry.bucket, &deletion.key);
    let current: Option<KeyRow> = namespace::current(tables, bucket.id, key)?;
    let there = match &current {
        Some(row) => Some(VersionHead::Object(row.head.clone())),
        None if bucket.versioning == Versioning::Unversioned => None,
        None => current_marker(tables, bucket.id, key)?.map(VersionHead::Marker),
    };
    match there.map(|there| deletion.check(&there)) {
        Some(Err(which)) => return Ok(Err(DeleteKeyRejected::PreconditionFailed(Some(which)))),
        // Nothing is there to be wrong about, and nothing that whoever set a condition wanted gone.
        None if deletion.is_conditional() => return Ok(Ok(DeletedKey::default())),
        Some(Ok(())) | None => {}
    }
    if bucket.versioning == Versioning::Unversioned {
        if current.is_some() {
            versions::remove(tables, bucket.id, key, VersionId::NULL, freed)?;
            entry.note(tables, EventKind::Delete, deletion, None, sequence)?;
        }
        return Ok(Ok(DeletedKey::default()));
    }
    let marker = (sequence, entry.now, entry.owner.clone());
    let version = versions::push_marker(tables, bucket, key, current, marker, freed)?;
    entry.note(tables, EventKind::DeleteMarker, deletion, Some(version), sequence)?;
    Ok(Ok(DeletedKey { version: Some(version), delete_marker: true }))
}

fn current_marker(tables: &dyn ReadTables, bucket: BucketId, key: &ObjectKey) -> Result<Option<DeleteMarker>, StorageFault> {
    Ok(match versions::newest_in_stack(tables, bucket, key)? {
        Some(VersionRow::Marker(marker)) => Some(marker),
        Some(VersionRow::Object(_)) | None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Namespace, deletion, etag};

    use crate::{CommitKey, VersioningStatus};
    use types::{ObjectLock, Retention, RetentionMode};

    fn delete(version: Option<VersionId>, condition: WriteCondition) -> KeyDeletion {
        KeyDeletion { condition, ..deletion("cat.jpg", version) }
    }

    #[test]
    fn deleting_a_key_queues_its_blocks_for_reclaim_in_the_same_entry() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "cat.jpg", [(7, 10), (8, 10)]);
        om.delete(bucket, "cat.jpg");
        assert_eq!(om.deleted_blocks(), [7, 8]);
        assert_eq!(om.current(bucket, "cat.jpg"), None);
        om.check();
    }

    #[test]
    fn an_absent_key_is_deleted_well_enough_whatever_the_condition() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let deletion = delete(None, WriteCondition::IfMatch(etag(9)));
        assert_eq!(
            om.apply(DeleteKey { origin: None, bucket, deletion, now: Timestamp(5), owner: None }),
            Ok(DeletedKey::default())
        );
    }

    #[test]
    fn another_tag_keeps_the_key() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "cat.jpg", [(7, 10)]);
        let deletion = delete(None, WriteCondition::IfMatch(etag(9)));
        let outcome = om.apply(DeleteKey { origin: None, bucket, deletion, now: Timestamp(5), owner: None });
        assert_eq!(outcome, Err(DeleteKeyRejected::PreconditionFailed(Some(Precondition::IfMatch))));
        assert!(om.current(bucket, "cat.jpg").is_some());
    }

    #[test]
    fn the_null_version_is_the_only_one_that_an_unversioned_bucket_has_to_delete() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "cat.jpg", [(7, 10)]);
        for (version, remains) in [(VersionId(44), true), (VersionId::NULL, false)] {
            let deletion = delete(Some(version), WriteCondition::Always);
            let deleted =
                om.apply(DeleteKey { origin: None, bucket, deletion, now: Timestamp(5), owner: None }).expect("it exists");
            assert_eq!(deleted, DeletedKey { version: Some(version), delete_marker: false });
            assert_eq!(om.current(bucket, "cat.jpg").is_some(), remains);
        }
        om.check();
    }

    #[test]
    fn markers_stack_and_go_one_by_one_and_the_version_below_shows_again() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_versioning(bucket, VersioningStatus::Enabled);
        let version = om.write(bucket, "cat.jpg", [(1, 10)]).version.expect("a versioned bucket");
        let marker = |om: &mut Namespace| {
            let delete = DeleteKey { origin: None, bucket, deletion: deletion("cat.jpg", None), now: Timestamp(5), owner: None };
            let deleted = om.apply(delete).expect("unconditional");
            assert!(deleted.delete_marker);
            deleted.version.expect("the marker")
        };
        let (first, second) = (marker(&mut om), marker(&mut om));
        let all = [format!("cat.jpg {second}x*"), format!("cat.jpg {first}x"), format!("cat.jpg {version}")];
        assert_eq!(om.versions(bucket), all);
        assert_eq!(om.current(bucket, "cat.jpg"), None);
        om.check();
        for marker in [first, second] {
            let gone = DeletedKey { version: Some(marker), delete_marker: true };
            assert_eq!(om.delete_version(bucket, "cat.jpg", marker), Ok(gone));
            om.check();
        }
        let row = om.current(bucket, "cat.jpg").expect("it shows again");
        assert_eq!((row.head.version, row.head.noncurrent), (version, None));
        assert!(om.delete_version(bucket, "cat.jpg", version).is_ok());
        assert_eq!(om.deleted_blocks(), [1]);
        assert_eq!(om.versions(bucket), Vec::<String>::new());
        om.check();
    }

    #[test]
    fn the_version_below_takes_the_place_of_the_current_one_that_is_deleted() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "cat.jpg", [(1, 10)]);
        om.set_versioning(bucket, VersioningStatus::Enabled);
        let second = om.write(bucket, "cat.jpg", [(2, 20)]).version.expect("a versioned bucket");
        assert!(om.delete_version(bucket, "cat.jpg", second).is_ok());
        assert_eq!(om.versions(bucket), ["cat.jpg null*"]);
        assert_eq!(om.deleted_blocks(), [2]);
        om.check();
    }

    #[test]
    fn conditions_look_at_markers_too() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_versioning(bucket, VersioningStatus::Enabled);
        om.write(bucket, "cat.jpg", [(7, 10)]);
        om.delete(bucket, "cat.jpg");
        let now = Timestamp(900_000);
        let any = delete(None, WriteCondition::Always);
        let table = [
            (delete(None, WriteCondition::IfMatch(etag(7))), false),
            (delete(None, WriteCondition::IfPresent), true),
            (KeyDeletion { if_size: Some(10), ..any.clone() }, false),
            (KeyDeletion { if_modified: Some(Timestamp(1)), ..any.clone() }, false),
        ];
        for (deletion, is_accepted) in table {
            let outcome = om.clone().apply(DeleteKey { origin: None, bucket, deletion: deletion.clone(), now, owner: None });
            assert_eq!(outcome.is_ok(), is_accepted, "{deletion:?}");
        }
    }

    #[test]
    fn a_conditional_deletion_of_nothing_leaves_no_marker() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_versioning(bucket, VersioningStatus::Enabled);
        for condition in [WriteCondition::IfPresent, WriteCondition::IfMatch(etag(7))] {
            let deletion = delete(None, condition);
            assert_eq!(
                om.apply(DeleteKey { origin: None, bucket, deletion, now: Timestamp(5), owner: None }),
                Ok(DeletedKey::default())
            );
        }
        assert_eq!(om.versions(bucket), Vec::<String>::new());
        om.delete(bucket, "cat.jpg");
        assert_eq!(om.versions(bucket).len(), 1);
    }

    #[test]
    fn a_locked_version_stays_and_a_marker_over_it_may_come_and_go() {
        let mut om = Namespace::with_users(["ada"]);
        let create = crate::CreateBucket { object_lock: Some(true), ..om.bucket("ada", "photos") };
        let bucket = om.apply(create).expect("a new bucket").id;
        let until = Timestamp(1_000_000);
        let lock = ObjectLock { retention: Some(Retention { mode: RetentionMode::Governance, until }), legal_hold: None };
        let session = om.open(bucket, [1]);
        let commit = CommitKey { lock: Some(lock), ..om.commit_of(session, "cat.jpg", [(1, 10)]) };
        let version = om.apply(commit).expect("a good commit").version.expect("a versioned bucket");
        assert_eq!(om.delete_version(bucket, "cat.jpg", version), Err(DeleteKeyRejected::Locked));
        om.delete(bucket, "cat.jpg");
        let versions = om.versions(bucket);
        assert_eq!(versions.len(), 2);
        let marker = VersionId::parse(&versions[0]["cat.jpg ".len()..versions[0].len() - 2]).expect("a version");
        assert!(om.delete_version(bucket, "cat.jpg", marker).is_ok());
        let late =
            DeleteKey { origin: None, bucket, deletion: delete(Some(version), WriteCondition::Always), now: until, owner: None };
        assert!(om.clone().apply(late).is_ok());
        let bypassed = KeyDeletion { bypass: Some(Bypass::Governance), ..delete(Some(version), WriteCondition::Always) };
        assert!(om.apply(DeleteKey { origin: None, bucket, deletion: bypassed, now: Timestamp(5), owner: None }).is_ok());
        assert_eq!(om.deleted_blocks(), [1]);
        om.check();
    }
}
