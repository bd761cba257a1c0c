//! Writing an object: open, more blocks, commit, abandon.

use std::time::Instant;

use om_api as api;
use om_core::authorise::{Action, Identity, Target};
use om_core::rows::{BucketRow, Encryption, Scheme, Session, SessionEncryption, Storage};
use om_core::{ConditionFailed, ExtendSession, OpenSession, namespace};
use rpc::{CallContext, CallError, Never};
use scm_api::token::Access;
use tables::ReadTables;
use types::sealed::stored_length;
use types::{BlockId, BlockLocation, BucketId, ObjectId, ObjectKey, PipelineId, Replication, Timestamp};

use super::OmService;
use super::calls::{Kind, Refusal, Stop, scoped};
use super::encryption::{Sealing, Wanted, named};
use super::entry::Entry;
use crate::blocks::{HandedOut, NoBlocks};
use crate::convert::{IntoApi, IntoCore};
use crate::lifecycles::Rules;

const STANDARD: &str = "STANDARD";

/// A rejection that can say that there is no such storage class.
pub(super) trait StorageRefusal: Refusal {
    fn invalid_storage_class() -> Self;
}

macro_rules! refusals {
    ($($name:ident),* $(,)?) => {$(
        impl StorageRefusal for api::$name {
            fn invalid_storage_class() -> Self { Self::InvalidStorageClass }
        }
    )*};
}

refusals!(OpenKeyRejected, CopyRejected, CreateUploadRejected);

/// Blocks handed out in one answer. A writer asks for more as it goes, so that a large size alone takes none away.
const MOST_BLOCKS: u32 = 8;

/// How what is written will be stored.
enum How {
    New { storage: Option<Storage>, encryption: Option<Wanted> },
    As(Base),
}

/// What is written is kept and sealed as this object is.
struct Base {
    object: ObjectId,
    storage: Option<Storage>,
    encryption: Option<Encryption>,
}

/// The object that is to be made longer.
fn base_of(
    tables: &dyn ReadTables,
    identity: &Identity,
    bucket: &BucketRow,
    key: &ObjectKey,
    object: ObjectId,
) -> Result<Base, Stop<api::OpenKeyRejected>> {
    let current = namespace::current(tables, bucket.id, key)?;
    let Some(row) = current.filter(|row| row.head.object == object) else {
        return Err(Stop::Rejected(api::OpenKeyRejected::BaseChanged));
    };
    if matches!(row.body.encryption, Some(Encryption { scheme: Scheme::Kms(_), .. })) {
        named(identity)?;
    }
    let class = row.head.storage_class.unwrap_or_else(|| STANDARD.to_owned());
    let storage = row.body.replication.map(|replication| Storage { class, replication });
    Ok(Base { object, storage, encryption: row.body.encryption })
}

/// Why a session could not be opened or extended.
pub(super) enum NoSession<R> {
    NoBlocks(NoBlocks),
    Call(CallError<R>),
}

impl<R> NoSession<R> {
    pub(super) fn into_call(self, no_blocks: impl FnOnce(String) -> R) -> CallError<R> {
        match self {
            Self::NoBlocks(why) => CallError::Rejected(no_blocks(why.to_string())),
            Self::Call(error) => error,
        }
    }
}

impl OmService {
    /// How what is to be in a class is kept. STANDARD, or none at all, is as the bucket says.
    pub(super) fn storage<R: StorageRefusal>(&self, class: Option<&str>) -> Result<Option<Storage>, Stop<R>> {
        let Some(class) = class.filter(|class| *class != STANDARD) else { return Ok(None) };
        match self.config.storage_classes.get(class) {
            Some(replication) => Ok(Some(Storage { class: class.to_owned(), replication: *replication })),
            None => Err(Stop::Rejected(R::invalid_storage_class())),
        }
    }

