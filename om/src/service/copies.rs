//! Copying an object on its blocks.

use om_api as api;
use om_core::authorise::{Action, Identity, Resource};
use om_core::rows::BucketRow;
use om_core::{CopyAttributes, CopySource};
use rpc::{CallContext, CallError};
use tables::ReadTables;
use types::{BucketName, ObjectKey, VersionId};

use super::OmService;
use super::calls::{BucketRefusal, Kind, Stop, allow, enter, find_bucket, scoped};
use crate::convert::{IntoApi, IntoCore, shown, split_attributes};

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

/// Into the destination to write, and into the source to read.
pub(super) fn enter_both<R: CopyRefusal>(
    tables: &dyn ReadTables,
    by: &api::Requester,
    (bucket, key): (&BucketName, &ObjectKey),
    (source_bucket, source_key, version): (&BucketName, &ObjectKey, Option<VersionId>),
) -> Result<(Identity, BucketRow, BucketRow), Stop<R>> {
    let (identity, bucket) = enter::<R>(tables, by, bucket, Some(key), Action::PutObject)?;
    let Some(source) = find_bucket(tables, source_bucket)? else {
        return Err(Stop::Rejected(R::no_such_source_bucket()));
    };
    let read = if version.is_some() { Action::GetObjectVersion } else { Action::GetObject };
    allow(&identity, read, Resource::Object(&source, source_key))?;
    Ok((identity, bucket, source))
}

impl OmService {
    pub(super) async fn copy_key(
        &self,
        cx: CallContext,
        request: api::CopyKey,
    ) -> Result<api::KeyCopied, CallError<api::CopyRejected>> {
        let (owner, bucket, rules, source, wanted) = self
            .log
            .read(cx.deadline, |tables| {
                let destination = (&request.bucket, &request.key);
                let source = (&request.source_bucket, &request.source_key, request.source_version);
                let (identity, bucket, source) = enter_both(tables, &request.by, destination, source)?;
                let wanted = self.wanted_encryption(tables, &identity, &bucket, request.encryption.as_ref())?;
                Ok((identity.user_id().cloned(), bucket.id, self.lifecycles.of(tables, &bucket)?, source.id, wanted))
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
            },
            bucket,
            key: request.key,
            attributes: match request.attributes {
                api::CopyAttributes::Source => CopyAttributes::Source,
                api::CopyAttributes::Replace(attributes) => CopyAttributes::Replace(split_attributes(attributes).0),
            },
            storage_class: request.storage_class,
            condition: request.condition.into_core(),
            object,
            owner,
            max_size: self.config.max_put,
            now: self.clock.now(),
            checksum: request.checksum.into_core(),
            lock: request.lock,
            tags: request.tags,
            encryption,
        };
        let copied = self.log.propose(scoped(&cx, Kind::Copy), command, cx.deadline).await;
        let copied: api::KeyCopied = copied.map(IntoApi::into_api).map_err(|error| error.map_rejection(IntoApi::into_api))?;
        let committed = self.with_end(rules, (bucket, &key), copied.committed);
        Ok(api::KeyCopied { committed, encryption: shown, ..copied })
    }
}
