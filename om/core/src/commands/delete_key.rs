//! An object goes.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::{BucketId, LogIndex, ObjectKey, Timestamp, VersionId};

use super::Outcome;
use crate::blocks::Freed;
use crate::condition::WriteCondition;
use crate::namespace;
use crate::rows::{BucketRow, Versioning, key_key};
use crate::tables::KEYS;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeleteKey {
    #[n(0)]
    pub bucket: BucketId,
    #[n(1)]
    pub deletion: KeyDeletion,
    #[n(2)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyDeletion {
    #[n(0)]
    pub key: ObjectKey,
    #[n(1)]
    pub version: Option<VersionId>,
    #[n(2)]
    pub condition: WriteCondition,
}

/// What a deletion did; an absent key is deleted well enough.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct DeletedKey {
    #[n(0)]
    pub version: Option<VersionId>,
    #[n(1)]
    pub delete_marker: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum DeleteKeyRejected {
    #[n(0)]
    NoSuchBucket,
    #[n(1)]
    PreconditionFailed,
}

impl DeleteKey {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<DeletedKey, DeleteKeyRejected> {
        let Some(bucket) = namespace::bucket(tables, self.bucket)? else {
            return Ok(Err(DeleteKeyRejected::NoSuchBucket));
        };
        let mut freed = Freed::default();
        let outcome = delete_one(tables, &bucket, self.deletion, &mut freed)?;
        freed.write(tables, log, self.now);
        Ok(outcome)
    }
}

/// Deletes one key of a bucket, as alone as in a list.
pub(super) fn delete_one(
    tables: &mut dyn WriteTables,
    bucket: &BucketRow,
    deletion: KeyDeletion,
    freed: &mut Freed,
) -> Result<Result<DeletedKey, DeleteKeyRejected>, StorageFault> {
    match bucket.versioning {
        Versioning::Unversioned => {
            // Whatever version was asked for is named as deleted: it certainly does not exist afterwards.
            let deleted = DeletedKey { version: deletion.version, delete_marker: false };
            let Some(row) = namespace::current(tables, bucket.id, &deletion.key)? else {
                return Ok(Ok(deleted));
            };
            if deletion.version.is_some_and(|version| version != row.head.version) {
                return Ok(Ok(deleted));
            }
            if deletion.condition.check(Some(&row.head)).is_err() {
                return Ok(Err(DeleteKeyRejected::PreconditionFailed));
            }
            tables.delete(KEYS, &key_key(bucket.id, &deletion.key));
            freed.drop_pieces(tables, &row.body.pieces)?;
            Ok(Ok(deleted))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Namespace, etag, key};

    fn delete(version: Option<VersionId>, condition: WriteCondition) -> KeyDeletion {
        KeyDeletion { key: key("cat.jpg"), version, condition }
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
        assert_eq!(om.apply(DeleteKey { bucket, deletion, now: Timestamp(5) }), Ok(DeletedKey::default()));
    }

    #[test]
    fn another_tag_keeps_the_key() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "cat.jpg", [(7, 10)]);
        let deletion = delete(None, WriteCondition::IfMatch(etag(9)));
        let outcome = om.apply(DeleteKey { bucket, deletion, now: Timestamp(5) });
        assert_eq!(outcome, Err(DeleteKeyRejected::PreconditionFailed));
        assert!(om.current(bucket, "cat.jpg").is_some());
    }

    #[test]
    fn the_null_version_is_the_only_one_that_an_unversioned_bucket_has_to_delete() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "cat.jpg", [(7, 10)]);
        for (version, remains) in [(VersionId(44), true), (VersionId::NULL, false)] {
            let deletion = delete(Some(version), WriteCondition::Always);
            let deleted = om.apply(DeleteKey { bucket, deletion, now: Timestamp(5) }).expect("it exists");
            assert_eq!(deleted, DeletedKey { version: Some(version), delete_marker: false });
            assert_eq!(om.current(bucket, "cat.jpg").is_some(), remains);
        }
        om.check();
    }
}
