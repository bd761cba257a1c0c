//! Storage classes over a running OM: what they are written by, and how objects move to one whose blocks are of another kind.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bucket_config::lifecycle::{LifecycleRule, RuleScope, Transition, TransitionTime};
use bucket_config::{ConfigKind, LifecycleConfiguration};
use common::*;
use om::Config;
use om_api::*;
use rpc::CallError;
use tempfile::TempDir;
use types::{BlockId, Millis, Replication, Timestamp};

const SOON: Millis = Millis(24 * 3600 * 1000);

fn with_classes() -> Config {
    let classes = [("NAMED", Replication::One), ("SAFER", Replication::Three)];
    Config {
        storage_classes: classes.map(|(name, kept)| (name.to_owned(), kept)).into(),
        move_small_objects: true,
        lifecycle_day: Some(Duration::from_secs(3600)),
        lifecycle_every: Duration::from_millis(20),
        ..config()
    }
}

async fn node() -> (TempDir, Node, Requester) {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start_with(dir.path(), with_classes(), Arc::default()).await;
    let ada = node.ensure("ada", false).await;
    node.create_bucket(&ada, "photos").await;
    (dir, node, ada)
}

fn moving(class: &str) -> LifecycleRule {
    LifecycleRule {
        id: "r".into(),
        is_enabled: true,
        scope: RuleScope::Prefix(String::new()),
        expiration: None,
        noncurrent_expiration: None,
        transitions: vec![Transition { after: TransitionTime::Days(1), storage_class: class.into() }],
        noncurrent_transitions: Vec::new(),
        abort_uploads_after: None,
    }
}

async fn set_rule(node: &Node, by: &Requester, rule: LifecycleRule) -> Result<(), CallError<SetBucketConfigRejected>> {
    let lifecycle = LifecycleConfiguration { rules: vec![rule], transition_minimum: None };
    let change = ConfigChange::Put(Box::new(lifecycle.into()));
    node.om.set_bucket_config(cx(), SetBucketConfig { by: by.clone(), bucket: bucket("photos"), change }).await
}

