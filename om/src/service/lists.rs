//! Pages of keys and of versions.

use om_api as api;
use om_core::authorise::{Action, Target};
use om_core::listing::{self, ListEntry, ListStart, VersionEntry, VersionStart};
use om_core::rows::{KeyHead, VersionHead};
use rpc::{CallContext, CallError};
use tables::StorageFault;
use types::ObjectKey;

use super::OmService;
use super::buckets::Names;

/// As many as S3 lists at once.
pub(super) const MOST_ENTRIES: usize = 1_000;

pub(super) fn page_size(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX).min(MOST_ENTRIES)
}

/// None where the text is empty: no delimiter.
pub(super) fn delimiter(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

impl OmService {
    pub(super) async fn list_keys(
        &self,
        cx: CallContext,
        request: api::ListKeys,
    ) -> Result<api::KeyPage, CallError<api::ListRejected>> {
        let start = match request.start {
            api::ListStart::Beginning => ListStart::Beginning,
            api::ListStart::After(text) => ListStart::After(text),
            api::ListStart::At(text) => ListStart::At(text),
        };
        self.log
            .read(cx.deadline, |tables| {
                let entry = self.enter(tables, &request.by, &request.bucket, None, Action::ListBucket)?;
                let needed_acl = entry.needed_acl(Action::ListBucket, Target::Bucket);
                let bucket = entry.bucket;
                let delimiter = delimiter(request.delimiter.as_ref());
                let limit = page_size(request.limit);
                let page = listing::list_keys(tables, bucket.id, &request.prefix, delimiter, &start, limit)?;
                let mut names = Names::new(tables);
                let entries = page.entries.into_iter().map(|entry| show(entry, &mut names));
                let next = page.next.map(|next| match next {
                    ListStart::Beginning => api::ListStart::Beginning,
                    ListStart::After(text) => api::ListStart::After(text),
                    ListStart::At(text) => api::ListStart::At(text),
                });
                Ok(api::KeyPage { entries: entries.collect::<Result<_, _>>()?, next, seeks: page.seeks, needed_acl })
            })
            .await
    }

    pub(super) async fn list_versions(
        &self,
        cx: CallContext,
        request: api::ListVersions,
    ) -> Result<api::VersionPage, CallError<api::ListRejected>> {
        let start = match request.start {
            api::VersionStart::Beginning => VersionStart::Beginning,
            api::VersionStart::AfterKey(text) => VersionStart::AfterKey(text),
            api::VersionStart::AfterVersion(key, version) => VersionStart::AfterVersion(key, version),
        };
        self.log
            .read(cx.deadline, |tables| {
                let entry = self.enter(tables, &request.by, &request.bucket, None, Action::ListBucketVersions)?;
                let needed_acl = entry.needed_acl(Action::ListBucketVersions, Target::Bucket);
                let bucket = entry.bucket;
                let delimiter = delimiter(request.delimiter.as_ref());
                let limit = page_size(request.limit);
                let page = listing::list_versions(tables, bucket.id, &request.prefix, delimiter, &start, limit)?;
                let mut names = Names::new(tables);
                let entries = page.entries.into_iter().map(|entry| show_version(entry, &mut names));
                Ok(api::VersionPage {
                    entries: entries.collect::<Result<_, _>>()?,
                    more: page.more,
                    seeks: page.seeks,
                    needed_acl,
                })
            })
            .await
    }
}

fn show(entry: ListEntry, names: &mut Names<'_>) -> Result<api::ListEntry, StorageFault> {
    Ok(match entry {
        ListEntry::CommonPrefix(prefix) => api::ListEntry::CommonPrefix(prefix),
        ListEntry::Key(key, head) => api::ListEntry::Key(summary(key, head, names)?),
    })
}

fn summary(key: ObjectKey, head: KeyHead, names: &mut Names<'_>) -> Result<api::KeySummary, StorageFault> {
    Ok(api::KeySummary {
        key,
        size: head.size,
        etag: head.etag,
        last_modified: head.modified,
        storage_class: head.storage_class,
        owner: names.show(&head.owner)?,
        checksum: head.checksum.map(|checksum| (checksum.checksum.algorithm(), checksum.kind)),
    })
}

fn show_version(entry: VersionEntry, names: &mut Names<'_>) -> Result<api::VersionEntry, StorageFault> {
    Ok(match entry {
        VersionEntry::CommonPrefix(prefix) => api::VersionEntry::CommonPrefix(prefix),
        VersionEntry::Version { key, head: VersionHead::Object(head), is_latest } => {
            let version = head.version;
            api::VersionEntry::Object { object: summary(key, head, names)?, version, is_latest }
        }
        VersionEntry::Version { key, head: VersionHead::Marker(marker), is_latest } => api::VersionEntry::DeleteMarker {
            version: marker.version,
            marker: api::MarkerSummary { key, last_modified: marker.modified, owner: names.show(&marker.owner)? },
            is_latest,
        },
    })
}
