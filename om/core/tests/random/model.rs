//! The namespace as maps, without rows, references or a log.

use std::collections::{BTreeMap, BTreeSet};

use om_core::namespace::{self, ByteRange, Missing};
use om_core::rows::{Attributes, Encryption, Scheme, SealedKey, Session, SessionEncryption, UploadKey, UserId};
use om_core::{
    AbortUpload, CloseSession, CommitKey, CommitPart, CommittedBlock, CompleteUpload, CompletedPart, CopyAttributes,
    CopyEncryption, CopyKey, CopyPart, CopyScheme, CopySource, CreateBucket, CreateUpload, DeleteBucket, DeleteKey, DeleteKeys,
    DeletedKey, EnsureUser, ExpireSessions, ExtendSession, ForgetCompleted, KeyDeletion, OpenSession, PurgeBucket,
    ReadConditions, RemoveReclaimed, RenameKey, SetVersioning, UpdateVersion, VersionChange, VersioningStatus, WriteCondition,
    pending,
};
use types::{
    BlockId, BucketAddress, BucketId, ContainerId, ETag, Md5, ObjectId, PartNumber, Replication, Salt, Timestamp, UploadId,
    VersionId, VolumeName,
};

use crate::Real;
use crate::ops::{BUCKETS, KEYS, Op, Seal, key};

/// Block, offset and length of each piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) pieces: Vec<(u64, u64, u64)>,
    /// How many bytes were sealed by each write, if they were.
    pub(crate) streams: Option<Vec<u64>>,
    pub(crate) etag: ETag,
}

impl Object {
    pub(crate) fn size(&self) -> u64 {
        match &self.streams {
            None => self.pieces.iter().map(|(_, _, length)| length).sum(),
            Some(streams) => streams.iter().sum(),
        }
    }

    fn cut(&self, first: u64, end: u64) -> Vec<(u64, u64, u64)> {
        let bytes: Vec<(u64, u64)> =
            self.pieces.iter().flat_map(|(block, offset, length)| (0..*length).map(move |n| (*block, offset + n))).collect();
        let mut pieces: Vec<(u64, u64, u64)> = Vec::new();
        let mut at = 0;
        for (block, offset, length) in &self.pieces {
            let (start, stop) = (first.max(at), end.min(at + length));
            if start < stop {
                assert_eq!(bytes[start as usize], (*block, offset + (start - at)));
                pieces.push((*block, offset + (start - at), stop - start));
            }
            at += length;
        }
        pieces
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) id: VersionId,
    /// None is a delete marker.
    pub(crate) object: Option<Object>,
}

#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) id: ObjectId,
    pub(crate) object: Object,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UploadAt {
    pub(crate) bucket: BucketId,
    pub(crate) key: String,
    pub(crate) upload: UploadId,
}

impl UploadAt {
    pub(crate) fn to_core(&self) -> UploadKey {
        UploadKey { bucket: self.bucket, key: key(&self.key), upload: self.upload }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) buckets: BTreeMap<&'static str, BucketId>,
    /// Newest first.
    pub(crate) stacks: BTreeMap<(BucketId, String), Vec<Version>>,
    versioning: BTreeMap<BucketId, VersioningStatus>,
    pub(crate) uploads: BTreeMap<UploadAt, BTreeMap<u16, Part>>,
    pub(crate) reclaimed: BTreeSet<u64>,
    /// Uploads of buckets that are gone.
    ending: BTreeMap<UploadAt, BTreeMap<u16, Part>>,
    sessions: BTreeMap<ObjectId, (BucketId, Vec<u64>)>,
    /// Sessions and uploads in the order of their making, whether or not they have ended.
    all_sessions: Vec<Session>,
    all_uploads: Vec<UploadAt>,
    /// Of those sessions and uploads that seal what is written.
    seals: BTreeMap<ObjectId, Seal>,
    sealed_uploads: BTreeSet<UploadAt>,
    handed_out: u64,
    objects: u64,
}

fn block(local: u64) -> BlockId {
    BlockId { container: ContainerId(1), local }
}