/// The work that is there now, or will be in a moment.
async fn work(node: &Node) -> MoveWork {
    for _ in 0..1_000 {
        if let Some(work) = node.om.take_move(cx(), ()).await.expect("it leads").work {
            return work;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing was to be moved");
}

fn done(work: &MoveWork) -> FinishMove {
    let block = CommittedBlock { block: work.to.blocks[0].block, length: work.length };
    FinishMove { session: work.to.session.clone(), blocks: vec![block] }
}

async fn shown(node: &Node, by: &Requester) -> (Option<String>, Vec<BlockId>) {
    let read = node.look_up(by, "photos", "cat").await.expect("it is there");
    (read.info.attributes.storage_class, read.pieces.iter().map(|piece| piece.location.block).collect())
}

#[tokio::test]
async fn a_write_names_a_class_that_there_is_or_gets_no_blocks() {
    let (_dir, node, ada) = node().await;
    let open = |class: &str| OpenKey {
        by: ada.clone(),
        bucket: bucket("photos"),
        key: key("cat"),
        size: Some(10),
        condition: WriteCondition::Always,
        locks: false,
        encryption: None,
        storage_class: Some(class.into()),
        appends_to: None,
    };
    for class in ["GLACIER", "safer", ""] {
        let refused = node.om.open_key(cx(), open(class)).await.expect_err("no such class");
        assert_eq!(refused, CallError::Rejected(OpenKeyRejected::InvalidStorageClass), "{class:?}");
    }
    let opened = node.om.open_key(cx(), open("SAFER")).await.expect("it is configured");
    assert_eq!(opened.session.replication, Some(Replication::Three));
    node.om.commit_key(cx(), commit(&ada, &opened, "photos", "cat", 10)).await.expect("a good commit");
    assert_eq!(shown(&node, &ada).await.0.as_deref(), Some("SAFER"));
    let opened = node.om.open_key(cx(), open("STANDARD")).await.expect("it is always there");
    node.om.commit_key(cx(), commit(&ada, &opened, "photos", "cat", 10)).await.expect("a good commit");
    assert_eq!(shown(&node, &ada).await.0, None);
    node.check_invariants();
    node.stop().await;
}

#[tokio::test]
async fn rules_move_to_classes_that_there_are() {
    let (_dir, node, ada) = node().await;
    for class in ["GLACIER", "STANDARD"] {
        let refused = set_rule(&node, &ada, moving(class)).await.expect_err("no such class");
        assert_eq!(refused, CallError::Rejected(SetBucketConfigRejected::NoSuchStorageClass(class.into())));
    }
    set_rule(&node, &ada, moving("SAFER")).await.expect("it is configured");
    node.stop().await;
}

#[tokio::test]
async fn an_object_on_the_right_blocks_is_moved_by_name() {
    let (_dir, node, ada) = node().await;
    node.put(&ada, "photos", "cat", 10).await;
    let before = shown(&node, &ada).await;
    set_rule(&node, &ada, moving("NAMED")).await.expect("it is configured");
    node.clock.advance(SOON);
    while shown(&node, &ada).await.0.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(shown(&node, &ada).await, (Some("NAMED".into()), before.1));
    assert_eq!(node.om.take_move(cx(), ()).await.expect("it leads").work, None);
    node.check_invariants();
    node.stop().await;
}

#[tokio::test]
async fn an_object_is_moved_by_copying_its_bytes_where_its_blocks_are_of_another_kind() {
    let (_dir, node, ada) = node().await;
    node.put(&ada, "photos", "cat", 10).await;
    let (_, old) = shown(&node, &ada).await;
    set_rule(&node, &ada, moving("SAFER")).await.expect("it is configured");
    node.clock.advance(SOON);
    let work = work(&node).await;
    assert_eq!((work.length, work.from.pieces.len(), work.to.session.replication), (10, 1, Some(Replication::Three)));
    assert_eq!(work.from.pieces[0].location.block, old[0]);
    let again = node.om.locate_move(cx(), LocateMove { session: work.to.session.clone(), from: 4 }).await.expect("under way");
    assert_eq!((again.pieces[0].block_offset, again.pieces[0].length), (4, 6));
    node.om.finish_move(cx(), done(&work)).await.expect("as planned");
    assert_eq!(shown(&node, &ada).await, (Some("SAFER".into()), vec![work.to.blocks[0].block]));
    node.check_invariants();
    node.clock.advance(Millis(120_000));
    node.until("the old block is reclaimed", |node| node.scm.deleted_blocks().contains(&old[0])).await;
    assert!(!node.scm.deleted_blocks().contains(&work.to.blocks[0].block));
    node.stop().await;
}

#[tokio::test]
async fn an_object_that_nobody_can_locate_is_offered_again_when_somebody_can() {
    let (dir, node, ada) = node().await;
    node.put(&ada, "photos", "cat", 10).await;
    set_rule(&node, &ada, moving("SAFER")).await.expect("it is configured");
    let scm = Arc::clone(&node.scm);
    node.stop().await;
    // Nothing is known any more of the container that it lies in.
    scm.new_containers.store(true, Ordering::SeqCst);
    scm.cannot_locate.store(true, Ordering::SeqCst);
    let node = Node::start_with(dir.path(), with_classes(), Arc::clone(&scm)).await;
    node.clock.advance(SOON);
    let failed = async {
        while node.om.take_move(cx(), ()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), failed).await.expect("it is tried");
    scm.cannot_locate.store(false, Ordering::SeqCst);
    assert_eq!(work(&node).await.length, 10);
    node.stop().await;
}

#[tokio::test]
async fn an_object_that_is_written_while_it_moves_is_the_new_one() {
    let (_dir, node, ada) = node().await;
    node.put(&ada, "photos", "cat", 10).await;
    set_rule(&node, &ada, moving("SAFER")).await.expect("it is configured");
    node.clock.advance(SOON);
    let work = work(&node).await;
    node.put(&ada, "photos", "cat", 10).await;
    let (_, new) = shown(&node, &ada).await;
    assert_eq!(node.om.finish_move(cx(), done(&work)).await, Err(CallError::Rejected(MoveRejected::Gone)));
    assert_eq!(shown(&node, &ada).await, (None, new));
    node.check_invariants();
    node.clock.advance(Millis(120_000));
    let written = work.to.blocks[0].block;
    node.until("what was copied is reclaimed", |node| node.scm.deleted_blocks().contains(&written)).await;
    node.stop().await;
}

#[tokio::test]
async fn a_move_that_was_given_up_or_forgotten_is_found_again() {
    let (dir, node, ada) = node().await;
    node.put(&ada, "photos", "cat", 10).await;
    set_rule(&node, &ada, moving("SAFER")).await.expect("it is configured");
    node.clock.advance(SOON);
    let first = work(&node).await;
    node.om.abandon_key(cx(), AbandonKey { session: first.to.session.clone() }).await.expect("it is open");
    assert_eq!(node.om.finish_move(cx(), done(&first)).await, Err(CallError::Rejected(MoveRejected::Gone)));
    let second = work(&node).await;
    let scm = Arc::clone(&node.scm);
    let now: Timestamp = runtime::Clock::now(&*node.clock);
    node.stop().await;

    // Another leader knows nothing of it: what was written under the one before is not taken, and is freed.
    let node = Node::start_with(dir.path(), with_classes(), scm).await;
    node.clock.advance(Millis(now.0 - START.0));
    assert_eq!(node.om.finish_move(cx(), done(&second)).await, Err(CallError::Rejected(MoveRejected::Gone)));
    let third = work(&node).await;
    node.om.finish_move(cx(), done(&third)).await.expect("as planned");
    assert_eq!(shown(&node, &ada).await.0.as_deref(), Some("SAFER"));
    node.check_invariants();
    node.stop().await;
}

#[tokio::test]
async fn nothing_moves_any_more_once_the_rule_is_gone() {
    let (_dir, node, ada) = node().await;
    node.put(&ada, "photos", "cat", 10).await;
    set_rule(&node, &ada, moving("SAFER")).await.expect("it is configured");
    node.clock.advance(SOON);
    let work = work(&node).await;
    let change = ConfigChange::Delete(ConfigKind::Lifecycle);
    let request = SetBucketConfig { by: ada.clone(), bucket: bucket("photos"), change };
    node.om.set_bucket_config(cx(), request).await.expect("may be deleted");
    assert_eq!(node.om.finish_move(cx(), done(&work)).await, Err(CallError::Rejected(MoveRejected::Gone)));
    assert_eq!(shown(&node, &ada).await.0, None);
    node.check_invariants();
    node.stop().await;
}
