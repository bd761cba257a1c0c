//! Pages of a bucket's uploads in flight, and of an upload's parts.

use tables::{ReadTables, StorageFault, Visit};
use types::{BucketId, ObjectKey, PartNumber, UploadId};

use super::common_prefix;
use crate::rows::{PartRow, UploadKey, UploadRow, key_prefix, malformed, parts_prefix, prefix_end, upload_key};
use crate::tables::{PARTS, UPLOADS};

/// Where a page begins: behind all uploads of a key, or behind one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UploadMarker {
    pub key: String,
    pub upload: Option<UploadId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUpload {
    pub key: ObjectKey,
    pub upload: UploadId,
    pub row: UploadRow,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UploadPage {
    /// By key, then by id, which begins with the time.
    pub uploads: Vec<ListedUpload>,
    pub common_prefixes: Vec<String>,
    /// The last upload or common prefix of the page, if more follow.
    pub next: Option<UploadMarker>,
}

/// Uploads and common prefixes count alike towards `limit`.
pub fn list_uploads(
    tables: &dyn ReadTables,
    bucket: BucketId,
    prefix: &str,
    delimiter: Option<&str>,
    marker: Option<&UploadMarker>,
    limit: usize,
) -> Result<UploadPage, StorageFault> {
    let mut page = UploadPage::default();
    // NUL ends a key here; a prefix with one is no key's.
    let can_match = limit > 0 && !prefix.contains('\0');
    let Some(from) = first_position(bucket, prefix, delimiter, marker).filter(|_| can_match) else {
        return Ok(page);
    };
    let inside = key_prefix(bucket, prefix.as_bytes());
    let mut last = UploadMarker::default();
    let mut listed = 0;
    tables.scan(UPLOADS, &from, &mut |row_key, value| {
        if !row_key.starts_with(&inside) {
            return Ok(Visit::Stop);
        }
        let at = UploadKey::decode(UPLOADS, row_key)?;
        if listed == limit {
            page.next = Some(last.clone());
            return Ok(Visit::Stop);
        }
        listed += 1;
        if let Some(common) = common_prefix(at.key.as_str(), prefix, delimiter) {
            last = UploadMarker { key: common.to_owned(), upload: None };
            page.common_prefixes.push(common.to_owned());
            return Ok(prefix_end(&key_prefix(bucket, common.as_bytes())).map_or(Visit::Stop, Visit::SeekTo));
        }
        last = UploadMarker { key: at.key.as_str().to_owned(), upload: Some(at.upload) };
        let row = tables::decode(value, UPLOADS.name)?;
        page.uploads.push(ListedUpload { key: at.key, upload: at.upload, row });
        Ok(Visit::Next)
    })?;
    Ok(page)
}

fn first_position(bucket: BucketId, prefix: &str, delimiter: Option<&str>, marker: Option<&UploadMarker>) -> Option<Vec<u8>> {
    let inside = key_prefix(bucket, prefix.as_bytes());
    let Some(marker) = marker else { return Some(inside) };
    let from = match (ObjectKey::parse(&marker.key), marker.upload) {
        // Behind this upload of this key.
        (Ok(key), Some(upload)) => {
            let mut at = upload_key(&UploadKey { bucket, key, upload });
            at.push(0);
            at
        }
        // Behind the whole common prefix, or behind all uploads of this key: they have NUL where a longer key goes on.
        _ => {
            let text = marker.key.as_str();
            let is_common_prefix = text.starts_with(prefix) && common_prefix(text, prefix, delimiter) == Some(text);
            let at = key_prefix(bucket, text.as_bytes());
            if is_common_prefix { prefix_end(&at)? } else { [&at[..], b"\x01"].concat() }
        }
    };
    Some(from.max(inside))
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartPage {
    pub parts: Vec<(PartNumber, PartRow)>,
    pub more: bool,
}

/// Parts with numbers above `after`.
pub fn list_parts(tables: &dyn ReadTables, at: &UploadKey, after: u16, limit: usize) -> Result<PartPage, StorageFault> {
    let inside = parts_prefix(at);
    let mut page = PartPage::default();
    let Some(first) = after.checked_add(1) else { return Ok(page) };
    let from = [&inside[..], &first.to_be_bytes()].concat();
    tables.scan(PARTS, &from, &mut |key, value| {
        let Some(number) = key.strip_prefix(&inside[..]) else { return Ok(Visit::Stop) };
        if page.parts.len() == limit {
            page.more = true;
            return Ok(Visit::Stop);
        }
        let number = <[u8; 2]>::try_from(number).ok().and_then(|bytes| PartNumber::new(u16::from_be_bytes(bytes).into()));
        let number = number.ok_or_else(|| malformed(PARTS, "a key does not end with a part number"))?;
        page.parts.push((number, tables::decode(value, PARTS.name)?));
        Ok(Visit::Next)
    })?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Namespace;

    fn shown(page: &UploadPage) -> Vec<String> {
        let uploads = page.uploads.iter().map(|listed| format!("{}#{}", listed.key, listed.upload.to_u128()));
        uploads.chain(page.common_prefixes.iter().map(|prefix| format!("[{prefix}]"))).collect()
    }

    fn uploads() -> (Namespace, BucketId) {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        for key in ["a", "a", "a/1", "a/2", "b/1", "c"] {
            om.create_upload(bucket, key);
        }
        (om, bucket)
    }

    #[test]
    fn uploads_list_by_key_and_then_by_age() {
        let (om, bucket) = uploads();
        let page = list_uploads(&om.tables, bucket, "", None, None, 100).expect("memory");
        assert_eq!(shown(&page), ["a#1", "a#2", "a/1#3", "a/2#4", "b/1#5", "c#6"]);
        let page = list_uploads(&om.tables, bucket, "", Some("/"), None, 100).expect("memory");
        assert_eq!(shown(&page), ["a#1", "a#2", "c#6", "[a/]", "[b/]"]);
        let page = list_uploads(&om.tables, bucket, "a/", Some("/"), None, 100).expect("memory");
        assert_eq!(shown(&page), ["a/1#3", "a/2#4"]);
    }

    #[test]
    fn a_marker_skips_a_key_or_only_its_uploads_up_to_one() {
        let (om, bucket) = uploads();
        let after = |key: &str, upload: Option<u128>| {
            let marker = UploadMarker { key: key.into(), upload: upload.map(UploadId::from_u128) };
            shown(&list_uploads(&om.tables, bucket, "", None, Some(&marker), 100).expect("memory"))
        };
        assert_eq!(after("a", None), ["a/1#3", "a/2#4", "b/1#5", "c#6"]);
        assert_eq!(after("a", Some(1)), ["a#2", "a/1#3", "a/2#4", "b/1#5", "c#6"]);
        assert_eq!(after("a/", None), ["a/1#3", "a/2#4", "b/1#5", "c#6"]);
    }

    #[test]
    fn pages_of_one_join_to_the_whole() {
        let (om, bucket) = uploads();
        let (mut joined, mut marker) = (Vec::new(), None);
        loop {
            let page = list_uploads(&om.tables, bucket, "", Some("/"), marker.as_ref(), 1).expect("memory");
            joined.extend(shown(&page));
            let Some(next) = page.next else { break };
            marker = Some(next);
        }
        assert_eq!(joined, ["a#1", "a#2", "[a/]", "[b/]", "c#6"]);
    }

    #[test]
    fn parts_list_by_number() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let at = om.create_upload(bucket, "big");
        for part in [3, 1, 2] {
            om.write_part(&at, part, [(u64::from(part), 10)]);
        }
        let page = |after, limit| {
            let page = list_parts(&om.tables, &at, after, limit).expect("memory");
            (page.parts.iter().map(|(number, _)| number.get()).collect::<Vec<_>>(), page.more)
        };
        assert_eq!(page(0, 100), (vec![1, 2, 3], false));
        assert_eq!(page(0, 2), (vec![1, 2], true));
        assert_eq!(page(2, 2), (vec![3], false));
        assert_eq!(page(u16::MAX, 2), (vec![], false));
    }
}
