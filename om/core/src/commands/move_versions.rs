//! What lifecycle rules move to another storage class.

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, WriteTables};
use types::{BucketId, LogIndex, ObjectKey, Replication, Timestamp};

use super::{Never, Outcome};
use crate::namespace;
use crate::notifications::{Event, note};
use crate::rows::{self, BucketRow, EventKind, KeyRow, Sequence, VersionRow, key_key, version_key};
use crate::tables::{KEYS, VERSIONS};

/// One version on its way to another class: what was planned, and what the rules saw of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct VersionMove {
    #[n(0)]
    pub key: ObjectKey,
    #[n(1)]
    pub sequence: Sequence,
    #[n(2)]
    pub place: VersionPlace,
    #[n(3)]
    pub class: String,
    /// How what is in the class is kept.
    #[n(4)]
    pub replication: Replication,
    /// If the rules asked for them.
    #[n(5)]
    pub tags: Option<Vec<(String, String)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum VersionPlace {
    #[n(0)]
    Current,
    #[n(1)]
    Noncurrent,
}

/// Names another class for versions whose blocks may stay where they are, each only if it still is what was planned. Does nothing
/// once other rules have been set. Answers how many have moved.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MoveVersions {
    #[n(0)]
    pub bucket: BucketId,
    /// The entry that set the rules.
    #[n(1)]
    pub rules: LogIndex,
    #[n(2)]
    pub moves: Vec<VersionMove>,
    /// What events say; none of an entry that is older than they are.
    #[n(3)]
    pub now: Option<Timestamp>,
}

impl VersionMove {
    /// The version, if it is still there, in the same place, with the same tags. Writing to it, or adding to it, gives it another
    /// sequence.
    pub fn find(&self, tables: &dyn ReadTables, bucket: BucketId) -> Result<Option<KeyRow>, StorageFault> {
        let row = match self.place {
            VersionPlace::Current => {
                namespace::current(tables, bucket, &self.key)?.filter(|row| row.head.sequence == self.sequence)
            }
            VersionPlace::Noncurrent => match rows::get(tables, VERSIONS, &version_key(bucket, &self.key, self.sequence))? {
                Some(VersionRow::Object(row)) => Some(row),
                Some(VersionRow::Marker(_)) | None => None,
            },
        };
        Ok(row.filter(|row| self.tags.as_ref().is_none_or(|tags| *tags == row.body.attributes.tags)))
    }

    /// Writes back what [`Self::find`] found, and tells of it as what happened at `event`.
    pub(super) fn put(
        self,
        tables: &mut dyn WriteTables,
        bucket: &BucketRow,
        mut row: KeyRow,
        event: Option<(Timestamp, Sequence)>,
    ) -> Result<(), StorageFault> {
        if let Some((at, sequence)) = event {
            let (size, etag, version) = (Some(row.head.size), Some(row.head.etag), row.head.shown_version());
            let moved = Event { size, etag, version, class: Some(&self.class), ..Event::of(EventKind::Moved, &self.key, at) };
            note(tables, bucket, moved, sequence, None)?;
        }
        row.head.storage_class = Some(self.class);
        row.body.replication = Some(self.replication);
        match self.place {
            VersionPlace::Current => rows::put(tables, KEYS, &key_key(bucket.id, &self.key), &row),
            VersionPlace::Noncurrent => {
                rows::put(tables, VERSIONS, &version_key(bucket.id, &self.key, self.sequence), &VersionRow::Object(row));
            }
        }
        Ok(())
    }
}

