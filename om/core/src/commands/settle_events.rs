//! Events that nobody has to be told of any more.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{LogIndex, Timestamp};

use super::{Never, Outcome};
use crate::notifications::count_under;
use crate::rows::{self, DeadEventRow, EventRow, Sequence, event_key, events_of, keys_under};
use crate::tables::{DEAD_EVENTS, EVENTS};

/// Dead events of a destination that are kept. The oldest go first.
const MOST_DEAD: usize = 10_000;

/// Proposed only after a destination has taken what is delivered: a crash between tells it once more, which at least once allows;
/// the other order would lose it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SettleEvents {
    #[n(0)]
    pub destination: String,
    #[n(1)]
    pub delivered: Vec<Sequence>,
    #[n(2)]
    pub dead: Vec<Undeliverable>,
    #[n(3)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Undeliverable {
    #[n(0)]
    pub sequence: Sequence,
    #[n(1)]
    pub why: String,
}

impl SettleEvents {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), Never> {
        for sequence in self.delivered {
            tables.delete(EVENTS, &event_key(&self.destination, sequence));
        }
        let has_dead = !self.dead.is_empty();
        for Undeliverable { sequence, why } in self.dead {
            let key = event_key(&self.destination, sequence);
            let Some(event) = rows::get::<EventRow>(tables, EVENTS, &key)? else { continue };
            tables.delete(EVENTS, &key);
            rows::put(tables, DEAD_EVENTS, &key, &DeadEventRow { event, why, died: self.now });
        }
        if has_dead {
            let inside = events_of(&self.destination);
            let over = count_under(tables, DEAD_EVENTS, &inside, 2 * MOST_DEAD)?.saturating_sub(MOST_DEAD as u64);
            let (oldest, _) = keys_under(tables, DEAD_EVENTS, &inside, usize::try_from(over).unwrap_or(0))?;
            oldest.iter().for_each(|key| tables.delete(DEAD_EVENTS, key));
        }
        Ok(Ok(()))
    }
}

/// Dead events wait once more to be delivered, before all others. Answers how many.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ReviveEvents {
    #[n(0)]
    pub destination: String,
    #[n(1)]
    pub most: u32,
    /// From now on they may wait as long as any other.
    #[n(2)]
    pub now: Timestamp,
}

impl ReviveEvents {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<u32, Never> {
        let most = usize::try_from(self.most).unwrap_or(usize::MAX);
        let (keys, _) = keys_under(tables, DEAD_EVENTS, &events_of(&self.destination), most)?;
        let mut revived = 0;
        for key in keys {
            let Some(row) = rows::get::<DeadEventRow>(tables, DEAD_EVENTS, &key)? else { continue };
            tables.delete(DEAD_EVENTS, &key);
            rows::put(tables, EVENTS, &key, &EventRow { since: Some(self.now), ..row.event });
            revived += 1;
        }
        Ok(Ok(revived))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{EventKind, Origin};
    use crate::testing::{Namespace, key, lifecycle_rule};
    use crate::{
        ConfigChange, DeleteKeys, KeyDeletion, MoveVersions, SetBucketConfig, UpdateVersion, VersionChange, VersionMove,
        VersionPlace, VersioningStatus, notifications,
    };
    use bucket_config::NotificationConfiguration;
    use bucket_config::notification::{NotificationTarget, TargetKind};
    use types::{BucketId, Replication, RequestId};

    fn tell(om: &mut Namespace, bucket: BucketId, targets: &[(&str, &str, Option<&str>)]) {
        let target = |(destination, event, prefix): &(&str, &str, Option<&str>)| NotificationTarget {
            id: format!("to-{destination}"),
            kind: TargetKind::Queue,
            arn: format!("arn:trioxide:sqs::{destination}:webhook"),
            events: vec![(*event).to_owned()],
            prefix: prefix.map(str::to_owned),
            suffix: None,
        };
        let document = NotificationConfiguration { targets: targets.iter().map(target).collect() };
        let now = om.now();
        let change = ConfigChange::Put(Box::new(document.into()));
        om.apply(SetBucketConfig { bucket, change, now }).expect("the bucket is there");
    }

    fn waiting(om: &Namespace, destination: &str) -> Vec<(EventKind, String)> {
        let found = notifications::waiting(&om.tables, destination, 100).expect("memory");
        found.into_iter().map(|(_, row)| (row.kind, row.key.map_or(String::new(), |key| key.as_str().to_owned()))).collect()
    }

