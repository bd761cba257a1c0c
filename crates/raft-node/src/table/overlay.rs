//! Changes in memory that are not yet on disk.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Bound;

/// A key as all layers order it: the table's id, then the row's key.
pub(super) fn row_key(table: u8, key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + key.len());
    row.push(table);
    row.extend_from_slice(key);
    row
}

/// Changed rows: a value, or nothing where the row was deleted.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: u64,
}

/// What a map's node and two vectors cost beside their bytes, roughly.
const ROW_OVERHEAD: u64 = 80;

impl Overlay {
    pub(super) fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let new = value.as_ref().map_or(0, Vec::len) as u64;
        let key_bytes = key.len() as u64;
        match self.rows.insert(key, value) {
            Some(old) => self.bytes = self.bytes + new - old.map_or(0, |v| v.len() as u64),
            None => self.bytes += key_bytes + new + ROW_OVERHEAD,
        }
    }

    /// Lays newer changes over these.
    pub(super) fn absorb(&mut self, newer: Self) {
        if self.rows.is_empty() {
            *self = newer;
            return;
        }
        for (key, value) in newer.rows {
            self.set(key, value);
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The change of a row, if there is one: a value, or nothing if it was deleted.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.rows.get(key).map(|value| value.as_deref())
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.rows.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// The changes from `from` to before `end`, or to the last.
    pub(super) fn range<'o>(&'o self, from: &[u8], end: Option<&[u8]>) -> Changes<'o> {
        // A range given backwards makes a BTreeMap panic.
        let (from, end) = match end {
            Some(end) => (from.min(end), Bound::Excluded(end)),
            None => (from, Bound::Unbounded),
        };
        Changes(self.rows.range::<[u8], _>((Bound::Included(from), end)))
    }
}

pub(super) struct Changes<'o>(btree_map::Range<'o, Vec<u8>, Option<Vec<u8>>>);

impl<'o> Iterator for Changes<'o> {
    type Item = (&'o [u8], Option<&'o [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}
