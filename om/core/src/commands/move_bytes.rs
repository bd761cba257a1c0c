//! An object's bytes take the blocks of its new storage class.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::{LogIndex, ObjectId, Timestamp};

use super::Outcome;
use super::move_versions::VersionMove;
use super::shared::{CommittedBlock, sort_blocks, take_session};
use crate::blocks::Freed;
use crate::namespace;
use crate::rows::{Sequence, Session, SessionRow};

/// Puts blocks that hold the same stored bytes in the place of a version's own, which lose their reference, and names its new class:
/// all of it or nothing. The object stays the one it is, so that reads under way go on, and so does everything said about it.
///
/// The session ends whatever the answer: the blocks of a move that was refused are freed at once.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MoveBytes {
    #[n(0)]
    pub session: Session,
    /// The entry that set the rules by which it moves.
    #[n(1)]
    pub rules: LogIndex,
    #[n(2)]
    pub planned: VersionMove,
    /// What the bytes were read of.
    #[n(3)]
    pub object: ObjectId,
    #[n(4)]
    pub blocks: Vec<CommittedBlock>,
    #[n(5)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum MoveBytesRejected {
    #[n(0)]
    NoSuchSession,
    /// The version is gone or another by now, or other rules have been set.
    #[n(1)]
    NotAsPlanned,
    #[n(2)]
    ForeignBlock,
}