impl MoveVersions {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<u32, Never> {
        let bucket = namespace::bucket(tables, self.bucket)?;
        let Some(bucket) = bucket.filter(|bucket| bucket.lifecycle == Some(self.rules)) else { return Ok(Ok(0)) };
        let mut moved = 0;
        for (ordinal, planned) in (0..).zip(self.moves) {
            let Some(row) = planned.find(tables, bucket.id)? else { continue };
            let stays = row.body.pieces.is_empty() || row.body.replication.unwrap_or(bucket.replication) == planned.replication;
            if stays {
                planned.put(tables, &bucket, row, self.now.map(|now| (now, Sequence::new(log, ordinal))))?;
                moved += 1;
            }
        }
        Ok(Ok(moved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Namespace, key, lifecycle_rule};
    use crate::{UpdateVersion, VersionChange, VersioningStatus};
    use types::Timestamp;

    fn planned(om: &Namespace, bucket: BucketId, replication: Replication) -> VersionMove {
        let sequence = om.current(bucket, "cat").expect("it is there").head.sequence;
        VersionMove { key: key("cat"), sequence, place: VersionPlace::Current, class: "COLD".into(), replication, tags: None }
    }

    fn apply(om: &mut Namespace, bucket: BucketId, planned: VersionMove) -> u32 {
        let rules = namespace::bucket(&om.tables, bucket).expect("memory").and_then(|row| row.lifecycle).expect("rules");
        let moved = om.apply(MoveVersions { bucket, rules, moves: vec![planned], now: Some(om.now()) }).expect("never rejected");
        om.check();
        moved
    }

    fn class(om: &Namespace, bucket: BucketId) -> Option<String> {
        om.current(bucket, "cat").expect("it is there").head.storage_class
    }

    fn bucket() -> (Namespace, BucketId) {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_lifecycle(bucket, [lifecycle_rule("")]);
        (om, bucket)
    }

    #[test]
    fn a_version_on_the_right_blocks_gets_another_class_and_nothing_else_changes() {
        let (mut om, bucket) = bucket();
        om.write(bucket, "cat", [(1, 10)]);
        let before = om.current(bucket, "cat").expect("it is there");
        let to = planned(&om, bucket, Replication::One);
        assert_eq!(apply(&mut om, bucket, to), 1);
        let mut after = om.current(bucket, "cat").expect("it is there");
        assert_eq!(after.head.storage_class.take().as_deref(), Some("COLD"));
        after.body.replication = None;
        assert_eq!(after, before);
        assert_eq!(om.deleted_blocks(), []);
    }

    #[test]
    fn blocks_that_are_kept_otherwise_do_not_change_by_a_name() {
        let (mut om, bucket) = bucket();
        om.write(bucket, "cat", [(1, 10)]);
        let to = planned(&om, bucket, Replication::Three);
        assert_eq!(apply(&mut om, bucket, to), 0);
        om.write(bucket, "cat", []);
        let empty = planned(&om, bucket, Replication::Three);
        assert_eq!(apply(&mut om, bucket, empty), 1);
        assert_eq!(class(&om, bucket).as_deref(), Some("COLD"));
    }

    #[test]
    fn what_was_written_or_tagged_since_stays_and_so_does_all_under_other_rules() {
        let (mut om, bucket) = bucket();
        om.write(bucket, "cat", [(1, 10)]);
        let old = planned(&om, bucket, Replication::One);
        om.write(bucket, "cat", [(2, 10)]);
        assert_eq!(apply(&mut om, bucket, old), 0);
        let untagged = VersionMove { tags: Some(Vec::new()), ..planned(&om, bucket, Replication::One) };
        let change = VersionChange::Tags(vec![("k".into(), "v".into())]);
        om.apply(UpdateVersion { origin: None, judged: None, bucket, key: key("cat"), version: None, change, now: Timestamp(1) })
            .expect("it is there");
        assert_eq!(apply(&mut om, bucket, untagged), 0);
        let good = planned(&om, bucket, Replication::One);
        assert_eq!(om.apply(MoveVersions { bucket, rules: LogIndex(1), moves: vec![good], now: None }), Ok(0));
        assert_eq!(class(&om, bucket), None);
    }

    #[test]
    fn a_version_is_moved_only_where_it_was_planned_to_be() {
        let (mut om, bucket) = bucket();
        om.set_versioning(bucket, VersioningStatus::Enabled);
        om.write(bucket, "cat", [(1, 10)]);
        let as_current = planned(&om, bucket, Replication::One);
        om.write(bucket, "cat", [(2, 10)]);
        assert_eq!(apply(&mut om, bucket, as_current.clone()), 0);
        assert_eq!(apply(&mut om, bucket, VersionMove { place: VersionPlace::Noncurrent, ..as_current }), 1);
        assert_eq!(class(&om, bucket), None);
    }
}
