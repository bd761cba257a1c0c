use bucket_config::lifecycle::{
    Expiration, LifecycleRule, NoncurrentExpiration, NoncurrentTransition, RuleConditions, RuleFilter, RuleScope, Transition,
    TransitionTime,
};
use bucket_config::tagging::Tag;
use types::{Millis, Retention, RetentionMode, VersionId};

use super::*;
use crate::testing::{Namespace, key, lifecycle_rule};
use crate::{ExpireVersions, MoveVersions, UpdateVersion, VersionChange, VersioningStatus, VersionsExpired, namespace};

/// Far longer than all that a test writes takes.
const DAY: Day = Day::Short(Millis(1_000_000));

/// In the middle of a day, so many days after everything was written.
fn after_days(days: u64) -> Timestamp {
    Timestamp(days * 1_000_000 + 500_000)
}

fn expiring(prefix: &str, days: u32) -> LifecycleRule {
    LifecycleRule { expiration: Some(Expiration::Days(days)), ..lifecycle_rule(prefix) }
}

fn ending_noncurrent(days: u32, newer_versions: Option<u32>) -> LifecycleRule {
    LifecycleRule { noncurrent_expiration: Some(NoncurrentExpiration { days, newer_versions }), ..lifecycle_rule("") }
}

fn ending_markers(prefix: &str) -> LifecycleRule {
    LifecycleRule { expiration: Some(Expiration::ExpiredDeleteMarker(true)), ..lifecycle_rule(prefix) }
}

fn with_tag(rule: LifecycleRule, tag: &str) -> LifecycleRule {
    let tags = vec![Tag { key: "k".into(), value: tag.into() }];
    let scope = RuleScope::Filter(RuleFilter { conditions: RuleConditions { tags, ..RuleConditions::default() }, and: None });
    LifecycleRule { scope, ..rule }
}

const WIDE: Bounds = Bounds { rows: 1000, due: 1000 };

/// Walks over the whole bucket as it is, and carries out nothing.
fn planned(om: &Namespace, bucket: BucketId, now: Timestamp, bounds: Bounds) -> Vec<Step> {
    let row = namespace::bucket(&om.tables, bucket).expect("memory").expect("it exists");
    let rules = namespace::bucket_document(&om.tables, bucket).expect("memory").expect("it has rules");
    let walk = Walk { bucket: &row, rules: &rules, now, day: DAY, bounds };
    let (mut steps, mut place) = (Vec::new(), Some(Place::START));
    while let Some(at) = place {
        let step = walk.step(&om.tables, &at).expect("memory");
        assert!(step.rows <= bounds.rows && step.due() <= bounds.due + 1, "{step:?}");
        place = step.next.clone();
        steps.push(step);
    }
    steps
}

/// Walks, and carries out each step before the next.
fn live(om: &mut Namespace, bucket: BucketId, now: Timestamp, bounds: Bounds) -> VersionsExpired {
    let mut total = VersionsExpired::default();
    let mut place = Some(Place::START);
    while let Some(at) = place {
        let row = namespace::bucket(&om.tables, bucket).expect("memory").expect("it exists");
        let rules = namespace::bucket_document(&om.tables, bucket).expect("memory").expect("it has rules");
        let step = Walk { bucket: &row, rules: &rules, now, day: DAY, bounds }.step(&om.tables, &at).expect("memory");
        let rules = row.lifecycle.expect("it has rules");
        let expired = om.apply(ExpireVersions { bucket, rules, ends: step.versions, now }).expect("never rejected");
        total.current += expired.current;
        total.noncurrent += expired.noncurrent;
        total.markers += expired.markers;
        place = step.next;
        om.check();
    }
    total
}

fn write_all(om: &mut Namespace, bucket: BucketId, names: &[&str]) {
    for (block, name) in (1_000..).zip(names) {
        om.write(bucket, name, [(block, 10)]);
    }
}