    fn settle(om: &mut Namespace, destination: &str, delivered: &[Sequence], dead: &[Sequence]) {
        let dead = dead.iter().map(|sequence| Undeliverable { sequence: *sequence, why: "410".into() }).collect();
        let (destination, delivered, now) = (destination.to_owned(), delivered.to_vec(), Timestamp(9));
        om.apply(SettleEvents { destination, delivered, dead, now }).expect("never rejected");
    }

    #[test]
    fn what_happens_waits_for_whoever_is_to_be_told_from_the_same_entry_on() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "before", [(1, 10)]);
        tell(&mut om, bucket, &[("made", "s3:ObjectCreated:*", Some("in/")), ("gone", "s3:ObjectRemoved:*", None)]);
        assert_eq!(waiting(&om, "made"), [(EventKind::Test, String::new())]);
        assert_eq!(waiting(&om, "gone"), [(EventKind::Test, String::new())]);
        om.write(bucket, "in/cat", [(2, 10)]);
        om.write(bucket, "out/cat", [(3, 10)]);
        let deletions = ["in/cat", "absent", "out/cat"].map(|name| KeyDeletion::of(key(name))).to_vec();
        om.apply(DeleteKeys { bucket, deletions, now: Timestamp(5), owner: None, origin: None }).expect("the bucket exists");
        assert_eq!(waiting(&om, "made")[1..], [(EventKind::Put, "in/cat".to_owned())]);
        assert_eq!(waiting(&om, "gone")[1..], [(EventKind::Delete, "in/cat".into()), (EventKind::Delete, "out/cat".into())]);
        om.apply(SetBucketConfig {
            bucket,
            change: ConfigChange::Delete(bucket_config::ConfigKind::Notification),
            now: Timestamp(6),
        })
        .expect("the bucket is there");
        om.write(bucket, "in/late", [(4, 10)]);
        assert_eq!(
            waiting(&om, "made").len(),
            2,
            "nobody is told of what happens afterwards, and everybody of what happened before"
        );
        om.check();
    }

    #[test]
    fn a_move_to_another_class_is_told_with_the_class() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_lifecycle(bucket, [lifecycle_rule("")]);
        tell(&mut om, bucket, &[("moved", "s3:LifecycleTransition", None)]);
        om.write(bucket, "cat", [(1, 10)]);
        om.write(bucket, "dog", [(2, 10)]);
        let planned = |name: &str| VersionMove {
            key: key(name),
            sequence: om.current(bucket, name).expect("it is there").head.sequence,
            place: VersionPlace::Current,
            class: "COLD".into(),
            replication: Replication::One,
            tags: None,
        };
        let rules = crate::namespace::bucket(&om.tables, bucket).expect("memory").and_then(|row| row.lifecycle).expect("rules");
        let stale = VersionMove { sequence: Sequence(1), ..planned("cat") };
        let moves = vec![planned("cat"), stale, planned("dog")];
        assert_eq!(om.apply(MoveVersions { bucket, rules, moves, now: Some(Timestamp(9)) }), Ok(2));
        let [_, (_, row), (_, other)] =
            notifications::waiting(&om.tables, "moved", 9).expect("memory").try_into().expect("a test and two more");
        assert_eq!((row.kind, row.at, row.size, row.class.as_deref()), (EventKind::Moved, Timestamp(9), Some(10), Some("COLD")));
        assert_eq!(other.key, Some(key("dog")));
        om.check();
    }

    #[test]
    fn an_event_tells_who_did_what_to_which_version() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_versioning(bucket, VersioningStatus::Enabled);
        tell(
            &mut om,
            bucket,
            &[("all", "s3:ObjectCreated:Put", None), ("tags", "s3:ObjectTagging:*", None), ("gone", "s3:ObjectRemoved:*", None)],
        );
        let origin =
            Origin { user: None, source: None, request: RequestId::from_u128(7), region: Some("eu-1".into()), is_form: false };
        let session = om.open(bucket, [1]);
        let commit = crate::CommitKey { origin: Some(origin.clone()), ..om.commit_of(session, "cat", [(1, 10)]) };
        let made = om.apply(commit).expect("a good commit");
        let [_, (_, row)] =
            notifications::waiting(&om.tables, "all", 9).expect("memory").try_into().expect("a test and one more");
        assert_eq!((row.size, row.etag, row.version, row.origin), (Some(10), Some(made.etag), made.version, Some(origin)));
        let change = VersionChange::Tags(Vec::new());
        om.apply(UpdateVersion { bucket, key: key("cat"), version: None, change, now: Timestamp(9), origin: None, judged: None })
            .expect("it is there");
        let rename = crate::RenameKey {
            bucket,
            source: key("cat"),
            source_conditions: crate::ReadConditions::default(),
            key: key("tom"),
            condition: crate::WriteCondition::Always,
            conditions: crate::ReadConditions::default(),
            owner: None,
            now: Timestamp(10),
            origin: None,
            judged: None,
        };
        om.apply(rename).expect("it is there");
        let moved = notifications::waiting(&om.tables, "gone", 9).expect("memory").pop().expect("that it is gone").1;
        let marker =
            om.versions(bucket).iter().find_map(|shown| shown.strip_prefix("cat ")?.strip_suffix("x*").map(str::to_owned));
        assert_eq!((moved.kind, moved.version.map(|version| version.to_string())), (EventKind::DeleteMarker, marker));
        om.delete(bucket, "cat");
        assert_eq!(waiting(&om, "tags")[1..], [(EventKind::DeleteTags, "cat".to_owned())]);
        assert_eq!(
            waiting(&om, "gone")[1..],
            [(EventKind::DeleteMarker, "cat".to_owned()), (EventKind::DeleteMarker, "cat".into())]
        );
        om.check();
    }

    #[test]
    fn forms_and_rules_have_events_of_their_own() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_lifecycle(bucket, [crate::testing::lifecycle_rule("")]);
        tell(&mut om, bucket, &[("made", "s3:ObjectCreated:Post", None), ("over", "s3:LifecycleExpiration:*", None)]);
        let origin = Origin { user: None, source: None, request: RequestId::from_u128(7), region: None, is_form: true };
        for is_form in [true, false] {
            let session = om.open(bucket, [1 + u64::from(is_form)]);
            let block = (1 + u64::from(is_form), 10);
            let origin = Some(Origin { is_form, ..origin.clone() });
            let commit = crate::CommitKey { origin, ..om.commit_of(session, "cat", [block]) };
            om.apply(commit).expect("a good commit");
        }
        assert_eq!(waiting(&om, "made")[1..], [(EventKind::Post, "cat".to_owned())]);
        let sequence = om.current(bucket, "cat").expect("it is there").head.sequence;
        let rules = crate::namespace::bucket(&om.tables, bucket).expect("memory").and_then(|row| row.lifecycle).expect("rules");
        let end = crate::VersionEnd { key: key("cat"), sequence, how: crate::HowItEnds::Current, tags: None };
        om.apply(crate::ExpireVersions { bucket, rules, ends: vec![end], now: Timestamp(100_000) }).expect("never rejected");
        assert_eq!(waiting(&om, "over")[1..], [(EventKind::Expired, "cat".to_owned())]);
        om.check();
    }

    #[test]
    fn what_is_delivered_goes_and_what_cannot_be_is_kept_apart_until_it_is_revived() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        tell(&mut om, bucket, &[("a", "s3:ObjectCreated:*", None), ("ab", "s3:ObjectRemoved:*", None)]);
        for (name, block) in [("one", 1), ("two", 2)] {
            om.write(bucket, name, [(block, 10)]);
        }
        assert_eq!(notifications::destinations_waited_for(&om.tables).expect("memory"), ["a", "ab"]);
        let sequences: Vec<_> =
            notifications::waiting(&om.tables, "a", 9).expect("memory").into_iter().map(|(sequence, _)| sequence).collect();
        settle(&mut om, "a", &sequences[..1], &sequences[1..2]);
        assert_eq!(waiting(&om, "a"), [(EventKind::Put, "two".to_owned())]);
        let [dead] = notifications::dead(&om.tables, None, 9).expect("memory").try_into().expect("one");
        assert_eq!((dead.destination.as_str(), dead.row.why.as_str(), dead.row.died), ("a", "410", Timestamp(9)));
        assert_eq!(notifications::dead(&om.tables, Some("ab"), 9).expect("memory"), []);
        let revive = ReviveEvents { destination: "a".into(), most: 9, now: Timestamp(10) };
        assert_eq!(om.apply(revive), Ok(1));
        assert_eq!(waiting(&om, "a"), [(EventKind::Put, "one".to_owned()), (EventKind::Put, "two".to_owned())]);
        om.check();
    }
}
