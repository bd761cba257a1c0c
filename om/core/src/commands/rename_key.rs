//! An object gets another name.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::{BucketId, LogIndex, ObjectKey, Precondition, Timestamp, VersionId};

use super::shared::{KeyCommitted, link};
use super::{Never, Outcome};
use crate::blocks::{Freed, add_reference};
use crate::condition::{ConditionFailed, ReadConditions, WriteCondition};
use crate::judged::{Judged, is_another};
use crate::namespace;
use crate::notifications::{Event, note};
use crate::rows::{BucketRow, EventKind, KeyRow, Origin, Sequence, UserId, Versioning, key_key};
use crate::tables::KEYS;
use crate::versions;

/// One entry, however large the object: nobody sees it under both names or under none.
///
/// Where the bucket keeps versions, the old name keeps the version under a delete marker, and the new one gets a version on the
/// same blocks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RenameKey {
    #[n(0)]
    pub bucket: BucketId,
    #[n(1)]
    pub source: ObjectKey,
    #[n(2)]
    pub source_conditions: ReadConditions,
    #[n(3)]
    pub key: ObjectKey,
    #[n(4)]
    pub condition: WriteCondition,
    /// On what is there under the new name, if anything is.
    #[n(5)]
    pub conditions: ReadConditions,
    /// Of a delete marker; the bucket's if absent.
    #[n(6)]
    pub owner: Option<UserId>,
    #[n(7)]
    pub now: Timestamp,
    /// Noted if the bucket has somebody told.
    #[n(8)]
    pub origin: Option<Origin>,
    /// Of the source.
    #[n(9)]
    pub judged: Option<Box<Judged>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum RenameKeyRejected {
    #[n(0)]
    NoSuchBucket,
    #[n(1)]
    NoSuchSource,
    #[n(2)]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    /// A condition wants the new name to be there.
    #[n(3)]
    NoSuchKey,
    #[n(4)]
    OntoItself,
    /// The source is not what was judged.
    #[n(5)]
    Changed,
}

/// A rename that a client's token names: the same again gets the first answer, whatever has become of the names since.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RenameOnce {
    #[n(0)]
    pub rename: RenameKey,
    /// Digest of all that was asked for.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub parameters: [u8; 16],
}

/// The answer that is remembered under the token.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RenamedOnce {
    /// Of the request that was answered, which a later one with its token may not be.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub parameters: [u8; 16],
    #[n(1)]
    pub outcome: Result<KeyCommitted, RenameKeyRejected>,
}

impl RenameOnce {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<RenamedOnce, Never> {
        let outcome = self.rename.apply(log, tables)?;
        Ok(Ok(RenamedOnce { parameters: self.parameters, outcome }))
    }
}

impl From<ConditionFailed> for RenameKeyRejected {
    fn from(failed: ConditionFailed) -> Self {
        match failed {
            ConditionFailed::Mismatch(which) => Self::PreconditionFailed(Some(which)),
            ConditionFailed::Absent => Self::NoSuchKey,
        }
    }
}

impl RenameKey {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<KeyCommitted, RenameKeyRejected> {
        let Some(bucket) = namespace::bucket(tables, self.bucket)? else {
            return Ok(Err(RenameKeyRejected::NoSuchBucket));
        };
        if self.source == self.key {
            return Ok(Err(RenameKeyRejected::OntoItself));
        }
        let source = namespace::current(tables, bucket.id, &self.source)?;
        if is_another(self.judged.as_deref(), source.as_ref()) {
            return Ok(Err(RenameKeyRejected::Changed));
        }
        let Some(source) = source else {
            return Ok(Err(RenameKeyRejected::NoSuchSource));
        };
        let replaced = namespace::current(tables, bucket.id, &self.key)?;
        let there = replaced.as_ref().map(|row| &row.head);
        if let Err(which) = self.source_conditions.check(&source.head) {
            return Ok(Err(RenameKeyRejected::PreconditionFailed(Some(which.of_source()))));
        }
        if let Err(which) = there.map_or(Ok(()), |head| self.conditions.check(head)) {
            return Ok(Err(RenameKeyRejected::PreconditionFailed(Some(which))));
        }
        if let Err(failed) = self.condition.check(there) {
            return Ok(Err(failed.into()));
        }
        let mut freed = Freed::default();
        let mut row = source.clone();
        row.head.sequence = Sequence::new(log, 0);
        // A lock holds the version under its old name, which stays.
        row.head.lock = None;
        let marker = self.take_away(log, tables, &bucket, source, &mut freed)?;
        let committed = link(tables, &bucket, &self.key, replaced, row, &mut freed)?;
        let copied = Event::created(EventKind::Copy, &self.key, &committed);
        note(tables, &bucket, copied, Sequence::new(log, 0), self.origin.as_ref())?;
        let kind = if marker.is_some() { EventKind::DeleteMarker } else { EventKind::Delete };
        let gone = Event { version: marker, ..Event::of(kind, &self.source, self.now) };
        note(tables, &bucket, gone, Sequence::new(log, 1), self.origin.as_ref())?;
        freed.write(tables, log, self.now);
        Ok(Ok(committed))
    }

