//! Copying an object on its blocks.

use om_api as api;
use om_core::authorise::{Action, Scene, Target};
use om_core::namespace::Missing;
use om_core::rows::KeyRow;
use om_core::{CopyAttributes, CopySource, Judged};
use rpc::{CallContext, CallError};
use tables::ReadTables;
use types::{BucketPath, ObjectKey, VersionId};

use super::OmService;
use super::calls::{BucketRefusal, Kind, Stop, attempted, denied, settle};
use super::entry::Entry;
use crate::convert::{IntoApi, IntoCore, shown};

/// A rejection that tells the source's bucket from the destination's.
pub(super) trait CopyRefusal: BucketRefusal {
    fn no_such_source_bucket() -> Self;
}

impl CopyRefusal for api::CopyRejected {
    fn no_such_source_bucket() -> Self {
        Self::NoSuchSourceBucket
    }
}

impl CopyRefusal for api::CopyPartRejected {
    fn no_such_source_bucket() -> Self {
        Self::NoSuchSourceBucket
    }
}

/// What a copy reads.
pub(super) struct Source<'r> {
    pub(super) entry: Entry<'r>,
    /// Outside: not there. The command finds that out again, and says so.
    pub(super) row: Result<KeyRow, Missing>,
}

impl Source<'_> {
    pub(super) fn judged(&self) -> Option<Box<Judged>> {
        Some(Box::new(Judged::of(self.row.as_ref().ok())))
    }
}

impl OmService {
    /// Into the source, to read it.
    pub(super) fn enter_source<'r, R: CopyRefusal>(
        &self,
        tables: &dyn ReadTables,
        by: &'r api::Requester,
        (bucket, key, version): (&BucketPath, &ObjectKey, Option<VersionId>),
    ) -> Result<Source<'r>, Stop<R>> {
        let entry =
            self.open_as::<R>(tables, by, bucket, R::no_such_source_bucket, |context| context.expected_source_owner.as_deref())?;
        let read = if version.is_some() { Action::GetObjectVersion } else { Action::GetObject };
        let row = entry.object(tables, read, key, version)?;
        Ok(Source { entry, row })
    }

    pub(super) async fn copy_key(
        &self,
        cx: CallContext,
        request: api::CopyKey,
    ) -> Result<api::KeyCopied, CallError<api::CopyRejected>> {
        settle(api::CopyRejected::Changed, |attempt| self.try_to_copy_key(&cx, request.clone(), attempt)).await
    }

    async fn try_to_copy_key(
        &self,
        cx: &CallContext,
        request: api::CopyKey,
        attempt: u8,
    ) -> Result<api::KeyCopied, CallError<api::CopyRejected>> {
        type Rejected = api::CopyRejected;
        let (written, bucket, rules, (source, judged), wanted, storage, origin) = self
            .log
            .read(cx.deadline, |tables| {
                let entry = self.open::<Rejected>(tables, &request.by, &request.bucket)?;
                entry.allow_write_if(tables, &request.key, &request.condition)?;
                let from = (&request.source_bucket, &request.source_key, request.source_version);
                let source = self.enter_source::<Rejected>(tables, &request.by, from)?;
                allow_tags(&entry, &source, &request)?;
                let written = entry.written::<Rejected>(tables)?;
                let Entry { identity, bucket, .. } = &entry;
                let wanted = self.wanted_encryption(tables, identity, bucket, request.encryption.as_ref())?;
                let storage = self.storage(request.storage_class.as_deref())?;
                let of = (bucket.id, self.lifecycles.of(tables, bucket)?, (source.entry.bucket.id, source.judged()));
                Ok((written, of.0, of.1, of.2, wanted, storage, entry.origin(cx)))
            })
            .await?;
        let is_asked_for = !matches!(request.encryption, None | Some(api::EncryptionWanted::ByDefault { .. }));
        let encryption = self.copy_encryption(wanted, is_asked_for, request.same_key_as).await?;
        let shown = encryption.as_ref().and_then(shown);
        let object = self.ids.next(cx.deadline).await?;
        let key = request.key.clone();
        let command = om_core::CopyKey {
            source: CopySource {
                bucket: source,
                key: request.source_key,
                version: request.source_version,
                conditions: request.source_conditions.into_core(),
                judged,
            },
            bucket,
            key: request.key,
            attributes: match request.attributes {
                api::CopyAttributes::Source => CopyAttributes::Source,
                api::CopyAttributes::Replace(attributes) => CopyAttributes::Replace(attributes.into_core()),
            },
            replication: storage.as_ref().map(|storage| storage.replication),
            storage_class: storage.map(|storage| storage.class),
            condition: request.condition.into_core(),
            object,
            owner: Some(written.owner),
            max_size: self.config.max_put,
            now: self.clock.now(),
            checksum: request.checksum.into_core(),
            lock: request.lock,
            tags: request.tags,
            encryption,
            acl: written.acl,
            website_redirect: request.website_redirect,
            origin,
        };
        let copied = self.log.propose(attempted(cx, Kind::Copy, attempt), command, cx.deadline).await;
        let copied: api::KeyCopied = copied.map(IntoApi::into_api).map_err(|error| error.map_rejection(IntoApi::into_api))?;
        let committed = self.with_end(rules, (bucket, &key), copied.committed);
        Ok(api::KeyCopied { committed, encryption: shown, ..copied })
    }
}

/// Tags that go along with a copy are read and written like any others.
fn allow_tags(entry: &Entry<'_>, source: &Source<'_>, request: &api::CopyKey) -> Result<(), Stop<api::CopyRejected>> {
    let Ok(row) = &source.row else { return Ok(()) };
    if request.tags.is_some() || row.body.attributes.tags.is_empty() {
        return Ok(());
    }
    let versioned = request.source_version.is_some();
    let read = if versioned { Action::GetObjectVersionTagging } else { Action::GetObjectTagging };
    source.entry.allow(read, Target::Object(&request.source_key, row))?;
    let mut written = entry.facts.clone();
    written.tags = &row.body.attributes.tags;
    let scene = Scene { facts: &written, ..entry.scene() };
    scene.allow(Action::PutObjectTagging, Target::Key(&request.key)).map_err(denied)
}