/// One key for all: what is told apart here is what is sealed, and by which write.
fn encryption() -> Encryption {
    Encryption { scheme: Scheme::Store(SealedKey { version: 0, bytes: vec![1] }), salt: Salt([1; 16]) }
}

/// The bytes in so many stored ones; none if that is not what a write of this kind makes.
fn sealed_size(stored: u64) -> Option<u64> {
    match stored {
        0 => Some(0),
        1..=16 => None,
        // Far less than a segment.
        _ => Some(stored - 16),
    }
}

/// As the copy does where the bytes' MD5 is not known; compared only with itself, so any marker does.
fn tag(n: u64) -> ETag {
    ETag::whole(Md5((u128::from(n) << 1).to_be_bytes()))
}

/// Where a slot points: at the latest ones, counted back.
fn recent<T: Clone>(all: &[T], slot: usize) -> Option<T> {
    all.len().checked_sub(slot + 1).map(|at| all[at].clone())
}

impl Model {
    pub(crate) fn with_users(real: &mut Real) -> Self {
        let ada = EnsureUser {
            user: UserId("ada".into()),
            display_name: "Ada".into(),
            email: None,
            is_admin: false,
            pair: None,
            now: real.now(),
            origin: None,
            volume: None,
        };
        // Whose volume it is that Ada, too, has a bucket in.
        let red = EnsureUser { user: UserId("red".into()), volume: VolumeName::parse("red").ok(), ..ada.clone() };
        for account in [ada, red] {
            real.apply(account).expect("a new account");
        }
        Self::default()
    }

    /// Blocks that were handed out and that nothing refers to, sorted.
    pub(crate) fn freed(&self) -> Vec<u64> {
        let parts = self.uploads.values().chain(self.ending.values()).flat_map(BTreeMap::values);
        let versions = self.stacks.values().flatten().filter_map(|version| version.object.as_ref());
        let objects = versions.chain(parts.map(|part| &part.object));
        let live: BTreeSet<u64> = objects
            .flat_map(|object| object.pieces.iter().map(|(block, _, _)| *block))
            .chain(self.sessions.values().flat_map(|(_, blocks)| blocks.iter().copied()))
            .collect();
        (0..self.handed_out).filter(|block| !live.contains(block)).collect()
    }

    pub(crate) fn forget_sessions(&mut self) {
        self.sessions.clear();
    }

    fn hand_out(&mut self, count: u64) -> Vec<u64> {
        let first = self.handed_out;
        self.handed_out += count;
        (first..self.handed_out).collect()
    }

    fn next_object(&mut self) -> ObjectId {
        self.objects += 1;
        ObjectId(self.objects)
    }

    /// The bucket's id, or one that never was.
    fn bucket(&self, slot: usize) -> BucketId {
        self.buckets.get(BUCKETS[slot]).copied().unwrap_or(BucketId(u64::MAX))
    }

    pub(crate) fn current(&self, place: &(BucketId, String)) -> Option<&Object> {
        self.stacks.get(place)?.first()?.object.as_ref()
    }

    fn put(&mut self, place: (BucketId, String), object: Object, answered: Option<VersionId>) {
        let id = match self.versioning.get(&place.0) {
            Some(VersioningStatus::Enabled) => answered.expect("a versioned bucket names the version"),
            Some(VersioningStatus::Suspended) | None => {
                assert_eq!(answered, None);
                VersionId::NULL
            }
        };
        self.push(place, Version { id, object: Some(object) });
    }

    /// A name that an object left: its marker's version is read, since nothing answers with it.
    fn leave(&mut self, real: &Real, place: (BucketId, String)) {
        if !self.versioning.contains_key(&place.0) {
            self.stacks.remove(&place);
            return;
        }
        let found = namespace::version(&real.tables, place.0, &key(&place.1), None).expect("memory");
        let Err(Missing::DeleteMarker(id)) = found else { panic!("no marker under the old name: {found:?}") };
        self.push(place, Version { id, object: None });
    }

