//! An object becomes visible.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::sealed::plain_length;
use types::{Acl, ETag, LogIndex, ObjectKey, ObjectLock, Precondition, Timestamp, VersionId};

use super::Outcome;
use super::shared::{CommittedBlock, KeyCommitted, link, sort_blocks, take_session};
use crate::blocks::Freed;
use crate::condition::{ConditionFailed, WriteCondition};
use crate::namespace;
use crate::native_acl;
use crate::notifications::{Event, note};
use crate::rows::{
    Attributes, Encryption, EventKind, KeyBody, KeyHead, KeyRow, ObjectChecksum, Origin, Sequence, Session, SessionEncryption,
    SessionRow, Storage, UserId,
};

/// Decides the condition, links the version, frees what it replaces and what it does not name, and ends the session.
///
/// The session ends whatever the answer: a commit that was refused will not be accepted later, so its blocks are freed at once.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CommitKey {
    #[n(0)]
    pub session: Session,
    #[n(1)]
    pub key: ObjectKey,
    /// In the object's order.
    #[n(2)]
    pub blocks: Vec<CommittedBlock>,
    #[n(3)]
    pub etag: ETag,
    #[n(4)]
    pub checksum: Option<ObjectChecksum>,
    #[n(5)]
    pub attributes: Attributes,
    /// Of sessions that were opened without saying it; in the others it stands.
    #[n(6)]
    pub storage_class: Option<String>,
    #[n(7)]
    pub condition: WriteCondition,
    /// The bucket's if absent.
    #[n(8)]
    pub owner: Option<UserId>,
    #[n(9)]
    pub now: Timestamp,
    #[n(10)]
    pub lock: Option<ObjectLock>,
    #[n(11)]
    pub acl: Option<Acl>,
    /// Noted if the bucket has somebody told.
    #[n(12)]
    pub origin: Option<Origin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum CommitKeyRejected {
    #[n(0)]
    NoSuchBucket,
    #[n(1)]
    NoSuchSession,
    #[n(2)]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    #[n(3)]
    NoSuchKey,
    #[n(4)]
    ForeignBlock,
    /// A lock is wanted and the bucket has none.
    #[n(5)]
    NoObjectLock,
}

impl From<ConditionFailed> for CommitKeyRejected {
    fn from(failed: ConditionFailed) -> Self {
        match failed {
            ConditionFailed::Mismatch(which) => Self::PreconditionFailed(Some(which)),
            ConditionFailed::Absent => Self::NoSuchKey,
        }
    }
}

impl CommitKey {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<KeyCommitted, CommitKeyRejected> {
        let Some(session) = take_session(tables, &self.session)? else {
            return Ok(Err(CommitKeyRejected::NoSuchSession));
        };
        let now = self.now;
        let mut freed = Freed::default();
        let outcome = self.link(log, tables, &session, &mut freed)?;
        if outcome.is_err() {
            freed.drop_handed_out(session.blocks);
        }
        freed.write(tables, log, now);
        Ok(outcome)
    }

