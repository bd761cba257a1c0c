//! A namespace in memory that commands are applied to, encoded and decoded on the way as through a log.

use bucket_config::LifecycleConfiguration;
use bucket_config::lifecycle::{LifecycleRule, RuleScope};
use tables::MemoryTables;
use types::{
    BlockId, BucketId, BucketName, ChecksumAlgorithm, ChecksumType, ContainerId, DefaultRetention, ETag, LogIndex, Md5, ObjectId,
    ObjectKey, PartNumber, Replication, Salt, Timestamp, UploadId, VersionId, VolumeName,
};

use crate::rows::{Attributes, Encryption, KeyCheck, KeyRow, Scheme, Session, SessionEncryption, UploadKey, UserId};
use crate::{
    CloseSession, Command, CommitKey, CommitKeyRejected, CommitPart, CommittedBlock, ConfigChange, CopyAttributes, CopyKey,
    CopySource, CreateBucket, CreateUpload, DeleteKey, DeleteKeyRejected, DeletedKey, EnsureUser, ExtendSession, KeyCommitted,
    KeyDeletion, OpenSession, PartCommitted, Proposal, ReadConditions, SetBucketConfig, SetBucketLock, SetVersioning,
    VersioningStatus, WriteCondition, invariants, namespace, pending,
};

#[derive(Debug, Clone, Default)]
pub(crate) struct Namespace {
    pub(crate) tables: MemoryTables,
    log: u64,
    objects: u64,
    uploads: u128,
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("a legal key")
}

pub(crate) fn etag(n: u8) -> ETag {
    ETag::whole(Md5([n; 16]))
}

/// Under a client's own key.
pub(crate) fn sealed_object(n: u8) -> Encryption {
    Encryption { scheme: Scheme::Customer(KeyCheck([n; 32])), salt: Salt([n; 16]) }
}

pub(crate) fn block(local: u64) -> BlockId {
    BlockId { container: ContainerId(1), local }
}

pub(crate) fn deletion(name: &str, version: Option<VersionId>) -> KeyDeletion {
    KeyDeletion { version, ..KeyDeletion::of(key(name)) }
}

/// As it is, within the bucket.
pub(crate) fn copy_of(bucket: BucketId, from: &str, to: &str) -> CopyKey {
    CopyKey {
        source: CopySource { bucket, key: key(from), version: None, conditions: ReadConditions::default(), judged: None },
        bucket,
        key: key(to),
        attributes: CopyAttributes::Source,
        storage_class: None,
        condition: WriteCondition::Always,
        object: ObjectId(1 << 40),
        owner: None,
        max_size: 1000,
        now: Timestamp(1_000),
        checksum: None,
        lock: None,
        tags: None,
        encryption: None,
        acl: None,
        replication: None,
        website_redirect: None,
        origin: None,
    }
}

/// A rule that does nothing yet.
pub(crate) fn lifecycle_rule(prefix: &str) -> LifecycleRule {
    LifecycleRule {
        id: "rule".into(),
        is_enabled: true,
        scope: RuleScope::Prefix(prefix.into()),
        expiration: None,
        noncurrent_expiration: None,
        transitions: Vec::new(),
        noncurrent_transitions: Vec::new(),
        abort_uploads_after: None,
    }
}

fn committed(blocks: &[(u64, u64)]) -> Vec<CommittedBlock> {
    blocks.iter().map(|(local, length)| CommittedBlock { block: block(*local), length: *length }).collect()
}

impl Namespace {
    pub(crate) fn with_users<const N: usize>(users: [&str; N]) -> Self {
        let mut om = Self::default();
        for user in users {
            om.apply(om.account(user)).expect("a new user");
        }
        om
    }

    /// An account that owns nothing, without a key.
    pub(crate) fn account(&self, id: &str) -> EnsureUser {
        EnsureUser {
            user: UserId(id.into()),
            display_name: id.into(),
            email: None,
            is_admin: false,
            pair: None,
            now: self.now(),
            origin: None,
            volume: None,
        }
    }

    pub(crate) fn apply<C: Proposal>(&mut self, command: C) -> Result<C::Reply, C::Rejected> {
        self.log += 1;
        let bytes = tables::encode(&command.into());
        let command: Command = tables::decode(&bytes, "command").expect("what was encoded");
        let answer = command.apply(LogIndex(self.log), &mut self.tables).expect("memory does not fail");
        C::answer(&answer).expect("what was encoded")
    }

