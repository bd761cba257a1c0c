//! One page of a bucket's current keys.

use tables::{ReadTables, StorageFault, Visit};
use types::{BucketId, ObjectKey};

use super::common_prefix;
use crate::rows::{KeyHead, KeyRow, key_prefix, malformed, prefix_end};
use crate::tables::KEYS;

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListStart {
    Beginning,
    /// Behind this text; if it is a common prefix under the delimiter, behind everything in it.
    After(String),
    /// At the first key not below this text.
    At(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListEntry {
    Key(ObjectKey, KeyHead),
    CommonPrefix(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPage {
    /// In byte order.
    pub entries: Vec<ListEntry>,
    pub next: Option<ListStart>,
    /// Positions looked up in the tables.
    pub seeks: u64,
}

/// Keys and common prefixes count alike towards `limit`.
pub fn list_keys(
    tables: &dyn ReadTables,
    bucket: BucketId,
    prefix: &str,
    delimiter: Option<&str>,
    start: &ListStart,
    limit: usize,
) -> Result<KeyPage, StorageFault> {
    let mut page = KeyPage::default();
    let Some(from) = first_position(bucket, prefix, delimiter, start).filter(|_| limit > 0) else {
        return Ok(page);
    };
    let inside = key_prefix(bucket, prefix.as_bytes());
    page.seeks = 1;
    tables.scan(KEYS, &from, &mut |row_key, value| {
        if !row_key.starts_with(&inside) {
            return Ok(Visit::Stop);
        }
        let key = std::str::from_utf8(&row_key[8..]).map_err(|_| malformed(KEYS, "a key is not text"))?;
        if page.entries.len() == limit {
            page.next = Some(ListStart::At(key.to_owned()));
            return Ok(Visit::Stop);
        }
        if let Some(common) = common_prefix(key, prefix, delimiter) {
            page.entries.push(ListEntry::CommonPrefix(common.to_owned()));
            return Ok(match prefix_end(&key_prefix(bucket, common.as_bytes())) {
                Some(end) => {
                    page.seeks += 1;
                    Visit::SeekTo(end)
                }
                None => Visit::Stop,
            });
        }
        let key = ObjectKey::parse(key).map_err(|error| malformed(KEYS, &error.to_string()))?;
        page.entries.push(ListEntry::Key(key, KeyRow::decode_head(value)?));
        Ok(Visit::Next)
    })?;
    Ok(page)
}

/// None if nothing can follow.
fn first_position(bucket: BucketId, prefix: &str, delimiter: Option<&str>, start: &ListStart) -> Option<Vec<u8>> {
    let inside = key_prefix(bucket, prefix.as_bytes());
    let from = match start {
        ListStart::Beginning => return Some(inside),
        ListStart::At(text) => key_prefix(bucket, text.as_bytes()),
        ListStart::After(text) => {
            let is_common_prefix = text.starts_with(prefix) && common_prefix(text, prefix, delimiter) == Some(text);
            let at = key_prefix(bucket, text.as_bytes());
            // No key holds NUL, so nothing lies between a text and the text with NUL.
            if is_common_prefix { prefix_end(&at)? } else { [&at[..], b"\0"].concat() }
        }
    };
    Some(from.max(inside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Namespace, key};

    fn bucket_of(keys: &[&str]) -> (Namespace, BucketId) {
        let mut om = Namespace::with_users(["ada"]);
        let before = om.create_bucket("ada", "before");
        let bucket = om.create_bucket("ada", "photos");
        let after = om.create_bucket("ada", "zz-after");
        for (n, name) in (1..).zip(keys) {
            om.write(bucket, name, [(n, 10)]);
        }
        om.write(before, "zzz", [(1000, 1)]);
        om.write(after, "aaa", [(1001, 1)]);
        (om, bucket)
    }

    fn shown(page: &KeyPage) -> Vec<String> {
        let text = |entry: &ListEntry| match entry {
            ListEntry::Key(key, _) => key.as_str().to_owned(),
            ListEntry::CommonPrefix(prefix) => format!("[{prefix}]"),
        };
        page.entries.iter().map(text).collect()
    }

    /// What a page must show, by looking at every key.
    fn expected(keys: &[&str], prefix: &str, delimiter: Option<&str>, start: &ListStart, limit: usize) -> (Vec<String>, bool) {
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        let mut entries: Vec<String> = Vec::new();
        for key in sorted.into_iter().filter(|key| key.starts_with(prefix)) {
            let common = delimiter.and_then(|d| key[prefix.len()..].find(d).map(|at| &key[..prefix.len() + at + d.len()]));
            let is_behind = match start {
                ListStart::Beginning => true,
                ListStart::At(text) => key >= text.as_str(),
                ListStart::After(text) => key > text.as_str() && common != Some(text.as_str()),
            };
            let entry = common.map_or_else(|| key.to_owned(), |common| format!("[{common}]"));
            if is_behind && entries.last() != Some(&entry) {
                entries.push(entry);
            }
        }
        let more = entries.len() > limit && limit > 0;
        entries.truncate(limit);
        (entries, more)
    }

    #[test]
    fn a_page_shows_what_a_look_at_every_key_shows() {
        let keys = ["a", "a/", "a/b", "a/b/c", "aa", "b/1", "b/2", "b0", "foo+1/x", "foo/y", "é", "é/1", "\u{1}", "0%", "0%1"];
        let (om, bucket) = bucket_of(&keys);
        let starts = ["", "a", "a/", "a/b", "b", "b/", "b/1", "z", "foo+1/", "é/"];
        let starts = starts
            .iter()
            .flat_map(|text| [ListStart::At((*text).into()), ListStart::After((*text).into())])
            .chain([ListStart::Beginning]);
        for start in starts {
            for prefix in ["", "a", "a/", "b", "é", "nothing"] {
                for delimiter in [None, Some("/"), Some("%"), Some("a"), Some("b/")] {
                    for limit in [0, 1, 2, 3, 100] {
                        let page = list_keys(&om.tables, bucket, prefix, delimiter, &start, limit).expect("memory");
                        let (entries, more) = expected(&keys, prefix, delimiter, &start, limit);
                        let case = format!("{start:?} prefix {prefix:?} delimiter {delimiter:?} limit {limit}");
                        assert_eq!(shown(&page), entries, "{case}");
                        assert_eq!(page.next.is_some(), more, "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn pages_of_any_size_join_to_the_whole() {
        let keys = ["a", "a/1", "a/2", "b/1", "b/2", "c", "c/", "d"];
        let (om, bucket) = bucket_of(&keys);
        for delimiter in [None, Some("/")] {
            let whole = list_keys(&om.tables, bucket, "", delimiter, &ListStart::Beginning, 100).expect("memory");
            for size in 1..4 {
                let (mut joined, mut start) = (Vec::new(), Some(ListStart::Beginning));
                while let Some(at) = start {
                    let page = list_keys(&om.tables, bucket, "", delimiter, &at, size).expect("memory");
                    joined.extend(page.entries);
                    start = page.next;
                }
                assert_eq!(joined, whole.entries, "pages of {size}, delimiter {delimiter:?}");
            }
        }
    }

    #[test]
    fn a_common_prefix_costs_one_seek_however_many_keys_lie_in_it() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let mut block = 0;
        for folder in 0..5 {
            for n in 0..200 {
                block += 1;
                om.write(bucket, &format!("{folder}/{n:03}"), [(block, 1)]);
            }
        }
        let before = om.tables.seeks();
        let page = list_keys(&om.tables, bucket, "", Some("/"), &ListStart::Beginning, 1000).expect("memory");
        assert_eq!(shown(&page), ["[0/]", "[1/]", "[2/]", "[3/]", "[4/]"]);
        assert_eq!(page.seeks, 6);
        assert_eq!(om.tables.seeks() - before, page.seeks);
    }

    #[test]
    fn a_key_that_was_deleted_is_not_listed() {
        let (mut om, bucket) = bucket_of(&["a", "b", "c"]);
        om.delete(bucket, "b");
        let page = list_keys(&om.tables, bucket, "", None, &ListStart::Beginning, 100).expect("memory");
        assert_eq!(shown(&page), ["a", "c"]);
        assert!(matches!(&page.entries[0], ListEntry::Key(name, head) if *name == key("a") && head.size == 10));
    }
}