    fn delete(&mut self, place: (BucketId, String), deleted: &DeletedKey) {
        let Some(status) = self.versioning.get(&place.0) else {
            assert_eq!(*deleted, DeletedKey::default());
            self.stacks.remove(&place);
            return;
        };
        let id = deleted.version.expect("a marker has a version");
        assert!(deleted.delete_marker && id.is_null() == (*status == VersioningStatus::Suspended));
        self.push(place, Version { id, object: None });
    }

    fn push(&mut self, place: (BucketId, String), version: Version) {
        let stack = self.stacks.entry(place).or_default();
        if version.id.is_null() {
            stack.retain(|older| !older.id.is_null());
        }
        stack.insert(0, version);
    }

    fn exists(&self, bucket: BucketId) -> bool {
        self.buckets.values().any(|id| *id == bucket)
    }

    pub(crate) fn step(&mut self, real: &mut Real, op: &Op, step: usize) {
        let now = real.now();
        match op {
            Op::CreateBucket(slot) => self.create_bucket(real, BUCKETS[*slot], now),
            Op::DeleteBucket(slot) => self.delete_bucket(real, BUCKETS[*slot], *slot),
            Op::PurgeOne => self.purge(real, now),
            Op::Open { bucket, blocks, seal } => {
                let session = Session { object: self.next_object(), bucket: self.bucket(*bucket), opened: now };
                let blocks = self.hand_out(*blocks);
                let open = OpenSession {
                    session,
                    blocks: blocks.iter().copied().map(block).collect(),
                    encryption: match seal {
                        Seal::Nothing => None,
                        Seal::Object => Some(SessionEncryption::Object(encryption())),
                        Seal::Part => Some(SessionEncryption::Part(Salt(u128::from(session.object.0).to_be_bytes()))),
                    },
                    storage: None,
                };
                real.apply(open).expect("never rejected");
                self.sessions.insert(session.object, (session.bucket, blocks));
                self.all_sessions.push(session);
                self.seals.insert(session.object, *seal);
            }
            Op::Extend { session, blocks } => {
                let Some(session) = recent(&self.all_sessions, *session) else { return };
                let blocks = self.hand_out(*blocks);
                let extend = ExtendSession { session, blocks: blocks.iter().copied().map(block).collect(), now };
                real.apply(extend).expect("never rejected");
                if let Some((_, known)) = self.sessions.get_mut(&session.object) {
                    known.extend(blocks);
                }
            }
            Op::Close { session } => {
                let Some(session) = recent(&self.all_sessions, *session) else { return };
                real.apply(CloseSession { session, now }).expect("never rejected");
                self.sessions.remove(&session.object);
            }
            Op::ExpireAll => {
                let objects = self.sessions.keys().copied().collect();
                let expire = ExpireSessions { objects, opened_before: now, now };
                assert_eq!(real.apply(expire), Ok(self.sessions.len() as u32));
                self.sessions.clear();
            }
            Op::Commit { session, key, skip, reverse, condition } => {
                let Some(session) = recent(&self.all_sessions, *session) else { return };
                let known = self.sessions.get(&session.object).map(|(_, blocks)| blocks.clone());
                let mut blocks: Vec<u64> = known.clone().unwrap_or_default().into_iter().skip(*skip).collect();
                if *reverse {
                    blocks.reverse();
                }
                let current = self.current(&(session.bucket, KEYS[*key].to_owned())).map(|object| object.etag);
                let (condition, holds) = condition.resolve(current);
                let is_good = known.is_some() && self.exists(session.bucket) && holds;
                self.commit(real, session, KEYS[*key], &blocks, condition, is_good, step as u64);
            }
            Op::CommitForeign { session, other, key } => {
                let (Some(session), Some(other)) = (recent(&self.all_sessions, *session), recent(&self.all_sessions, *other))
                else {
                    return;
                };
                let foreign = self.sessions.get(&other.object).map(|(_, blocks)| blocks.clone()).unwrap_or_default();
                let own = session.object == other.object || foreign.is_empty();
                let is_good = own && self.sessions.contains_key(&session.object) && self.exists(session.bucket);
                self.commit(real, session, KEYS[*key], &foreign, WriteCondition::Always, is_good, step as u64);
            }
            Op::Delete { bucket, key: at, condition } => {
                let bucket = self.bucket(*bucket);
                let place = (bucket, KEYS[*at].to_owned());
                let is_absent = !self.stacks.contains_key(&place);
                let is_marker = !is_absent && self.current(&place).is_none();
                let (condition, holds) = condition.resolve(self.current(&place).map(|object| object.etag));
                // A marker is something, without a tag of its own.
                let holds = if is_marker {
                    matches!(condition, WriteCondition::Always | WriteCondition::IfPresent)
                } else {
                    holds || is_absent
                };
                let condition_is_set = condition != WriteCondition::Always;
                let deletion = KeyDeletion { condition, ..KeyDeletion::of(key(KEYS[*at])) };
                let outcome = real.apply(DeleteKey { origin: None, bucket, deletion, now, owner: None });
                assert_eq!(outcome.is_ok(), self.exists(bucket) && holds);
                let is_left_alone = is_absent && condition_is_set;
                if let Some(deleted) = outcome.ok().filter(|_| !is_left_alone) {
                    self.delete(place, &deleted);
                }
            }
            Op::DeleteAll { bucket } => {
                let bucket = self.bucket(*bucket);
                let deletions = KEYS.iter().map(|name| KeyDeletion::of(key(name))).collect();
                let outcome = real.apply(DeleteKeys { origin: None, bucket, deletions, now, owner: None });
                assert_eq!(outcome.is_ok(), self.exists(bucket));
                for (name, deleted) in KEYS.iter().zip(outcome.into_iter().flatten()) {
                    self.delete((bucket, (*name).to_owned()), &deleted.expect("unconditional"));
                }
            }
            Op::DeleteVersion { bucket, key: at, version } => {
                let bucket = self.bucket(*bucket);
                let place = (bucket, KEYS[*at].to_owned());
                let there = self.stacks.get(&place).and_then(|stack| stack.get(*version)).cloned();
                let named = there.as_ref().map_or(VersionId(u64::MAX), |there| there.id);
                let deletion = KeyDeletion { version: Some(named), ..KeyDeletion::of(key(KEYS[*at])) };
                let outcome = real.apply(DeleteKey { origin: None, bucket, deletion, now, owner: None });
                let is_marker = there.as_ref().is_some_and(|there| there.object.is_none());
                let expected = DeletedKey { version: Some(named), delete_marker: is_marker };
                assert_eq!(outcome.ok(), self.exists(bucket).then_some(expected));
                if let Some(stack) = self.stacks.get_mut(&place) {
                    stack.retain(|version| version.id != named);
                }
                self.stacks.retain(|_, stack| !stack.is_empty());
            }
            Op::Rename { bucket, from, to } => {
                let bucket = self.bucket(*bucket);
                let (old, new) = ((bucket, KEYS[*from].to_owned()), (bucket, KEYS[*to].to_owned()));
                let rename = RenameKey {
                    origin: None,
                    judged: None,
                    bucket,
                    source: key(KEYS[*from]),
                    source_conditions: ReadConditions::default(),
                    key: key(KEYS[*to]),
                    condition: WriteCondition::Always,
                    conditions: ReadConditions::default(),
                    owner: None,
                    now,
                };
                let object = self.current(&old).cloned();
                let outcome = real.apply(rename);
                assert_eq!(outcome.is_ok(), object.is_some() && from != to, "{outcome:?}");
                if let (Ok(renamed), Some(object)) = (outcome, object) {
                    self.leave(real, old);
                    self.put(new, object, renamed.version);
                }
            }
            Op::SetVersioning { bucket, suspend } => {
                let bucket = self.bucket(*bucket);
                let status = if *suspend { VersioningStatus::Suspended } else { VersioningStatus::Enabled };
                assert_eq!(real.apply(SetVersioning { bucket, status }).is_ok(), self.exists(bucket));
                if self.exists(bucket) {
                    self.versioning.insert(bucket, status);
                }
            }
            Op::Tag { bucket, key: at, version } => {
                let bucket = self.bucket(*bucket);
                let place = (bucket, KEYS[*at].to_owned());
                let there = self.stacks.get(&place).and_then(|stack| stack.get(*version)).cloned();
                let version = there.as_ref().map_or(VersionId(u64::MAX), |there| there.id);
                let change = VersionChange::Tags(vec![("step".into(), step.to_string())]);
                let tag = UpdateVersion {
                    origin: None,
                    judged: None,
                    bucket,
                    key: key(KEYS[*at]),
                    version: Some(version),
                    change,
                    now,
                };
                assert_eq!(real.apply(tag).is_ok(), there.is_some_and(|there| there.object.is_some()));
            }
            Op::Copy { from, to, replace, sealed } => self.copy(real, *from, *to, (*replace, *sealed), now),
            Op::CreateUpload { bucket, key, sealed } => {
                let upload = UploadId::from_u128(self.all_uploads.len() as u128);
                let at = UploadAt { bucket: self.bucket(*bucket), key: KEYS[*key].to_owned(), upload };
                let create = CreateUpload {
                    at: at.to_core(),
                    initiator: None,
                    attributes: Attributes::default(),
                    storage_class: None,
                    checksum: None,
                    now,
                    lock: None,
                    encryption: sealed.then(encryption),
                    acl: None,
                    owner: None,
                    replication: None,
                };
                let outcome = real.apply(create);
                assert_eq!(outcome.is_ok(), self.exists(at.bucket));
                if outcome.is_ok() {
                    self.uploads.insert(at.clone(), BTreeMap::new());
                    if *sealed {
                        self.sealed_uploads.insert(at.clone());
                    }
                }
                self.all_uploads.push(at);
            }
            Op::CommitPart { session, upload, part } => self.commit_part(real, *session, *upload, *part, step as u64),
            Op::CopyPart { from, upload, part, range } => self.copy_part(real, *from, *upload, *part, *range, now),
            Op::Complete { upload, parts } => self.complete(real, *upload, *parts, step as u64),
            Op::Abort { upload } => {
                let Some(at) = recent(&self.all_uploads, *upload) else { return };
                let outcome = real.apply(AbortUpload { at: at.to_core(), now });
                assert_eq!(outcome.is_ok(), self.uploads.remove(&at).is_some());
            }
            Op::ForgetCompleted => {
                real.apply(ForgetCompleted { completed_before: now, limit: 1000 }).expect("never rejected");
            }
            Op::Reclaim => {
                let found = pending::reclaim(&real.tables, now, usize::MAX).expect("memory");
                self.reclaimed.extend(found.blocks.iter().map(|block| block.local));
                real.apply(RemoveReclaimed { rows: found.rows }).expect("never rejected");
            }
        }
    }

