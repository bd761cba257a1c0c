//! Tables in memory: the model that tests and simulations run a core against.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Bound;

use crate::{ReadTables, StorageFault, Table, Visit, Visitor, WriteTables};

#[derive(Debug, Clone, Default)]
pub struct MemoryTables {
    rows: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
    seeks: Cell<u64>,
}

impl MemoryTables {
    /// How many positions scans and gets have looked up since the start: the cost of a query apart from the rows it returns.
    pub fn seeks(&self) -> u64 {
        self.seeks.get()
    }

    /// Every row, to compare replicas with.
    pub fn rows(&self) -> impl Iterator<Item = (u8, &[u8], &[u8])> {
        self.rows.iter().map(|((table, key), value)| (*table, key.as_slice(), value.as_slice()))
    }
}

impl PartialEq for MemoryTables {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}

impl ReadTables for MemoryTables {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageFault> {
        self.seeks.set(self.seeks.get() + 1);
        Ok(self.rows.get(&(table.id, key.to_vec())).cloned())
    }

    fn scan(&self, table: Table, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), StorageFault> {
        let mut start = from.to_vec();
        'seek: loop {
            self.seeks.set(self.seeks.get() + 1);
            let range = (Bound::Included((table.id, start.clone())), Bound::Unbounded);
            for ((id, key), value) in self.rows.range(range) {
                if *id != table.id {
                    break;
                }
                match visit(key, value)? {
                    Visit::Next => {}
                    Visit::SeekTo(next) => {
                        assert!(next > *key, "a scan only moves forward");
                        start = next;
                        continue 'seek;
                    }
                    Visit::Stop => return Ok(()),
                }
            }
            return Ok(());
        }
    }
}

impl WriteTables for MemoryTables {
    fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.rows.insert((table.id, key.to_vec()), value);
    }

    fn delete(&mut self, table: Table, key: &[u8]) {
        self.rows.remove(&(table.id, key.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LETTERS: Table = Table { id: 1, name: "letters" };
    const OTHERS: Table = Table { id: 2, name: "others" };

    #[test]
    fn a_scan_stays_in_its_table_and_seeks_past_what_the_visitor_skips() {
        let mut tables = MemoryTables::default();
        for key in ["a/1", "a/2", "b", "c"] {
            tables.put(LETTERS, key.as_bytes(), vec![]);
        }
        tables.put(OTHERS, b"d", vec![]);
        let mut seen = Vec::new();
        tables
            .scan(LETTERS, b"", &mut |key, _| {
                seen.push(String::from_utf8_lossy(key).into_owned());
                Ok(if key.starts_with(b"a/") { Visit::SeekTo(b"a0".to_vec()) } else { Visit::Next })
            })
            .expect("memory does not fail");
        assert_eq!(seen, ["a/1", "b", "c"]);
        assert_eq!(tables.seeks(), 2);
    }
}
