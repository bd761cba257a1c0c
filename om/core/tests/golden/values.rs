//! What the fixtures are made of.

use bucket_config::tagging::Tag;
use bucket_config::{BucketDocument, BucketPolicy, BucketTags};
use om_core::rows::*;
use om_core::*;
use types::*;

pub(super) fn user() -> UserId {
    UserId("ada".into())
}

pub(super) fn key() -> ObjectKey {
    ObjectKey::parse("a/b").expect("legal")
}

pub(super) fn session() -> Session {
    Session { object: ObjectId(0x0100_0001), bucket: BucketId(7), opened: Timestamp(1_700_000_000_000) }
}

pub(super) fn block() -> BlockId {
    BlockId { container: ContainerId(3), local: 1000 }
}

pub(super) fn etag() -> ETag {
    ETag { md5: Md5([0xab; 16]), parts: Some(2) }
}

pub(super) fn checksum() -> Checksum {
    Checksum::new(ChecksumAlgorithm::Crc32c, &[1, 2, 3, 4]).expect("four bytes")
}

pub(super) fn object_checksum() -> Option<ObjectChecksum> {
    Some(ObjectChecksum { checksum: checksum(), kind: ChecksumType::Composite })
}

pub(super) fn attributes() -> Attributes {
    Attributes {
        headers: vec![(SystemHeader::ContentType, "text/plain".into())],
        metadata: vec![("colour".into(), "red".into())],
        tags: vec![("k".into(), "v".into())],
    }
}

pub(super) fn part() -> PartNumber {
    PartNumber::new(2).expect("legal")
}

pub(super) fn upload_at() -> UploadKey {
    UploadKey { bucket: BucketId(7), key: key(), upload: UploadId::from_u128(0x1234) }
}

pub(super) fn deletion() -> KeyDeletion {
    KeyDeletion { version: Some(VersionId::NULL), condition: WriteCondition::IfMatch(etag()), ..KeyDeletion::of(key()) }
}

pub(super) fn source() -> CopySource {
    let conditions = ReadConditions {
        if_match: Some(vec![etag()]),
        if_none_match: None,
        if_modified_since: Some(Timestamp(1)),
        if_unmodified_since: None,
    };
    CopySource { bucket: BucketId(7), key: key(), version: None, conditions, judged: None }
}

pub(super) fn pair() -> SealedPair {
    SealedPair { access_key: AccessKeyId("AK".into()), sealed: vec![9, 8, 7], secret_version: 5 }
}

pub(super) fn lock() -> ObjectLock {
    ObjectLock { retention: Some(Retention { mode: RetentionMode::Governance, until: NOW }), legal_hold: Some(true) }
}

pub(super) fn update(change: VersionChange) -> Command {
    UpdateVersion { origin: None, judged: None, bucket: BucketId(7), key: key(), version: Some(VersionId(3)), change, now: NOW }
        .into()
}

pub(super) fn origin() -> Origin {
    Origin {
        user: Some(user()),
        source: Some([192, 0, 2, 3].into()),
        request: RequestId::from_u128(0xab),
        region: Some("eu-1".into()),
        is_form: true,
    }
}

pub(super) fn undeliverable() -> Undeliverable {
    Undeliverable { sequence: Sequence(2), why: "410".into() }
}

pub(super) fn event() -> EventRow {
    EventRow {
        kind: EventKind::Copy,
        bucket: BucketPath::of_s3v(BucketName::parse("photos").expect("legal")),
        owner: user(),
        configuration: "c".into(),
        key: Some(key()),
        size: Some(10),
        etag: Some(etag()),
        version: Some(VersionId(3)),
        at: NOW,
        region: Some("eu".into()),
        origin: Some(origin()),
        since: Some(NOW),
        class: None,
    }
}

pub(super) fn version_ends() -> Vec<VersionEnd> {
    let end = |how, tags| VersionEnd { key: key(), sequence: Sequence(4096), how, tags };
    vec![
        end(HowItEnds::Current, None),
        end(HowItEnds::Noncurrent { newer: 5 }, Some(vec![("k".into(), "v".into())])),
        end(HowItEnds::LoneMarker, None),
    ]
}

pub(super) fn version_moves() -> Vec<VersionMove> {
    let to = |place, tags| VersionMove {
        key: key(),
        sequence: Sequence(4096),
        place,
        class: "COLD".into(),
        replication: Replication::One,
        tags,
    };
    vec![to(VersionPlace::Current, Some(vec![("k".into(), "v".into())])), to(VersionPlace::Noncurrent, None)]
}

pub(super) fn storage() -> Storage {
    Storage { class: "COLD".into(), replication: Replication::One }
}

pub(super) fn open_session(encryption: Option<SessionEncryption>, blocks: Vec<BlockId>, storage: Option<Storage>) -> Command {
    OpenSession { session: session(), blocks, encryption, storage }.into()
}

pub(super) fn tags() -> BucketDocument {
    BucketTags::new(vec![Tag { key: "k".into(), value: "v".into() }]).into()
}

pub(super) fn sealed_key() -> SealedKey {
    SealedKey { version: 3, bytes: vec![1, 2, 3] }
}

pub(super) fn encryption() -> Encryption {
    let (key, context) = (KmsKeyId("k".into()), Some("{}".into()));
    Encryption { scheme: Scheme::Kms(KmsSealed { key, sealed: sealed_key(), context, bucket_key: true }), salt: Salt([5; 16]) }
}

pub(super) fn copy_sealed_as(scheme: CopyScheme) -> Command {
    CopyKey {
        origin: None,
        source: source(),
        bucket: BucketId(7),
        key: key(),
        attributes: CopyAttributes::Source,
        storage_class: None,
        condition: WriteCondition::Always,
        object: ObjectId(9),
        owner: None,
        max_size: 5 << 30,
        now: NOW,
        checksum: None,
        lock: None,
        tags: None,
        encryption: Some(CopyEncryption { scheme, is_asked_for: true }),
        acl: None,
        replication: None,
        website_redirect: None,
    }
    .into()
}

pub(super) fn change_kms_key(change: KmsKeyChange) -> Command {
    ChangeKmsKey { id: KmsKeyId("k".into()), change, now: NOW }.into()
}

pub(super) fn acl() -> Acl {
    let of_user = Grant { grantee: Grantee::User("bob".into()), permission: AclPermission::ReadAcp };
    let of_group = Grant { grantee: Grantee::Group(AclGroup::AuthenticatedUsers), permission: AclPermission::Read };
    Acl { grants: vec![of_group, of_user] }
}

pub(super) fn policy() -> BucketDocument {
    BucketPolicy { text: "{}".into(), binds_owner: true }.into()
}

pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_001);