    pub(super) async fn open_key(
        &self,
        cx: CallContext,
        request: api::OpenKey,
    ) -> Result<api::OpenedKey, CallError<api::OpenKeyRejected>> {
        type Rejected = api::OpenKeyRejected;
        let condition = request.condition.clone().into_core();
        let (caller, bucket, how, needed_acl) = self
            .log
            .read(cx.deadline, |tables| {
                let entry = self.open::<Rejected>(tables, &request.by, &request.bucket)?;
                entry.allow_write_if(tables, &request.key, &request.condition)?;
                // An ACL that cannot be had is refused before the bytes come; it is made when they are there.
                entry.written::<Rejected>(tables)?;
                let needed_acl = entry.needed_acl(Action::PutObject, Target::Key(&request.key));
                let Entry { identity, bucket, .. } = entry;
                if request.size.is_some_and(|size| size > self.config.max_put) {
                    return Err(Stop::Rejected(Rejected::TooLarge));
                }
                if request.locks && bucket.object_lock.is_none() {
                    return Err(Stop::Rejected(Rejected::NoObjectLock));
                }
                let current = match condition {
                    om_core::WriteCondition::Always => None,
                    _ => namespace::current_head(tables, bucket.id, &request.key)?,
                };
                condition.check(current.as_ref()).map_err(|failed| {
                    Stop::Rejected(match failed {
                        ConditionFailed::Mismatch(which) => Rejected::PreconditionFailed(Some(which)),
                        ConditionFailed::Absent => Rejected::NoSuchKey,
                    })
                })?;
                let how = match request.appends_to {
                    Some(object) => How::As(base_of(tables, &identity, &bucket, &request.key, object)?),
                    None => How::New {
                        storage: self.storage(request.storage_class.as_deref())?,
                        encryption: self.wanted_encryption(tables, &identity, &bucket, request.encryption.as_ref())?,
                    },
                };
                Ok((identity.caller().to_owned(), bucket, how, needed_acl))
            })
            .await?;
        let (storage, sealing) = match how {
            How::New { storage, encryption } => (storage, self.object_sealing(encryption, &cx).await?),
            How::As(Base { object, storage, encryption }) => {
                let noted = |salt| SessionEncryption::Append { object, salt };
                (storage, self.stream_sealing(encryption, noted).await?)
            }
        };
        let opened = self.open_session(&bucket, request.size, sealing, storage, &caller, cx.deadline).await;
        let opened = opened.map_err(|error| error.into_call(Rejected::NoBlocks))?;
        Ok(api::OpenedKey { needed_acl, ..opened })
    }

    /// Gives a write its id and its first blocks, and notes them in the log.
    pub(super) async fn open_session<R>(
        &self,
        bucket: &BucketRow,
        size: Option<u64>,
        sealing: Option<Sealing>,
        storage: Option<Storage>,
        caller: &str,
        deadline: Instant,
    ) -> Result<api::OpenedKey, NoSession<R>> {
        let size = if sealing.is_some() { size.map(stored_length) } else { size };
        let count = match size {
            None => 1,
            Some(size) => u32::try_from(size.div_ceil(self.config.block_size)).unwrap_or(u32::MAX).min(MOST_BLOCKS),
        };
        let object = self.ids.next(deadline).await.map_err(|error| NoSession::Call(error.into()))?;
        let replication = storage.as_ref().map(|storage| storage.replication);
        let kept = replication.unwrap_or(bucket.replication);
        let (handed_out, blocks) = self.lease(kept, count, &[], caller, deadline).await?;
        let session = Session { object, bucket: bucket.id, opened: self.clock.now() };
        let (encryption, seal_with) = sealing.map(|Sealing { noted, seal_with }| (noted, seal_with)).unzip();
        let noted = OpenSession { session, blocks: handed_out, encryption, storage };
        let noted = match size {
            Some(size) if size <= self.config.small_write => self.log.propose_unawaited(noted),
            _ => self.log.propose(None, noted, deadline).await.map_err(|error| error.map_rejection(|never| match never {})),
        };
        noted.map_err(NoSession::Call)?;
        let session = api::WriteSession { replication, ..session.into_api() };
        Ok(api::OpenedKey { session, blocks, block_size: self.config.block_size, encryption: seal_with, needed_acl: false })
    }

    /// Blocks from the pool, with the tokens that let them be written.
    async fn lease<R>(
        &self,
        replication: Replication,
        count: u32,
        exclude: &[PipelineId],
        caller: &str,
        deadline: Instant,
    ) -> Result<(Vec<BlockId>, Vec<BlockLocation>), NoSession<R>> {
        let leased = self.pool.take(replication, count, exclude, deadline).await.map_err(NoSession::NoBlocks)?;
        if leased.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let sealer = self.tokens.sealer(deadline).await.map_err(|why| NoSession::NoBlocks(NoBlocks(why)))?;
        let length = self.config.block_size;
        let lifetime = self.config.write_token_lifetime.into();
        let blocks = leased.iter().map(|leased| leased.block).collect();
        let locate = |HandedOut { block, pipeline, replicas }: HandedOut| BlockLocation {
            token: sealer.seal(block, Access::Write, length, lifetime, caller),
            block,
            pipeline,
            replicas: replicas.to_vec(),
            length,
        };
        Ok((blocks, leased.into_iter().map(locate).collect()))
    }

