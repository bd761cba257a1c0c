//! Rows on disk: one redb file whose every value carries its own checksum.
//!
//! redb does not verify its pages when it reads them, so a row's CRC32C over table, key and value is checked each time one is
//! read. redb may panic on a damaged page; that and every other failure becomes a [`StorageFault`].

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{AccessGuard, Database, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition, WriteTransaction};
use tables::StorageFault;

use super::overlay::Overlay;
use super::stats::Stats;
use crate::Progress;

/// Rows of all tables: the table's id, then the row's key.
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const PROGRESS: &str = "progress";
const CHECKSUM: usize = 4;

/// Runs a piece of redb so that neither an error nor a panic of it gets further than a fault.
fn guarded<T>(what: &'static str, call: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StorageFault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(StorageFault(format!("{what}: {error}"))),
        Err(_) => Err(StorageFault(format!("{what}: the storage panicked, its file is damaged"))),
    }
}

fn checksum(key: &[u8], value: &[u8]) -> [u8; CHECKSUM] {
    crc32c::crc32c_append(crc32c::crc32c(key), value).to_le_bytes()
}

pub(super) fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(CHECKSUM + value.len());
    sealed.extend_from_slice(&checksum(key, value));
    sealed.extend_from_slice(value);
    sealed
}

/// The value behind its checksum.
pub(super) fn unseal<'v>(key: &[u8], sealed: &'v [u8]) -> Result<&'v [u8], StorageFault> {
    match sealed.split_first_chunk::<CHECKSUM>() {
        Some((sum, value)) if *sum == checksum(key, value) => Ok(value),
        _ => Err(StorageFault(format!("row {} does not match its checksum", Hex(key)))),
    }
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().take(80).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

pub(super) struct Store {
    database: Database,
}

impl Store {
    /// Opens the file or makes an empty one, readable by its owner alone: rows hold sealed secrets.
    pub(super) fn open(path: &Path, cache_bytes: usize) -> Result<Self, StorageFault> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let synced = file.and_then(|file| crate::wal::sync_parent(path).map(|()| file));
        let file = synced.map_err(|error| StorageFault(format!("opening {}: {error}", path.display())))?;
        guarded("opening the tables", || {
            let database = redb::Builder::new().set_cache_size(cache_bytes).create_file(file)?;
            // Written only where they are missing: on a full disk what is there must still open.
            if !has_tables(&database)? {
                let transaction = begin(&database)?;
                transaction.open_table(ROWS)?;
                transaction.open_table(META)?;
                transaction.commit()?;
            }
            Ok(Self { database })
        })
    }

    /// The rows as of now, for reading as long as the value lives. Pages it can see are not reused meanwhile.
    pub(super) fn pin(&self) -> Result<Pinned, StorageFault> {
        let (rows, progress) = guarded("pinning the tables", || {
            let transaction = self.database.begin_read()?;
            let meta = transaction.open_table(META)?;
            let progress = meta.get(PROGRESS)?.map(|sealed| sealed.value().to_vec());
            Ok((transaction.open_table(ROWS)?, progress))
        })?;
        let progress = match progress {
            Some(sealed) => tables::decode(unseal(PROGRESS.as_bytes(), &sealed)?, "progress")?,
            None => Progress::default(),
        };
        Ok(Pinned { rows, progress })
    }

    /// Writes the changes and the progress they lead to in one durable transaction.
    pub(super) fn commit(&self, changes: &Overlay, progress: &Progress) -> Result<(), StorageFault> {
        guarded("writing the tables", || {
            let transaction = begin(&self.database)?;
            {
                let mut rows = transaction.open_table(ROWS)?;
                for (key, value) in changes.rows() {
                    match value {
                        Some(value) => rows.insert(key, seal(key, value).as_slice())?,
                        None => rows.remove(key)?,
                    };
                }
            }
            write_progress(&transaction, progress)?;
            transaction.commit()?;
            Ok(())
        })
    }

    /// Begins to fill an empty store with rows in key order.
    pub(super) fn fill(&self) -> Result<Filling, StorageFault> {
        Ok(Filling(guarded("beginning to fill the tables", || begin(&self.database))?))
    }
}