    /// Moves with the log.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(1_000 * (self.log + 1))
    }

    pub(crate) fn check(&self) {
        assert_eq!(invariants::violations(&self.tables).expect("memory does not fail"), Vec::<String>::new());
    }

    pub(crate) fn bucket(&self, owner: &str, name: &str) -> CreateBucket {
        CreateBucket {
            volume: VolumeName::s3v(),
            name: BucketName::parse(name).expect("legal"),
            owner: UserId(owner.into()),
            location: None,
            replication: Replication::One,
            limit: 100,
            now: self.now(),
            object_lock: None,
            acl: None,
            ownership: None,
        }
    }

    pub(crate) fn create_bucket(&mut self, owner: &str, name: &str) -> BucketId {
        self.apply(self.bucket(owner, name)).expect("a new bucket").id
    }

    pub(crate) fn open<const N: usize>(&mut self, bucket: BucketId, blocks: [u64; N]) -> Session {
        self.open_as(bucket, blocks, None)
    }

    pub(crate) fn open_sealed<const N: usize>(
        &mut self,
        bucket: BucketId,
        blocks: [u64; N],
        encryption: SessionEncryption,
    ) -> Session {
        self.open_as(bucket, blocks, Some(encryption))
    }

    fn open_as<const N: usize>(&mut self, bucket: BucketId, blocks: [u64; N], encryption: Option<SessionEncryption>) -> Session {
        self.objects += 1;
        let session = Session { object: ObjectId(self.objects), bucket, opened: self.now() };
        self.apply(OpenSession { session, blocks: blocks.map(block).to_vec(), encryption, storage: None })
            .expect("never rejected");
        session
    }

    pub(crate) fn extend<const N: usize>(&mut self, session: Session, blocks: [u64; N]) {
        let now = self.now();
        self.apply(ExtendSession { session, blocks: blocks.map(block).to_vec(), now }).expect("never rejected");
    }

    pub(crate) fn close(&mut self, session: Session) {
        let now = self.now();
        self.apply(CloseSession { session, now }).expect("never rejected");
    }

    pub(crate) fn commit_of<const N: usize>(&self, session: Session, name: &str, blocks: [(u64, u64); N]) -> CommitKey {
        CommitKey {
            origin: None,
            session,
            key: key(name),
            blocks: committed(&blocks),
            etag: etag(blocks.first().map_or(0, |(local, _)| *local as u8)),
            checksum: None,
            attributes: Attributes::default(),
            storage_class: None,
            condition: WriteCondition::Always,
            owner: None,
            now: self.now(),
            lock: None,
            acl: None,
        }
    }

    pub(crate) fn commit<const N: usize>(
        &mut self,
        session: Session,
        name: &str,
        blocks: [(u64, u64); N],
    ) -> Result<KeyCommitted, CommitKeyRejected> {
        self.apply(self.commit_of(session, name, blocks))
    }

    pub(crate) fn write<const N: usize>(&mut self, bucket: BucketId, name: &str, blocks: [(u64, u64); N]) -> KeyCommitted {
        let session = self.open(bucket, blocks.map(|(local, _)| local));
        self.commit(session, name, blocks).expect("a good commit")
    }

    pub(crate) fn write_sealed<const N: usize>(
        &mut self,
        bucket: BucketId,
        name: &str,
        blocks: [(u64, u64); N],
        encryption: Encryption,
    ) -> KeyCommitted {
        let session = self.open_sealed(bucket, blocks.map(|(local, _)| local), SessionEncryption::Object(encryption));
        self.commit(session, name, blocks).expect("a good commit")
    }

    pub(crate) fn delete(&mut self, bucket: BucketId, name: &str) {
        let now = self.now();
        self.apply(DeleteKey { origin: None, bucket, deletion: deletion(name, None), now, owner: None }).expect("unconditional");
    }

    pub(crate) fn delete_version(
        &mut self,
        bucket: BucketId,
        name: &str,
        version: VersionId,
    ) -> Result<DeletedKey, DeleteKeyRejected> {
        let now = self.now();
        self.apply(DeleteKey { origin: None, bucket, deletion: deletion(name, Some(version)), now, owner: None })
    }

    pub(crate) fn set_versioning(&mut self, bucket: BucketId, status: VersioningStatus) {
        self.apply(SetVersioning { bucket, status }).expect("the bucket exists and has no lock");
    }

    pub(crate) fn set_lifecycle(&mut self, bucket: BucketId, rules: impl Into<Vec<LifecycleRule>>) {
        let lifecycle = LifecycleConfiguration { rules: rules.into(), transition_minimum: None };
        let now = self.now();
        self.apply(SetBucketConfig { bucket, change: ConfigChange::Put(Box::new(lifecycle.into())), now })
            .expect("the bucket exists");
    }

    pub(crate) fn set_bucket_lock(&mut self, bucket: BucketId, default: Option<DefaultRetention>) {
        self.apply(SetBucketLock { bucket, default }).expect("the bucket is versioned");
    }

    /// All versions of a bucket: key, version, and `x` at a delete marker, `*` at what is current.
    pub(crate) fn versions(&self, bucket: BucketId) -> Vec<String> {
        let start = crate::listing::VersionStart::Beginning;
        let page = crate::listing::list_versions(&self.tables, bucket, "", None, &start, 1000).expect("memory does not fail");
        let show = |entry: &crate::listing::VersionEntry| match entry {
            crate::listing::VersionEntry::Version { key, head, is_latest } => {
                let kind = if matches!(head, crate::rows::VersionHead::Marker(_)) { "x" } else { "" };
                format!("{key} {}{kind}{}", head.version(), if *is_latest { "*" } else { "" })
            }
            crate::listing::VersionEntry::CommonPrefix(prefix) => prefix.clone(),
        };
        page.entries.iter().map(show).collect()
    }

    pub(crate) fn current(&self, bucket: BucketId, name: &str) -> Option<KeyRow> {
        namespace::current(&self.tables, bucket, &key(name)).expect("memory does not fail")
    }

    pub(crate) fn create_upload(&mut self, bucket: BucketId, name: &str) -> UploadKey {
        self.create_upload_with(bucket, name, None)
    }

    pub(crate) fn create_upload_with(
        &mut self,
        bucket: BucketId,
        name: &str,
        checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    ) -> UploadKey {
        self.create_upload_as(bucket, name, checksum, None)
    }

    pub(crate) fn create_sealed_upload(&mut self, bucket: BucketId, name: &str, encryption: Encryption) -> UploadKey {
        self.create_upload_as(bucket, name, None, Some(encryption))
    }

    fn create_upload_as(
        &mut self,
        bucket: BucketId,
        name: &str,
        checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
        encryption: Option<Encryption>,
    ) -> UploadKey {
        self.uploads += 1;
        let at = UploadKey { bucket, key: key(name), upload: UploadId::from_u128(self.uploads) };
        let now = self.now();
        let create = CreateUpload {
            at: at.clone(),
            initiator: None,
            attributes: Attributes::default(),
            storage_class: None,
            checksum,
            now,
            lock: None,
            encryption,
            acl: None,
            owner: None,
            replication: None,
        };
        self.apply(create).expect("the bucket exists");
        at
    }

    pub(crate) fn part_of<const N: usize>(
        &self,
        session: Session,
        at: &UploadKey,
        part: u16,
        blocks: [(u64, u64); N],
    ) -> CommitPart {
        CommitPart {
            session,
            at: at.clone(),
            part: PartNumber::new(part.into()).expect("legal"),
            blocks: committed(&blocks),
            etag: etag(blocks.first().map_or(0, |(local, _)| *local as u8)),
            checksum: None,
            now: self.now(),
        }
    }

    pub(crate) fn write_part<const N: usize>(&mut self, at: &UploadKey, part: u16, blocks: [(u64, u64); N]) -> PartCommitted {
        let session = self.open(at.bucket, blocks.map(|(local, _)| local));
        self.apply(self.part_of(session, at, part, blocks)).expect("the upload exists")
    }

    /// The local ids of all blocks in the deleted table, sorted.
    pub(crate) fn deleted_blocks(&self) -> Vec<u64> {
        let found = pending::reclaim(&self.tables, Timestamp(u64::MAX), usize::MAX).expect("memory does not fail");
        let mut blocks: Vec<u64> = found.blocks.iter().map(|block| block.local).collect();
        blocks.sort_unstable();
        blocks
    }
}
