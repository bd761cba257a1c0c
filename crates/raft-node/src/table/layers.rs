//! Many layers read as one: changes in memory, newest first, over rows on disk.

use tables::{ReadTables, StorageFault, Table, Visit, Visitor, WriteTables};

use super::faults::Faults;
use super::overlay::{Changes, Overlay, row_key};
use super::stats::Stats;
use super::store::{Cursor, Pinned};

/// At most: the batch being applied, the changes since the last flush, the changes being flushed.
const OVERLAYS: usize = 3;

#[derive(Clone, Copy)]
pub(super) struct Layers<'a> {
    pub(super) overlays: [Option<&'a Overlay>; OVERLAYS],
    pub(super) pinned: &'a Pinned,
    pub(super) stats: &'a Stats,
    pub(super) faults: &'a Faults,
}

impl ReadTables for Layers<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageFault> {
        let key = row_key(table.id, key);
        if let Some(change) = self.overlays.iter().flatten().find_map(|overlay| overlay.get(&key)) {
            return Ok(change.map(<[u8]>::to_vec));
        }
        self.stats.note_seek();
        self.faults.note(self.pinned.get(&key))
    }

    fn scan(&self, table: Table, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), StorageFault> {
        let mut merge = self.faults.note(Merge::start(self, table.id, from))?;
        while let Some(next) = merge.visit_row(visit, self.faults)? {
            let moved = match next {
                Visit::Next => merge.step(),
                Visit::SeekTo(target) => merge.seek(&row_key(table.id, &target)),
                Visit::Stop => return Ok(()),
            };
            self.faults.note(moved)?;
        }
        Ok(())
    }
}

/// A forward pass over all layers. The disk is sought once at the start and again only where the visitor jumps far.
struct Merge<'a> {
    overlays: [Option<OverlayHead<'a>>; OVERLAYS],
    disk: Cursor<'a>,
    /// The next table's first possible key; nothing behind the last table.
    end: Option<Vec<u8>>,
}

struct OverlayHead<'a> {
    overlay: &'a Overlay,
    rest: Changes<'a>,
    head: Option<(&'a [u8], Option<&'a [u8]>)>,
}

impl<'a> OverlayHead<'a> {
    fn at(overlay: &'a Overlay, from: &[u8], end: Option<&[u8]>) -> Self {
        let mut rest = overlay.range(from, end);
        let head = rest.next();
        Self { overlay, rest, head }
    }

    fn key(&self) -> Option<&'a [u8]> {
        self.head.map(|(key, _)| key)
    }
}

/// Which layers hold the least key.
enum Least<'a> {
    /// A change in memory; the disk may hold an older row under the same key.
    Changed {
        key: &'a [u8],
        value: Option<&'a [u8]>,
    },
    Disk,
}

impl<'a> Merge<'a> {
    fn start(layers: &Layers<'a>, table: u8, from: &[u8]) -> Result<Self, StorageFault> {
        let from = row_key(table, from);
        let end = table.checked_add(1).map(|next| vec![next]);
        let at = |overlay| OverlayHead::at(overlay, &from, end.as_deref());
        let overlays = layers.overlays.map(|overlay| overlay.map(at));
        let disk = layers.pinned.cursor(&from, end.as_deref(), layers.stats)?;
        Ok(Self { overlays, disk, end })
    }

    fn least(&self) -> Option<Least<'a>> {
        // `min_by_key` gives the first of equals, and the first layer is the newest.
        let changed = self.overlays.iter().flatten().filter_map(|layer| layer.head).min_by_key(|(key, _)| *key);
        match (changed, self.disk.key()) {
            (None, None) => None,
            (Some((key, _)), Some(disk)) if disk < key => Some(Least::Disk),
            (Some((key, value)), _) => Some(Least::Changed { key, value }),
            (None, Some(_)) => Some(Least::Disk),
        }
    }

    /// Shows the least row that is not deleted to the visitor. Nothing: there is none.
    fn visit_row(&mut self, visit: &mut Visitor<'_>, faults: &Faults) -> Result<Option<Visit>, StorageFault> {
        loop {
            let (key, next) = match self.least() {
                None => return Ok(None),
                Some(Least::Changed { value: None, .. }) => {
                    faults.note(self.step())?;
                    continue;
                }
                Some(Least::Changed { key, value: Some(value) }) => (key, visit(&key[1..], value)?),
                Some(Least::Disk) => match faults.note(self.disk.row())? {
                    Some((key, value)) => (key, visit(&key[1..], value)?),
                    None => return Ok(None),
                },
            };
            if let Visit::SeekTo(target) = &next
                && target.as_slice() <= &key[1..]
            {
                return Err(StorageFault("a scan was told to go backwards".to_owned()));
            }
            return Ok(Some(next));
        }
    }

    /// Past the least key in all layers.
    fn step(&mut self) -> Result<(), StorageFault> {
        let Some(Least::Changed { key, .. }) = self.least() else { return self.disk.advance() };
        for layer in self.overlays.iter_mut().flatten() {
            if layer.key() == Some(key) {
                layer.head = layer.rest.next();
            }
        }
        if self.disk.key() == Some(key) { self.disk.advance() } else { Ok(()) }
    }

    /// To the first row at or after `target`, in each layer that is before it.
    fn seek(&mut self, target: &[u8]) -> Result<(), StorageFault> {
        for layer in self.overlays.iter_mut().flatten() {
            if layer.key().is_some_and(|key| key < target) {
                *layer = OverlayHead::at(layer.overlay, target, self.end.as_deref());
            }
        }
        self.disk.forward_to(target)
    }
}

/// The changes of one batch over the state it is applied to.
pub(super) struct Batch<'a> {
    pub(super) changes: Overlay,
    pub(super) below: Layers<'a>,
}

impl Batch<'_> {
    fn layers(&self) -> Layers<'_> {
        let [_, active, frozen] = self.below.overlays;
        Layers { overlays: [Some(&self.changes), active, frozen], ..self.below }
    }
}

impl ReadTables for Batch<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageFault> {
        self.layers().get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), StorageFault> {
        self.layers().scan(table, from, visit)
    }
}

impl WriteTables for Batch<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.changes.set(row_key(table.id, key), Some(value));
    }

    fn delete(&mut self, table: Table, key: &[u8]) {
        self.changes.set(row_key(table.id, key), None);
    }
}