/// A few versions of each of these, the same blocks never twice.
fn write_versions(om: &mut Namespace, bucket: BucketId, name: &str, count: u64, first_block: u64) -> Vec<VersionId> {
    (first_block..first_block + count).map(|block| om.write(bucket, name, [(block, 10)]).version.expect("versioned")).collect()
}

#[test]
fn what_a_rule_reaches_goes_on_its_day_whatever_the_size_of_a_step() {
    for rows in [1, 2, 3, 1000] {
        let mut om = Namespace::with_users(["ada"]);
        let beside = om.create_bucket("ada", "aaa");
        let bucket = om.create_bucket("ada", "photos");
        for bucket in [beside, bucket] {
            om.write(bucket, "expire1/other", [(bucket.0, 10)]);
        }
        write_all(&mut om, bucket, &["expire1/bar", "expire1/foo", "expire3/bar", "expire3/foo", "keep2/bar", "keep2/foo"]);
        om.set_lifecycle(bucket, [expiring("expire1/", 1), expiring("expire3/", 5)]);
        let bounds = Bounds { rows, due: 1000 };
        assert_eq!(live(&mut om, bucket, after_days(0), bounds).current, 0);
        assert_eq!(live(&mut om, bucket, after_days(1), bounds).current, 3);
        assert_eq!(live(&mut om, bucket, after_days(4), bounds).current, 0);
        assert_eq!(live(&mut om, bucket, after_days(5), bounds).current, 2);
        assert_eq!(live(&mut om, bucket, after_days(50), bounds).current, 0);
        assert_eq!(om.versions(bucket), ["keep2/bar null*", "keep2/foo null*"]);
        assert_eq!(om.versions(beside).len(), 1);
    }
}

#[test]
fn a_walk_reads_what_rules_reach_and_little_else() {
    let mut om = Namespace::with_users(["ada"]);
    let bucket = om.create_bucket("ada", "photos");
    let names: Vec<String> = (0..300).map(|n| format!("{}/{n:03}", ["a", "b", "c"][n % 3])).collect();
    write_all(&mut om, bucket, &names.iter().map(String::as_str).collect::<Vec<_>>());
    om.set_lifecycle(bucket, [expiring("a/00", 1), expiring("c/0", 1), expiring("c/01", 2)]);
    let steps = planned(&om, bucket, after_days(0), WIDE);
    assert_eq!(steps.iter().map(|step| step.rows).sum::<usize>(), 4 + 33);
    let before = om.tables.seeks();
    planned(&om, bucket, after_days(0), WIDE);
    // Two stretches of two tables, one of which is empty; the bucket and its rules.
    assert!(om.tables.seeks() - before < 10);
}

#[test]
fn a_step_ends_when_enough_is_due() {
    let mut om = Namespace::with_users(["ada"]);
    let bucket = om.create_bucket("ada", "photos");
    write_all(&mut om, bucket, &["a", "b", "c", "d", "e"]);
    om.set_lifecycle(bucket, [expiring("", 1)]);
    let steps = planned(&om, bucket, after_days(1), Bounds { rows: 1000, due: 2 });
    let due: Vec<usize> = steps.iter().map(Step::due).collect();
    assert_eq!(due, [2, 2, 1, 0, 0]);
}

#[test]
fn a_versioned_object_is_hidden_and_its_marker_goes_once_nothing_is_under_it() {
    let mut om = Namespace::with_users(["ada"]);
    let bucket = om.create_bucket("ada", "photos");
    om.set_versioning(bucket, VersioningStatus::Enabled);
    let [version] = write_versions(&mut om, bucket, "cat", 1, 1)[..] else { panic!("one version") };
    om.set_lifecycle(
        bucket,
        [LifecycleRule {
            noncurrent_expiration: Some(NoncurrentExpiration { days: 2, newer_versions: None }),
            ..expiring("", 1)
        }],
    );
    let expired = |om: &mut Namespace, days| {
        let VersionsExpired { current, noncurrent, markers } = live(om, bucket, after_days(days), WIDE);
        (current, noncurrent, markers)
    };
    assert_eq!(expired(&mut om, 1), (1, 0, 0));
    let shown = om.versions(bucket);
    assert_eq!(shown.len(), 2);
    assert!(shown[0].ends_with("x*") && shown[1] == format!("cat {version}"));
    assert_eq!(om.deleted_blocks(), []);
    // Hidden on day 1: noncurrent since then. Its marker is a day old by then, but not yet alone.
    assert_eq!(expired(&mut om, 2), (0, 0, 0));
    assert_eq!(expired(&mut om, 3), (0, 1, 0));
    assert_eq!(om.deleted_blocks(), [1]);
    assert_eq!(expired(&mut om, 3), (0, 0, 1));
    assert_eq!(om.versions(bucket), Vec::<String>::new());
}

