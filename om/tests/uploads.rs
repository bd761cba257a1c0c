//! Multipart uploads and copies as a gateway drives them.

mod common;

use common::*;
use om_api::*;
use rpc::CallError;
use tempfile::TempDir;
use types::{ChecksumAlgorithm, ChecksumType, ETag, Md5, Millis, PartNumber, UploadId};

async fn node_with_bucket() -> (TempDir, Node, Requester) {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    let ada = node.ensure("ada", false).await;
    node.create_bucket(&ada, "photos").await;
    (dir, node, ada)
}

async fn create(node: &Node, by: &Requester, at: &str, checksum: Option<(ChecksumAlgorithm, ChecksumType)>) -> UploadId {
    let request = CreateUpload {
        by: by.clone(),
        bucket: bucket("photos"),
        key: key(at),
        attributes: ObjectAttributes { storage_class: Some("STANDARD".into()), ..ObjectAttributes::default() },
        checksum,
        lock: None,
        encryption: None,
    };
    node.om.create_upload(cx(), request).await.expect("may be written").upload
}

fn number(n: u64) -> PartNumber {
    PartNumber::new(n).expect("legal")
}

async fn put_part(node: &Node, by: &Requester, at: &str, upload: UploadId, n: u64, size: u64) -> PartCommitted {
    let open = OpenPart { by: by.clone(), bucket: bucket("photos"), key: key(at), upload, part: number(n), size: Some(size) };
    let opened = node.om.open_part(cx(), open).await.expect("the upload exists");
    let commit = CommitPart {
        by: by.clone(),
        session: opened.session,
        bucket: bucket("photos"),
        key: key(at),
        upload,
        part: number(n),
        blocks: vec![CommittedBlock { block: opened.blocks[0].block, length: size }],
        etag: etag(n as u8),
        checksum: None,
    };
    node.om.commit_part(cx(), commit).await.expect("a good part")
}

async fn parts(node: &Node, by: &Requester, at: &str, upload: UploadId) -> PartPage {
    let list =
        ListParts { by: by.clone(), bucket: bucket("photos"), key: key(at), upload, after: 0, limit: 10_000, to_write: false };
    node.om.list_parts(cx(), list).await.expect("the upload is known")
}

async fn complete(node: &Node, by: &Requester, at: &str, upload: UploadId) -> CompleteUpload {
    let listed = parts(node, by, at, upload).await.parts;
    let named = listed.iter().map(|part| CompletedPart { number: part.number, etag: part.etag, object: part.object });
    CompleteUpload {
        by: by.clone(),
        bucket: bucket("photos"),
        key: key(at),
        upload,
        parts: named.collect(),
        etag: ETag { md5: Md5([9; 16]), parts: Some(listed.len() as u16) },
        checksum: None,
        condition: WriteCondition::Always,
    }
}

#[tokio::test]
async fn parts_become_an_object_that_can_be_read_whole_and_by_part() {
    let (_dir, node, ada) = node_with_bucket().await;
    let upload = create(&node, &ada, "big", None).await;
    for n in [2, 1] {
        put_part(&node, &ada, "big", upload, n, 10 * n).await;
    }
    let request = complete(&node, &ada, "big", upload).await;
    let committed = node.om.complete_upload(cx(), request.clone()).await.expect("all parts are there");
    assert_eq!(committed.size, 30);

    let part = LookupKey { wanted: BlocksWanted::Part(number(2)), ..lookup(&ada, "photos", "big") };
    let read = node.om.lookup_key(cx(), part).await.expect("it has two parts");
    assert_eq!((read.info.parts, read.info.part_offset), (Some(2), Some(10)));
    assert_eq!(read.info.part.map(|part| part.size), Some(20));
    assert_eq!(read.pieces.iter().map(|piece| (piece.object_offset, piece.length)).collect::<Vec<_>>(), [(10, 20)]);
    let third = LookupKey { wanted: BlocksWanted::Part(number(3)), ..lookup(&ada, "photos", "big") };
    assert_eq!(node.om.lookup_key(cx(), third).await, Err(CallError::Rejected(LookupRejected::NoSuchPart)));

    // Again, as a client does that missed the answer: its parts are gone, the outcome is known.
    let completed = parts(&node, &ada, "big", upload).await.upload.completed.expect("it is remembered");
    assert_eq!(*completed, committed);
    assert_eq!(node.om.complete_upload(cx(), request).await, Ok(committed));
    node.clock.advance(Millis(24 * 3600 * 1000 + 1));
    node.until("the completion is forgotten", |node| {
        let oldest = node.machine.read(|tables, _| om_core::pending::oldest_completion(tables));
        oldest.expect("readable").is_none()
    })
    .await;
    node.check_invariants();
    node.stop().await;
}

#[tokio::test]
async fn a_write_and_an_upload_race_to_one_winner_each() {
    let (_dir, node, ada) = node_with_bucket().await;
    let upload = create(&node, &ada, "big", None).await;
    put_part(&node, &ada, "big", upload, 1, 10).await;
    let request = complete(&node, &ada, "big", upload).await;
    put_part(&node, &ada, "big", upload, 1, 20).await;
    let refused = node.om.complete_upload(cx(), request).await;
    assert_eq!(refused, Err(CallError::Rejected(CompleteUploadRejected::PartChanged(1))));
    let abort = AbortUpload { by: ada.clone(), bucket: bucket("photos"), key: key("big"), upload };
    let cx = cx();
    assert_eq!(node.om.abort_upload(cx.clone(), abort.clone()).await, Ok(()));
    assert_eq!(node.om.abort_upload(cx, abort.clone()).await, Ok(()), "a retry gets the first answer");
    let again = node.om.abort_upload(common::cx(), abort).await;
    assert_eq!(again, Err(CallError::Rejected(AbortUploadRejected::NoSuchUpload)));
    node.check_invariants();
    node.stop().await;
}

