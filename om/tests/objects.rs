//! Objects as a gateway writes, reads, lists and deletes them.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::*;
use om_api::*;
use rpc::CallError;
use scm_api::token::{Access, Target};
use tempfile::TempDir;
use types::{Millis, Precondition, Timestamp, VersionId};

async fn node_with_bucket() -> (TempDir, Node, Requester) {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    let ada = node.ensure("ada", false).await;
    node.create_bucket(&ada, "photos").await;
    (dir, node, ada)
}

#[tokio::test]
async fn an_object_is_written_read_listed_and_deleted() {
    let (_dir, node, ada) = node_with_bucket().await;
    let committed = node.put(&ada, "photos", "cat.jpg", 10).await;
    assert_eq!((committed.size, committed.version), (10, None));

    let read = node.look_up(&ada, "photos", "cat.jpg").await.expect("it is there");
    assert_eq!((read.info.size, read.info.etag, read.info.owner.id.0.as_str()), (10, etag(1), "ada"));
    assert_eq!(read.pieces.len(), 1);
    assert_eq!((read.pieces[0].object_offset, read.pieces[0].length), (0, 10));
    assert!(!read.pieces[0].location.replicas.is_empty());

    let page = node.om.list_keys(cx(), list(&ada, "photos")).await.expect("may be listed");
    assert!(matches!(&page.entries[..], [ListEntry::Key(summary)] if summary.key == key("cat.jpg")));

    node.delete(&ada, "photos", "cat.jpg").await;
    let gone = node.look_up(&ada, "photos", "cat.jpg").await;
    assert_eq!(gone, Err(CallError::Rejected(LookupRejected::NoSuchKey)));
    node.check_invariants();
    node.stop().await;
}

#[tokio::test]
async fn tokens_open_what_was_asked_for_and_nothing_else() {
    let (_dir, node, ada) = node_with_bucket().await;
    let opened = node.open(&ada, "photos", "cat.jpg").await;
    let keys = FakeScm::token_keys();
    let location = &opened.blocks[0];
    let token = keys.open(&location.token, START).expect("sealed with the SCM's key");
    assert_eq!((token.target, token.access), (Target::Block(location.block), Access::Write));
    assert_eq!((token.max_length, token.caller.as_str()), (opened.block_size, "ada"));

    node.om.commit_key(cx(), commit(&ada, &opened, "photos", "cat.jpg", 10)).await.expect("a good commit");
    let read = node.look_up(&ada, "photos", "cat.jpg").await.expect("it is there");
    let token = keys.open(&read.pieces[0].location.token, START).expect("sealed with the SCM's key");
    assert_eq!((token.access, token.max_length), (Access::Read, 10));
    assert_eq!(token.expires, START + Millis(15 * 60 * 1000));
    node.stop().await;
}