#[test]
fn the_newest_noncurrent_versions_stay_even_if_a_step_ends_among_them() {
    for rows in 1..12 {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_versioning(bucket, VersioningStatus::Enabled);
        let versions = write_versions(&mut om, bucket, "cat", 10, 1);
        write_versions(&mut om, bucket, "dog", 3, 100);
        om.set_lifecycle(bucket, [ending_noncurrent(1, Some(5))]);
        for _ in 0..2 {
            live(&mut om, bucket, after_days(1), Bounds { rows, due: 3 });
        }
        let shown = om.versions(bucket);
        let cats: Vec<String> = versions[4..].iter().rev().map(|version| format!("cat {version}")).collect();
        assert_eq!(shown[0], format!("{}*", cats[0]), "{rows}");
        assert_eq!(shown[1..6], cats[1..], "{rows}");
        assert_eq!(shown.len(), 6 + 3, "{rows}");
    }
}

#[test]
fn markers_among_the_versions_go_with_them_and_do_not_count_as_versions_to_keep() {
    let mut om = Namespace::with_users(["ada"]);
    let bucket = om.create_bucket("ada", "photos");
    om.set_versioning(bucket, VersioningStatus::Enabled);
    let first = write_versions(&mut om, bucket, "cat", 2, 1);
    for _ in 0..3 {
        om.delete(bucket, "cat");
    }
    om.set_lifecycle(bucket, [ending_noncurrent(1, Some(1))]);
    live(&mut om, bucket, after_days(1), WIDE);
    let shown = om.versions(bucket);
    // The marker on top and one object stay; what is older than the object goes, markers above it have no newer object.
    assert!(shown.contains(&format!("cat {}", first[1])) && !shown.contains(&format!("cat {}", first[0])), "{shown:?}");
    om.set_lifecycle(bucket, [ending_noncurrent(1, None)]);
    live(&mut om, bucket, after_days(1), WIDE);
    let shown = om.versions(bucket);
    assert!(matches!(&shown[..], [marker] if marker.ends_with("x*")), "{shown:?}");
}

#[test]
fn a_marker_is_alone_or_it_is_not_wherever_a_step_ends() {
    for rows in 1..5 {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_versioning(bucket, VersioningStatus::Enabled);
        for (name, block) in [("a/covers", 1), ("b/covers", 2)] {
            om.write(bucket, name, [(block, 10)]);
            om.delete(bucket, name);
        }
        for name in ["a/alone", "a/d/alone", "b/alone", "c/last"] {
            om.delete(bucket, name);
        }
        om.write(bucket, "b/shown", [(3, 10)]);
        om.set_lifecycle(bucket, [ending_markers("a/"), ending_markers("c/")]);
        assert_eq!(live(&mut om, bucket, after_days(0), Bounds { rows, due: 1 }).markers, 3, "{rows}");
        let shown = om.versions(bucket).join(" ");
        assert!(shown.contains("a/covers") && shown.contains("b/alone") && !shown.contains("a/alone"), "{shown}");
    }
}

