//! The bytes of commands and rows, as logs and tables hold them. A line that changes is a log that no longer reads: give the
//! new form a new number and keep the old one.

mod identities;
mod values;

use bucket_config::access::ObjectOwnership;
use bucket_config::{BucketAcl, ConfigKind, OwnershipControls};
use om_core::rows::*;
use om_core::*;
use types::*;

use values::*;

const COMMANDS: &str = include_str!("../../testdata/commands.hex");
const ROWS: &str = include_str!("../../testdata/rows.hex");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn commands() -> Vec<Command> {
    let blocks = vec![CommittedBlock { block: block(), length: 10 }];
    vec![
        ReserveIds {}.into(),
        SetSealCheck { check: SealCheck { sealed: vec![1, 2] } }.into(),
        CreateBucket {
            volume: VolumeName::s3v(),
            name: BucketName::parse("photos").expect("legal"),
            owner: user(),
            location: Some("eu".into()),
            replication: Replication::Three,
            limit: 100,
            now: NOW,
            object_lock: None,
            acl: None,
            ownership: None,
        }
        .into(),
        DeleteBucket { bucket: BucketId(7) }.into(),
        PurgeBucket { bucket: BucketId(7), limit: 10, now: NOW }.into(),
        OpenSession { session: session(), blocks: vec![block()], encryption: None, storage: None }.into(),
        ExtendSession { session: session(), blocks: vec![block()], now: NOW }.into(),
        CloseSession { session: session(), now: NOW }.into(),
        ExpireSessions { objects: vec![ObjectId(1)], opened_before: Timestamp(2), now: NOW }.into(),
        CommitKey {
            origin: None,
            session: session(),
            key: key(),
            blocks: blocks.clone(),
            etag: etag(),
            checksum: object_checksum(),
            attributes: attributes(),
            storage_class: Some("STANDARD".into()),
            condition: WriteCondition::IfAbsent,
            owner: Some(user()),
            now: NOW,
            lock: None,
            acl: None,
        }
        .into(),
        DeleteKey { origin: None, bucket: BucketId(7), deletion: deletion(), now: NOW, owner: None }.into(),
        DeleteKeys { origin: None, bucket: BucketId(7), deletions: vec![deletion()], now: NOW, owner: None }.into(),
        CopyKey {
            origin: None,
            source: source(),
            bucket: BucketId(7),
            key: key(),
            attributes: CopyAttributes::Replace(attributes()),
            storage_class: None,
            condition: WriteCondition::IfNoneMatch(etag()),
            object: ObjectId(9),
            owner: None,
            max_size: 5 << 30,
            now: NOW,
            checksum: None,
            lock: None,
            tags: None,
            encryption: None,
            acl: None,
            replication: None,
            website_redirect: None,
        }
        .into(),
        RemoveReclaimed { rows: vec![ReclaimKey { freed: NOW, log: LogIndex(4), ordinal: 1 }] }.into(),
        CreateUpload {
            at: upload_at(),
            initiator: Some(user()),
            attributes: attributes(),
            storage_class: None,
            checksum: Some((ChecksumAlgorithm::Sha256, ChecksumType::FullObject)),
            now: NOW,
            lock: None,
            encryption: None,
            acl: None,
            owner: None,
            replication: None,
        }
        .into(),
        CommitPart {
            session: session(),
            at: upload_at(),
            part: part(),
            blocks,
            etag: etag(),
            checksum: Some(checksum()),
            now: NOW,
        }
        .into(),
        CopyPart {
            source: source(),
            range: Some(namespace::ByteRange::Span(1, 2)),
            at: upload_at(),
            part: part(),
            object: ObjectId(9),
            max_size: 5 << 30,
            now: NOW,
        }
        .into(),
        CompleteUpload {
            origin: None,
            at: upload_at(),
            parts: vec![CompletedPart { number: part(), etag: etag(), object: ObjectId(8) }],
            etag: etag(),
            checksum: object_checksum(),
            condition: WriteCondition::IfPresent,
            object: ObjectId(9),
            min_part_size: 5 << 20,
            max_size: 5 << 40,
            now: NOW,
        }
        .into(),
        AbortUpload { at: upload_at(), now: NOW }.into(),
        ForgetCompleted { completed_before: NOW, limit: 10 }.into(),
        EnsureUser {
            user: user(),
            display_name: "Ada".into(),
            email: Some("ada@example.com".into()),
            is_admin: true,
            pair: Some(pair()),
            now: NOW,
            origin: None,
            volume: None,
        }
        .into(),
        CreateSecret { user: user(), pair: pair(), now: NOW, rotates: None }.into(),
        RevokeSecret { user: user(), now: None, access_key: None }.into(),
        // With what later releases added.
        CopyKey {
            origin: None,
            source: source(),
            bucket: BucketId(7),
            key: key(),
            attributes: CopyAttributes::Replace(attributes()),
            storage_class: None,
            condition: WriteCondition::IfNoneMatch(etag()),
            object: ObjectId(9),
            owner: None,
            max_size: 5 << 30,
            now: NOW,
            checksum: object_checksum(),
            lock: None,
            tags: None,
            encryption: None,
            acl: None,
            replication: None,
            website_redirect: None,
        }
        .into(),
        EnsureUser {
            user: user(),
            display_name: "Ada".into(),
            email: None,
            is_admin: false,
            pair: Some(pair()),
            now: NOW,
            origin: Some(PairOrigin::Configuration),
            volume: None,
        }
        .into(),
        RevokeSecret { user: user(), now: Some(NOW), access_key: None }.into(),
        RevokeSecret { user: user(), now: Some(NOW), access_key: Some(AccessKeyId("AK".into())) }.into(),
        CreateSecret { user: user(), pair: pair(), now: NOW, rotates: Some(true) }.into(),
        SetVersioning { bucket: BucketId(7), status: VersioningStatus::Suspended }.into(),
        AppendKey {
            origin: None,
            session: session(),
            key: key(),
            base: AppendBase { object: ObjectId(9), etag: etag(), size: 10 },
            blocks: vec![CommittedBlock { block: block(), length: 10 }],
            etag: etag(),
            checksum: object_checksum(),
            part_checksum: Some(checksum()),
            condition: WriteCondition::IfPresent,
            max_size: 5 << 40,
            now: NOW,
        }
        .into(),
        RenameKey {
            origin: None,
            judged: None,
            bucket: BucketId(7),
            source: key(),
            source_conditions: source().conditions,
            key: ObjectKey::parse("c").expect("legal"),
            condition: WriteCondition::IfAbsent,
            conditions: ReadConditions::default(),
            owner: Some(user()),
            now: NOW,
        }
        .into(),
        RenameOnce {
            rename: RenameKey {
                origin: None,
                judged: None,
                bucket: BucketId(7),
                source: key(),
                source_conditions: ReadConditions::default(),
                key: ObjectKey::parse("c").expect("legal"),
                condition: WriteCondition::Always,
                conditions: ReadConditions::default(),
                owner: None,
                now: NOW,
            },
            parameters: [7; 16],
        }
        .into(),
        SetBucketLock {
            bucket: BucketId(7),
            default: Some(DefaultRetention { mode: RetentionMode::Compliance, period: RetentionPeriod::Years(2) }),
        }
        .into(),
        update(VersionChange::Tags(vec![("k".into(), "v".into())])),
        update(VersionChange::Retention(lock().retention, Bypass::Governance)),
        update(VersionChange::LegalHold(true)),
        DeleteKey {
            origin: None,
            bucket: BucketId(7),
            deletion: KeyDeletion { if_modified: Some(NOW), if_size: Some(10), bypass: Some(Bypass::Governance), ..deletion() },
            now: NOW,
            owner: Some(user()),
        }
        .into(),
        CreateUpload {
            at: upload_at(),
            initiator: None,
            attributes: attributes(),
            storage_class: None,
            checksum: None,
            now: NOW,
            lock: Some(lock()),
            encryption: None,
            acl: None,
            owner: None,
            replication: None,
        }
        .into(),
        SetBucketConfig { bucket: BucketId(7), change: ConfigChange::Put(Box::new(tags())), now: NOW }.into(),
        SetBucketConfig { bucket: BucketId(7), change: ConfigChange::Delete(ConfigKind::Tagging), now: NOW }.into(),
        open_session(Some(SessionEncryption::Object(encryption())), vec![block()], None),
        open_session(Some(SessionEncryption::Part(Salt([6; 16]))), Vec::new(), None),
        copy_sealed_as(CopyScheme::Store),
        copy_sealed_as(CopyScheme::Kms { key: KmsKeyId("k".into()), context: Some("{}".into()), bucket_key: true }),
        copy_sealed_as(CopyScheme::Customer(Some(ObjectId(5)))),
        CreateUpload {
            at: upload_at(),
            initiator: None,
            attributes: Attributes::default(),
            storage_class: None,
            checksum: None,
            now: NOW,
            lock: None,
            encryption: Some(encryption()),
            acl: None,
            owner: None,
            replication: None,
        }
        .into(),
        CreateKmsKey { id: KmsKeyId("k".into()), sealed: sealed_key(), now: NOW }.into(),
        change_kms_key(KmsKeyChange::Rotate(sealed_key())),
        change_kms_key(KmsKeyChange::State(KmsKeyState::Disabled)),
        CommitKey {
            origin: None,
            session: session(),
            key: key(),
            blocks: Vec::new(),
            etag: etag(),
            checksum: None,
            attributes: Attributes::default(),
            storage_class: None,
            condition: WriteCondition::Always,
            owner: None,
            now: NOW,
            lock: None,
            acl: Some(acl()),
        }
        .into(),
        CopyKey {
            origin: None,
            source: source(),
            bucket: BucketId(7),
            key: key(),
            attributes: CopyAttributes::Source,
            storage_class: None,
            condition: WriteCondition::Always,
            object: ObjectId(9),
            owner: Some(user()),
            max_size: 5 << 30,
            now: NOW,
            checksum: None,
            lock: None,
            tags: None,
            encryption: None,
            acl: Some(acl()),
            replication: None,
            website_redirect: None,
        }
        .into(),
        CreateUpload {
            at: upload_at(),
            initiator: Some(user()),
            attributes: attributes(),
            storage_class: None,
            checksum: None,
            now: NOW,
            lock: None,
            encryption: None,
            acl: Some(acl()),
            owner: Some(UserId("bob".into())),
            replication: None,
        }
        .into(),
        CreateBucket {
            volume: VolumeName::s3v(),
            name: BucketName::parse("photos").expect("legal"),
            owner: user(),
            location: None,
            replication: Replication::Three,
            limit: 100,
            now: NOW,
            object_lock: None,
            acl: Some(acl()),
            ownership: Some(OwnershipControls { ownership: ObjectOwnership::BucketOwnerPreferred }),
        }
        .into(),
        update(VersionChange::Acl(Some(acl()))),
        update(VersionChange::Acl(None)),
        SetBucketConfig { bucket: BucketId(7), change: ConfigChange::Put(Box::new(policy())), now: NOW }.into(),
        ExpireVersions { bucket: BucketId(7), rules: LogIndex(9), ends: version_ends(), now: NOW }.into(),
        open_session(None, vec![block()], Some(storage())),
        open_session(Some(SessionEncryption::Append { object: ObjectId(9), salt: Salt([6; 16]) }), Vec::new(), None),
        MoveVersions { bucket: BucketId(7), rules: LogIndex(9), moves: version_moves(), now: None }.into(),
        MoveBytes {
            session: session(),
            rules: LogIndex(9),
            planned: version_moves().remove(0),
            object: ObjectId(9),
            blocks: vec![CommittedBlock { block: block(), length: 10 }],
            now: NOW,
        }
        .into(),
        CopyKey {
            origin: None,
            source: source(),
            bucket: BucketId(7),
            key: key(),
            attributes: CopyAttributes::Source,
            storage_class: Some("COLD".into()),
            condition: WriteCondition::Always,
            object: ObjectId(9),
            owner: None,
            max_size: 5 << 30,
            now: NOW,
            checksum: None,
            lock: None,
            tags: None,
            encryption: None,
            acl: None,
            replication: Some(Replication::One),
            website_redirect: Some("/x".into()),
        }
        .into(),
        CreateUpload {
            at: upload_at(),
            initiator: None,
            attributes: Attributes::default(),
            storage_class: Some("COLD".into()),
            checksum: None,
            now: NOW,
            lock: None,
            encryption: None,
            acl: None,
            owner: None,
            replication: Some(Replication::One),
        }
        .into(),
        DeleteKey { bucket: BucketId(7), deletion: deletion(), now: NOW, owner: None, origin: Some(origin()) }.into(),
        SettleEvents { destination: "hook".into(), delivered: vec![Sequence(1)], dead: vec![undeliverable()], now: NOW }.into(),
        ReviveEvents { destination: "hook".into(), most: 10, now: NOW }.into(),
        MoveVersions { bucket: BucketId(7), rules: LogIndex(9), moves: version_moves(), now: Some(NOW) }.into(),
    ]
}

