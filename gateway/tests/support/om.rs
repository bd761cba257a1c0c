//! A namespace in memory: enough of the OM's promises to judge the gateway by.

mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use aws_lc_rs::hmac;
use bucket_config::{BucketDocument, ConfigKind};
use bytes::Bytes;
use gateway_core::auth::{Scope, SigningKey as Derived};
use om_api::*;
use rpc::{CallContext, CallError, Never};
use types::*;

use super::sealing::{self, Streams};

use shown::{at, bucket_info, pieces, upload_info};

pub const ACCESS_KEY: &str = "TESTACCESSKEY";
pub const SECRET_KEY: &str = "secret/of+the=test";
/// Small, so that objects of a test have several.
pub const BLOCK: u64 = 300_000;

#[derive(Debug, Default)]
pub struct MemoryOm(Mutex<State>);

#[derive(Debug)]
pub struct State {
    pub secret: (String, u64),
    pub buckets: BTreeMap<String, Bucket>,
    pub sessions: BTreeMap<ObjectId, Session>,
    pub uploads: BTreeMap<UploadId, Upload>,
    pub request_ids: BTreeSet<RequestId>,
    pub abandoned: u64,
    next: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            secret: (SECRET_KEY.to_owned(), 1),
            buckets: BTreeMap::new(),
            sessions: BTreeMap::new(),
            uploads: BTreeMap::new(),
            request_ids: BTreeSet::new(),
            abandoned: 0,
            next: 1,
        }
    }
}

#[derive(Debug, Default)]
pub struct Bucket {
    location: Option<String>,
    configs: BTreeMap<ConfigKind, BucketDocument>,
    pub keys: BTreeMap<String, Object>,
}

#[derive(Debug, Clone)]
pub struct Object {
    info: ObjectInfo,
    blocks: Vec<CommittedBlock>,
    /// Where the parts end.
    parts: Vec<(PartNumber, u64, Option<Checksum>)>,
    /// If it is encrypted.
    streams: Option<Streams>,
}

#[derive(Debug)]
pub struct Session {
    blocks: Vec<BlockId>,
    sealed: Option<SealWith>,
}

#[derive(Debug)]
pub struct Upload {
    key: String,
    bucket: String,
    attributes: ObjectAttributes,
    checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    parts: BTreeMap<PartNumber, (PartSummary, Vec<CommittedBlock>, Option<Salt>)>,
    encryption: Option<EncryptionInfo>,
    completed: Option<Box<KeyCommitted>>,
}

pub fn user() -> DisplayUser {
    DisplayUser { id: UserId("owner-id".into()), display_name: "Owner".into() }
}

const AT: Timestamp = Timestamp(1_782_864_000_000);

impl MemoryOm {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic under the lock")
    }

    fn checked(&self, cx: &CallContext, by: &Requester) -> Result<MutexGuard<'_, State>, Denied> {
        let mut state = self.state();
        assert!(state.request_ids.insert(cx.request_id), "a request id was used for two calls");
        match by {
            Requester::Signed { access_key, secret_version, .. } if access_key.0 == ACCESS_KEY => {
                if *secret_version == state.secret.1 { Ok(state) } else { Err(Denied::StaleCredential) }
            }
            Requester::Signed { .. } => Err(Denied::NoSuchAccessKey),
            Requester::Anonymous { .. } | Requester::System | Requester::LogDelivery { .. } => Err(Denied::AccessDenied),
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn hand_out(&mut self, object: ObjectId, count: u64) -> Vec<BlockLocation> {
        let mut blocks = Vec::new();
        for _ in 0..count {
            let block = BlockId { container: ContainerId(1), local: self.number() };
            let pipeline = PipelineId(self.next);
            self.sessions.get_mut(&object).expect("open").blocks.push(block);
            blocks.push(location(block, BLOCK, pipeline));
        }
        blocks
    }

    fn open(&mut self, size: Option<u64>, sealed: Option<SealWith>) -> OpenedKey {
        let object = ObjectId(self.number());
        self.sessions.insert(object, Session { blocks: Vec::new(), sealed: sealed.clone() });
        let blocks = self.hand_out(object, u64::from(size != Some(0)));
        let session = WriteSession { object, bucket: BucketId(1), opened: AT, replication: None };
        OpenedKey { session, blocks, block_size: BLOCK, encryption: sealed, needed_acl: false }
    }

    /// How its bytes were sealed.
    fn close(&mut self, session: &WriteSession, blocks: &[CommittedBlock]) -> Option<Option<SealWith>> {
        let open = self.sessions.remove(&session.object)?;
        assert!(blocks.iter().all(|block| open.blocks.contains(&block.block)), "foreign blocks");
        Some(open.sealed)
    }
}

