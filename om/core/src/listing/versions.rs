//! One page of a bucket's versions.

use std::cmp::Ordering;

use tables::{ReadTables, StorageFault, Table, Visit};
use types::{BucketId, ObjectKey, VersionId};

use super::common_prefix;
use crate::namespace;
use crate::rows::{
    self, KeyRow, Sequence, VersionHead, VersionRow, decode_version_key, key_key, key_prefix, malformed, prefix_end, version_key,
};
use crate::tables::{KEYS, NULL_VERSIONS, VERSIONS};

/// Where a page of versions begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionStart {
    Beginning,
    /// Behind all versions of this key; if it is a common prefix under the delimiter, behind everything in it.
    AfterKey(String),
    /// Behind this version of the key, whether or not it is still there.
    AfterVersion(ObjectKey, VersionId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionEntry {
    Version { key: ObjectKey, head: VersionHead, is_latest: bool },
    CommonPrefix(String),
}

impl VersionEntry {
    /// By key, and within a key from the newest on.
    fn order(&self) -> (&str, u64) {
        match self {
            Self::Version { key, head, .. } => (key.as_str(), !head.sequence().0),
            Self::CommonPrefix(prefix) => (prefix, 0),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionPage {
    /// Keys in byte order, the versions of each from the newest on.
    pub entries: Vec<VersionEntry>,
    /// More follow behind the last entry.
    pub more: bool,
    /// Positions looked up in the tables.
    pub seeks: u64,
}

/// Versions and common prefixes count alike towards `limit`.
///
/// Current versions and the others lie in two tables in the same order. At most one more than a page of either can be in it, so
/// that much is read of both and merged: the cost is that of what is returned, at most twice.
pub fn list_versions(
    tables: &dyn ReadTables,
    bucket: BucketId,
    prefix: &str,
    delimiter: Option<&str>,
    start: &VersionStart,
    limit: usize,
) -> Result<VersionPage, StorageFault> {
    let mut page = VersionPage::default();
    let Some(from) = first_positions(tables, bucket, prefix, delimiter, start)?.filter(|_| limit > 0) else {
        return Ok(page);
    };
    let mut side = |table, from: &[u8]| {
        let side = Side { tables, table, bucket, prefix, delimiter };
        side.read(from, limit + 1, &mut page.seeks)
    };
    let current = side(KEYS, &from.current)?;
    let older = side(VERSIONS, &from.older)?;
    page.entries = merge(current, older);
    page.more = page.entries.len() > limit;
    page.entries.truncate(limit);
    Ok(page)
}

struct Positions {
    current: Vec<u8>,
    older: Vec<u8>,
}

/// None if nothing can follow.
fn first_positions(
    tables: &dyn ReadTables,
    bucket: BucketId,
    prefix: &str,
    delimiter: Option<&str>,
    start: &VersionStart,
) -> Result<Option<Positions>, StorageFault> {
    let inside = key_prefix(bucket, prefix.as_bytes());
    let behind_key = |text: &str| [&key_prefix(bucket, text.as_bytes())[..], b"\x01"].concat();
    let (current, older) = match start {
        VersionStart::Beginning => (inside.clone(), inside.clone()),
        VersionStart::AfterKey(text) => {
            let is_common_prefix = text.starts_with(prefix) && common_prefix(text, prefix, delimiter) == Some(text);
            // No key holds NUL: what follows a key, and its versions under NUL, begins with the byte 1 behind it.
            let end = if is_common_prefix { prefix_end(&key_prefix(bucket, text.as_bytes())) } else { Some(behind_key(text)) };
            let Some(end) = end else { return Ok(None) };
            (end.clone(), end)
        }
        VersionStart::AfterVersion(key, version) => {
            let head = namespace::current_head(tables, bucket, key)?;
            let at = key_key(bucket, key);
            let sequence = match &head {
                _ if !version.is_null() => Some(Sequence(version.0)),
                Some(head) if head.version.is_null() => Some(head.sequence),
                _ => rows::get(tables, NULL_VERSIONS, &at)?,
            };
            match sequence {
                // A null version that is gone: nobody knows where it was, so the key is shown from its newest version on.
                None => (at.clone(), at),
                Some(sequence) => {
                    let is_current_behind = head.is_some_and(|head| head.sequence < sequence);
                    let current = if is_current_behind { at } else { behind_key(key.as_str()) };
                    let older = match sequence.0.checked_sub(1) {
                        Some(below) => version_key(bucket, key, Sequence(below)),
                        None => behind_key(key.as_str()),
                    };
                    (current, older)
                }
            }
        }
    };
    Ok(Some(Positions { current: current.max(inside.clone()), older: older.max(inside) }))
}

/// One of the two tables.
struct Side<'a> {
    tables: &'a dyn ReadTables,
    table: Table,
    bucket: BucketId,
    prefix: &'a str,
    delimiter: Option<&'a str>,
}

impl Side<'_> {
    fn read(&self, from: &[u8], limit: usize, seeks: &mut u64) -> Result<Vec<VersionEntry>, StorageFault> {
        let mut entries: Vec<VersionEntry> = Vec::new();
        let inside = key_prefix(self.bucket, self.prefix.as_bytes());
        *seeks += 1;
        self.tables.scan(self.table, from, &mut |row_key, value| {
            if !row_key.starts_with(&inside) || entries.len() == limit {
                return Ok(Visit::Stop);
            }
            let key = self.key(row_key)?;
            if let Some(common) = common_prefix(key, self.prefix, self.delimiter) {
                entries.push(VersionEntry::CommonPrefix(common.to_owned()));
                return Ok(match prefix_end(&key_prefix(self.bucket, common.as_bytes())) {
                    Some(end) => {
                        *seeks += 1;
                        Visit::SeekTo(end)
                    }
                    None => Visit::Stop,
                });
            }
            let key = ObjectKey::parse(key).map_err(|error| malformed(self.table, &error.to_string()))?;
            let (head, is_latest) = self.head(value)?;
            entries.push(VersionEntry::Version { key, head, is_latest });
            Ok(Visit::Next)
        })?;
        Ok(entries)
    }

    fn key<'k>(&self, row_key: &'k [u8]) -> Result<&'k str, StorageFault> {
        if self.table == VERSIONS {
            return decode_version_key(row_key).map(|(key, _)| key);
        }
        std::str::from_utf8(&row_key[8..]).map_err(|_| malformed(self.table, "a key is not text"))
    }

    fn head(&self, value: &[u8]) -> Result<(VersionHead, bool), StorageFault> {
        if self.table == KEYS {
            return Ok((VersionHead::Object(KeyRow::decode_head(value)?), true));
        }
        let head = VersionRow::decode_head(value)?;
        let is_latest = matches!(&head, VersionHead::Marker(marker) if marker.noncurrent.is_none());
        Ok((head, is_latest))
    }
}

