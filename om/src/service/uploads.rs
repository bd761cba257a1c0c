//! Multipart uploads.

use om_api as api;
use om_core::authorise::{Action, Target};
use om_core::listing::{self, UploadMarker};
use om_core::rows::{CompletedRow, SessionEncryption, Storage, UploadKey, UploadRow};
use om_core::{CopySource, namespace};
use rpc::{CallContext, CallError};
use tables::{ReadTables, StorageFault};
use types::{BucketPath, ObjectKey, UploadId};

use super::OmService;
use super::buckets::Names;
use super::calls::{BucketRefusal, Kind, Stop, attempted, denied, scoped, settle};
use super::entry::Entry;
use super::lists::{delimiter, page_size};
use super::writes::NoSession;
use crate::convert::{IntoApi, IntoCore};

fn show(row: &UploadRow, names: &mut Names<'_>) -> Result<api::UploadInfo, StorageFault> {
    Ok(api::UploadInfo {
        initiator: names.show(&row.initiator)?,
        owner: names.show(&row.owner)?,
        initiated: row.initiated,
        storage_class: row.storage_class.clone(),
        checksum: row.checksum,
        completed: None,
        encryption: row.encryption.clone().into_api(),
        ends: None,
    })
}

/// What is there under an upload's name.
enum Found {
    Open(UploadRow),
    Completed(CompletedRow),
    Nothing,
}