    /// The old name shows nothing any more; each block keeps a reference for the new one. Answers the delete marker, if there is one.
    fn take_away(
        &self,
        log: LogIndex,
        tables: &mut dyn WriteTables,
        bucket: &BucketRow,
        source: KeyRow,
        freed: &mut Freed,
    ) -> Result<Option<VersionId>, StorageFault> {
        if bucket.versioning == Versioning::Unversioned {
            tables.delete(KEYS, &key_key(bucket.id, &self.source));
            return Ok(None);
        }
        for piece in &source.body.pieces {
            add_reference(tables, piece.block)?;
        }
        let owner = self.owner.as_ref().unwrap_or(&bucket.owner).clone();
        let marker = (Sequence::new(log, 1), self.now, owner);
        versions::push_marker(tables, bucket, &self.source, Some(source), marker, freed).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VersioningStatus;
    use crate::testing::{Namespace, etag, key};

    fn rename(bucket: BucketId, from: &str, to: &str) -> RenameKey {
        RenameKey {
            origin: None,
            bucket,
            source: key(from),
            source_conditions: ReadConditions::default(),
            key: key(to),
            condition: WriteCondition::Always,
            conditions: ReadConditions::default(),
            owner: None,
            now: Timestamp(900_000),
            judged: None,
        }
    }

    #[test]
    fn an_object_moves_with_its_blocks_and_replaces_what_was_there() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "a", [(1, 10), (2, 10)]);
        om.write(bucket, "b", [(3, 5)]);
        let before = om.current(bucket, "a").expect("it is there").head;
        assert_eq!(om.apply(rename(bucket, "a", "b")).expect("it is there").size, 20);
        let after = om.current(bucket, "b").expect("it is there").head;
        assert_eq!((after.object, after.etag), (before.object, before.etag));
        assert_eq!(om.current(bucket, "a"), None);
        assert_eq!(om.deleted_blocks(), [3]);
        om.check();
        om.delete(bucket, "b");
        assert_eq!(om.deleted_blocks(), [1, 2, 3]);
        om.check();
    }

    #[test]
    fn with_versions_the_old_name_keeps_its_own() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_versioning(bucket, VersioningStatus::Enabled);
        let old = om.write(bucket, "a", [(1, 10)]).version.expect("a versioned bucket");
        let new = om.apply(rename(bucket, "a", "b")).expect("it is there").version.expect("a versioned bucket");
        let shown = om.versions(bucket);
        assert_eq!((shown.len(), &shown[1], &shown[2]), (3, &format!("a {old}"), &format!("b {new}*")));
        assert!(shown[0].ends_with("x*"));
        om.check();
        om.set_versioning(bucket, VersioningStatus::Suspended);
        om.apply(rename(bucket, "b", "a")).expect("it is there");
        om.check();
        assert_eq!(om.deleted_blocks(), []);
    }

    #[test]
    fn what_a_token_names_is_told_by_its_answer_whether_or_not_it_was_done() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "a", [(1, 10)]);
        let once = |from, to, parameters| RenameOnce { rename: rename(bucket, from, to), parameters: [parameters; 16] };
        let done = om.apply(once("a", "b", 1)).expect("it is always answered");
        assert_eq!((done.parameters, done.outcome.map(|committed| committed.size)), ([1; 16], Ok(10)));
        let refused = om.apply(once("a", "b", 2)).expect("it is always answered");
        assert_eq!(refused, RenamedOnce { parameters: [2; 16], outcome: Err(RenameKeyRejected::NoSuchSource) });
        om.check();
    }

    #[test]
    fn an_answer_from_before_conditions_were_named_can_be_read() {
        let old: RenameKeyRejected = minicbor::decode(&[0x82, 0x02, 0x80]).expect("a variant without fields");
        assert_eq!(old, RenameKeyRejected::PreconditionFailed(None));
    }

    #[test]
    fn conditions_look_at_both_names() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "a", [(1, 10)]);
        om.write(bucket, "b", [(2, 10)]);
        let source_is = |tag| ReadConditions { if_match: Some(vec![etag(tag)]), ..ReadConditions::default() };
        let table = [
            (rename(bucket, "a", "a"), RenameKeyRejected::OntoItself),
            (rename(bucket, "c", "d"), RenameKeyRejected::NoSuchSource),
            (
                RenameKey { condition: WriteCondition::IfAbsent, ..rename(bucket, "a", "b") },
                RenameKeyRejected::PreconditionFailed(Some(Precondition::IfNoneMatch)),
            ),
            (RenameKey { condition: WriteCondition::IfPresent, ..rename(bucket, "a", "c") }, RenameKeyRejected::NoSuchKey),
            (
                RenameKey { source_conditions: source_is(9), ..rename(bucket, "a", "b") },
                RenameKeyRejected::PreconditionFailed(Some(Precondition::SourceIfMatch)),
            ),
            (
                RenameKey {
                    conditions: ReadConditions { if_modified_since: Some(Timestamp(u64::MAX)), ..ReadConditions::default() },
                    ..rename(bucket, "a", "b")
                },
                RenameKeyRejected::PreconditionFailed(Some(Precondition::IfModifiedSince)),
            ),
            (rename(BucketId(77), "a", "b"), RenameKeyRejected::NoSuchBucket),
        ];
        for (command, rejected) in table {
            assert_eq!(om.apply(command.clone()), Err(rejected), "{command:?}");
        }
        let command = RenameKey { source_conditions: source_is(1), ..rename(bucket, "a", "b") };
        assert!(om.apply(command).is_ok());
        om.check();
    }
}