#[tokio::test]
async fn of_fifty_writers_who_want_the_key_absent_one_wins() {
    let (_dir, node, ada) = node_with_bucket().await;
    let node = Arc::new(node);
    let mut opened = Vec::new();
    for _ in 0..50 {
        opened.push(node.open(&ada, "photos", "cat.jpg").await);
    }
    let tasks: Vec<_> = opened
        .into_iter()
        .map(|opened| {
            let (node, ada) = (Arc::clone(&node), ada.clone());
            tokio::spawn(async move {
                let condition = WriteCondition::IfAbsent;
                let commit = CommitKey { condition, ..commit(&ada, &opened, "photos", "cat.jpg", 10) };
                node.om.commit_key(cx(), commit).await
            })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        match task.await.expect("does not panic") {
            Ok(_) => winners += 1,
            Err(error) => {
                let failed = CommitRejected::PreconditionFailed(Some(Precondition::IfNoneMatch));
                assert_eq!(error, CallError::Rejected(failed));
            }
        }
    }
    assert_eq!(winners, 1);
    node.check_invariants();
}

#[tokio::test]
async fn a_commit_sent_twice_under_one_request_id_happens_once() {
    let (_dir, node, ada) = node_with_bucket().await;
    let opened = node.open(&ada, "photos", "cat.jpg").await;
    let commit = CommitKey { condition: WriteCondition::IfAbsent, ..commit(&ada, &opened, "photos", "cat.jpg", 10) };
    let cx = cx();
    let first = node.om.commit_key(cx.clone(), commit.clone()).await.expect("a good commit");
    node.delete(&ada, "photos", "cat.jpg").await;
    let again = node.om.commit_key(cx, commit).await.expect("the first answer");
    assert_eq!(first, again);
    let read = node.look_up(&ada, "photos", "cat.jpg").await;
    assert_eq!(read, Err(CallError::Rejected(LookupRejected::NoSuchKey)), "the retry wrote nothing");
    node.stop().await;
}

#[tokio::test]
async fn a_bucket_deletion_sent_twice_under_one_request_id_succeeds_twice() {
    let (_dir, node, ada) = node_with_bucket().await;
    let delete = DeleteBucket { by: ada.clone(), bucket: bucket("photos") };
    let cx = cx();
    assert_eq!(node.om.delete_bucket(cx.clone(), delete.clone()).await, Ok(()));
    assert_eq!(node.om.delete_bucket(cx, delete.clone()).await, Ok(()));
    let later = node.om.delete_bucket(common::cx(), delete).await;
    assert_eq!(later, Err(CallError::Rejected(DeleteBucketRejected::NoSuchBucket)));
    node.stop().await;
}

#[tokio::test]
async fn strangers_and_the_anonymous_are_refused_and_a_missing_bucket_is_missing_for_all() {
    let (_dir, node, ada) = node_with_bucket().await;
    node.put(&ada, "photos", "cat.jpg", 10).await;
    let bob = node.ensure("bob", false).await;
    let root = node.ensure(ROOT, true).await;
    let denied = Err(CallError::Rejected(LookupRejected::Denied(Denied::AccessDenied)));
    assert_eq!(node.look_up(&bob, "photos", "cat.jpg").await, denied);
    assert_eq!(node.look_up(&Requester::anonymous(), "photos", "cat.jpg").await, denied);
    assert!(node.look_up(&root, "photos", "cat.jpg").await.is_ok());
    let missing = node.look_up(&Requester::anonymous(), "nothing", "cat.jpg").await;
    assert_eq!(missing, Err(CallError::Rejected(LookupRejected::NoSuchBucket)));
    node.stop().await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_crash_that_flushed_nothing() {
    let (dir, node, ada) = node_with_bucket().await;
    for n in 0..20 {
        node.put(&ada, "photos", &format!("{n:02}"), 10).await;
    }
    node.delete(&ada, "photos", "07").await;
    let before = node.open(&ada, "photos", "new").await.session.object;
    let crashed = TempDir::new().expect("a folder");
    copy_dir(dir.path(), crashed.path());
    node.stop().await;

    let node = Node::start(crashed.path()).await;
    let page = node.om.list_keys(cx(), list(&ada, "photos")).await.expect("the credential survives too");
    assert_eq!(page.entries.len(), 19);
    assert!(node.look_up(&ada, "photos", "19").await.is_ok());
    node.check_invariants();
    let after = node.open(&ada, "photos", "new").await.session.object;
    assert!(after > before, "ids of before the crash are not given out again");
    node.stop().await;
}

#[tokio::test]
async fn deleted_blocks_reach_the_scm_after_their_grace_and_leave_the_table() {
    let (_dir, node, ada) = node_with_bucket().await;
    node.put(&ada, "photos", "cat.jpg", 10).await;
    let read = node.look_up(&ada, "photos", "cat.jpg").await.expect("it is there");
    let block = read.pieces[0].location.block;
    node.delete(&ada, "photos", "cat.jpg").await;
    assert_eq!(node.scm.deleted_blocks(), BTreeSet::new(), "readers have a grace");
    node.clock.advance(Millis(61_000));
    node.until("the block is handed over", |node| node.scm.deleted_blocks().contains(&block)).await;
    node.until("the row is gone", |node| pending(node) == 0).await;
    assert_eq!(node.scm.deleted_blocks().len(), 1);
    node.stop().await;
}

fn pending(node: &Node) -> u64 {
    let count = |tables: &dyn tables::ReadTables| om_core::pending::count(tables, om_core::tables::DELETED, 100);
    node.machine.read(|tables, _| count(tables)).expect("readable")
}

#[tokio::test]
async fn while_the_scm_is_away_nothing_that_was_freed_is_forgotten() {
    let (_dir, node, ada) = node_with_bucket().await;
    node.put(&ada, "photos", "cat.jpg", 10).await;
    node.scm.is_away.store(true, Ordering::SeqCst);
    node.delete(&ada, "photos", "cat.jpg").await;
    node.clock.advance(Millis(61_000));
    let failures = |node: &Node| node.scm.deleted_blocks().is_empty() && pending(node) == 1;
    node.until("the row waits", failures).await;
    node.scm.is_away.store(false, Ordering::SeqCst);
    node.until("the row is gone", |node| pending(node) == 0).await;
    assert_eq!(node.scm.deleted_blocks().len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_write_never_committed_expires_and_its_blocks_are_freed() {
    let (_dir, node, ada) = node_with_bucket().await;
    let opened = node.open(&ada, "photos", "cat.jpg").await;
    let block = opened.blocks[0].block;
    node.until("the session is in the log", |node| open_keys(node) == 1).await;
    node.clock.advance(Millis(24 * 3600 * 1000 + 1));
    node.until("the session expires", |node| open_keys(node) == 0).await;
    node.clock.advance(Millis(61_000));
    node.until("its block is freed", |node| node.scm.deleted_blocks().contains(&block)).await;
    let late = node.om.commit_key(cx(), commit(&ada, &opened, "photos", "cat.jpg", 10)).await;
    assert_eq!(late, Err(CallError::Rejected(CommitRejected::NoSuchSession)));
    node.stop().await;
}

fn open_keys(node: &Node) -> u64 {
    let count = |tables: &dyn tables::ReadTables| om_core::pending::count(tables, om_core::tables::OPEN_KEYS, 100);
    node.machine.read(|tables, _| count(tables)).expect("readable")
}

#[tokio::test]
async fn more_blocks_come_from_other_pipelines_than_those_that_failed() {
    let (_dir, node, ada) = node_with_bucket().await;
    let opened = node.open(&ada, "photos", "cat.jpg").await;
    let failed = opened.blocks[0].pipeline;
    let request = AllocateBlocks { by: ada.clone(), session: opened.session.clone(), count: 3, exclude: vec![failed] };
    let more = node.om.allocate_blocks(cx(), request).await.expect("there is another pipeline");
    assert_eq!(more.len(), 3);
    assert!(more.iter().all(|location| location.pipeline != failed));
    let blocks = more.iter().map(|location| CommittedBlock { block: location.block, length: 5 }).collect();
    let commit = CommitKey { blocks, ..commit(&ada, &opened, "photos", "cat.jpg", 10) };
    assert_eq!(node.om.commit_key(cx(), commit).await.expect("its own blocks").size, 15);
    node.check_invariants();
    node.stop().await;
}

#[tokio::test]
async fn writes_ask_the_scm_once_a_batch() {
    let (_dir, node, ada) = node_with_bucket().await;
    for n in 0..100 {
        node.put(&ada, "photos", &format!("{n}"), 10).await;
    }
    assert!(node.scm.leases.load(Ordering::SeqCst) <= 3, "100 writes, batches of 256");
    node.stop().await;
}

#[tokio::test]
async fn a_range_gets_the_blocks_under_it_and_a_pinned_read_notices_a_new_object() {
    let (_dir, node, ada) = node_with_bucket().await;
    let open = OpenKey {
        by: ada.clone(),
        bucket: bucket("photos"),
        key: key("big"),
        size: Some(3 << 20),
        condition: WriteCondition::Always,
        locks: false,
        encryption: None,
        storage_class: None,
        appends_to: None,
    };
    let opened = node.om.open_key(cx(), open).await.expect("may be written");
    assert_eq!(opened.blocks.len(), 3);
    let blocks = opened.blocks.iter().map(|location| CommittedBlock { block: location.block, length: 1 << 20 });
    let commit = CommitKey { blocks: blocks.collect(), ..commit(&ada, &opened, "photos", "big", 0) };
    node.om.commit_key(cx(), commit).await.expect("a good commit");

    let wanted = BlocksWanted::Range(ByteRange::Span((1 << 20) + 5, (2 << 20) + 1));
    let ranged = LookupKey { wanted, ..lookup(&ada, "photos", "big") };
    let read = node.om.lookup_key(cx(), ranged.clone()).await.expect("it is there");
    let extents: Vec<_> = read.pieces.iter().map(|p| (p.object_offset, p.block_offset, p.length)).collect();
    assert_eq!(extents, [((1 << 20) + 5, 5, (1 << 20) - 5), (2 << 20, 0, 2)]);

    let pinned = LookupKey { pinned: Some(read.info.object), ..ranged };
    assert!(node.om.lookup_key(cx(), pinned.clone()).await.is_ok());
    node.put(&ada, "photos", "big", 10).await;
    assert_eq!(node.om.lookup_key(cx(), pinned).await, Err(CallError::Rejected(LookupRejected::Replaced)));
    let other_version = LookupKey { version: Some(VersionId(9)), ..lookup(&ada, "photos", "big") };
    let missing = node.om.lookup_key(cx(), other_version).await;
    assert_eq!(missing, Err(CallError::Rejected(LookupRejected::NoSuchVersion)));
    node.stop().await;
}

#[tokio::test]
async fn an_empty_object_needs_no_block() {
    let (_dir, node, ada) = node_with_bucket().await;
    let open = OpenKey {
        by: ada.clone(),
        bucket: bucket("photos"),
        key: key("empty"),
        size: Some(0),
        condition: WriteCondition::Always,
        locks: false,
        encryption: None,
        storage_class: None,
        appends_to: None,
    };
    let opened = node.om.open_key(cx(), open).await.expect("may be written");
    assert_eq!(opened.blocks, []);
    node.om.commit_key(cx(), commit(&ada, &opened, "photos", "empty", 0)).await.expect("a good commit");
    let read = node.look_up(&ada, "photos", "empty").await.expect("it is there");
    assert_eq!((read.info.size, read.pieces.len()), (0, 0));
    assert!(read.info.last_modified >= Timestamp(0));
    node.stop().await;
}

#[tokio::test]
async fn a_pinned_read_goes_on_under_a_newer_version_and_not_once_its_own_is_gone() {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    let ada = node.ensure("ada", false).await;
    let bob = node.ensure("bob", false).await;
    node.create_bucket(&ada, "photos").await;
    node.put(&ada, "photos", "cat", 10).await;
    let read = node.look_up(&ada, "photos", "cat").await.expect("it is there");
    let versioning = SetVersioning { by: ada.clone(), bucket: bucket("photos"), enabled: true };
    node.om.set_versioning(cx(), versioning).await.expect("may be set");
    node.put(&ada, "photos", "cat", 20).await;
    node.delete(&ada, "photos", "cat").await;
    let pinned = |by: &Requester| LookupKey { pinned: Some(read.info.object), ..lookup(by, "photos", "cat") };
    let on = node.om.lookup_key(cx(), pinned(&ada)).await.expect("its version is there");
    assert_eq!((on.info.size, &on.pieces[0].location.block), (10, &read.pieces[0].location.block));
    let refused = node.om.lookup_key(cx(), pinned(&bob)).await.expect_err("another's");
    assert_eq!(refused, CallError::Rejected(LookupRejected::Denied(Denied::AccessDenied)));
    let deletion = KeyDeletion { version: Some(VersionId::NULL), ..KeyDeletion::of(key("cat")) };
    let request = DeleteKey { by: ada.clone(), bucket: bucket("photos"), deletion };
    node.om.delete_key(cx(), request).await.expect("may be deleted");
    assert_eq!(node.om.lookup_key(cx(), pinned(&ada)).await, Err(CallError::Rejected(LookupRejected::Replaced)));
    node.stop().await;
}