impl MoveBytes {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), MoveBytesRejected> {
        let Some(session) = take_session(tables, &self.session)? else {
            return Ok(Err(MoveBytesRejected::NoSuchSession));
        };
        let now = self.now;
        let mut freed = Freed::default();
        let outcome = self.swap(log, tables, &session, &mut freed)?;
        if outcome.is_err() {
            freed.drop_handed_out(session.blocks);
        }
        freed.write(tables, log, now);
        Ok(outcome)
    }

    /// Changes nothing if it rejects.
    fn swap(
        self,
        log: LogIndex,
        tables: &mut dyn WriteTables,
        session: &SessionRow,
        freed: &mut Freed,
    ) -> Result<Result<(), MoveBytesRejected>, StorageFault> {
        let bucket = namespace::bucket(tables, self.session.bucket)?;
        let Some(bucket) = bucket.filter(|bucket| bucket.lifecycle == Some(self.rules)) else {
            return Ok(Err(MoveBytesRejected::NotAsPlanned));
        };
        let found = self.planned.find(tables, bucket.id)?;
        let Some(mut row) = found.filter(|row| row.head.object == self.object) else {
            return Ok(Err(MoveBytesRejected::NotAsPlanned));
        };
        // What was written is what it was opened for, and as much as there was to copy.
        let is_kept_so = session
            .storage
            .as_ref()
            .is_some_and(|storage| storage.replication == self.planned.replication && storage.class == self.planned.class);
        let stored: u64 = row.body.pieces.iter().map(|piece| piece.length).sum();
        let sorted = sort_blocks(session, &self.blocks).filter(|sorted| is_kept_so && sorted.stored == stored);
        let Some(sorted) = sorted else {
            return Ok(Err(MoveBytesRejected::ForeignBlock));
        };
        freed.drop_pieces(tables, &row.body.pieces)?;
        freed.drop_handed_out(sorted.unused);
        row.body.pieces = sorted.pieces;
        self.planned.put(tables, &bucket, row, Some((self.now, Sequence::new(log, 0))))?;
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{CopyKey, VersionPlace};
    use crate::rows::Storage;
    use crate::testing::{Namespace, block, copy_of, key, lifecycle_rule};
    use crate::{OpenSession, VersioningStatus};
    use types::{BucketId, Replication};

    fn bucket() -> (Namespace, BucketId) {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_lifecycle(bucket, [lifecycle_rule("")]);
        (om, bucket)
    }

    /// The move of `cat` to blocks of the other kind, which are written.
    fn move_of<const N: usize>(om: &mut Namespace, bucket: BucketId, blocks: [(u64, u64); N]) -> MoveBytes {
        let row = om.current(bucket, "cat").expect("it is there");
        let session = Session { object: ObjectId(1 << 40 | blocks[0].0), bucket, opened: om.now() };
        let storage = Storage { class: "COLD".into(), replication: Replication::Three };
        let handed_out = blocks.map(|(local, _)| block(local)).to_vec();
        om.apply(OpenSession { session, blocks: handed_out, encryption: None, storage: Some(storage) }).expect("never rejected");
        let rules = namespace::bucket(&om.tables, bucket).expect("memory").and_then(|row| row.lifecycle).expect("rules");
        let planned = VersionMove {
            key: key("cat"),
            sequence: row.head.sequence,
            place: VersionPlace::Current,
            class: "COLD".into(),
            replication: Replication::Three,
            tags: None,
        };
        let blocks = blocks.iter().map(|(local, length)| CommittedBlock { block: block(*local), length: *length }).collect();
        MoveBytes { session, rules, planned, object: row.head.object, blocks, now: om.now() }
    }

    fn blocks_of(om: &Namespace, bucket: BucketId) -> Vec<u64> {
        om.current(bucket, "cat").expect("it is there").body.pieces.iter().map(|piece| piece.block.local).collect()
    }

    #[test]
    fn the_bytes_take_their_new_blocks_and_the_old_ones_are_freed_in_the_same_entry() {
        let (mut om, bucket) = bucket();
        om.write(bucket, "cat", [(1, 10), (2, 5)]);
        let before = om.current(bucket, "cat").expect("it is there");
        let moving = move_of(&mut om, bucket, [(8, 15), (9, 0)]);
        om.apply(moving.clone()).expect("it is as planned");
        om.check();
        let after = om.current(bucket, "cat").expect("it is there");
        assert_eq!((after.head.storage_class.as_deref(), after.body.replication), (Some("COLD"), Some(Replication::Three)));
        assert_eq!(
            (after.head.object, after.head.etag, after.head.modified),
            (before.head.object, before.head.etag, before.head.modified)
        );
        assert_eq!((blocks_of(&om, bucket), om.deleted_blocks()), (vec![8], vec![1, 2, 9]));
        assert_eq!(om.apply(moving), Err(MoveBytesRejected::NoSuchSession));
    }

    #[test]
    fn an_object_that_was_written_meanwhile_stays_and_the_new_blocks_are_freed() {
        let (mut om, bucket) = bucket();
        om.write(bucket, "cat", [(1, 10)]);
        let moving = move_of(&mut om, bucket, [(8, 10)]);
        om.write(bucket, "cat", [(2, 10)]);
        assert_eq!(om.apply(moving), Err(MoveBytesRejected::NotAsPlanned));
        assert_eq!((blocks_of(&om, bucket), om.deleted_blocks()), (vec![2], vec![1, 8]));
        om.check();
    }

    #[test]
    fn fewer_bytes_than_there_were_do_not_take_their_place() {
        let (mut om, bucket) = bucket();
        om.write(bucket, "cat", [(1, 10)]);
        let short = move_of(&mut om, bucket, [(8, 9)]);
        assert_eq!(om.apply(short), Err(MoveBytesRejected::ForeignBlock));
        assert_eq!((blocks_of(&om, bucket), om.deleted_blocks()), (vec![1], vec![8]));
        om.check();
    }

    #[test]
    fn nothing_moves_by_rules_that_are_not_the_buckets_any_more_or_to_where_it_was_not_planned() {
        let (mut om, bucket) = bucket();
        om.write(bucket, "cat", [(1, 10)]);
        let mut elsewhere = move_of(&mut om, bucket, [(7, 10)]);
        elsewhere.planned.class = "OTHER".into();
        assert_eq!(om.apply(elsewhere), Err(MoveBytesRejected::ForeignBlock));
        let moving = move_of(&mut om, bucket, [(8, 10)]);
        om.set_lifecycle(bucket, [lifecycle_rule("other/")]);
        assert_eq!(om.apply(moving), Err(MoveBytesRejected::NotAsPlanned));
        assert_eq!((blocks_of(&om, bucket), om.deleted_blocks()), (vec![1], vec![7, 8]));
        om.check();
    }

    #[test]
    fn a_copy_on_the_same_blocks_keeps_them() {
        let (mut om, bucket) = bucket();
        om.set_versioning(bucket, VersioningStatus::Enabled);
        om.write(bucket, "cat", [(1, 10)]);
        let copy = CopyKey { object: ObjectId(1 << 41), now: om.now(), ..copy_of(bucket, "cat", "dog") };
        om.apply(copy.clone()).expect("it is there");
        let moving = move_of(&mut om, bucket, [(8, 10)]);
        om.apply(moving).expect("it is as planned");
        assert_eq!(om.deleted_blocks(), []);
        om.check();
        // From now on the two are kept in different ways.
        assert_eq!(om.apply(copy), Err(crate::CopyKeyRejected::NeedsBytes));
        om.check();
    }
}