    fn create_bucket(&mut self, real: &mut Real, name: &'static str, now: Timestamp) {
        let path = BucketAddress::parse(name).expect("legal").within(VolumeName::s3v_ref());
        let create = CreateBucket {
            volume: path.volume().clone(),
            name: path.into_name(),
            owner: UserId("ada".into()),
            location: None,
            replication: Replication::One,
            limit: 100,
            now,
            object_lock: None,
            acl: None,
            ownership: None,
        };
        let outcome = real.apply(create);
        assert_eq!(outcome.is_ok(), !self.buckets.contains_key(name));
        if let Ok(row) = outcome {
            self.buckets.insert(name, row.id);
        }
    }

    fn delete_bucket(&mut self, real: &mut Real, name: &'static str, slot: usize) {
        let bucket = self.bucket(slot);
        let is_empty = !self.stacks.keys().any(|(owner, _)| *owner == bucket);
        let outcome = real.apply(DeleteBucket { bucket });
        assert_eq!(outcome.is_ok(), self.exists(bucket) && is_empty);
        if outcome.is_ok() {
            self.buckets.remove(name);
            let (ending, uploads) = std::mem::take(&mut self.uploads).into_iter().partition(|(at, _)| at.bucket == bucket);
            self.uploads = uploads;
            self.ending.extend::<BTreeMap<_, _>>(ending);
        }
    }