fn has_tables(database: &Database) -> Result<bool, redb::Error> {
    let transaction = database.begin_read()?;
    match transaction.open_table(ROWS).map(drop).and_then(|()| transaction.open_table(META).map(drop)) {
        Ok(()) => Ok(true),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A transaction that is on disk when its commit returns. Quick repair: after a crash a large file opens at once instead of being
/// walked through; it costs a second sync, on a path nobody waits for.
fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn write_progress(transaction: &WriteTransaction, progress: &Progress) -> Result<(), redb::Error> {
    let value = seal(PROGRESS.as_bytes(), &tables::encode(progress));
    transaction.open_table(META)?.insert(PROGRESS, value.as_slice())?;
    Ok(())
}

/// Rows being filled in, invisible until they are committed.
pub(super) struct Filling(WriteTransaction);

impl Filling {
    /// Appends rows that sort behind all before, values with their checksums.
    pub(super) fn append<'r>(&self, rows: impl Iterator<Item = (&'r [u8], &'r [u8])>) -> Result<(), StorageFault> {
        guarded("filling the tables", || {
            let mut table = self.0.open_table(ROWS)?;
            let mut cursor = table.upper_bound_mut(std::ops::Bound::<&[u8]>::Unbounded)?;
            for (key, sealed) in rows {
                cursor
                    .insert_before(key, sealed)
                    .map_err(|error| redb::Error::Corrupted(format!("the snapshot's rows are not in order: {error}")))?;
            }
            cursor.close()?;
            Ok(())
        })
    }

    pub(super) fn commit(self, progress: &Progress) -> Result<(), StorageFault> {
        guarded("writing the filled tables", || {
            write_progress(&self.0, progress)?;
            self.0.commit()?;
            Ok(())
        })
    }
}

/// Key and value.
type Row<'r> = (&'r [u8], &'r [u8]);
type Guard = AccessGuard<'static, &'static [u8]>;

/// The rows at one commit.
pub(super) struct Pinned {
    rows: ReadOnlyTable<&'static [u8], &'static [u8]>,
    progress: Progress,
}

impl Pinned {
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageFault> {
        let found = guarded("reading a row", || Ok(self.rows.get(key)?))?;
        found.map(|sealed| unseal(key, sealed.value()).map(<[u8]>::to_vec)).transpose()
    }

    /// At the first row at or after `from`.
    pub(super) fn cursor<'p>(&'p self, from: &[u8], end: Option<&[u8]>, stats: &'p Stats) -> Result<Cursor<'p>, StorageFault> {
        let end = end.map(<[u8]>::to_vec);
        let mut cursor = Cursor { range: range(&self.rows, from, end.as_deref(), stats)?, pinned: self, end, head: None, stats };
        cursor.advance()?;
        Ok(cursor)
    }
}

fn range(
    rows: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    from: &[u8],
    end: Option<&[u8]>,
    stats: &Stats,
) -> Result<redb::Range<'static, &'static [u8], &'static [u8]>, StorageFault> {
    stats.note_seek();
    guarded("seeking a row", || {
        Ok(match end {
            Some(end) => rows.range::<&[u8]>(from..end)?,
            None => rows.range::<&[u8]>(from..)?,
        })
    })
}

/// A position among the rows of a [`Pinned`].
pub(super) struct Cursor<'p> {
    pinned: &'p Pinned,
    end: Option<Vec<u8>>,
    range: redb::Range<'static, &'static [u8], &'static [u8]>,
    head: Option<(Guard, Guard)>,
    stats: &'p Stats,
}

impl Cursor<'_> {
    /// How many rows to step over before a jump costs less: a jump descends the tree (about 3 µs), a step stays in its leaf (about
    /// 0.25 µs).
    const STEPS_BEFORE_SEEK: usize = 8;

    pub(super) fn key(&self) -> Option<&[u8]> {
        self.head.as_ref().map(|(key, _)| key.value())
    }

    /// The present row with its value's checksum verified.
    pub(super) fn row(&self) -> Result<Option<Row<'_>>, StorageFault> {
        let Some((key, sealed)) = &self.head else { return Ok(None) };
        Ok(Some((key.value(), unseal(key.value(), sealed.value())?)))
    }

    /// The present row as it is stored.
    pub(super) fn sealed_row(&self) -> Option<Row<'_>> {
        self.head.as_ref().map(|(key, sealed)| (key.value(), sealed.value()))
    }

    pub(super) fn advance(&mut self) -> Result<(), StorageFault> {
        let range = &mut self.range;
        self.head = guarded("reading the next row", || Ok(range.next().transpose()?))?;
        if self.head.is_some() {
            self.stats.note_row();
        }
        Ok(())
    }

    /// To the first row at or after `target`, stepping where that is near.
    pub(super) fn forward_to(&mut self, target: &[u8]) -> Result<(), StorageFault> {
        for _ in 0..Self::STEPS_BEFORE_SEEK {
            match self.key() {
                Some(key) if key < target => self.advance()?,
                _ => return Ok(()),
            }
        }
        if self.key().is_some_and(|key| key < target) {
            self.range = range(&self.pinned.rows, target, self.end.as_deref(), self.stats)?;
            self.advance()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_whose_bytes_changed_is_a_fault_and_not_a_value() {
        let mut sealed = seal(b"\x01key", b"value");
        assert_eq!(unseal(b"\x01key", &sealed).expect("as written"), b"value");
        assert!(unseal(b"\x01kex", &sealed).is_err(), "another key's value");
        for at in 0..sealed.len() {
            sealed[at] ^= 0x10;
            assert!(unseal(b"\x01key", &sealed).is_err(), "byte {at} changed");
            sealed[at] ^= 0x10;
        }
        assert!(unseal(b"\x01key", b"abc").is_err(), "too short for a checksum");
    }
}