    /// Changes nothing if it rejects.
    fn link(
        self,
        log: LogIndex,
        tables: &mut dyn WriteTables,
        session: &SessionRow,
        freed: &mut Freed,
    ) -> Result<Result<KeyCommitted, CommitKeyRejected>, StorageFault> {
        let Some(bucket) = namespace::bucket(tables, self.session.bucket)? else {
            return Ok(Err(CommitKeyRejected::NoSuchBucket));
        };
        let Some(sorted) = sort_blocks(session, &self.blocks) else {
            return Ok(Err(CommitKeyRejected::ForeignBlock));
        };
        if self.lock.is_some() && bucket.object_lock.is_none() {
            return Ok(Err(CommitKeyRejected::NoObjectLock));
        }
        let (encryption, size) = match of_object(session, sorted.stored) {
            Ok(found) => found,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let replaced = namespace::current(tables, bucket.id, &self.key)?;
        if let Err(failed) = self.condition.check(replaced.as_ref().map(|row| &row.head)) {
            return Ok(Err(failed.into()));
        }
        let (storage_class, replication) = match session.storage.clone() {
            Some(Storage { class, replication }) => (Some(class), Some(replication)),
            None => (self.storage_class, None),
        };
        let head = KeyHead {
            object: self.session.object,
            sequence: Sequence::new(log, 0),
            version: VersionId::NULL,
            size,
            etag: self.etag,
            modified: self.now,
            owner: self.owner.unwrap_or_else(|| bucket.owner.clone()),
            storage_class,
            checksum: self.checksum,
            noncurrent: None,
            lock: self.lock,
        };
        let (attributes, pieces) = (self.attributes, sorted.pieces);
        let native_acl = native_acl::inherited(tables, &bucket, &self.key, &head.owner)?;
        let body = KeyBody { attributes, pieces, parts: Vec::new(), encryption, acl: self.acl, replication, native_acl };
        freed.drop_handed_out(sorted.unused);
        let committed = link(tables, &bucket, &self.key, replaced, KeyRow { head, body }, freed)?;
        let is_form = self.origin.as_ref().is_some_and(|origin| origin.is_form);
        let kind = if is_form { EventKind::Post } else { EventKind::Put };
        note(tables, &bucket, Event::created(kind, &self.key, &committed), Sequence::new(log, 0), self.origin.as_ref())?;
        Ok(Ok(committed))
    }
}

/// How the session sealed the object's bytes, and how many of them there are in so many stored ones.
fn of_object(session: &SessionRow, stored: u64) -> Result<(Option<Encryption>, u64), CommitKeyRejected> {
    match &session.encryption {
        None => Ok((None, stored)),
        Some(SessionEncryption::Object(encryption)) => {
            let size = plain_length(stored).ok_or(CommitKeyRejected::ForeignBlock)?;
            Ok((Some(encryption.clone()), size))
        }
        // Opened to write a part, or to make an object longer: nobody could open what it sealed, apart from those.
        Some(SessionEncryption::Part(_) | SessionEncryption::Append { .. }) => Err(CommitKeyRejected::NoSuchSession),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Namespace, etag, key, sealed_object};

    #[test]
    fn a_commit_replaces_the_version_before_it_and_frees_its_blocks() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "cat.jpg", [(1, 10), (2, 5)]);
        let committed = om.write(bucket, "cat.jpg", [(3, 7)]);
        assert_eq!(committed.size, 7);
        assert_eq!(om.deleted_blocks(), [1, 2]);
        assert_eq!(om.current(bucket, "cat.jpg").expect("it is there").head.size, 7);
        om.check();
    }

    #[test]
    fn blocks_that_the_commit_does_not_name_are_freed() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let session = om.open(bucket, [1, 2, 3]);
        om.commit(session, "cat.jpg", [(3, 10), (1, 0)]).expect("a good commit");
        assert_eq!(om.deleted_blocks(), [1, 2]);
        om.check();
    }

    #[test]
    fn a_block_of_another_session_cannot_be_committed_nor_one_block_twice() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let (first, second, third) = (om.open(bucket, [1]), om.open(bucket, [2]), om.open(bucket, [3]));
        assert_eq!(om.commit(second, "b", [(1, 10)]), Err(CommitKeyRejected::ForeignBlock));
        assert_eq!(om.commit(third, "b", [(3, 10), (3, 10)]), Err(CommitKeyRejected::ForeignBlock));
        om.commit(first, "a", [(1, 10)]).expect("its own block");
        assert_eq!(om.deleted_blocks(), [2, 3]);
        om.check();
    }

    #[test]
    fn a_refused_commit_frees_its_blocks_and_cannot_be_repeated() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "cat.jpg", [(1, 10)]);
        let session = om.open(bucket, [2]);
        let commit = CommitKey { condition: WriteCondition::IfAbsent, ..om.commit_of(session, "cat.jpg", [(2, 10)]) };
        assert_eq!(om.apply(commit.clone()), Err(CommitKeyRejected::PreconditionFailed(Some(Precondition::IfNoneMatch))));
        assert_eq!(om.deleted_blocks(), [2]);
        om.delete(bucket, "cat.jpg");
        assert_eq!(om.apply(commit), Err(CommitKeyRejected::NoSuchSession));
        om.check();
    }

    #[test]
    fn a_matching_tag_on_a_key_that_is_gone_is_no_such_key() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let session = om.open(bucket, [1]);
        let commit = CommitKey { condition: WriteCondition::IfMatch(etag(1)), ..om.commit_of(session, "cat.jpg", [(1, 10)]) };
        assert_eq!(om.apply(commit), Err(CommitKeyRejected::NoSuchKey));
    }

    #[test]
    fn a_write_into_a_bucket_deleted_meanwhile_is_refused_even_if_the_name_is_back() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let session = om.open(bucket, [1]);
        om.apply(crate::DeleteBucket { bucket }).expect("it is empty");
        let again = om.create_bucket("ada", "photos");
        assert_eq!(om.commit(session, "cat.jpg", [(1, 10)]), Err(CommitKeyRejected::NoSuchBucket));
        assert_eq!(namespace::current(&om.tables, again, &key("cat.jpg")).expect("memory"), None);
        assert_eq!(om.deleted_blocks(), [1]);
        om.check();
    }

    #[test]
    fn a_sealed_object_is_as_large_as_its_bytes_and_stays_as_its_session_was_opened() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let session = om.open_sealed(bucket, [1, 2], SessionEncryption::Object(sealed_object(7)));
        om.extend(session, [3]);
        let committed = om.commit(session, "cat.jpg", [(1, 65_552), (3, 17)]).expect("a good commit");
        assert_eq!(committed.size, 65_537);
        let row = om.current(bucket, "cat.jpg").expect("it is there");
        assert_eq!((row.head.size, row.body.encryption), (65_537, Some(sealed_object(7))));
        om.check();
    }

    #[test]
    fn blocks_that_hold_no_whole_segments_are_no_sealed_object() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let session = om.open_sealed(bucket, [1], SessionEncryption::Object(sealed_object(7)));
        assert_eq!(om.commit(session, "cat.jpg", [(1, 65_552 + 16)]), Err(CommitKeyRejected::ForeignBlock));
        let part = om.open_sealed(bucket, [2], SessionEncryption::Part(sealed_object(7).salt));
        assert_eq!(om.commit(part, "cat.jpg", [(2, 17)]), Err(CommitKeyRejected::NoSuchSession));
        assert_eq!(om.deleted_blocks(), [1, 2]);
        om.check();
    }

    #[test]
    fn a_keys_history_does_not_run_backwards_when_the_next_leaders_clock_is_behind() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let before = om.write(bucket, "cat.jpg", [(1, 10)]);
        let session = om.open(bucket, [2]);
        let commit = CommitKey { now: Timestamp(0), ..om.commit_of(session, "cat.jpg", [(2, 10)]) };
        assert_eq!(om.apply(commit).expect("a good commit").modified, before.modified);
    }
}
