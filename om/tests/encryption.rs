//! Encrypted objects as a gateway writes, reads and copies them, and the keys behind them.

mod common;

use bucket_config::EncryptionConfiguration;
use bucket_config::encryption::SseAlgorithm;
use common::*;
use om_api::*;
use rpc::CallError;
use tempfile::TempDir;
use types::sealed::stored_length;
use types::{PartNumber, Salt, UploadId};

/// Two segments, the second of them short.
const SIZE: u64 = 100_000;

async fn node_with_bucket() -> (TempDir, Node, Requester) {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    let ada = node.ensure("ada", false).await;
    node.create_bucket(&ada, "photos").await;
    (dir, node, ada)
}

async fn make_kms_key(node: &Node, name: &str) {
    let request = CreateKmsKey { by: Requester::System, key: KmsKeyId(name.into()) };
    node.om.create_kms_key(cx(), request).await.expect("a new key");
}

async fn change(node: &Node, name: &str, change: KmsKeyChange) -> KmsKeyInfo {
    let request = ChangeKmsKey { by: Requester::System, key: KmsKeyId(name.into()), change };
    node.om.change_kms_key(cx(), request).await.expect("the key is there")
}

async fn encrypt_by_default(node: &Node, by: &Requester, document: EncryptionConfiguration) {
    let change = ConfigChange::Put(Box::new(document.into()));
    let request = SetBucketConfig { by: by.clone(), bucket: bucket("photos"), change };
    node.om.set_bucket_config(cx(), request).await.expect("a good document");
}

fn kms(key: &str, context: Option<&str>) -> EncryptionWanted {
    EncryptionWanted::Kms { key: Some(KmsKeyId(key.into())), context: context.map(str::to_owned), bucket_key: false }
}

fn customer() -> EncryptionWanted {
    EncryptionWanted::Customer { salt: Salt([3; 16]), check: KeyCheck([4; 32]) }
}

async fn open(
    node: &Node,
    by: &Requester,
    at: &str,
    encryption: Option<EncryptionWanted>,
) -> Result<OpenedKey, CallError<OpenKeyRejected>> {
    let request = OpenKey {
        by: by.clone(),
        bucket: bucket("photos"),
        key: key(at),
        size: Some(SIZE),
        condition: WriteCondition::Always,
        locks: false,
        encryption,
        storage_class: None,
        appends_to: None,
    };
    node.om.open_key(cx(), request).await
}

/// What it was sealed with.
async fn put(node: &Node, by: &Requester, at: &str, encryption: Option<EncryptionWanted>) -> Option<SealWith> {
    let opened = open(node, by, at, encryption).await.expect("may be written");
    let stored = if opened.encryption.is_some() { stored_length(SIZE) } else { SIZE };
    let committed = node.om.commit_key(cx(), commit(by, &opened, "photos", at, stored)).await.expect("a good commit");
    assert_eq!(committed.size, SIZE, "what the client sees is its own bytes");
    opened.encryption
}