    pub(super) async fn allocate_blocks(
        &self,
        cx: CallContext,
        request: api::AllocateBlocks,
    ) -> Result<Vec<BlockLocation>, CallError<api::AllocateRejected>> {
        type Rejected = api::AllocateRejected;
        let asked = request.session.replication;
        let session = request.session.into_core();
        self.moves.go_on(session.object, self.clock.now());
        let (caller, replication) = self
            .log
            .read(cx.deadline, |tables| {
                let identity = self.identity::<Rejected>(tables, &request.by)?;
                // The session's own row may still be on its way through the log; its bucket is not.
                let Some(bucket) = namespace::bucket(tables, session.bucket)?.filter(|_| !self.is_over(&session)) else {
                    return Err(Stop::Rejected(Rejected::NoSuchSession));
                };
                // What is written into these blocks is seen by nobody before the commit, which is authorised.
                Ok((identity.caller().to_owned(), asked.unwrap_or(bucket.replication)))
            })
            .await?;
        let count = request.count.clamp(1, MOST_BLOCKS);
        let leased = self.lease(replication, count, &request.exclude, &caller, cx.deadline).await;
        let (handed_out, blocks) = leased.map_err(|error| error.into_call(Rejected::NoBlocks))?;
        let extension = ExtendSession { session, blocks: handed_out, now: self.clock.now() };
        let extended = self.log.propose(None, extension, cx.deadline).await;
        extended.map_err(|error| error.map_rejection(|never| match never {}))?;
        Ok(blocks)
    }

    fn is_over(&self, session: &Session) -> bool {
        session.opened + self.config.session_lifetime() <= self.clock.now()
    }

    pub(super) async fn commit_key(
        &self,
        cx: CallContext,
        request: api::CommitKey,
    ) -> Result<api::KeyCommitted, CallError<api::CommitRejected>> {
        type Rejected = api::CommitRejected;
        let session = request.session.into_core();
        // Whether the bucket of that name is still the one that was written to, and who owns what is committed.
        let found = self
            .log
            .read(cx.deadline, |tables| {
                let entry = match self.open::<Rejected>(tables, &request.by, &request.bucket) {
                    Ok(entry) if entry.bucket.id == session.bucket => entry,
                    Ok(_) | Err(Stop::Rejected(Rejected::NoSuchBucket)) => return Ok(None),
                    Err(stop) => return Err(stop),
                };
                entry.allow_write_if(tables, &request.key, &request.condition)?;
                Ok(Some((entry.written(tables)?, self.lifecycles.of(tables, &entry.bucket)?, entry.origin(&cx))))
            })
            .await?;
        let Some((written, rules, origin)) = found else {
            self.close(&cx, session).await.map_err(|error| error.map_rejection(|never| match never {}))?;
            return Err(CallError::Rejected(Rejected::NoSuchBucket));
        };
        let key = request.key.clone();
        let command = om_core::CommitKey {
            session,
            key: request.key,
            blocks: request.blocks.into_core(),
            etag: request.etag,
            checksum: request.checksum.into_core(),
            attributes: request.attributes.into_core(),
            // The session has it.
            storage_class: None,
            condition: request.condition.into_core(),
            owner: Some(written.owner),
            now: self.now_after(session.opened),
            lock: request.lock,
            acl: written.acl,
            origin,
        };
        let committed = self.log.propose(scoped(&cx, Kind::Commit), command, cx.deadline).await;
        let committed = committed.map(IntoApi::into_api).map_err(|error| error.map_rejection(IntoApi::into_api))?;
        Ok(self.with_end(rules, (session.bucket, &key), committed))
    }

    /// The answer to a write, with when the object will end by its bucket's rules. One that has been written over in the
    /// meantime ends by none.
    pub(super) fn with_end(
        &self,
        rules: Option<Rules>,
        (bucket, key): (BucketId, &ObjectKey),
        committed: api::KeyCommitted,
    ) -> api::KeyCommitted {
        let Some(rules) = rules else { return committed };
        // The write has been made, whatever becomes of this look at it.
        let row = self.log.machine().read(|tables, _| namespace::current(tables, bucket, key)).ok().flatten();
        let row = row.filter(|row| row.head.etag == committed.etag && row.head.modified == committed.last_modified);
        api::KeyCommitted { ends: row.and_then(|row| rules.end_of_object(key, &row)), ..committed }
    }

    /// A commit is not older than its opening, even if another leader with a slower clock samples it.
    pub(super) fn now_after(&self, opened: Timestamp) -> Timestamp {
        self.clock.now().max(opened)
    }

    pub(super) async fn abandon_key(&self, cx: CallContext, request: api::AbandonKey) -> Result<(), CallError<Never>> {
        self.close(&cx, request.session.into_core()).await
    }

    pub(super) async fn close(&self, cx: &CallContext, session: Session) -> Result<(), CallError<Never>> {
        self.moves.end(session.object);
        let command = om_core::CloseSession { session, now: self.clock.now() };
        let closed = self.log.propose(scoped(cx, Kind::Close), command, cx.deadline).await;
        closed.map_err(|error| error.map_rejection(|never| match never {}))
    }
}