    fn purge(&mut self, real: &mut Real, now: Timestamp) {
        let Some(bucket) = pending::ending_bucket(&real.tables).expect("memory") else {
            assert!(self.ending.is_empty(), "uploads of a bucket that is gone wait to be purged");
            return;
        };
        // A row at a time would be seen half done by the model; whole buckets are not.
        while real.apply(PurgeBucket { bucket, limit: 1, now: real.now().max(now) }).expect("never rejected") {}
        self.ending.retain(|at, _| at.bucket != bucket);
    }

    #[expect(clippy::too_many_arguments, reason = "a commit has as many")]
    fn commit(
        &mut self,
        real: &mut Real,
        session: Session,
        name: &str,
        blocks: &[u64],
        condition: WriteCondition,
        is_good: bool,
        n: u64,
    ) {
        let pieces: Vec<(u64, u64, u64)> = blocks.iter().map(|local| (*local, 0, 10)).collect();
        let stored = 10 * pieces.len() as u64;
        let (fits, streams) = match self.seals.get(&session.object) {
            None | Some(Seal::Nothing) => (true, None),
            Some(Seal::Object) => (sealed_size(stored).is_some(), sealed_size(stored).map(|size| vec![size])),
            Some(Seal::Part) => (false, None),
        };
        let commit = CommitKey {
            origin: None,
            session,
            key: key(name),
            blocks: blocks.iter().map(|local| CommittedBlock { block: block(*local), length: 10 }).collect(),
            etag: tag(n),
            checksum: None,
            attributes: Attributes::default(),
            storage_class: None,
            condition,
            owner: None,
            now: real.now(),
            lock: None,
            acl: None,
        };
        let outcome = real.apply(commit);
        assert_eq!(outcome.is_ok(), is_good && fits, "{outcome:?}");
        self.sessions.remove(&session.object);
        if let Ok(committed) = outcome {
            self.put((session.bucket, name.to_owned()), Object { pieces, streams, etag: tag(n) }, committed.version);
        }
    }