fn location(block: BlockId, length: u64, pipeline: PipelineId) -> BlockLocation {
    let replica = Replica { datanode: DatanodeId(1), endpoint: Endpoint("dn:1".into()) };
    BlockLocation { block, pipeline, replicas: vec![replica], length, token: Bytes::from_static(b"token") }
}

fn reject<T, R>(rejection: R) -> Result<T, CallError<R>> {
    Err(CallError::Rejected(rejection))
}

fn refused<R>(make: impl FnOnce(Denied) -> R) -> impl FnOnce(Denied) -> CallError<R> {
    move |why| CallError::Rejected(make(why))
}

/// The condition, if it does not hold.
fn failing(condition: &WriteCondition, current: Option<ETag>) -> Option<Precondition> {
    let (holds, which) = match (condition, current) {
        (WriteCondition::Always, _) => return None,
        (WriteCondition::IfAbsent, current) => (current.is_none(), Precondition::IfNoneMatch),
        (WriteCondition::IfPresent, current) => (current.is_some(), Precondition::IfMatch),
        (WriteCondition::IfMatch(etag), current) => (current == Some(*etag), Precondition::IfMatch),
        (WriteCondition::IfNoneMatch(etag), current) => (current != Some(*etag), Precondition::IfNoneMatch),
    };
    (!holds).then_some(which)
}

#[async_trait]
impl Om for MemoryOm {
    async fn signing_key(&self, _: CallContext, request: SigningKeyRequest) -> Result<SigningKey, CallError<SigningKeyRejected>> {
        if request.access_key.0 != ACCESS_KEY {
            return reject(SigningKeyRejected::NoSuchAccessKey);
        }
        let (secret, secret_version) = self.state().secret.clone();
        let scope = Scope { date: request.date, region: request.region, service: request.service };
        let key = *Derived::derive(&secret, &scope).as_bytes();
        Ok(SigningKey { key, secret_version, user: user(), token: None, volume: None })
    }

    async fn verify_v2(&self, cx: CallContext, request: SignatureV2) -> Result<SignerV2, CallError<SignatureV2Rejected>> {
        let mut state = self.state();
        assert!(state.request_ids.insert(cx.request_id), "a request id was used for two calls");
        let (secret, secret_version) = state.secret.clone();
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        if request.access_key.0 != ACCESS_KEY {
            return reject(SignatureV2Rejected::NoSuchAccessKey);
        }
        let is_right = request.texts.iter().any(|text| hmac::verify(&key, text, &request.signature).is_ok());
        let signer = SignerV2 { secret_version, user: user(), token: None, volume: None };
        if is_right { Ok(signer) } else { reject(SignatureV2Rejected::Mismatch) }
    }

