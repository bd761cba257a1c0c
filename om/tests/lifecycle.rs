//! Lifecycle rules over a running OM: what they end, and when; what clients are told of it.

mod common;

use std::sync::Arc;
use std::time::Duration;

use bucket_config::lifecycle::{Expiration, LifecycleRule, NoncurrentExpiration, RuleConditions, RuleFilter, RuleScope};
use bucket_config::tagging::Tag;
use bucket_config::{ConfigKind, LifecycleConfiguration};
use common::*;
use om::Config;
use om_api::*;
use tempfile::TempDir;
use types::{Bypass, Millis, PartNumber, Retention, RetentionMode, Timestamp, UploadId};

const HOUR: u64 = 3600 * 1000;
const CALENDAR_DAY: u64 = 24 * HOUR;

/// To lifecycle rules a day is an hour.
fn short_days() -> Config {
    Config { lifecycle_day: Some(Duration::from_secs(3600)), ..calendar_days() }
}

fn calendar_days() -> Config {
    Config { lifecycle_every: Duration::from_millis(20), ..config() }
}

async fn node_with_bucket(config: Config) -> (TempDir, Node, Requester) {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start_with(dir.path(), config, Arc::default()).await;
    let ada = node.ensure("ada", false).await;
    node.create_bucket(&ada, "photos").await;
    (dir, node, ada)
}

fn rule(prefix: &str) -> LifecycleRule {
    LifecycleRule {
        id: format!("rule of {prefix}"),
        is_enabled: true,
        scope: RuleScope::Prefix(prefix.into()),
        expiration: None,
        noncurrent_expiration: None,
        transitions: Vec::new(),
        noncurrent_transitions: Vec::new(),
        abort_uploads_after: None,
    }
}

fn expiring(prefix: &str, days: u32) -> LifecycleRule {
    LifecycleRule { expiration: Some(Expiration::Days(days)), ..rule(prefix) }
}

async fn set_rules(node: &Node, by: &Requester, rules: impl Into<Vec<LifecycleRule>>) {
    let lifecycle = LifecycleConfiguration { rules: rules.into(), transition_minimum: None };
    let change = ConfigChange::Put(Box::new(lifecycle.into()));
    node.om
        .set_bucket_config(cx(), SetBucketConfig { by: by.clone(), bucket: bucket("photos"), change })
        .await
        .expect("may be set");
}

async fn set_versioning(node: &Node, by: &Requester) {
    let request = SetVersioning { by: by.clone(), bucket: bucket("photos"), enabled: true };
    node.om.set_versioning(cx(), request).await.expect("may be set");
}

/// How often the service has come round; a round over one bucket is four passes.
async fn passes(node: &Node) -> u64 {
    let overview = node.om.overview(cx(), ()).await.expect("it leads");
    let status = overview.background.into_iter().find(|status| status.name == "lifecycle").expect("it runs");
    assert_eq!(status.last_error, None);
    status.passes
}

