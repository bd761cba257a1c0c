//! One page of keys, for the three listings that show them.

use gateway_core::S3Error;
use gateway_core::listing::{ListScope, PageStart};
use gateway_core::xml::{Listed, ListedObject};
use om_api::{BucketPurpose, KeyPage, KeySummary, ListEntry, ListKeys, ListRejected, ListStart};
use rpc::CallError;
use types::BucketPath;

use super::attributes::owner;
use super::head_bucket::get_bucket;
use crate::context::OpContext;
use crate::rejections::{call_failed, no_such_bucket};

/// A page, and how the next one begins.
pub(super) struct Page {
    pub(super) listed: Listed<ListedObject>,
    /// The last name, key or common prefix, if more follow.
    pub(super) last: Option<String>,
    pub(super) next: Option<PageStart>,
}

pub(super) async fn list(cx: &OpContext, bucket: &BucketPath, scope: &ListScope, start: PageStart) -> Result<Page, S3Error> {
    if scope.max_keys == 0 {
        // Asked for nothing, there is nothing more either; the bucket must be there all the same.
        get_bucket(cx, bucket, BucketPurpose::Head).await?;
        return Ok(Page { listed: Listed::default(), last: None, next: None });
    }
    let request = ListKeys {
        by: cx.by(),
        bucket: bucket.clone(),
        prefix: scope.prefix.clone(),
        delimiter: scope.delimiter.clone(),
        start: match start {
            PageStart::Beginning => ListStart::Beginning,
            PageStart::After(text) => ListStart::After(text),
            PageStart::At(text) => ListStart::At(text),
        },
        limit: scope.max_keys,
    };
    match cx.om().list_keys(cx.call(), request).await {
        Ok(page) => {
            cx.tell(|told| told.needed_acl = page.needed_acl);
            Ok(to_page(page))
        }
        Err(CallError::Rejected(ListRejected::Denied(why))) => Err(cx.denied(why)),
        Err(CallError::Rejected(ListRejected::NoSuchBucket)) => Err(no_such_bucket(bucket)),
        Err(failure) => Err(call_failed(&failure)),
    }
}

fn to_page(page: KeyPage) -> Page {
    metrics::histogram!("gateway_list_seeks").record(page.seeks as f64);
    let next = page.next.and_then(|next| match next {
        ListStart::Beginning => None,
        ListStart::After(text) => Some(PageStart::After(text)),
        ListStart::At(text) => Some(PageStart::At(text)),
    });
    let last = page.entries.last().filter(|_| next.is_some()).map(|entry| match entry {
        ListEntry::Key(key) => key.key.as_str().to_owned(),
        ListEntry::CommonPrefix(prefix) => prefix.clone(),
    });
    let mut listed = Listed { entries: Vec::with_capacity(page.entries.len()), common_prefixes: Vec::new() };
    for entry in page.entries {
        match entry {
            ListEntry::Key(key) => listed.entries.push(to_object(key)),
            ListEntry::CommonPrefix(prefix) => listed.common_prefixes.push(prefix),
        }
    }
    Page { listed, last, next }
}

pub(super) fn to_object(key: KeySummary) -> ListedObject {
    ListedObject {
        key: key.key.as_str().to_owned(),
        last_modified: key.last_modified,
        etag: key.etag,
        size: key.size,
        owner: Some(owner(&key.owner)),
        checksum: key.checksum,
        storage_class: key.storage_class,
    }
}
