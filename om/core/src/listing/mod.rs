//! Pages of keys, of versions and of uploads.
//!
//! A page is read from one state of the tables by one forward scan that seeks past what it does not show: past a common prefix
//! in one step, however many keys lie in it. It costs what it returns.

mod keys;
mod uploads;
mod versions;

pub use keys::{KeyPage, ListEntry, ListStart, list_keys};
pub use uploads::{ListedUpload, PartPage, UploadMarker, UploadPage, list_parts, list_uploads};
pub use versions::{VersionEntry, VersionPage, VersionStart, list_versions};

use tables::{ReadTables, StorageFault, Visit};
use types::{BucketId, VolumeName};

use crate::rows::{BucketRow, UserId, bucket_key, get, user_bucket_prefix};
use crate::tables::{BUCKETS, USER_BUCKETS};

/// The part of `key` up to and with the first delimiter behind the prefix.
fn common_prefix<'a>(key: &'a str, prefix: &str, delimiter: Option<&str>) -> Option<&'a str> {
    let delimiter = delimiter?;
    let rest = key.get(prefix.len()..)?;
    let at = rest.find(delimiter)?;
    Some(&key[..prefix.len() + at + delimiter.len()])
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BucketPage {
    pub buckets: Vec<BucketRow>,
    pub more: bool,
}

/// A user's buckets by name.
pub fn list_buckets(
    tables: &dyn ReadTables,
    owner: &UserId,
    volume: &VolumeName,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<BucketPage, StorageFault> {
    let owned = user_bucket_prefix(owner, volume);
    let mut from = [&owned, prefix.as_bytes()].concat();
    if let Some(after) = after {
        from = from.max([&owned, after.as_bytes(), b"\0"].concat());
    }
    let (mut ids, mut more) = (Vec::new(), false);
    tables.scan(USER_BUCKETS, &from, &mut |key, value| {
        let is_listed = key.strip_prefix(&owned[..]).is_some_and(|name| name.starts_with(prefix.as_bytes()));
        if !is_listed {
            return Ok(Visit::Stop);
        }
        if ids.len() == limit {
            more = true;
            return Ok(Visit::Stop);
        }
        ids.push(tables::decode::<BucketId>(value, USER_BUCKETS.name)?);
        Ok(Visit::Next)
    })?;
    let mut buckets = Vec::with_capacity(ids.len());
    for id in ids {
        buckets.extend(get::<BucketRow>(tables, BUCKETS, &bucket_key(id))?);
    }
    Ok(BucketPage { buckets, more })
}