#[tokio::test]
async fn uploads_list_in_the_order_in_which_they_began() {
    let (_dir, node, ada) = node_with_bucket().await;
    let first = create(&node, &ada, "a", None).await;
    node.clock.advance(Millis(1));
    let second = create(&node, &ada, "a", None).await;
    let request = ListUploads {
        by: ada.clone(),
        bucket: bucket("photos"),
        prefix: String::new(),
        delimiter: None,
        key_marker: None,
        upload_marker: None,
        limit: 1,
    };
    let page = node.om.list_uploads(cx(), request.clone()).await.expect("may be listed");
    assert_eq!(page.uploads[0].upload, first);
    assert_eq!(page.uploads[0].info.initiator.display_name, "ada of Trioxide");
    let next = ListUploads { key_marker: page.next_key_marker, upload_marker: page.next_upload_marker, ..request };
    let page = node.om.list_uploads(cx(), next).await.expect("may be listed");
    assert_eq!((page.uploads[0].upload, page.next_key_marker), (second, None));
    node.stop().await;
}

#[tokio::test]
async fn the_uploads_of_a_deleted_bucket_are_freed_behind_it() {
    let (_dir, node, ada) = node_with_bucket().await;
    let upload = create(&node, &ada, "big", None).await;
    for n in 1..=3 {
        put_part(&node, &ada, "big", upload, n, 10).await;
    }
    let delete = DeleteBucket { by: ada.clone(), bucket: bucket("photos") };
    node.om.delete_bucket(cx(), delete).await.expect("uploads do not keep it");
    node.until("the purge is done", |node| {
        node.machine.read(|tables, _| om_core::pending::ending_bucket(tables)).expect("readable").is_none()
    })
    .await;
    node.clock.advance(Millis(61_000));
    node.until("the parts' blocks are freed", |node| node.scm.deleted_blocks().len() == 3).await;
    node.check_invariants();
    node.stop().await;
}

fn copy(by: &Requester, from: &str, to: &str) -> CopyKey {
    CopyKey {
        by: by.clone(),
        source_bucket: bucket("photos"),
        source_key: key(from),
        source_version: None,
        source_conditions: ReadConditions::default(),
        bucket: bucket("photos"),
        key: key(to),
        attributes: CopyAttributes::Source,
        condition: WriteCondition::Always,
        storage_class: None,
        checksum: None,
        lock: None,
        tags: None,
        encryption: None,
        same_key_as: None,
        website_redirect: None,
    }
}

#[tokio::test]
async fn a_copy_reads_from_the_blocks_of_its_source_and_outlives_it() {
    let (_dir, node, ada) = node_with_bucket().await;
    node.put(&ada, "photos", "a", 10).await;
    let copied = node.om.copy_key(cx(), copy(&ada, "a", "b")).await.expect("may be copied");
    assert_eq!((copied.committed.etag, copied.source_version), (etag(1), None));
    let block = |read: ObjectRead| read.pieces[0].location.block;
    let source = block(node.look_up(&ada, "photos", "a").await.expect("it is there"));
    node.delete(&ada, "photos", "a").await;
    node.clock.advance(Millis(61_000));
    assert_eq!(block(node.look_up(&ada, "photos", "b").await.expect("it is there")), source);
    node.delete(&ada, "photos", "b").await;
    node.clock.advance(Millis(61_000));
    node.until("the last reference is gone", |node| node.scm.deleted_blocks().contains(&source)).await;
    node.check_invariants();
    node.stop().await;
}

#[tokio::test]
async fn a_copy_needs_the_right_to_read_its_source_and_a_part_with_checksums_needs_the_bytes() {
    let (_dir, node, ada) = node_with_bucket().await;
    node.put(&ada, "photos", "a", 10).await;
    let bob = node.ensure("bob", false).await;
    node.create_bucket(&bob, "elsewhere").await;
    let into_own = CopyKey { bucket: bucket("elsewhere"), ..copy(&bob, "a", "b") };
    let denied = node.om.copy_key(cx(), into_own).await;
    assert_eq!(denied, Err(CallError::Rejected(CopyRejected::Denied(Denied::AccessDenied))));
    let from_nowhere = CopyKey { source_bucket: bucket("nowhere"), ..copy(&ada, "a", "b") };
    let missing = node.om.copy_key(cx(), from_nowhere).await;
    assert_eq!(missing, Err(CallError::Rejected(CopyRejected::NoSuchSourceBucket)));

    let checksum = Some((ChecksumAlgorithm::Crc32, ChecksumType::FullObject));
    let upload = create(&node, &ada, "big", checksum).await;
    let part = CopyPart {
        by: ada.clone(),
        source_bucket: bucket("photos"),
        source_key: key("a"),
        source_version: None,
        source_conditions: ReadConditions::default(),
        range: Some(ByteRange::Span(0, 4)),
        bucket: bucket("photos"),
        key: key("big"),
        upload,
        part: number(1),
    };
    let refused = node.om.copy_part(cx(), part.clone()).await;
    assert_eq!(refused, Err(CallError::Rejected(CopyPartRejected::NeedsBytes)));
    let plain = create(&node, &ada, "big", None).await;
    let copied = node.om.copy_part(cx(), CopyPart { upload: plain, ..part }).await.expect("within the source");
    assert_eq!(copied.size, 5);
    node.check_invariants();
    node.stop().await;
}