    fn source(&self, (bucket, at): (usize, usize)) -> (CopySource, Option<Object>) {
        let bucket = self.bucket(bucket);
        let object = self.current(&(bucket, KEYS[at].to_owned())).cloned();
        let conditions = ReadConditions::default();
        (CopySource { bucket, key: key(KEYS[at]), version: None, conditions, judged: None }, object)
    }

    fn copy(
        &mut self,
        real: &mut Real,
        from: (usize, usize),
        to: (usize, usize),
        (replace, sealed): (bool, bool),
        now: Timestamp,
    ) {
        let (source, object) = self.source(from);
        let bucket = self.bucket(to.0);
        let attributes = if replace { CopyAttributes::Replace(Attributes::default()) } else { CopyAttributes::Source };
        let copy = CopyKey {
            origin: None,
            source,
            bucket,
            key: key(KEYS[to.1]),
            attributes,
            storage_class: None,
            condition: WriteCondition::Always,
            object: self.next_object(),
            owner: None,
            max_size: u64::MAX,
            now,
            checksum: None,
            lock: None,
            tags: None,
            encryption: sealed.then_some(CopyEncryption { scheme: CopyScheme::Store, is_asked_for: false }),
            acl: None,
            replication: None,
            website_redirect: None,
        };
        let outcome = real.apply(copy);
        let is_alike = object.as_ref().is_some_and(|object| object.streams.is_some() == sealed);
        let is_good = is_alike && self.exists(bucket) && (from != to || replace);
        assert_eq!(outcome.is_ok(), is_good, "{outcome:?}");
        if let (Some(object), Ok(copied)) = (object, outcome) {
            self.put((bucket, KEYS[to.1].to_owned()), object, copied.committed.version);
        }
    }