fn rows() -> Vec<(&'static str, Vec<u8>)> {
    let pieces = vec![Piece { block: block(), offset: 5, length: 10 }];
    let upload = UploadRow {
        initiator: user(),
        owner: user(),
        initiated: NOW,
        attributes: attributes(),
        storage_class: None,
        checksum: Some((ChecksumAlgorithm::Crc32, ChecksumType::Composite)),
        lock: None,
        encryption: None,
        acl: None,
        replication: None,
    };
    let answer = KeyCommitted { etag: etag(), modified: NOW, version: Some(VersionId(3)), size: 10, checksum: object_checksum() };
    let head = KeyHead {
        object: ObjectId(9),
        sequence: Sequence(4096),
        version: VersionId::NULL,
        size: 10,
        etag: etag(),
        modified: NOW,
        owner: user(),
        storage_class: Some("GLACIER".into()),
        checksum: object_checksum(),
        noncurrent: None,
        lock: None,
    };
    let parts = vec![PartEntry { number: part(), size: 10, checksum: Some(checksum()), salt: None }];
    let body = KeyBody {
        attributes: attributes(),
        pieces: pieces.clone(),
        parts,
        encryption: None,
        acl: None,
        replication: None,
        native_acl: None,
    };
    let bucket = BucketRow {
        notifies: None,
        id: BucketId(7),
        volume: VolumeName::s3v(),
        name: BucketName::parse("photos").expect("legal"),
        owner: user(),
        created: NOW,
        location: None,
        layout: BucketLayout::ObjectStore,
        replication: Replication::One,
        versioning: Versioning::Unversioned,
        object_lock: None,
        guarded: None,
        lifecycle: None,
        native_acls: None,
    };
    let cycling = BucketRow { lifecycle: Some(LogIndex(9)), ..bucket.clone() };
    let locked = BucketRow { versioning: Versioning::Enabled, object_lock: Some(BucketLock::default()), ..bucket.clone() };
    let version = KeyRow {
        head: KeyHead { version: VersionId(4096), noncurrent: Some(NOW), lock: Some(lock()), ..head.clone() },
        body: body.clone(),
    };
    let guarded = BucketRow { guarded: Some(LogIndex(12)), ..bucket.clone() };
    let granted = KeyRow { head: head.clone(), body: KeyBody { acl: Some(acl()), ..body.clone() } };
    let natively = KeyRow { head: head.clone(), body: KeyBody { native_acl: Some(identities::native_acl()), ..body.clone() } };
    let natively_guarded = BucketRow { native_acls: Some(LogIndex(13)), ..bucket.clone() };
    let elsewhere = KeyRow { head: head.clone(), body: KeyBody { replication: Some(Replication::One), ..body.clone() } };
    let cold_session =
        SessionRow { bucket: BucketId(7), opened: NOW, blocks: Vec::new(), encryption: None, storage: Some(storage()) };
    let cold_upload = UploadRow { replication: Some(Replication::One), ..upload.clone() };
    let granted_upload = UploadRow { acl: Some(acl()), ..upload.clone() };
    let marker =
        DeleteMarker { sequence: Sequence(4096), version: VersionId(4096), modified: NOW, owner: user(), noncurrent: Some(NOW) };
    let part = PartRow { object: ObjectId(9), size: 10, etag: etag(), checksum: None, modified: NOW, pieces, salt: None };
    let account = UserRow {
        id: user(),
        display_name: "Ada".into(),
        email: None,
        is_admin: false,
        created: NOW,
        number: None,
        is_governed: None,
        block: None,
        volume: None,
    };
    let access_key = AccessKeyRow {
        user: user(),
        sealed: vec![9, 8, 7],
        secret_version: 5,
        created: NOW,
        origin: None,
        holder: None,
        is_inactive: None,
    };
    let configured = AccessKeyRow { origin: Some(PairOrigin::Configuration), ..access_key.clone() };
    let sealed = KeyRow {
        head: head.clone(),
        body: KeyBody {
            parts: vec![PartEntry { salt: Some(Salt([6; 16])), ..body.parts[0].clone() }],
            encryption: Some(encryption()),
            ..body.clone()
        },
    };
    let sealed_session = SessionRow {
        bucket: BucketId(7),
        opened: NOW,
        blocks: Vec::new(),
        encryption: Some(SessionEncryption::Object(encryption())),
        storage: None,
    };
    let sealed_upload = UploadRow { encryption: Some(encryption()), ..upload.clone() };
    let sealed_part = PartRow { salt: Some(Salt([6; 16])), ..part.clone() };
    let kms_key = KmsKeyRow {
        id: KmsKeyId("k".into()),
        state: KmsKeyState::Disabled,
        created: NOW,
        versions: vec![KmsKeyVersion { sealed: sealed_key(), created: NOW }],
    };
    vec![
        ("volume", ::tables::encode(&VolumeRow { owner: user(), created: NOW })),
        ("bucket", ::tables::encode(&bucket)),
        ("bucket", ::tables::encode(&natively_guarded)),
        ("key", ::tables::encode(&natively)),
        ("key", ::tables::encode(&KeyRow { head, body })),
        (
            "session",
            ::tables::encode(&SessionRow {
                bucket: BucketId(7),
                opened: NOW,
                blocks: vec![block()],
                encryption: None,
                storage: None,
            }),
        ),
        ("upload", ::tables::encode(&upload)),
        ("part", ::tables::encode(&part)),
        ("completed", ::tables::encode(&CompletedRow { upload, answer, completed: NOW })),
        ("reclaim", ::tables::encode(&ReclaimRow { blocks: vec![block()] })),
        ("user", ::tables::encode(&account)),
        ("access-key", ::tables::encode(&access_key)),
        ("access-key", ::tables::encode(&configured)),
        ("bucket-config", ::tables::encode(&BucketConfigRow { document: tags(), changed: NOW })),
        ("revoked-key", ::tables::encode(&RevokedKeyRow { user: user(), revoked: NOW })),
        ("bucket", ::tables::encode(&locked)),
        ("version", ::tables::encode(&VersionRow::Object(version))),
        ("version", ::tables::encode(&VersionRow::Marker(marker))),
        ("key", ::tables::encode(&sealed)),
        ("session", ::tables::encode(&sealed_session)),
        ("upload", ::tables::encode(&sealed_upload)),
        ("part", ::tables::encode(&sealed_part)),
        ("scheme", ::tables::encode(&Scheme::Store(sealed_key()))),
        ("scheme", ::tables::encode(&Scheme::Customer(KeyCheck([4; 32])))),
        ("kms-key", ::tables::encode(&kms_key)),
        ("bucket", ::tables::encode(&guarded)),
        ("key", ::tables::encode(&granted)),
        ("upload", ::tables::encode(&granted_upload)),
        ("bucket-config", ::tables::encode(&BucketConfigRow { document: policy(), changed: NOW })),
        ("bucket-config", ::tables::encode(&BucketConfigRow { document: BucketAcl { acl: acl() }.into(), changed: NOW })),
        ("bucket", ::tables::encode(&cycling)),
        ("key", ::tables::encode(&elsewhere)),
        ("session", ::tables::encode(&cold_session)),
        ("upload", ::tables::encode(&cold_upload)),
        ("event", ::tables::encode(&event())),
        ("dead event", ::tables::encode(&DeadEventRow { event: event(), why: "410".into(), died: NOW })),
        ("event", ::tables::encode(&EventRow { kind: EventKind::Moved, class: Some("COLD".into()), ..event() })),
    ]
}

fn all_commands() -> Vec<Command> {
    let mut all = commands();
    all.extend(identities::commands());
    all
}

#[test]
fn commands_are_the_bytes_that_logs_hold() {
    let lines: Vec<String> =
        all_commands().iter().map(|command| format!("{} {}", command.name(), hex(&::tables::encode(command)))).collect();
    assert_eq!(lines, COMMANDS.lines().collect::<Vec<_>>());
}

#[test]
fn commands_of_logs_read_back() {
    let decode = |line: &str| {
        let digits = line.split(' ').nth(1).expect("a name and digits");
        let bytes: Vec<u8> =
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal")).collect();
        ::tables::decode::<Command>(&bytes, "command").expect("a command of an earlier release")
    };
    assert_eq!(COMMANDS.lines().map(decode).collect::<Vec<_>>(), all_commands());
}

#[test]
fn rows_are_the_bytes_that_tables_hold() {
    let lines: Vec<String> =
        rows().iter().chain(&identities::rows()).map(|(name, bytes)| format!("{name} {}", hex(bytes))).collect();
    assert_eq!(lines, ROWS.lines().collect::<Vec<_>>());
}