#[test]
fn tags_of_an_object_decide_if_a_rule_asks_for_them() {
    let mut om = Namespace::with_users(["ada"]);
    let bucket = om.create_bucket("ada", "photos");
    om.set_versioning(bucket, VersioningStatus::Enabled);
    let tag = |om: &mut Namespace, name: &str, value: &str| {
        let change = VersionChange::Tags(vec![("k".into(), value.into())]);
        let now = om.now();
        om.apply(UpdateVersion { origin: None, judged: None, bucket, key: key(name), version: None, change, now })
            .expect("it is there");
    };
    for (name, value, block) in [("stays", "a", 1), ("goes", "b", 2), ("goes", "b", 3), ("stays", "a", 4)] {
        om.write(bucket, name, [(block, 10)]);
        tag(&mut om, name, value);
    }
    om.write(bucket, "bare", [(5, 10)]);
    om.set_lifecycle(bucket, [with_tag(ending_noncurrent(1, None), "b"), with_tag(expiring("", 3), "b")]);
    assert_eq!(live(&mut om, bucket, after_days(1), WIDE).noncurrent, 1);
    assert_eq!(live(&mut om, bucket, after_days(3), WIDE).current, 1);
    assert_eq!(om.deleted_blocks(), [2]);
}

#[test]
fn what_is_locked_is_not_due() {
    let mut om = Namespace::with_users(["ada"]);
    let bucket = om.create_bucket("ada", "photos");
    om.set_versioning(bucket, VersioningStatus::Enabled);
    om.set_bucket_lock(bucket, None);
    let [old, _] = write_versions(&mut om, bucket, "cat", 2, 1)[..] else { panic!("two versions") };
    let retention = Retention { mode: RetentionMode::Governance, until: after_days(5) };
    let lock = |version, change| UpdateVersion {
        origin: None,
        judged: None,
        bucket,
        key: key("cat"),
        version,
        change,
        now: Timestamp(1),
    };
    om.apply(lock(Some(old), VersionChange::Retention(Some(retention), Bypass::No))).expect("it is there");
    om.apply(lock(None, VersionChange::LegalHold(true))).expect("it is there");
    om.set_lifecycle(bucket, [ending_noncurrent(1, None), expiring("", 1)]);
    let due = |om: &Namespace, days| -> usize { planned(om, bucket, after_days(days), WIDE).iter().map(Step::due).sum() };
    // The current version is only hidden, which a lock does not forbid.
    assert_eq!(due(&om, 1), 1);
    assert_eq!(due(&om, 6), 2);
    live(&mut om, bucket, after_days(9), WIDE);
    assert_eq!(live(&mut om, bucket, after_days(99), WIDE).noncurrent, 0, "a legal hold has no end");
}

#[test]
fn uploads_that_nobody_completes_are_due() {
    let mut om = Namespace::with_users(["ada"]);
    let bucket = om.create_bucket("ada", "photos");
    let uploads = ["a/x", "a/x", "a/y", "b/x"].map(|name| om.create_upload(bucket, name));
    om.set_lifecycle(bucket, [LifecycleRule { abort_uploads_after: Some(2), ..lifecycle_rule("a/") }]);
    for rows in 1..5 {
        let due = |days| -> Vec<UploadKey> {
            planned(&om, bucket, after_days(days), Bounds { rows, due: 2 }).into_iter().flat_map(|step| step.uploads).collect()
        };
        assert_eq!(due(1), []);
        assert_eq!(due(2), uploads[..3]);
    }
}

#[test]
fn a_bucket_is_walked_again_when_something_can_be_due() {
    let hour = |n: u64| Timestamp(n * 60 * 60 * 1000);
    let last = LastWalk { rules: LogIndex(7), began: hour(30), found_nothing: true };
    for (last, rules, now, day, expected) in [
        (last, 7, hour(47), Day::Calendar, true),
        (last, 7, hour(48), Day::Calendar, false),
        (last, 8, hour(31), Day::Calendar, false),
        (LastWalk { found_nothing: false, ..last }, 7, hour(31), Day::Calendar, false),
        (last, 7, hour(30), DAY, false),
    ] {
        assert_eq!(last.is_enough(LogIndex(rules), now, day), expected, "{last:?} {rules} {now:?} {day:?}");
    }
}