    async fn create_bucket(&self, cx: CallContext, request: CreateBucket) -> Result<BucketInfo, CallError<CreateBucketRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(CreateBucketRejected::Denied))?;
        let name = &at(&request.bucket);
        if let Some(bucket) = state.buckets.get(name) {
            return reject(CreateBucketRejected::OwnedByYou(Box::new(bucket_info(name, bucket))));
        }
        let bucket = Bucket { location: request.location, ..Bucket::default() };
        let info = bucket_info(name, &bucket);
        state.buckets.insert(name.to_owned(), bucket);
        Ok(info)
    }

    async fn delete_bucket(&self, cx: CallContext, request: DeleteBucket) -> Result<(), CallError<DeleteBucketRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(DeleteBucketRejected::Denied))?;
        match state.buckets.get(&at(&request.bucket)) {
            None => reject(DeleteBucketRejected::NoSuchBucket),
            Some(bucket) if !bucket.keys.is_empty() => reject(DeleteBucketRejected::NotEmpty),
            Some(_) => {
                state.buckets.remove(&at(&request.bucket));
                Ok(())
            }
        }
    }

    async fn get_bucket(&self, cx: CallContext, request: GetBucket) -> Result<BucketInfo, CallError<BucketRejected>> {
        let state = self.checked(&cx, &request.by).map_err(refused(BucketRejected::Denied))?;
        let name = &at(&request.bucket);
        state.buckets.get(name).map(|bucket| bucket_info(name, bucket)).ok_or(CallError::Rejected(BucketRejected::NoSuchBucket))
    }

    async fn list_buckets(&self, cx: CallContext, request: ListBuckets) -> Result<BucketPage, CallError<ListBucketsRejected>> {
        let state = self.checked(&cx, &request.by).map_err(refused(ListBucketsRejected::Denied))?;
        let after = request.after.unwrap_or_default();
        let mut buckets: Vec<_> = state
            .buckets
            .iter()
            .filter(|(name, _)| **name > after && name.starts_with(&request.prefix))
            .map(|(name, bucket)| bucket_info(name, bucket))
            .collect();
        let more = buckets.len() > request.limit as usize;
        buckets.truncate(request.limit as usize);
        Ok(BucketPage { owner: Some(user()), buckets, more })
    }

    // Versions are the real namespace's: their operations are tested against it, from outside.
    async fn set_versioning(&self, _: CallContext, _: SetVersioning) -> Result<(), CallError<SetVersioningRejected>> {
        Err(CallError::unavailable("kept by the real namespace alone"))
    }
    async fn set_bucket_lock(&self, _: CallContext, _: SetBucketLock) -> Result<(), CallError<SetBucketLockRejected>> {
        Err(CallError::unavailable("kept by the real namespace alone"))
    }
    async fn take_move(&self, _: CallContext, (): ()) -> Result<MoveOffer, CallError<MoveRejected>> {
        Ok(MoveOffer { work: None, ask_again: types::Millis(60_000) })
    }
    async fn locate_move(&self, _: CallContext, _: LocateMove) -> Result<MovePieces, CallError<MoveRejected>> {
        Err(CallError::Rejected(MoveRejected::Gone))
    }
    async fn finish_move(&self, _: CallContext, _: FinishMove) -> Result<(), CallError<MoveRejected>> {
        Err(CallError::Rejected(MoveRejected::Gone))
    }
    async fn append_key(&self, _: CallContext, _: AppendKey) -> Result<KeyCommitted, CallError<AppendRejected>> {
        Err(CallError::unavailable("kept by the real namespace alone"))
    }
    async fn rename_key(&self, _: CallContext, _: RenameKey) -> Result<KeyCommitted, CallError<RenameRejected>> {
        Err(CallError::unavailable("kept by the real namespace alone"))
    }
    async fn update_version(&self, _: CallContext, _: UpdateVersion) -> Result<VersionUpdated, CallError<UpdateVersionRejected>> {
        Err(CallError::unavailable("kept by the real namespace alone"))
    }
    async fn list_versions(&self, _: CallContext, _: ListVersions) -> Result<VersionPage, CallError<ListRejected>> {
        Err(CallError::unavailable("kept by the real namespace alone"))
    }
    async fn get_bucket_config(
        &self,
        cx: CallContext,
        request: GetBucketConfig,
    ) -> Result<BucketConfig, CallError<BucketRejected>> {
        let state = self.checked(&cx, &request.by).map_err(refused(BucketRejected::Denied))?;
        let Some(bucket) = state.buckets.get(&at(&request.bucket)) else { return reject(BucketRejected::NoSuchBucket) };
        Ok(BucketConfig { document: bucket.configs.get(&request.kind).cloned(), is_public: None, changed: None })
    }

    async fn set_bucket_config(
        &self,
        cx: CallContext,
        request: SetBucketConfig,
    ) -> Result<(), CallError<SetBucketConfigRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(SetBucketConfigRejected::Denied))?;
        let Some(bucket) = state.buckets.get_mut(&at(&request.bucket)) else {
            return reject(SetBucketConfigRejected::NoSuchBucket);
        };
        match request.change {
            ConfigChange::Put(document) => bucket.configs.insert(document.kind(), *document),
            ConfigChange::Delete(kind) => bucket.configs.remove(&kind),
        };
        Ok(())
    }
    async fn logged_buckets(&self, _: CallContext, _: GetLoggedBuckets) -> Result<LoggedBuckets, CallError<Never>> {
        Ok(LoggedBuckets::Page { state: None, buckets: Vec::new(), more: false })
    }
    async fn bucket_conduct(
        &self,
        _: CallContext,
        request: GetBucketConduct,
    ) -> Result<BucketConduct, CallError<BucketConductRejected>> {
        let state = self.state();
        let Some(bucket) = state.buckets.get(&at(&request.bucket)) else { return reject(BucketConductRejected::NoSuchBucket) };
        let documents = request.kinds.iter().filter_map(|kind| bucket.configs.get(kind).cloned()).collect();
        Ok(BucketConduct { id: BucketId(1), owner: user().id, documents })
    }

    async fn open_key(&self, cx: CallContext, request: OpenKey) -> Result<OpenedKey, CallError<OpenKeyRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(OpenKeyRejected::Denied))?;
        let Some(bucket) = state.buckets.get(&at(&request.bucket)) else { return reject(OpenKeyRejected::NoSuchBucket) };
        let current = bucket.keys.get(request.key.as_str()).map(|object| object.info.etag);
        if let Some(which) = failing(&request.condition, current) {
            return reject(OpenKeyRejected::PreconditionFailed(Some(which)));
        }
        if request.encryption == Some(EncryptionWanted::Unusable) {
            return reject(OpenKeyRejected::Encryption(EncryptionRejected::Unusable));
        }
        let number = state.number();
        let sealed = sealing::info(request.encryption.as_ref(), number).map(|info| sealing::seal_with(info.clone(), info.salt));
        Ok(state.open(request.size, sealed))
    }

    async fn allocate_blocks(
        &self,
        cx: CallContext,
        request: AllocateBlocks,
    ) -> Result<Vec<BlockLocation>, CallError<AllocateRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(AllocateRejected::Denied))?;
        if !state.sessions.contains_key(&request.session.object) {
            return reject(AllocateRejected::NoSuchSession);
        }
        Ok(state.hand_out(request.session.object, u64::from(request.count)))
    }

    async fn commit_key(&self, cx: CallContext, request: CommitKey) -> Result<KeyCommitted, CallError<CommitRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(CommitRejected::Denied))?;
        let Some(sealed) = state.close(&request.session, &request.blocks) else { return reject(CommitRejected::NoSuchSession) };
        let Some(bucket) = state.buckets.get_mut(&at(&request.bucket)) else { return reject(CommitRejected::NoSuchBucket) };
        let current = bucket.keys.get(request.key.as_str()).map(|object| object.info.etag);
        if let Some(which) = failing(&request.condition, current) {
            return reject(CommitRejected::PreconditionFailed(Some(which)));
        }
        let size = sealing::size(&request.blocks, sealed.is_some());
        let streams = sealed.as_ref().map(|sealed| vec![(sealed.stream, size)]);
        let info = ObjectInfo {
            encryption: sealed.map(|sealed| sealed.info),
            lock: None,
            ends: None,
            object: request.session.object,
            size,
            etag: request.etag,
            last_modified: AT,
            attributes: request.attributes,
            checksum: request.checksum.clone(),
            owner: user(),
            version: None,
            parts: None,
            part: None,
            part_offset: None,
        };
        let object = Object { info, blocks: request.blocks, parts: Vec::new(), streams };
        bucket.keys.insert(request.key.as_str().to_owned(), object);
        Ok(KeyCommitted { etag: request.etag, last_modified: AT, version: None, size, checksum: request.checksum, ends: None })
    }

    async fn abandon_key(&self, _: CallContext, request: AbandonKey) -> Result<(), CallError<Never>> {
        let mut state = self.state();
        state.sessions.remove(&request.session.object);
        state.abandoned += 1;
        Ok(())
    }

    async fn lookup_key(&self, cx: CallContext, request: LookupKey) -> Result<ObjectRead, CallError<LookupRejected>> {
        let state = self.checked(&cx, &request.by).map_err(refused(LookupRejected::Denied))?;
        let Some(bucket) = state.buckets.get(&at(&request.bucket)) else { return reject(LookupRejected::NoSuchBucket) };
        let Some(object) = bucket.keys.get(request.key.as_str()) else { return reject(LookupRejected::NoSuchKey) };
        if request.version.is_some_and(|version| !version.is_null()) {
            return reject(LookupRejected::NoSuchVersion);
        }
        if request.pinned.is_some_and(|pinned| pinned != object.info.object) {
            return reject(LookupRejected::Replaced);
        }
        let mut info = object.info.clone();
        let size = info.size;
        let (first, length) = match request.wanted {
            BlocksWanted::None | BlocksWanted::PartList { .. } => (0, 0),
            BlocksWanted::All | BlocksWanted::Stored(..) => (0, size),
            BlocksWanted::Range(ByteRange::Span(first, last)) if first < size => (first, last.min(size - 1) - first + 1),
            BlocksWanted::Range(ByteRange::From(first)) if first < size => (first, size - first),
            BlocksWanted::Range(ByteRange::Suffix(length)) => (size.saturating_sub(length), length.min(size)),
            BlocksWanted::Range(_) => (0, 0),
            BlocksWanted::Part(number) if object.parts.is_empty() && number.get() == 1 => (0, size),
            BlocksWanted::Part(number) => {
                let mut offset = 0;
                for (part, length, checksum) in &object.parts {
                    if *part == number {
                        info.part = Some(PartInfo { number, size: *length, checksum: checksum.clone() });
                        info.part_offset = Some(offset);
                        break;
                    }
                    offset += length;
                }
                let Some(part) = &info.part else { return reject(LookupRejected::NoSuchPart) };
                (offset, part.size)
            }
        };
        let (first, end) = match (&object.streams, request.wanted) {
            (Some(_), BlocksWanted::Stored(first, end)) => (first, end),
            (Some(streams), _) => sealing::stored(streams, first, length),
            (None, _) => (first, first + length),
        };
        let all = pieces(object, first, end - first);
        // Only two at a time, so that long reads come back for more.
        let more = all.len() > 2;
        let pieces: Vec<BlockPiece> = all.into_iter().take(2).collect();
        let open_with = match (&object.streams, &object.info.encryption) {
            (Some(streams), Some(info)) => sealing::open_with(info, streams, (first, end), &pieces),
            (_, _) => None,
        };
        Ok(ObjectRead { info, pieces, more, parts: Vec::new(), open_with, needed_acl: false })
    }

    async fn delete_key(&self, cx: CallContext, request: DeleteKey) -> Result<DeletedKey, CallError<DeleteKeyRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(DeleteKeyRejected::Denied))?;
        let Some(bucket) = state.buckets.get_mut(&at(&request.bucket)) else { return reject(DeleteKeyRejected::NoSuchBucket) };
        let key = request.deletion.key.as_str();
        if let Some(object) = bucket.keys.get(key)
            && let Some(which) = failing(&request.deletion.condition, Some(object.info.etag))
        {
            return reject(DeleteKeyRejected::PreconditionFailed(Some(which)));
        }
        bucket.keys.remove(key);
        Ok(DeletedKey::default())
    }

    async fn delete_keys(
        &self,
        cx: CallContext,
        request: DeleteKeys,
    ) -> Result<Vec<Result<DeletedKey, DeleteKeyRejected>>, CallError<DeleteKeysRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(DeleteKeysRejected::Denied))?;
        let Some(bucket) = state.buckets.get_mut(&at(&request.bucket)) else { return reject(DeleteKeysRejected::NoSuchBucket) };
        let one = |deletion: KeyDeletion| {
            let there = bucket.keys.get(deletion.key.as_str());
            match there.and_then(|object| failing(&deletion.condition, Some(object.info.etag))) {
                Some(which) => Err(DeleteKeyRejected::PreconditionFailed(Some(which))),
                None => {
                    bucket.keys.remove(deletion.key.as_str());
                    Ok(DeletedKey::default())
                }
            }
        };
        Ok(request.deletions.into_iter().map(one).collect())
    }

    async fn copy_key(&self, cx: CallContext, request: CopyKey) -> Result<KeyCopied, CallError<CopyRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(CopyRejected::Denied))?;
        let source = state.buckets.get(&at(&request.source_bucket)).and_then(|b| b.keys.get(request.source_key.as_str()));
        let Some(mut object) = source.cloned() else { return reject(CopyRejected::NoSuchSourceKey) };
        if request.encryption.is_some() || object.info.encryption.is_some() {
            return reject(CopyRejected::NeedsBytes);
        }
        let onto_itself = request.source_bucket == request.bucket && request.source_key == request.key;
        match request.attributes {
            CopyAttributes::Source if onto_itself => return reject(CopyRejected::OntoItself),
            CopyAttributes::Source => {}
            CopyAttributes::Replace(attributes) => object.info.attributes = attributes,
        }
        object.info.object = ObjectId(state.number());
        object.info.checksum = request.checksum.or(object.info.checksum);
        let ObjectInfo { etag, size, ref checksum, .. } = object.info;
        let committed = KeyCommitted { etag, last_modified: AT, version: None, size, checksum: checksum.clone(), ends: None };
        let Some(bucket) = state.buckets.get_mut(&at(&request.bucket)) else { return reject(CopyRejected::NoSuchBucket) };
        bucket.keys.insert(request.key.as_str().to_owned(), object);
        Ok(KeyCopied { committed, source_version: None, encryption: None })
    }

    async fn list_keys(&self, cx: CallContext, request: ListKeys) -> Result<KeyPage, CallError<ListRejected>> {
        let state = self.checked(&cx, &request.by).map_err(refused(ListRejected::Denied))?;
        let Some(bucket) = state.buckets.get(&at(&request.bucket)) else { return reject(ListRejected::NoSuchBucket) };
        let mut entries: Vec<ListEntry> = Vec::new();
        for (key, object) in bucket.keys.iter().filter(|(key, _)| key.starts_with(&request.prefix)) {
            let rest = &key[request.prefix.len()..];
            let rolled = request.delimiter.as_ref().and_then(|d| Some(&key[..request.prefix.len() + rest.find(d)? + d.len()]));
            let name = rolled.unwrap_or(key);
            let begins = match &request.start {
                ListStart::Beginning => true,
                ListStart::After(text) => name > text.as_str(),
                ListStart::At(text) => name >= text.as_str(),
            };
            let seen = matches!(entries.last(), Some(ListEntry::CommonPrefix(last)) if last == name);
            if !begins || seen {
                continue;
            }
            if entries.len() == request.limit as usize {
                return Ok(KeyPage { entries, next: Some(ListStart::At(name.to_owned())), seeks: 1, needed_acl: false });
            }
            entries.push(match rolled {
                Some(prefix) => ListEntry::CommonPrefix(prefix.to_owned()),
                None => ListEntry::Key(KeySummary {
                    key: ObjectKey::parse(key).expect("legal"),
                    size: object.info.size,
                    etag: object.info.etag,
                    last_modified: AT,
                    storage_class: None,
                    owner: user(),
                    checksum: None,
                }),
            });
        }
        Ok(KeyPage { entries, next: None, seeks: 1, needed_acl: false })
    }

    async fn create_upload(
        &self,
        cx: CallContext,
        request: CreateUpload,
    ) -> Result<UploadCreated, CallError<CreateUploadRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(CreateUploadRejected::Denied))?;
        let upload = UploadId::from_u128(u128::from(state.number()));
        let number = state.number();
        let encryption = sealing::info(request.encryption.as_ref(), number);
        let CreateUpload { bucket, key, attributes, checksum, .. } = request;
        let (bucket, key) = (at(&bucket), key.as_str().to_owned());
        let (parts, completed) = (BTreeMap::new(), None);
        let row = Upload { key, bucket, attributes, checksum, parts, encryption: encryption.clone(), completed };
        state.uploads.insert(upload, row);
        Ok(UploadCreated { upload, encryption, ends: None })
    }

    async fn open_part(&self, cx: CallContext, request: OpenPart) -> Result<OpenedKey, CallError<OpenPartRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(OpenPartRejected::Denied))?;
        let number = state.number();
        let upload = state.uploads.get(&request.upload).filter(|upload| upload.key == request.key.as_str());
        let Some(upload) = upload else { return reject(OpenPartRejected::NoSuchUpload) };
        let sealed = upload.encryption.clone().map(|info| sealing::seal_with(info, sealing::salt(number)));
        Ok(state.open(request.size, sealed))
    }

    async fn commit_part(&self, cx: CallContext, request: CommitPart) -> Result<PartCommitted, CallError<CommitPartRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(CommitPartRejected::Denied))?;
        let Some(sealed) = state.close(&request.session, &request.blocks) else {
            return reject(CommitPartRejected::NoSuchSession);
        };
        let size = sealing::size(&request.blocks, sealed.is_some());
        let (number, etag) = (request.part, request.etag);
        let object = request.session.object;
        let part = PartSummary { number, size, etag, last_modified: AT, checksum: request.checksum, object };
        let Some(upload) = state.uploads.get_mut(&request.upload) else { return reject(CommitPartRejected::NoSuchUpload) };
        upload.parts.insert(number, (part, request.blocks, sealed.map(|sealed| sealed.stream)));
        Ok(PartCommitted { etag, last_modified: AT, size, source_version: None })
    }

    async fn copy_part(&self, cx: CallContext, request: CopyPart) -> Result<PartCommitted, CallError<CopyPartRejected>> {
        let _state = self.checked(&cx, &request.by).map_err(refused(CopyPartRejected::Denied))?;
        reject(CopyPartRejected::NeedsBytes)
    }

    async fn list_parts(&self, cx: CallContext, request: ListParts) -> Result<PartPage, CallError<UploadRejected>> {
        let state = self.checked(&cx, &request.by).map_err(refused(UploadRejected::Denied))?;
        let upload = state.uploads.get(&request.upload).filter(|upload| upload.key == request.key.as_str());
        let Some(upload) = upload else { return reject(UploadRejected::NoSuchUpload) };
        let mut parts: Vec<_> =
            upload.parts.values().map(|(part, ..)| part.clone()).filter(|part| part.number.get() > request.after).collect();
        let more = parts.len() > request.limit as usize;
        parts.truncate(request.limit as usize);
        Ok(PartPage { upload: upload_info(upload), parts, more })
    }

    async fn complete_upload(
        &self,
        cx: CallContext,
        request: CompleteUpload,
    ) -> Result<KeyCommitted, CallError<CompleteUploadRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(CompleteUploadRejected::Denied))?;
        let object = ObjectId(state.number());
        let Some(upload) = state.uploads.get_mut(&request.upload) else { return reject(CompleteUploadRejected::NoSuchUpload) };
        let (mut blocks, mut parts, mut streams) = (Vec::new(), Vec::new(), Vec::new());
        for named in &request.parts {
            let (part, of_part, salt) = upload.parts.get(&named.number).expect("the gateway looked");
            blocks.extend_from_slice(of_part);
            streams.extend(salt.map(|salt| (salt, part.size)));
            parts.push((part.number, part.size, part.checksum.clone()));
        }
        let size = parts.iter().map(|(_, size, _)| size).sum();
        let streams = upload.encryption.is_some().then_some(streams);
        let info = ObjectInfo {
            encryption: upload.encryption.clone(),
            lock: None,
            ends: None,
            object,
            size,
            etag: request.etag,
            last_modified: AT,
            attributes: upload.attributes.clone(),
            checksum: request.checksum.clone(),
            owner: user(),
            version: None,
            parts: Some(parts.len() as u16),
            part: None,
            part_offset: None,
        };
        let committed =
            KeyCommitted { etag: request.etag, last_modified: AT, version: None, size, checksum: request.checksum, ends: None };
        upload.completed = Some(Box::new(committed.clone()));
        let (bucket, key) = (upload.bucket.clone(), upload.key.clone());
        let bucket = state.buckets.get_mut(&bucket).expect("there");
        bucket.keys.insert(key, Object { info, blocks, parts, streams });
        Ok(committed)
    }

    async fn abort_upload(&self, cx: CallContext, request: AbortUpload) -> Result<(), CallError<AbortUploadRejected>> {
        let mut state = self.checked(&cx, &request.by).map_err(refused(AbortUploadRejected::Denied))?;
        state.uploads.remove(&request.upload).map(drop).ok_or(CallError::Rejected(AbortUploadRejected::NoSuchUpload))
    }

    async fn list_uploads(&self, cx: CallContext, request: ListUploads) -> Result<UploadPage, CallError<BucketRejected>> {
        let state = self.checked(&cx, &request.by).map_err(refused(BucketRejected::Denied))?;
        let summary = |(id, upload): (&UploadId, &Upload)| UploadSummary {
            key: ObjectKey::parse(&upload.key).expect("legal"),
            upload: *id,
            info: upload_info(upload),
        };
        let open = state.uploads.iter().filter(|(_, upload)| upload.completed.is_none());
        let uploads = open.map(summary).collect();
        Ok(UploadPage { uploads, common_prefixes: Vec::new(), next_key_marker: None, next_upload_marker: None })
    }

    async fn get_account_block(
        &self,
        _: CallContext,
        _: GetAccountBlock,
    ) -> Result<Option<bucket_config::PublicAccessBlock>, CallError<Denied>> {
        Ok(None)
    }
    async fn set_account_block(&self, _: CallContext, _: SetAccountBlock) -> Result<(), CallError<Denied>> {
        Ok(())
    }
    async fn ensure_identities(&self, _: CallContext, _: EnsureIdentities) -> Result<u32, CallError<EnsureIdentitiesRejected>> {
        Ok(0)
    }
    async fn get_acl(&self, _: CallContext, _: GetAcl) -> Result<ShownAcl, CallError<AclRejected>> {
        Err(CallError::unavailable("no ACLs here"))
    }
    async fn set_acl(&self, _: CallContext, _: SetAcl) -> Result<AclSet, CallError<AclRejected>> {
        Err(CallError::unavailable("no ACLs here"))
    }
    async fn create_secret(&self, _: CallContext, _: CreateSecret) -> Result<IssuedSecret, CallError<SecretRejected>> {
        Err(CallError::unavailable("no secrets here"))
    }
    async fn revoke_secret(&self, _: CallContext, _: RevokeSecret) -> Result<(), CallError<SecretRejected>> {
        Err(CallError::unavailable("no secrets here"))
    }
    async fn create_account(&self, _: CallContext, _: CreateAccount) -> Result<CreatedAccount, CallError<AccountRejected>> {
        Err(CallError::unavailable("no users here"))
    }
    async fn update_account(&self, _: CallContext, _: UpdateAccount) -> Result<UserInfo, CallError<AccountRejected>> {
        Err(CallError::unavailable("no users here"))
    }
    async fn delete_account(&self, _: CallContext, _: DeleteAccount) -> Result<(), CallError<AccountRejected>> {
        Err(CallError::unavailable("no users here"))
    }
    async fn list_users(&self, _: CallContext, _: ListUsers) -> Result<Vec<UserInfo>, CallError<SecretRejected>> {
        Err(CallError::unavailable("no users here"))
    }
    async fn undelivered(&self, _: CallContext, _: GetUndelivered) -> Result<Undelivered, CallError<Denied>> {
        Err(CallError::Rejected(Denied::AccessDenied))
    }
    async fn create_kms_key(&self, _: CallContext, _: CreateKmsKey) -> Result<KmsKeyInfo, CallError<KmsRejected>> {
        Err(CallError::unavailable("no keys here"))
    }
    async fn list_kms_keys(&self, _: CallContext, _: ListKmsKeys) -> Result<Vec<KmsKeyInfo>, CallError<KmsRejected>> {
        Err(CallError::unavailable("no keys here"))
    }
    async fn change_kms_key(&self, _: CallContext, _: ChangeKmsKey) -> Result<KmsKeyInfo, CallError<KmsRejected>> {
        Err(CallError::unavailable("no keys here"))
    }
    async fn iam(&self, _: CallContext, _: IamCall) -> Result<types::IamValue, CallError<IamRejected>> {
        reject(IamRejected::Denied(Denied::AccessDenied))
    }
    async fn explain(&self, _: CallContext, _: Explain) -> Result<Option<Explanation>, CallError<Denied>> {
        reject(Denied::AccessDenied)
    }
    async fn authorise_admin(&self, _: CallContext, _: Requester) -> Result<(), CallError<Denied>> {
        reject(Denied::AccessDenied)
    }
    async fn ensure_user(&self, _: CallContext, _: EnsureUser) -> Result<UserInfo, CallError<EnsureUserRejected>> {
        Err(CallError::unavailable("no users here"))
    }
    async fn overview(&self, _: CallContext, (): ()) -> Result<OmOverview, CallError<Never>> {
        Err(CallError::unavailable("no overview here"))
    }
    async fn roles(&self, _: CallContext, (): ()) -> Result<RaftStatus, CallError<Never>> {
        Err(CallError::unavailable("no roles here"))
    }
    async fn transfer_leadership(&self, _: CallContext, _: TransferLeadership) -> Result<(), CallError<TransferRejected>> {
        Err(CallError::unavailable("no roles here"))
    }
}