/// Until whatever is due now has been looked for.
async fn a_round(node: &Node) {
    let enough = passes(node).await + 12;
    while passes(node).await < enough {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn keys(node: &Node, by: &Requester) -> Vec<String> {
    let page = node.om.list_keys(cx(), list(by, "photos")).await.expect("may be listed");
    let name = |entry: ListEntry| match entry {
        ListEntry::Key(summary) => summary.key.as_str().to_owned(),
        ListEntry::CommonPrefix(prefix) => prefix,
    };
    page.entries.into_iter().map(name).collect()
}

/// Versions as `key`, delete markers as `key x`.
async fn versions(node: &Node, by: &Requester) -> Vec<String> {
    let request = ListVersions {
        by: by.clone(),
        bucket: bucket("photos"),
        prefix: String::new(),
        delimiter: None,
        start: VersionStart::Beginning,
        limit: 1_000,
    };
    let page = node.om.list_versions(cx(), request).await.expect("may be listed");
    let name = |entry: VersionEntry| match entry {
        VersionEntry::Object { object, .. } => object.key.as_str().to_owned(),
        VersionEntry::DeleteMarker { marker, .. } => format!("{} x", marker.key.as_str()),
        VersionEntry::CommonPrefix(prefix) => prefix,
    };
    page.entries.into_iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_end_on_their_day_and_their_blocks_are_freed() {
    let (_dir, node, ada) = node_with_bucket(short_days()).await;
    for name in ["expire1/a", "expire1/b", "expire5/a", "keep/a"] {
        node.put(&ada, "photos", name, 10).await;
    }
    set_rules(&node, &ada, [expiring("expire1/", 1), expiring("expire5/", 5)]).await;
    a_round(&node).await;
    assert_eq!(keys(&node, &ada).await.len(), 4);
    node.clock.advance(Millis(HOUR));
    a_round(&node).await;
    assert_eq!(keys(&node, &ada).await, ["expire5/a", "keep/a"]);
    node.clock.advance(Millis(3 * HOUR));
    a_round(&node).await;
    assert_eq!(keys(&node, &ada).await, ["expire5/a", "keep/a"]);
    node.clock.advance(Millis(HOUR));
    a_round(&node).await;
    assert_eq!(keys(&node, &ada).await, ["keep/a"]);
    node.clock.advance(Millis(HOUR));
    node.until("the blocks of three objects are given back", |node| node.scm.deleted_blocks().len() == 3).await;
    node.check_invariants();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calendar_days_end_at_midnight() {
    // START is 22:13 of its day.
    let (_dir, node, ada) = node_with_bucket(calendar_days()).await;
    node.put(&ada, "photos", "a", 10).await;
    set_rules(&node, &ada, [expiring("", 1)]).await;
    for (hours, there) in [(0, true), (25, true), (1, false)] {
        node.clock.advance(Millis(hours * HOUR));
        a_round(&node).await;
        assert_eq!(keys(&node, &ada).await == ["a"], there, "{hours} hours later");
    }
    // In a bucket that was walked over since midnight, other rules are seen at once.
    node.put(&ada, "photos", "b", 10).await;
    a_round(&node).await;
    set_rules(&node, &ada, [LifecycleRule { expiration: Some(Expiration::Date(Timestamp(0))), ..rule("") }]).await;
    a_round(&node).await;
    assert_eq!(keys(&node, &ada).await, Vec::<String>::new());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_hide_then_go_and_their_marker_with_them() {
    let (_dir, node, ada) = node_with_bucket(short_days()).await;
    set_versioning(&node, &ada).await;
    for _ in 0..3 {
        node.put(&ada, "photos", "a", 10).await;
    }
    let noncurrent_expiration = Some(NoncurrentExpiration { days: 2, newer_versions: Some(1) });
    set_rules(&node, &ada, [LifecycleRule { noncurrent_expiration, ..expiring("", 5) }]).await;
    node.clock.advance(Millis(2 * HOUR));
    a_round(&node).await;
    assert_eq!(versions(&node, &ada).await, ["a", "a"]);
    node.clock.advance(Millis(3 * HOUR));
    a_round(&node).await;
    // The one that was kept until now has a newer one beside it, and goes.
    assert_eq!(versions(&node, &ada).await, ["a x", "a"]);
    node.clock.advance(Millis(2 * HOUR));
    let noncurrent_expiration = Some(NoncurrentExpiration { days: 1, newer_versions: None });
    set_rules(
        &node,
        &ada,
        [LifecycleRule { noncurrent_expiration, expiration: Some(Expiration::ExpiredDeleteMarker(true)), ..rule("") }],
    )
    .await;
    a_round(&node).await;
    a_round(&node).await;
    assert_eq!(versions(&node, &ada).await, Vec::<String>::new());
    node.check_invariants();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lock_keeps_outlives_its_rule() {
    let (_dir, node, ada) = node_with_bucket(short_days()).await;
    set_versioning(&node, &ada).await;
    let lock = SetBucketLock { by: ada.clone(), bucket: bucket("photos"), default: None };
    node.om.set_bucket_lock(cx(), lock).await.expect("it is versioned");
    let old = node.put(&ada, "photos", "a", 10).await.version;
    node.put(&ada, "photos", "a", 10).await;
    let retention = Some(Retention { mode: RetentionMode::Compliance, until: START + Millis(3 * HOUR) });
    let change = VersionChange::Retention { retention, bypass: Bypass::No };
    let retain = UpdateVersion { by: ada.clone(), bucket: bucket("photos"), key: key("a"), version: old, change };
    node.om.update_version(cx(), retain).await.expect("it is there");
    let noncurrent_expiration = Some(NoncurrentExpiration { days: 1, newer_versions: None });
    set_rules(&node, &ada, [LifecycleRule { noncurrent_expiration, ..rule("") }]).await;
    node.clock.advance(Millis(2 * HOUR));
    a_round(&node).await;
    assert_eq!(versions(&node, &ada).await.len(), 2);
    node.clock.advance(Millis(2 * HOUR));
    a_round(&node).await;
    assert_eq!(versions(&node, &ada).await.len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_nobody_completes_are_aborted() {
    let (_dir, node, ada) = node_with_bucket(short_days()).await;
    let aborting = LifecycleRule { abort_uploads_after: Some(2), ..rule("a/") };
    set_rules(&node, &ada, [aborting]).await;
    let created = create_upload(&node, &ada, "a/big").await;
    create_upload(&node, &ada, "b/big").await;
    // As clients are told it: the midnight behind two real days.
    let ends = created.ends.expect("a rule ends it");
    assert_eq!((ends.rule.as_str(), ends.at), ("rule of a/", midnight_behind(2)));
    put_part(&node, &ada, "a/big", created.upload).await;
    let list = ListParts {
        by: ada.clone(),
        bucket: bucket("photos"),
        key: key("a/big"),
        upload: created.upload,
        after: 0,
        limit: 9,
        to_write: false,
    };
    let listed = node.om.list_parts(cx(), list).await.expect("it is there");
    assert_eq!(listed.upload.ends, Some(ends));
    node.clock.advance(Millis(2 * HOUR));
    a_round(&node).await;
    let request = ListUploads {
        by: ada.clone(),
        bucket: bucket("photos"),
        prefix: String::new(),
        delimiter: None,
        key_marker: None,
        upload_marker: None,
        limit: 9,
    };
    let left = node.om.list_uploads(cx(), request).await.expect("may be listed").uploads;
    assert_eq!(left.iter().map(|upload| upload.key.as_str()).collect::<Vec<_>>(), ["b/big"]);
    node.clock.advance(Millis(HOUR));
    node.until("the part's block is given back", |node| node.scm.deleted_blocks().len() == 1).await;
    node.check_invariants();
    node.stop().await;
}

async fn create_upload(node: &Node, by: &Requester, at: &str) -> UploadCreated {
    let request = CreateUpload {
        by: by.clone(),
        bucket: bucket("photos"),
        key: key(at),
        attributes: ObjectAttributes::default(),
        checksum: None,
        lock: None,
        encryption: None,
    };
    node.om.create_upload(cx(), request).await.expect("may be written")
}

async fn put_part(node: &Node, by: &Requester, at: &str, upload: UploadId) -> CompletedPart {
    let part = PartNumber::new(1).expect("legal");
    let open = OpenPart { by: by.clone(), bucket: bucket("photos"), key: key(at), upload, part, size: Some(10) };
    let opened = node.om.open_part(cx(), open).await.expect("the upload exists");
    let object = opened.session.object;
    let commit = CommitPart {
        by: by.clone(),
        session: opened.session,
        bucket: bucket("photos"),
        key: key(at),
        upload,
        part,
        blocks: vec![CommittedBlock { block: opened.blocks[0].block, length: 10 }],
        etag: etag(1),
        checksum: None,
    };
    let committed = node.om.commit_part(cx(), commit).await.expect("a good part");
    CompletedPart { number: part, etag: committed.etag, object }
}

fn midnight_behind(days: u64) -> Timestamp {
    Timestamp((START.0 + days * CALENDAR_DAY).div_ceil(CALENDAR_DAY) * CALENDAR_DAY)
}

/// Every answer about an object that S3 tells its end in; in real days, although days are short here.
#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_when_an_object_ends() {
    let (_dir, node, ada) = node_with_bucket(short_days()).await;
    assert_eq!(node.put(&ada, "photos", "plain", 10).await.ends, None);
    let tagged = RuleConditions { tags: vec![Tag { key: "k".into(), value: "v".into() }], ..RuleConditions::default() };
    let scope = RuleScope::Filter(RuleFilter { conditions: tagged, and: None });
    set_rules(&node, &ada, [expiring("logs/", 3), LifecycleRule { id: "tagged".into(), scope, ..expiring("", 1) }]).await;
    let told = |ends: Option<LifecycleEnd>| ends.map(|ends| (ends.rule, ends.at));
    let by_prefix = Some(("rule of logs/".to_owned(), midnight_behind(3)));
    let by_tag = Some(("tagged".to_owned(), midnight_behind(1)));

    assert_eq!(told(node.put(&ada, "photos", "logs/a", 10).await.ends), by_prefix);
    assert_eq!(told(node.look_up(&ada, "photos", "logs/a").await.expect("it is there").info.ends), by_prefix);
    assert_eq!(told(node.look_up(&ada, "photos", "plain").await.expect("it is there").info.ends), None);

    let attributes = ObjectAttributes { tags: vec![("k".into(), "v".into())], ..ObjectAttributes::default() };
    let opened = node.open(&ada, "photos", "tagged").await;
    let commit = CommitKey { attributes, ..commit(&ada, &opened, "photos", "tagged", 10) };
    assert_eq!(told(node.om.commit_key(cx(), commit).await.expect("a good commit").ends), by_tag);
    let copy = |tags| CopyKey {
        by: ada.clone(),
        source_bucket: bucket("photos"),
        source_key: key("tagged"),
        source_version: None,
        source_conditions: ReadConditions::default(),
        bucket: bucket("photos"),
        key: key("copy"),
        attributes: CopyAttributes::Source,
        condition: WriteCondition::Always,
        storage_class: None,
        checksum: None,
        lock: None,
        tags,
        encryption: None,
        same_key_as: None,
        website_redirect: None,
    };
    assert_eq!(told(node.om.copy_key(cx(), copy(None)).await.expect("it is there").committed.ends), by_tag);
    assert_eq!(told(node.om.copy_key(cx(), copy(Some(Vec::new()))).await.expect("it is there").committed.ends), None);

    let upload = create_upload(&node, &ada, "logs/big").await.upload;
    let part = put_part(&node, &ada, "logs/big", upload).await;
    let complete = CompleteUpload {
        by: ada.clone(),
        bucket: bucket("photos"),
        key: key("logs/big"),
        upload,
        parts: vec![part],
        etag: etag(9),
        checksum: None,
        condition: WriteCondition::Always,
    };
    assert_eq!(told(node.om.complete_upload(cx(), complete).await.expect("its part is there").ends), by_prefix);

    let change = VersionChange::Tags(None);
    let untag = UpdateVersion { by: ada.clone(), bucket: bucket("photos"), key: key("tagged"), version: None, change };
    node.om.update_version(cx(), untag).await.expect("it is there");
    assert_eq!(told(node.look_up(&ada, "photos", "tagged").await.expect("it is there").info.ends), None);
    set_rules(&node, &ada, [expiring("logs/", 4)]).await;
    let four = Some(("rule of logs/".to_owned(), midnight_behind(4)));
    assert_eq!(told(node.look_up(&ada, "photos", "logs/a").await.expect("it is there").info.ends), four);
    let change = ConfigChange::Delete(ConfigKind::Lifecycle);
    node.om.set_bucket_config(cx(), SetBucketConfig { by: ada.clone(), bucket: bucket("photos"), change }).await.expect("may be");
    assert_eq!(told(node.look_up(&ada, "photos", "logs/a").await.expect("it is there").info.ends), None);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_version_tells_an_end_but_the_current_one() {
    let (_dir, node, ada) = node_with_bucket(short_days()).await;
    set_versioning(&node, &ada).await;
    set_rules(&node, &ada, [expiring("", 3)]).await;
    let old = node.put(&ada, "photos", "a", 10).await;
    node.put(&ada, "photos", "a", 10).await;
    let of_old = LookupKey { version: old.version, ..lookup(&ada, "photos", "a") };
    assert_eq!(node.om.lookup_key(cx(), of_old).await.expect("it is there").info.ends, None);
    assert!(node.look_up(&ada, "photos", "a").await.expect("it is there").info.ends.is_some());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_written_while_its_predecessor_ends_is_there_afterwards() {
    const KEYS: usize = 400;
    let (_dir, node, ada) = node_with_bucket(short_days()).await;
    for n in 0..KEYS {
        node.put(&ada, "photos", &format!("{n:03}"), 10).await;
    }
    set_rules(&node, &ada, [expiring("", 1)]).await;
    let overwrite = async {
        for n in 0..KEYS {
            node.put(&ada, "photos", &format!("{n:03}"), 20).await;
        }
    };
    node.clock.advance(Millis(HOUR));
    overwrite.await;
    a_round(&node).await;
    assert_eq!(keys(&node, &ada).await.len(), KEYS);
    node.check_invariants();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_member_goes_on_without_hints() {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start_with(dir.path(), short_days(), Arc::default()).await;
    let ada = node.ensure("ada", false).await;
    node.create_bucket(&ada, "photos").await;
    node.put(&ada, "photos", "a", 10).await;
    set_rules(&node, &ada, [expiring("", 1)]).await;
    node.stop().await;
    let node = Node::start_with(dir.path(), short_days(), Arc::default()).await;
    let ada = node.signed("ada").await;
    a_round(&node).await;
    assert_eq!(keys(&node, &ada).await, ["a"]);
    node.clock.advance(Millis(HOUR));
    a_round(&node).await;
    assert_eq!(keys(&node, &ada).await, Vec::<String>::new());
    node.stop().await;
}