impl OmService {
    /// Into an upload, to do one thing with it. Who began it may look at it and give it up, without any other right.
    fn enter_upload<'r, R: BucketRefusal>(
        &self,
        tables: &dyn ReadTables,
        by: &'r api::Requester,
        (bucket, key, upload): (&BucketPath, &ObjectKey, UploadId),
        action: Action,
    ) -> Result<(Entry<'r>, UploadKey, Found), Stop<R>> {
        let entry = self.open::<R>(tables, by, bucket)?;
        let at = UploadKey { bucket: entry.bucket.id, key: key.clone(), upload };
        let found = match namespace::upload(tables, &at)? {
            Some(row) => Found::Open(row),
            None => namespace::completed(tables, &at)?.map_or(Found::Nothing, Found::Completed),
        };
        let target = match &found {
            Found::Open(row) | Found::Completed(CompletedRow { upload: row, .. }) => Target::Upload(key, row),
            Found::Nothing => Target::Key(key),
        };
        entry.allow(action, target)?;
        Ok((entry, at, found))
    }

    /// Time first, so that uploads of one key list in the order in which they began; the other 80 bits cannot be guessed.
    fn new_upload_id(&self) -> UploadId {
        let random = self.entropy.u128() & ((1 << 80) - 1);
        UploadId::from_u128((u128::from(self.clock.now().0) << 80) | random)
    }

    pub(super) async fn create_upload(
        &self,
        cx: CallContext,
        request: api::CreateUpload,
    ) -> Result<api::UploadCreated, CallError<api::CreateUploadRejected>> {
        let (initiator, written, bucket, rules, wanted, storage) = self
            .log
            .read(cx.deadline, |tables| {
                let entry = self.open::<api::CreateUploadRejected>(tables, &request.by, &request.bucket)?;
                entry.allow_write(&request.key)?;
                let written = entry.written(tables)?;
                let Entry { identity, bucket, .. } = entry;
                let wanted = self.wanted_encryption(tables, &identity, &bucket, request.encryption.as_ref())?;
                let storage = self.storage(request.attributes.storage_class.as_deref())?;
                let rules = self.lifecycles.of(tables, &bucket)?;
                Ok((identity.user_id().cloned(), written, bucket.id, rules, wanted, storage))
            })
            .await?;
        // The parts get the data key; of the upload itself nothing is sealed.
        let encryption = self.new_encryption(wanted, &cx).await?.map(|(encryption, _)| encryption);
        let now = self.clock.now();
        let ends = rules.and_then(|rules| rules.end_of_upload(&request.key, now));
        let (storage_class, replication) = storage.map(|Storage { class, replication }| (class, replication)).unzip();
        let command = om_core::CreateUpload {
            at: UploadKey { bucket, key: request.key, upload: self.new_upload_id() },
            initiator,
            attributes: request.attributes.into_core(),
            storage_class,
            checksum: request.checksum,
            now,
            lock: request.lock,
            encryption: encryption.clone(),
            acl: written.acl,
            owner: Some(written.owner),
            replication,
        };
        let created = self.log.propose(scoped(&cx, Kind::CreateUpload), command, cx.deadline).await;
        let upload = created.map_err(|error| error.map_rejection(IntoApi::into_api))?;
        // Where this was the answer to a retry, the salt is another than the one that is kept. Only a client's key is checked with
        // it, and that one came with the request.
        Ok(api::UploadCreated { upload, encryption: encryption.into_api(), ends })
    }

    pub(super) async fn open_part(
        &self,
        cx: CallContext,
        request: api::OpenPart,
    ) -> Result<api::OpenedKey, CallError<api::OpenPartRejected>> {
        type Rejected = api::OpenPartRejected;
        let (caller, bucket, encryption, storage) = self
            .log
            .read(cx.deadline, |tables| {
                let named = (&request.bucket, &request.key, request.upload);
                let (entry, _, found) = self.enter_upload::<Rejected>(tables, &request.by, named, Action::PutObject)?;
                let Found::Open(upload) = found else {
                    return Err(Stop::Rejected(Rejected::NoSuchUpload));
                };
                if request.size.is_some_and(|size| size > self.config.max_put) {
                    return Err(Stop::Rejected(Rejected::TooLarge));
                }
                let UploadRow { storage_class, replication, encryption, .. } = upload;
                let storage = storage_class.zip(replication).map(|(class, replication)| Storage { class, replication });
                Ok((entry.identity.caller().to_owned(), entry.bucket, encryption, storage))
            })
            .await?;
        let sealing = self.stream_sealing(encryption, SessionEncryption::Part).await?;
        let opened = self.open_session(&bucket, request.size, sealing, storage, &caller, cx.deadline).await;
        opened.map_err(|error: NoSession<Rejected>| error.into_call(Rejected::NoBlocks))
    }

    pub(super) async fn commit_part(
        &self,
        cx: CallContext,
        request: api::CommitPart,
    ) -> Result<api::PartCommitted, CallError<api::CommitPartRejected>> {
        type Rejected = api::CommitPartRejected;
        let session = request.session.into_core();
        let at = self
            .log
            .read(cx.deadline, |tables| {
                // A bucket that is gone, or another by now, is told from the session's own id: the session ends with it.
                let entry = match self.open::<Rejected>(tables, &request.by, &request.bucket) {
                    Ok(entry) if entry.bucket.id == session.bucket => entry,
                    Ok(_) | Err(Stop::Rejected(Rejected::NoSuchBucket)) => return Ok(None),
                    Err(stop) => return Err(stop),
                };
                entry.allow(Action::PutObject, Target::Key(&request.key))?;
                Ok(Some(UploadKey { bucket: entry.bucket.id, key: request.key.clone(), upload: request.upload }))
            })
            .await?;
        let Some(at) = at else {
            let abandoned = self.abandon_key(cx, api::AbandonKey { session: session.into_api() }).await;
            abandoned.map_err(|error| error.map_rejection(|never| match never {}))?;
            return Err(CallError::Rejected(Rejected::NoSuchBucket));
        };
        let command = om_core::CommitPart {
            session,
            at,
            part: request.part,
            blocks: request.blocks.into_core(),
            etag: request.etag,
            checksum: request.checksum,
            now: self.now_after(session.opened),
        };
        let committed = self.log.propose(scoped(&cx, Kind::CommitPart), command, cx.deadline).await;
        committed.map(IntoApi::into_api).map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    pub(super) async fn copy_part(
        &self,
        cx: CallContext,
        request: api::CopyPart,
    ) -> Result<api::PartCommitted, CallError<api::CopyPartRejected>> {
        settle(api::CopyPartRejected::Changed, |attempt| self.try_to_copy_part(&cx, request.clone(), attempt)).await
    }

    async fn try_to_copy_part(
        &self,
        cx: &CallContext,
        request: api::CopyPart,
        attempt: u8,
    ) -> Result<api::PartCommitted, CallError<api::CopyPartRejected>> {
        let (bucket, source, judged) = self
            .log
            .read(cx.deadline, |tables| {
                type Rejected = api::CopyPartRejected;
                let entry =
                    self.enter::<Rejected>(tables, &request.by, &request.bucket, Some(&request.key), Action::PutObject)?;
                let from = (&request.source_bucket, &request.source_key, request.source_version);
                let source = self.enter_source::<Rejected>(tables, &request.by, from)?;
                Ok((entry.bucket.id, source.entry.bucket.id, source.judged()))
            })
            .await?;
        let object = self.ids.next(cx.deadline).await?;
        let command = om_core::CopyPart {
            source: CopySource {
                bucket: source,
                key: request.source_key,
                version: request.source_version,
                conditions: request.source_conditions.into_core(),
                judged,
            },
            range: request.range.into_core(),
            at: UploadKey { bucket, key: request.key, upload: request.upload },
            part: request.part,
            object,
            max_size: self.config.max_put,
            now: self.clock.now(),
        };
        let copied = self.log.propose(attempted(cx, Kind::CopyPart, attempt), command, cx.deadline).await;
        copied.map(IntoApi::into_api).map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    pub(super) async fn list_parts(
        &self,
        cx: CallContext,
        request: api::ListParts,
    ) -> Result<api::PartPage, CallError<api::UploadRejected>> {
        self.log
            .read(cx.deadline, |tables| {
                let named = (&request.bucket, &request.key, request.upload);
                let action = if request.to_write { Action::PutObject } else { Action::ListMultipartUploadParts };
                let (entry, at, found) = self.enter_upload(tables, &request.by, named, action)?;
                let mut names = Names::new(tables);
                let upload = match found {
                    Found::Open(upload) => upload,
                    Found::Completed(completed) => return Ok(completed_page(completed, &mut names)?),
                    Found::Nothing => return Err(Stop::Rejected(api::UploadRejected::NoSuchUpload)),
                };
                // A completion lists them all, so a page may be as long as an upload.
                let limit = usize::try_from(request.limit).unwrap_or(usize::MAX).min(MOST_PARTS);
                let page = listing::list_parts(tables, &at, request.after, limit)?;
                let parts = page.parts.into_iter().map(|(number, row)| api::PartSummary {
                    number,
                    size: row.size,
                    etag: row.etag,
                    last_modified: row.modified,
                    checksum: row.checksum,
                    object: row.object,
                });
                let rules = self.lifecycles.of(tables, &entry.bucket)?;
                let ends = rules.and_then(|rules| rules.end_of_upload(&at.key, upload.initiated));
                let upload = api::UploadInfo { ends, ..show(&upload, &mut names)? };
                Ok(api::PartPage { upload, parts: parts.collect(), more: page.more })
            })
            .await
    }

    pub(super) async fn complete_upload(
        &self,
        cx: CallContext,
        request: api::CompleteUpload,
    ) -> Result<api::KeyCommitted, CallError<api::CompleteUploadRejected>> {
        let (at, rules, origin) = self
            .log
            .read(cx.deadline, |tables| {
                let named = (&request.bucket, &request.key, request.upload);
                let (entry, at, _) = self.enter_upload(tables, &request.by, named, Action::PutObject)?;
                if request.condition.probes() {
                    entry.may_probe(tables, &request.key, None)?.map_err(denied)?;
                }
                Ok((at, self.lifecycles.of(tables, &entry.bucket)?, entry.origin(&cx)))
            })
            .await?;
        let bucket = at.bucket;
        let object = self.ids.next(cx.deadline).await?;
        let command = om_core::CompleteUpload {
            at,
            parts: request.parts.into_core(),
            etag: request.etag,
            checksum: request.checksum.into_core(),
            condition: request.condition.into_core(),
            object,
            min_part_size: self.config.min_part,
            max_size: self.config.max_object,
            now: self.clock.now(),
            origin,
        };
        let completed = self.log.propose(scoped(&cx, Kind::Complete), command, cx.deadline).await;
        let completed = completed.map(IntoApi::into_api).map_err(|error| error.map_rejection(IntoApi::into_api))?;
        Ok(self.with_end(rules, (bucket, &request.key), completed))
    }

    pub(super) async fn abort_upload(
        &self,
        cx: CallContext,
        request: api::AbortUpload,
    ) -> Result<(), CallError<api::AbortUploadRejected>> {
        let at = self
            .log
            .read(cx.deadline, |tables| {
                let named = (&request.bucket, &request.key, request.upload);
                Ok(self.enter_upload(tables, &request.by, named, Action::AbortMultipartUpload)?.1)
            })
            .await?;
        let command = om_core::AbortUpload { at, now: self.clock.now() };
        let aborted = self.log.propose(scoped(&cx, Kind::Abort), command, cx.deadline).await;
        aborted.map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    pub(super) async fn list_uploads(
        &self,
        cx: CallContext,
        request: api::ListUploads,
    ) -> Result<api::UploadPage, CallError<api::BucketRejected>> {
        let marker = request.key_marker.map(|key| UploadMarker { key, upload: request.upload_marker });
        self.log
            .read(cx.deadline, |tables| {
                let action = Action::ListBucketMultipartUploads;
                let bucket = self.enter(tables, &request.by, &request.bucket, None, action)?.bucket;
                let delimiter = delimiter(request.delimiter.as_ref());
                let limit = page_size(request.limit);
                let page = listing::list_uploads(tables, bucket.id, &request.prefix, delimiter, marker.as_ref(), limit)?;
                let mut names = Names::new(tables);
                let uploads = page.uploads.into_iter().map(|listed| {
                    let info = show(&listed.row, &mut names)?;
                    Ok(api::UploadSummary { key: listed.key, upload: listed.upload, info })
                });
                Ok(api::UploadPage {
                    uploads: uploads.collect::<Result<_, StorageFault>>()?,
                    common_prefixes: page.common_prefixes,
                    next_upload_marker: page.next.as_ref().and_then(|next| next.upload),
                    next_key_marker: page.next.map(|next| next.key),
                })
            })
            .await
    }
}

/// As many as an upload has.
const MOST_PARTS: usize = 10_000;

/// A completed upload has no parts to list, but an outcome to tell.
fn completed_page(row: CompletedRow, names: &mut Names<'_>) -> Result<api::PartPage, StorageFault> {
    let completed = Some(Box::new(row.answer.into_api()));
    let upload = api::UploadInfo { completed, ..show(&row.upload, names)? };
    Ok(api::PartPage { upload, parts: Vec::new(), more: false })
}