/// A common prefix that both sides have is shown once.
fn merge(current: Vec<VersionEntry>, older: Vec<VersionEntry>) -> Vec<VersionEntry> {
    let mut merged = Vec::with_capacity(current.len() + older.len());
    let (mut current, mut older) = (current.into_iter().peekable(), older.into_iter().peekable());
    while let (Some(left), Some(right)) = (current.peek(), older.peek()) {
        match left.order().cmp(&right.order()) {
            Ordering::Less => merged.extend(current.next()),
            Ordering::Greater => merged.extend(older.next()),
            Ordering::Equal => {
                merged.extend(current.next());
                older.next();
            }
        }
    }
    merged.extend(current);
    merged.extend(older);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VersioningStatus;
    use crate::testing::{Namespace, key};

    /// Three versions of every key, a marker on top of each second one, and neighbours that must not show.
    fn bucket_of(keys: &[&str]) -> (Namespace, BucketId) {
        let mut om = Namespace::with_users(["ada"]);
        let before = om.create_bucket("ada", "before");
        let bucket = om.create_bucket("ada", "photos");
        let after = om.create_bucket("ada", "zz-after");
        let mut block = 0;
        for other in [before, bucket, after] {
            for name in keys {
                block += 1;
                om.write(other, name, [(block, 10)]);
            }
            om.set_versioning(other, VersioningStatus::Enabled);
        }
        for (n, name) in keys.iter().enumerate() {
            block += 2;
            om.write(bucket, name, [(block, 10)]);
            om.write(bucket, name, [(block + 1, 10)]);
            if n % 2 == 1 {
                om.delete(bucket, name);
            }
        }
        om.check();
        (om, bucket)
    }

    fn shown(entry: &VersionEntry) -> String {
        match entry {
            VersionEntry::Version { key, head, is_latest } => format!("{key} {} {is_latest}", head.version()),
            VersionEntry::CommonPrefix(prefix) => format!("[{prefix}]"),
        }
    }

    fn all_in_pages(om: &Namespace, bucket: BucketId, prefix: &str, delimiter: Option<&str>, limit: usize) -> Vec<String> {
        let (mut start, mut found) = (VersionStart::Beginning, Vec::new());
        loop {
            let page = list_versions(&om.tables, bucket, prefix, delimiter, &start, limit).expect("memory");
            found.extend(page.entries.iter().map(shown));
            if !page.more {
                return found;
            }
            start = match page.entries.last().expect("a page with more behind it is not empty") {
                VersionEntry::Version { key, head, .. } => VersionStart::AfterVersion(key.clone(), head.version()),
                VersionEntry::CommonPrefix(prefix) => VersionStart::AfterKey(prefix.clone()),
            };
        }
    }

    #[test]
    fn pages_of_any_size_show_every_version_once_and_in_order() {
        let keys = ["a", "a/", "a/b", "a/b/c", "aa", "b/1", "b/2", "b0", "é", "\u{1}"];
        let (om, bucket) = bucket_of(&keys);
        let whole = all_in_pages(&om, bucket, "", None, 1000);
        assert_eq!(whole.len(), keys.len() * 3 + keys.len() / 2);
        assert_eq!(whole.iter().filter(|entry| entry.ends_with("true")).count(), keys.len());
        let names: Vec<&str> = whole.iter().map(|entry| entry.split(' ').next().expect("a name")).collect();
        assert!(names.is_sorted());
        for (prefix, delimiter) in [("", None), ("", Some("/")), ("a", Some("/")), ("a/", Some("/")), ("b/", None), ("z", None)] {
            let at_once = all_in_pages(&om, bucket, prefix, delimiter, 1000);
            for limit in 1..8 {
                assert_eq!(all_in_pages(&om, bucket, prefix, delimiter, limit), at_once, "{prefix:?} {delimiter:?} by {limit}");
            }
        }
        assert_eq!(all_in_pages(&om, bucket, "b", Some("/"), 9), {
            let mut expected = vec!["[b/]".to_owned()];
            expected.extend(whole.iter().filter(|entry| entry.starts_with("b0")).cloned());
            expected
        });
    }

    #[test]
    fn a_page_goes_on_behind_a_version_that_is_gone() {
        let (mut om, bucket) = bucket_of(&["a"]);
        let page = list_versions(&om.tables, bucket, "", None, &VersionStart::Beginning, 2).expect("memory");
        let [newest, second] = &page.entries[..] else { panic!("two versions") };
        let (VersionEntry::Version { head: newest, .. }, VersionEntry::Version { head: second, .. }) = (newest, second) else {
            panic!("no prefixes")
        };
        let (newest, second) = (newest.version(), second.version());
        let behind = |om: &Namespace, version| {
            let start = VersionStart::AfterVersion(key("a"), version);
            let page = list_versions(&om.tables, bucket, "", None, &start, 10).expect("memory");
            page.entries.iter().map(shown).collect::<Vec<_>>()
        };
        let expected = behind(&om, newest);
        om.delete_version(bucket, "a", newest).expect("it is not locked");
        // The one behind it is the current one now.
        assert_eq!(
            behind(&om, newest),
            expected.iter().map(|entry| entry.replace(&format!("{second} false"), &format!("{second} true"))).collect::<Vec<_>>()
        );
        om.delete_version(bucket, "a", VersionId::NULL).expect("it is not locked");
        assert_eq!(behind(&om, VersionId::NULL), [format!("a {second} true")]);
    }

    #[test]
    fn a_page_costs_what_it_shows() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_versioning(bucket, VersioningStatus::Enabled);
        for n in 0..200 {
            om.write(bucket, if n % 2 == 0 { "x/a" } else { "y/b" }, [(n, 1)]);
        }
        let page = list_versions(&om.tables, bucket, "", Some("/"), &VersionStart::Beginning, 10).expect("memory");
        assert_eq!(page.entries.iter().map(shown).collect::<Vec<_>>(), ["[x/]", "[y/]"]);
        assert_eq!(page.seeks, 6);
    }
}
