//! Pages of keys.

use om_api as api;
use om_core::authorise::Action;
use om_core::listing::{self, ListEntry, ListStart};
use rpc::{CallContext, CallError};
use tables::StorageFault;

use super::OmService;
use super::buckets::Names;
use super::calls::enter;

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
                let (_, bucket) = enter(tables, &request.by, &request.bucket, None, Action::ListKeys)?;
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
                Ok(api::KeyPage { entries: entries.collect::<Result<_, _>>()?, next, seeks: page.seeks })
            })
            .await
    }
}

fn show(entry: ListEntry, names: &mut Names<'_>) -> Result<api::ListEntry, StorageFault> {
    Ok(match entry {
        ListEntry::CommonPrefix(prefix) => api::ListEntry::CommonPrefix(prefix),
        ListEntry::Key(key, head) => api::ListEntry::Key(api::KeySummary {
            key,
            size: head.size,
            etag: head.etag,
            last_modified: head.modified,
            storage_class: head.storage_class,
            owner: names.show(&head.owner)?,
            checksum: head.checksum.map(|checksum| (checksum.checksum.algorithm(), checksum.kind)),
        }),
    })
}