#[test]
fn buckets_with_rules_are_found_in_order() {
    let mut om = Namespace::with_users(["ada"]);
    let with: Vec<BucketId> = ["one", "two", "three", "four"]
        .map(|name| {
            let bucket = om.create_bucket("ada", name);
            if name != "two" {
                om.set_lifecycle(bucket, [expiring("", 1)]);
            }
            bucket
        })
        .to_vec();
    let ids = |after, limit| -> Vec<BucketId> {
        buckets(&om.tables, after, limit).expect("memory").into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(ids(None, 9), [with[0], with[2], with[3]]);
    assert_eq!(ids(Some(with[0]), 1), [with[2]]);
    assert_eq!(ids(Some(with[3]), 9), []);
}

fn moving(days: u32, noncurrent_days: u32) -> LifecycleRule {
    let transitions = vec![Transition { after: TransitionTime::Days(days), storage_class: "COLD".into() }];
    let noncurrent_transitions =
        vec![NoncurrentTransition { days: noncurrent_days, newer_versions: None, storage_class: "COLDER".into() }];
    // It speaks of sizes, so that small objects move, too.
    let conditions = RuleConditions { size_less_than: Some(1_000), ..RuleConditions::default() };
    let scope = RuleScope::Filter(RuleFilter { conditions, and: None });
    LifecycleRule { transitions, noncurrent_transitions, scope, ..lifecycle_rule("") }
}

fn moves(om: &Namespace, bucket: BucketId, now: Timestamp) -> Vec<(String, String, u64)> {
    let steps = planned(om, bucket, now, WIDE);
    let due = steps.into_iter().flat_map(|step| step.moves);
    due.map(|due| (due.key.as_str().to_owned(), due.class, due.stored)).collect()
}

#[test]
fn what_is_due_to_another_class_is_found_until_it_is_there() {
    let mut om = Namespace::with_users(["ada"]);
    let bucket = om.create_bucket("ada", "photos");
    om.set_versioning(bucket, VersioningStatus::Enabled);
    om.write(bucket, "cat", [(1, 10), (2, 5)]);
    om.write(bucket, "cat", [(3, 7)]);
    om.set_lifecycle(bucket, [moving(2, 1)]);
    assert_eq!(moves(&om, bucket, after_days(0)), []);
    let (current, noncurrent) = (("cat".into(), "COLD".into(), 7), ("cat".into(), "COLDER".into(), 15));
    assert_eq!(moves(&om, bucket, after_days(1)), std::slice::from_ref(&noncurrent));
    assert_eq!(moves(&om, bucket, after_days(2)), [current, noncurrent]);
    let rules = namespace::bucket(&om.tables, bucket).expect("memory").and_then(|row| row.lifecycle).expect("rules");
    let due = planned(&om, bucket, after_days(2), WIDE).into_iter().flat_map(|step| step.moves);
    let moves_now = due.map(|due| due.to(types::Replication::One)).collect();
    assert_eq!(om.apply(MoveVersions { bucket, rules, moves: moves_now, now: Some(om.now()) }), Ok(2));
    assert_eq!(moves(&om, bucket, after_days(9)), []);
    om.check();
}

#[test]
fn a_locked_version_is_moved_and_not_ended() {
    let mut om = Namespace::with_users(["ada"]);
    let bucket = om.create_bucket("ada", "photos");
    om.set_versioning(bucket, VersioningStatus::Enabled);
    om.set_bucket_lock(bucket, None);
    let first = om.write(bucket, "cat", [(1, 10)]).version;
    om.write(bucket, "cat", [(2, 10)]);
    let retention = Some(Retention { mode: RetentionMode::Compliance, until: Timestamp(u64::MAX) });
    let change = VersionChange::Retention(retention, Bypass::No);
    om.apply(UpdateVersion { origin: None, judged: None, bucket, key: key("cat"), version: first, change, now: Timestamp(1) })
        .expect("it is there");
    om.set_lifecycle(bucket, [moving(100, 1)]);
    assert_eq!(moves(&om, bucket, after_days(1)), [("cat".into(), "COLDER".into(), 10)]);
}
