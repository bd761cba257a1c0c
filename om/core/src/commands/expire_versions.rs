//! What lifecycle rules end.

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, WriteTables};
use types::{BucketId, Bypass, LogIndex, ObjectKey, Timestamp, VersionId};

use super::{Never, Outcome};
use crate::blocks::Freed;
use crate::namespace;
use crate::notifications::{Event, note};
use crate::rows::{self, BucketRow, EventKind, KeyRow, Sequence, VersionRow, Versioning, version_key};
use crate::tables::VERSIONS;
use crate::versions;

/// Ends versions, each only if it still is what was planned: the same write, in the same place of its key's stack, with the same
/// tags, and not locked. Does nothing once other rules, or none, have been set.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ExpireVersions {
    #[n(0)]
    pub bucket: BucketId,
    /// The entry that set the rules.
    #[n(1)]
    pub rules: LogIndex,
    /// Of one key the newest first.
    #[n(2)]
    pub ends: Vec<VersionEnd>,
    #[n(3)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct VersionEnd {
    #[n(0)]
    pub key: ObjectKey,
    #[n(1)]
    pub sequence: Sequence,
    #[n(2)]
    pub how: HowItEnds,
    /// What the rules saw, if they asked.
    #[n(3)]
    pub tags: Option<Vec<(String, String)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum HowItEnds {
    /// As by a deletion that names no version.
    #[n(0)]
    Current,
    /// For good, if so many noncurrent objects of the key are newer.
    #[n(1)]
    Noncurrent {
        #[n(0)]
        newer: u32,
    },
    /// A delete marker that has nothing under it.
    #[n(2)]
    LoneMarker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct VersionsExpired {
    #[n(0)]
    pub current: u32,
    #[n(1)]
    pub noncurrent: u32,
    #[n(2)]
    pub markers: u32,
}

impl ExpireVersions {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<VersionsExpired, Never> {
        let mut expired = VersionsExpired::default();
        let bucket = namespace::bucket(tables, self.bucket)?;
        let Some(bucket) = bucket.filter(|bucket| bucket.lifecycle == Some(self.rules)) else { return Ok(Ok(expired)) };
        let mut freed = Freed::default();
        let mut entry = Entry { bucket: &bucket, now: self.now, sequence: Sequence::new(log, 0), counted: None };
        for (ordinal, end) in (0..).zip(&self.ends) {
            entry.sequence = Sequence::new(log, ordinal);
            let (has_ended, count) = match end.how {
                HowItEnds::Current => (entry.end_current(tables, end, &mut freed)?, &mut expired.current),
                HowItEnds::Noncurrent { newer } => {
                    (entry.end_noncurrent(tables, end, newer, &mut freed)?, &mut expired.noncurrent)
                }
                HowItEnds::LoneMarker => (entry.end_lone_marker(tables, end, &mut freed)?, &mut expired.markers),
            };
            *count += u32::from(has_ended);
        }
        freed.write(tables, log, self.now);
        Ok(Ok(expired))
    }
}

struct Entry<'a> {
    bucket: &'a BucketRow,
    now: Timestamp,
    /// Of what is done next.
    sequence: Sequence,
    /// Below this version of this key there are so many newer ones: what is true of it is true of those under it.
    counted: Option<(&'a ObjectKey, Sequence, u32)>,
}

impl<'a> Entry<'a> {
    fn end_current(&self, tables: &mut dyn WriteTables, end: &VersionEnd, freed: &mut Freed) -> Result<bool, StorageFault> {
        let bucket = self.bucket;
        let current = namespace::current(tables, bucket.id, &end.key)?;
        let Some(row) = current.filter(|row| row.head.sequence == end.sequence && end.saw_tags_of(row)) else {
            return Ok(false);
        };
        let is_only_hidden = bucket.versioning == Versioning::Enabled || !row.head.version.is_null();
        if !is_only_hidden && self.locks(&row) {
            return Ok(false);
        }
        if bucket.versioning == Versioning::Unversioned {
            versions::remove(tables, bucket.id, &end.key, row.head.version, freed)?;
            self.note(tables, EventKind::Expired, end, None)?;
        } else {
            let marker = (self.sequence, self.now, bucket.owner.clone());
            let version = versions::push_marker(tables, bucket, &end.key, Some(row), marker, freed)?;
            self.note(tables, EventKind::ExpiryMarker, end, Some(version))?;
        }
        Ok(true)
    }

    fn end_noncurrent(
        &mut self,
        tables: &mut dyn WriteTables,
        end: &'a VersionEnd,
        newer: u32,
        freed: &mut Freed,
    ) -> Result<bool, StorageFault> {
        let version = match self.hidden(tables, end)? {
            Some(VersionRow::Object(row)) if row.head.noncurrent.is_some() && end.saw_tags_of(&row) && !self.locks(&row) => {
                row.head.version
            }
            Some(VersionRow::Marker(marker)) if marker.noncurrent.is_some() => marker.version,
            Some(_) | None => return Ok(false),
        };
        if !self.has_newer(tables, end, newer)? {
            return Ok(false);
        }
        self.remove(tables, end, version, freed)
    }

    fn remove(
        &self,
        tables: &mut dyn WriteTables,
        end: &VersionEnd,
        version: VersionId,
        freed: &mut Freed,
    ) -> Result<bool, StorageFault> {
        let is_gone = versions::remove(tables, self.bucket.id, &end.key, version, freed)?.is_some();
        if is_gone {
            self.note(tables, EventKind::Expired, end, Some(version))?;
        }
        Ok(is_gone)
    }

    fn note(
        &self,
        tables: &mut dyn WriteTables,
        kind: EventKind,
        end: &VersionEnd,
        version: Option<VersionId>,
    ) -> Result<(), StorageFault> {
        let event = Event { version, ..Event::of(kind, &end.key, self.now) };
        note(tables, self.bucket, event, self.sequence, None)
    }

    fn end_lone_marker(&self, tables: &mut dyn WriteTables, end: &VersionEnd, freed: &mut Freed) -> Result<bool, StorageFault> {
        let Some(VersionRow::Marker(marker)) = self.hidden(tables, end)? else { return Ok(false) };
        if marker.noncurrent.is_some() || !versions::is_alone(tables, self.bucket.id, &end.key)? {
            return Ok(false);
        }
        self.remove(tables, end, marker.version, freed)
    }

    fn hidden(&self, tables: &dyn ReadTables, end: &VersionEnd) -> Result<Option<VersionRow>, StorageFault> {
        rows::get(tables, VERSIONS, &version_key(self.bucket.id, &end.key, end.sequence))
    }

    fn locks(&self, row: &KeyRow) -> bool {
        row.head.lock.is_some_and(|lock| lock.holds(self.now, Bypass::No))
    }

    /// Counts once for a key whose versions come from the newest on: ending one takes nothing from those above the next.
    fn has_newer(&mut self, tables: &dyn ReadTables, end: &'a VersionEnd, newer: u32) -> Result<bool, StorageFault> {
        if let Some((key, above, counted)) = self.counted
            && *key == end.key
            && above > end.sequence
            && counted >= newer
        {
            return Ok(true);
        }
        let counted = versions::hidden_objects_above(tables, self.bucket.id, &end.key, end.sequence, newer)?;
        self.counted = Some((&end.key, end.sequence, counted));
        Ok(counted >= newer)
    }
}

impl VersionEnd {
    fn saw_tags_of(&self, row: &KeyRow) -> bool {
        self.tags.as_ref().is_none_or(|tags| *tags == row.body.attributes.tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Namespace, key, lifecycle_rule};
    use crate::{DeleteKey, UpdateVersion, VersionChange, VersioningStatus};
    use types::{BucketLock, Retention, RetentionMode, VersionId};

    const NOW: Timestamp = Timestamp(100_000);

    fn bucket_of(versioning: Option<VersioningStatus>) -> (Namespace, BucketId) {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        if let Some(status) = versioning {
            om.set_versioning(bucket, status);
        }
        om.set_lifecycle(bucket, [lifecycle_rule("")]);
        (om, bucket)
    }

    fn end(how: HowItEnds, sequence: Sequence) -> VersionEnd {
        VersionEnd { key: key("cat"), sequence, how, tags: None }
    }

    fn of_version(version: Option<VersionId>) -> Sequence {
        Sequence(version.expect("versioned").0)
    }

    /// How many have ended.
    fn expire(om: &mut Namespace, bucket: BucketId, ends: impl Into<Vec<VersionEnd>>) -> u32 {
        let rules = crate::namespace::bucket(&om.tables, bucket).expect("memory").expect("it exists").lifecycle;
        expire_by(om, bucket, rules.expect("it has rules"), ends)
    }

    fn expire_by(om: &mut Namespace, bucket: BucketId, rules: LogIndex, ends: impl Into<Vec<VersionEnd>>) -> u32 {
        let expired = om.apply(ExpireVersions { bucket, rules, ends: ends.into(), now: NOW }).expect("never rejected");
        om.check();
        expired.current + expired.noncurrent + expired.markers
    }

    fn current(om: &Namespace, bucket: BucketId) -> Sequence {
        om.current(bucket, "cat").expect("it is there").head.sequence
    }

    #[test]
    fn an_object_that_was_written_again_stays() {
        let (mut om, bucket) = bucket_of(None);
        om.write(bucket, "cat", [(1, 10)]);
        let planned = end(HowItEnds::Current, current(&om, bucket));
        om.write(bucket, "cat", [(2, 10)]);
        assert_eq!(expire(&mut om, bucket, [planned]), 0);
        let again = end(HowItEnds::Current, current(&om, bucket));
        assert_eq!(expire(&mut om, bucket, [again.clone(), again]), 1);
        assert_eq!(om.current(bucket, "cat"), None);
        assert_eq!(om.deleted_blocks(), [1, 2]);
    }

    #[test]
    fn nothing_ends_by_rules_that_are_not_the_buckets_any_more() {
        let (mut om, bucket) = bucket_of(None);
        om.write(bucket, "cat", [(1, 10)]);
        let planned = end(HowItEnds::Current, current(&om, bucket));
        let rules = crate::namespace::bucket(&om.tables, bucket).expect("memory").and_then(|row| row.lifecycle).expect("rules");
        om.set_lifecycle(bucket, [lifecycle_rule("other/")]);
        assert_eq!(expire_by(&mut om, bucket, rules, [planned.clone()]), 0);
        assert_eq!(expire(&mut om, bucket, [planned]), 1);
        assert_eq!(expire_by(&mut om, BucketId(999), rules, []), 0);
    }

    #[test]
    fn an_object_whose_tags_changed_stays() {
        let (mut om, bucket) = bucket_of(None);
        om.write(bucket, "cat", [(1, 10)]);
        let tags = |value: &str| vec![("k".to_owned(), value.to_owned())];
        let planned =
            |om: &Namespace, value| VersionEnd { tags: Some(tags(value)), ..end(HowItEnds::Current, current(om, bucket)) };
        let change = VersionChange::Tags(tags("new"));
        om.apply(UpdateVersion { origin: None, judged: None, bucket, key: key("cat"), version: None, change, now: NOW })
            .expect("it is there");
        let (old, new) = (planned(&om, "old"), planned(&om, "new"));
        assert_eq!(expire(&mut om, bucket, [old]), 0);
        assert_eq!(expire(&mut om, bucket, [new]), 1);
    }

    #[test]
    fn a_version_that_was_locked_or_became_current_stays() {
        let (mut om, bucket) = bucket_of(Some(VersioningStatus::Enabled));
        om.set_bucket_lock(bucket, BucketLock::default().default);
        let [a, b, c] = [1, 2, 3].map(|block| om.write(bucket, "cat", [(block, 10)]).version);
        let retention = Some(Retention { mode: RetentionMode::Compliance, until: Timestamp(NOW.0 + 1) });
        let change = VersionChange::Retention(retention, Bypass::No);
        om.apply(UpdateVersion { origin: None, judged: None, bucket, key: key("cat"), version: a, change, now: Timestamp(1) })
            .expect("it is there");
        om.delete_version(bucket, "cat", c.expect("versioned")).expect("it is not locked");
        let how = HowItEnds::Noncurrent { newer: 0 };
        assert_eq!(expire(&mut om, bucket, [end(how, of_version(b)), end(how, of_version(a))]), 0);
        assert_eq!(om.versions(bucket).len(), 2);
        assert_eq!(om.deleted_blocks(), [3]);
    }

    #[test]
    fn a_version_stays_if_newer_ones_are_gone_that_it_was_to_be_older_than() {
        let (mut om, bucket) = bucket_of(Some(VersioningStatus::Enabled));
        let versions: Vec<_> = (1..=6).map(|block| om.write(bucket, "cat", [(block, 10)]).version).collect();
        let ends = |newer| -> Vec<VersionEnd> {
            let how = HowItEnds::Noncurrent { newer };
            versions[..3].iter().rev().map(|version| end(how, of_version(*version))).collect()
        };
        om.delete_version(bucket, "cat", versions[4].expect("versioned")).expect("it is not locked");
        // Of the noncurrent ones the fourth alone is above the three.
        assert_eq!(expire(&mut om, bucket, ends(4)), 0);
        assert_eq!(expire(&mut om, bucket, [ends(2)[2].clone()]), 1);
        assert_eq!(expire(&mut om, bucket, ends(1)), 2);
        assert_eq!(om.versions(bucket).len(), 2);
    }

    #[test]
    fn what_is_ended_above_it_does_not_count_for_a_version_named_after_it() {
        let (mut om, bucket) = bucket_of(Some(VersioningStatus::Enabled));
        let versions: Vec<_> = (1..=4).map(|block| om.write(bucket, "cat", [(block, 10)]).version).collect();
        let ends = |order: [usize; 3], newer: [u32; 3]| -> Vec<VersionEnd> {
            let one = |(at, newer): (usize, u32)| end(HowItEnds::Noncurrent { newer }, of_version(versions[at]));
            order.into_iter().zip(newer).map(one).collect()
        };
        // The one above goes by a rule that keeps none: the two below have none above them then.
        assert_eq!(expire(&mut om, bucket, ends([2, 1, 0], [0, 1, 1])), 2);
        assert_eq!(om.versions(bucket).len(), 2);
    }

    #[test]
    fn a_marker_that_something_lies_under_or_over_stays() {
        let (mut om, bucket) = bucket_of(Some(VersioningStatus::Enabled));
        let marker = |om: &mut Namespace| {
            let deletion = crate::testing::deletion("cat", None);
            of_version(
                om.apply(DeleteKey { origin: None, bucket, deletion, now: Timestamp(1), owner: None })
                    .expect("unconditional")
                    .version,
            )
        };
        let first = marker(&mut om);
        let version = om.write(bucket, "cat", [(1, 10)]).version.expect("versioned");
        assert_eq!(expire(&mut om, bucket, [end(HowItEnds::LoneMarker, first)]), 0);
        let second = marker(&mut om);
        for sequence in [first, second] {
            assert_eq!(expire(&mut om, bucket, [end(HowItEnds::LoneMarker, sequence)]), 0);
        }
        om.delete_version(bucket, "cat", version).expect("it is not locked");
        om.delete_version(bucket, "cat", VersionId(first.0)).expect("it is not locked");
        assert_eq!(expire(&mut om, bucket, [end(HowItEnds::LoneMarker, second)]), 1);
        assert_eq!(om.versions(bucket), Vec::<String>::new());
    }

    #[test]
    fn in_a_suspended_bucket_the_null_version_goes_and_others_are_hidden() {
        let (mut om, bucket) = bucket_of(Some(VersioningStatus::Enabled));
        let version = om.write(bucket, "cat", [(1, 10)]).version;
        om.set_versioning(bucket, VersioningStatus::Suspended);
        assert_eq!(expire(&mut om, bucket, [end(HowItEnds::Current, of_version(version))]), 1);
        assert_eq!(om.versions(bucket).len(), 2);
        assert_eq!(om.deleted_blocks(), []);
        om.write(bucket, "cat", [(2, 10)]);
        let planned = end(HowItEnds::Current, current(&om, bucket));
        assert_eq!(expire(&mut om, bucket, [planned]), 1);
        assert_eq!(om.versions(bucket)[0], "cat nullx*");
        assert_eq!(om.deleted_blocks(), [2]);
    }
}