    fn commit_part(&mut self, real: &mut Real, session: usize, upload: usize, part: u16, n: u64) {
        let (Some(session), Some(at)) = (recent(&self.all_sessions, session), recent(&self.all_uploads, upload)) else {
            return;
        };
        let known = self.sessions.remove(&session.object);
        let blocks = known.clone().map(|(_, blocks)| blocks).unwrap_or_default();
        let commit = CommitPart {
            session,
            at: at.to_core(),
            part: PartNumber::new(part.into()).expect("legal"),
            blocks: blocks.iter().map(|local| CommittedBlock { block: block(*local), length: 10 }).collect(),
            etag: tag(n),
            checksum: None,
            now: real.now(),
        };
        let outcome = real.apply(commit);
        let stored = 10 * blocks.len() as u64;
        let (fits, streams) = match (self.sealed_uploads.contains(&at), self.seals.get(&session.object)) {
            (false, None | Some(Seal::Nothing)) => (true, None),
            (true, Some(Seal::Part)) => (sealed_size(stored).is_some(), sealed_size(stored).map(|size| vec![size])),
            (_, _) => (false, None),
        };
        let is_good = known.is_some() && session.bucket == at.bucket && self.uploads.contains_key(&at) && fits;
        assert_eq!(outcome.is_ok(), is_good, "{outcome:?}");
        if is_good {
            let pieces = blocks.iter().map(|local| (*local, 0, 10)).collect();
            let part_row = Part { id: session.object, object: Object { pieces, streams, etag: tag(n) } };
            self.uploads.entry(at).or_default().insert(part, part_row);
        }
    }

    fn copy_part(
        &mut self,
        real: &mut Real,
        from: (usize, usize),
        upload: usize,
        part: u16,
        range: Option<(u64, u64)>,
        now: Timestamp,
    ) {
        let Some(at) = recent(&self.all_uploads, upload) else { return };
        let (source, object) = self.source(from);
        let id = self.next_object();
        let copy = CopyPart {
            source,
            range: range.map(|(first, last)| ByteRange::Span(first, last)),
            at: at.to_core(),
            part: PartNumber::new(part.into()).expect("legal"),
            object: id,
            max_size: u64::MAX,
            now,
        };
        let outcome = real.apply(copy);
        let span = object.as_ref().and_then(|object| match range {
            None => Some((0, object.size())),
            Some((first, last)) => (first <= last && last < object.size()).then_some((first, last + 1)),
        });
        let is_plain = !self.sealed_uploads.contains(&at) && object.as_ref().is_none_or(|object| object.streams.is_none());
        let is_good = self.uploads.contains_key(&at) && span.is_some() && is_plain;
        assert_eq!(outcome.is_ok(), is_good, "{outcome:?}");
        if let (Ok(copied), Some(object), Some((first, end))) = (outcome, object, span) {
            let object = Object { pieces: object.cut(first, end), streams: None, etag: copied.etag };
            self.uploads.entry(at).or_default().insert(part, Part { id, object });
        }
    }

    fn complete(&mut self, real: &mut Real, upload: usize, parts: u8, n: u64) {
        let Some(at) = recent(&self.all_uploads, upload) else { return };
        let there = self.uploads.get(&at).cloned().unwrap_or_default();
        let named: Vec<(u16, Part)> = there.into_iter().filter(|(number, _)| parts & (1 << (number - 1)) != 0).collect();
        let complete = CompleteUpload {
            origin: None,
            at: at.to_core(),
            parts: named
                .iter()
                .map(|(number, part)| CompletedPart {
                    number: PartNumber::new((*number).into()).expect("legal"),
                    etag: part.object.etag,
                    object: part.id,
                })
                .collect(),
            etag: tag(n),
            checksum: None,
            condition: WriteCondition::Always,
            object: self.next_object(),
            min_part_size: 0,
            max_size: u64::MAX,
            now: real.now(),
        };
        let outcome = real.apply(complete);
        let is_good = self.uploads.contains_key(&at) && !named.is_empty();
        assert_eq!(outcome.is_ok(), is_good, "{outcome:?}");
        if let Ok(completed) = outcome {
            self.uploads.remove(&at);
            let streams = named.iter().map(|(_, part)| part.object.streams.clone()).collect::<Option<Vec<_>>>();
            let streams = streams.map(|streams| streams.concat());
            let pieces = named.into_iter().flat_map(|(_, part)| part.object.pieces).collect();
            self.put((at.bucket, at.key), Object { pieces, streams, etag: tag(n) }, completed.version);
        }
    }
}