async fn read(node: &Node, by: &Requester, at: &str, wanted: BlocksWanted) -> ObjectRead {
    node.om.lookup_key(cx(), LookupKey { wanted, ..lookup(by, "photos", at) }).await.expect("it is there")
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, CallError<OpenKeyRejected>>) -> EncryptionRejected {
    match outcome {
        Err(CallError::Rejected(OpenKeyRejected::Encryption(rejected))) => rejected,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reader_gets_the_key_that_the_writer_sealed_with_also_after_a_restart() {
    let (dir, node, ada) = node_with_bucket().await;
    make_kms_key(&node, "k").await;
    let wanted = [("store", EncryptionWanted::Store), ("kms", kms("k", Some("{\"a\":\"b\"}"))), ("customer", customer())];
    let mut sealed_with = Vec::new();
    for (at, wanted) in wanted {
        sealed_with.push((at, put(&node, &ada, at, Some(wanted)).await.expect("asked for")));
    }
    assert_eq!(put(&node, &ada, "plain", None).await, None);
    node.check_invariants();
    node.stop().await;
    let node = Node::start(dir.path()).await;
    for (at, sealed_with) in sealed_with {
        let found = read(&node, &ada, at, BlocksWanted::All).await;
        let open_with = found.open_with.expect("encrypted");
        assert_eq!(found.info.encryption, Some(sealed_with.info), "{at}");
        assert_eq!(open_with.data_key, sealed_with.data_key, "{at}");
        assert_eq!(open_with.data_key.is_none(), at == "customer", "a client's key is nowhere but with the client");
        assert_eq!((open_with.stored_first, open_with.stored_end), (0, stored_length(SIZE)));
        assert_eq!(
            open_with.streams.iter().map(|stream| (stream.salt, stream.length)).collect::<Vec<_>>(),
            [(sealed_with.stream, SIZE)]
        );
        assert_eq!((found.info.size, found.pieces.iter().map(|piece| piece.length).sum::<u64>()), (SIZE, stored_length(SIZE)));
    }
    let plain = read(&node, &ada, "plain", BlocksWanted::All).await;
    assert_eq!((plain.info.encryption, plain.open_with), (None, None));
    node.stop().await;
}

#[tokio::test]
async fn a_range_is_answered_with_the_segments_that_hold_it() {
    let (_dir, node, ada) = node_with_bucket().await;
    put(&node, &ada, "a", Some(EncryptionWanted::Store)).await;
    let segment = types::sealed::STORED_SEGMENT;
    for (range, expected) in [
        (ByteRange::Span(0, 0), (0, segment)),
        (ByteRange::Span(65_535, 65_536), (0, stored_length(SIZE))),
        (ByteRange::From(65_536), (segment, stored_length(SIZE))),
        (ByteRange::Suffix(1), (segment, stored_length(SIZE))),
    ] {
        let found = read(&node, &ada, "a", BlocksWanted::Range(range)).await;
        let open_with = found.open_with.expect("encrypted");
        assert_eq!((open_with.stored_first, open_with.stored_end), expected, "{range:?}");
        assert_eq!((found.pieces[0].object_offset, found.pieces[0].length), (expected.0, expected.1 - expected.0));
    }
    let rest = read(&node, &ada, "a", BlocksWanted::Stored(70_000, u64::MAX)).await;
    assert_eq!((rest.pieces[0].object_offset, rest.pieces[0].length), (70_000, stored_length(SIZE) - 70_000));
    for nothing in [BlocksWanted::None, BlocksWanted::Range(ByteRange::From(SIZE))] {
        assert_eq!(read(&node, &ada, "a", nothing).await.open_with, None);
    }
    node.stop().await;
}

#[tokio::test]
async fn a_bucket_says_how_what_says_nothing_is_encrypted() {
    let (_dir, node, ada) = node_with_bucket().await;
    make_kms_key(&node, "k").await;
    let scheme = |sealed: Option<SealWith>| sealed.map(|sealed| sealed.info.scheme);
    let by_kms = |bucket_key| EncryptionScheme::Kms { key: KmsKeyId("k".into()), context: None, bucket_key };

    let aes = EncryptionConfiguration { algorithm: SseAlgorithm::Aes256, kms_key: None, bucket_key: false };
    encrypt_by_default(&node, &ada, aes).await;
    assert_eq!(scheme(put(&node, &ada, "a", None).await), Some(EncryptionScheme::Store));
    assert_eq!(scheme(put(&node, &ada, "a", Some(kms("k", None))).await), Some(by_kms(false)), "the request has the word");
    let with_bucket_key = Some(EncryptionWanted::ByDefault { bucket_key: true });
    assert_eq!(refused(open(&node, &ada, "a", with_bucket_key.clone()).await), EncryptionRejected::NotKms);

    let kms = EncryptionConfiguration { algorithm: SseAlgorithm::Kms, kms_key: Some("k".into()), bucket_key: false };
    encrypt_by_default(&node, &ada, kms).await;
    assert_eq!(scheme(put(&node, &ada, "a", None).await), Some(by_kms(false)));
    assert_eq!(scheme(put(&node, &ada, "a", with_bucket_key).await), Some(by_kms(true)));
    node.stop().await;
}

#[tokio::test]
async fn keys_that_are_not_there_or_disabled_neither_seal_nor_open() {
    let (_dir, node, ada) = node_with_bucket().await;
    make_kms_key(&node, "k").await;
    put(&node, &ada, "a", Some(kms("k", None))).await;
    let name = |name: &str| KmsKeyId(name.into());
    assert_eq!(refused(open(&node, &ada, "b", Some(kms("other", None))).await), EncryptionRejected::NoSuchKey(name("other")));
    let unnamed = EncryptionWanted::Kms { key: None, context: None, bucket_key: false };
    assert_eq!(refused(open(&node, &ada, "b", Some(unnamed)).await), EncryptionRejected::NoKeyNamed);
    assert_eq!(refused(open(&node, &ada, "b", Some(EncryptionWanted::Unusable)).await), EncryptionRejected::Unusable);

    change(&node, "k", KmsKeyChange::Disable).await;
    assert_eq!(refused(open(&node, &ada, "b", Some(kms("k", None))).await), EncryptionRejected::KeyDisabled(name("k")));
    let found = node.look_up(&ada, "photos", "a").await;
    let disabled = LookupRejected::Encryption(EncryptionRejected::KeyDisabled(name("k")));
    assert_eq!(found, Err(CallError::Rejected(disabled)));
    assert_eq!(read(&node, &ada, "a", BlocksWanted::None).await.info.size, SIZE, "a head needs no key");
    change(&node, "k", KmsKeyChange::Enable).await;
    assert!(read(&node, &ada, "a", BlocksWanted::All).await.open_with.is_some());
    node.stop().await;
}

#[tokio::test]
async fn who_may_not_write_does_not_learn_what_is_wrong_with_the_encryption() {
    let (_dir, node, _) = node_with_bucket().await;
    let bob = node.ensure("bob", false).await;
    for wanted in [EncryptionWanted::Unusable, kms("absent", None)] {
        let outcome = open(&node, &bob, "a", Some(wanted)).await;
        assert_eq!(outcome, Err(CallError::Rejected(OpenKeyRejected::Denied(Denied::AccessDenied))));
    }
    node.stop().await;
}

#[tokio::test]
async fn a_rotated_key_opens_what_it_sealed_before() {
    let (_dir, node, ada) = node_with_bucket().await;
    make_kms_key(&node, "k").await;
    let before = put(&node, &ada, "before", Some(kms("k", None))).await.expect("asked for");
    let rotated = change(&node, "k", KmsKeyChange::Rotate).await;
    assert_eq!((rotated.versions, rotated.is_enabled), (2, true));
    let after = put(&node, &ada, "after", Some(kms("k", None))).await.expect("asked for");
    for (at, sealed_with) in [("before", before), ("after", after)] {
        assert_eq!(read(&node, &ada, at, BlocksWanted::All).await.open_with.and_then(|open| open.data_key), sealed_with.data_key);
    }
    node.stop().await;
}

#[tokio::test]
async fn keys_are_made_by_administrators_once_and_under_usable_names() {
    let (_dir, node, ada) = node_with_bucket().await;
    let root = node.ensure(ROOT, true).await;
    let create = |by: &Requester, name: &str| CreateKmsKey { by: by.clone(), key: KmsKeyId(name.into()) };
    let denied = node.om.create_kms_key(cx(), create(&ada, "k")).await;
    assert_eq!(denied, Err(CallError::Rejected(KmsRejected::Denied(Denied::AccessDenied))));
    let made = node.om.create_kms_key(cx(), create(&root, "k")).await.expect("a new key");
    assert_eq!((made.is_enabled, made.versions), (true, 1));
    let again = node.om.create_kms_key(cx(), create(&root, "k")).await;
    assert_eq!(again, Err(CallError::Rejected(KmsRejected::Exists)));
    let bad = node.om.create_kms_key(cx(), create(&root, "a b")).await;
    assert_eq!(bad, Err(CallError::Rejected(KmsRejected::BadName)));
    let absent = ChangeKmsKey { by: root.clone(), key: KmsKeyId("absent".into()), change: KmsKeyChange::Rotate };
    assert_eq!(node.om.change_kms_key(cx(), absent).await, Err(CallError::Rejected(KmsRejected::NoSuchKey)));
    assert_eq!(node.om.list_kms_keys(cx(), ListKmsKeys { by: root }).await, Ok(vec![made]));
    let hidden = node.om.list_kms_keys(cx(), ListKmsKeys { by: ada }).await;
    assert_eq!(hidden, Err(CallError::Rejected(KmsRejected::Denied(Denied::AccessDenied))));
    node.stop().await;
}

fn copy(by: &Requester, from: &str, to: &str, encryption: Option<EncryptionWanted>) -> CopyKey {
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
        encryption,
        same_key_as: None,
        website_redirect: None,
    }
}

#[tokio::test]
async fn a_copy_shares_sealed_bytes_only_under_the_same_key() {
    let (_dir, node, ada) = node_with_bucket().await;
    make_kms_key(&node, "k").await;
    make_kms_key(&node, "other").await;
    put(&node, &ada, "plain", None).await;
    let sealed_with = put(&node, &ada, "kms", Some(kms("k", None))).await.expect("asked for");
    put(&node, &ada, "customer", Some(customer())).await;
    let customer_object = read(&node, &ada, "customer", BlocksWanted::None).await.info.object;

    let copied = node.om.copy_key(cx(), copy(&ada, "kms", "copy", Some(kms("k", None)))).await.expect("the same key");
    assert_eq!(copied.encryption, Some(sealed_with.info.scheme.clone()));
    let found = read(&node, &ada, "copy", BlocksWanted::All).await;
    assert_eq!(found.open_with.and_then(|open| open.data_key), sealed_with.data_key);

    let same = CopyKey { same_key_as: Some(customer_object), ..copy(&ada, "customer", "copy", Some(customer())) };
    node.om.copy_key(cx(), same).await.expect("the same key");

    for (from, wanted) in [
        ("plain", Some(EncryptionWanted::Store)),
        ("kms", None),
        ("kms", Some(kms("other", None))),
        ("kms", Some(kms("k", Some("{}")))),
        ("customer", Some(customer())),
        ("customer", None),
    ] {
        let outcome = node.om.copy_key(cx(), copy(&ada, from, "copy", wanted.clone())).await;
        assert_eq!(outcome, Err(CallError::Rejected(CopyRejected::NeedsBytes)), "{from} as {wanted:?}");
    }
    let absent = node.om.copy_key(cx(), copy(&ada, "plain", "copy", Some(kms("absent", None)))).await;
    let no_such_key = EncryptionRejected::NoSuchKey(KmsKeyId("absent".into()));
    assert_eq!(absent, Err(CallError::Rejected(CopyRejected::Encryption(no_such_key))));
    node.check_invariants();
    node.stop().await;
}

async fn put_part(node: &Node, by: &Requester, upload: UploadId, n: u64) -> (SealWith, PartCommitted) {
    let part = PartNumber::new(n).expect("legal");
    let open = OpenPart { by: by.clone(), bucket: bucket("photos"), key: key("big"), upload, part, size: Some(SIZE) };
    let opened = node.om.open_part(cx(), open).await.expect("the upload exists");
    let commit = CommitPart {
        by: by.clone(),
        session: opened.session,
        bucket: bucket("photos"),
        key: key("big"),
        upload,
        part,
        blocks: vec![CommittedBlock { block: opened.blocks[0].block, length: stored_length(SIZE) }],
        etag: etag(n as u8),
        checksum: None,
    };
    let committed = node.om.commit_part(cx(), commit).await.expect("a good part");
    (opened.encryption.expect("the upload is encrypted"), committed)
}

#[tokio::test]
async fn parts_share_their_uploads_key_and_no_salt() {
    let (_dir, node, ada) = node_with_bucket().await;
    let create = CreateUpload {
        by: ada.clone(),
        bucket: bucket("photos"),
        key: key("big"),
        attributes: ObjectAttributes::default(),
        checksum: None,
        lock: None,
        encryption: Some(EncryptionWanted::Store),
    };
    let created = node.om.create_upload(cx(), create).await.expect("may be written");
    let (first, _) = put_part(&node, &ada, created.upload, 1).await;
    let (again, one) = put_part(&node, &ada, created.upload, 1).await;
    let (second, two) = put_part(&node, &ada, created.upload, 2).await;
    assert_eq!((&first.data_key, &first.info), (&second.data_key, &second.info));
    assert_eq!(created.encryption, Some(first.info));
    assert!(first.stream != again.stream && again.stream != second.stream, "a part that is sent again is sealed anew");
    assert_eq!(one.size, SIZE);

    let list = ListParts {
        by: ada.clone(),
        bucket: bucket("photos"),
        key: key("big"),
        upload: created.upload,
        after: 0,
        limit: 9,
        to_write: false,
    };
    let page = node.om.list_parts(cx(), list).await.expect("the upload is known");
    assert_eq!((page.upload.encryption, page.parts.len()), (created.encryption, 2));
    let named = page.parts.iter().map(|part| CompletedPart { number: part.number, etag: part.etag, object: part.object });
    let complete = CompleteUpload {
        by: ada.clone(),
        bucket: bucket("photos"),
        key: key("big"),
        upload: created.upload,
        parts: named.collect(),
        etag: two.etag,
        checksum: None,
        condition: WriteCondition::Always,
    };
    assert_eq!(node.om.complete_upload(cx(), complete).await.expect("all parts are there").size, 2 * SIZE);
    let streams = |found: ObjectRead| found.open_with.expect("encrypted").streams.iter().map(|s| s.salt).collect::<Vec<_>>();
    assert_eq!(streams(read(&node, &ada, "big", BlocksWanted::All).await), [again.stream, second.stream]);
    let over_the_border = BlocksWanted::Range(ByteRange::Span(SIZE - 1, SIZE));
    assert_eq!(streams(read(&node, &ada, "big", over_the_border).await), [again.stream, second.stream]);
    let in_the_second = BlocksWanted::Range(ByteRange::From(SIZE));
    assert_eq!(streams(read(&node, &ada, "big", in_the_second).await), [second.stream]);
    node.check_invariants();
    node.stop().await;
}
