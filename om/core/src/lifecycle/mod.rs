//! What a bucket's lifecycle rules make due, to end or to be moved to another storage class: one walk forward over its keys, then what they hide, then its uploads, a bounded
//! step at a time.
//!
//! A step plans from one state. What it finds is looked at again when it is carried out
//! ([`ExpireVersions`](crate::ExpireVersions), [`MoveVersions`](crate::MoveVersions), [`MoveBytes`](crate::MoveBytes)), so a plan
//! that has grown old ends and moves nothing that was written since.

#[cfg(test)]
mod tests;

use bucket_config::LifecycleConfiguration;
use bucket_config::lifecycle::{Current, Day, Fate, Hidden, Noncurrent, ObjectFacts, Realm, StaleUpload};
use tables::{ReadTables, StorageFault, Table, Visit};
use types::{BucketId, Bypass, LogIndex, ObjectKey, Replication, Timestamp};

use crate::commands::{HowItEnds, VersionEnd, VersionMove, VersionPlace};
use crate::rows::{
    BucketRow, DeleteMarker, KeyHead, KeyRow, Sequence, UploadKey, UploadRow, VersionHead, VersionRow, Versioning, be64,
    bucket_key, decode_version_key, key_prefix, malformed,
};
use crate::tables::{KEYS, LIFECYCLE_BUCKETS, UPLOADS, VERSIONS};
use crate::versions;

/// The buckets behind one that have lifecycle rules, each with the entry that set them.
pub fn buckets(
    tables: &dyn ReadTables,
    after: Option<BucketId>,
    limit: usize,
) -> Result<Vec<(BucketId, LogIndex)>, StorageFault> {
    let mut found = Vec::new();
    // Ids are log indexes: there is always a next one.
    let from = after.map_or(Vec::new(), |BucketId(id)| bucket_key(BucketId(id.saturating_add(1))).to_vec());
    tables.scan(LIFECYCLE_BUCKETS, &from, &mut |key, value| {
        if found.len() == limit {
            return Ok(Visit::Stop);
        }
        let rules: LogIndex = tables::decode(value, LIFECYCLE_BUCKETS.name)?;
        found.push((BucketId(be64(LIFECYCLE_BUCKETS, key, 0)?), rules));
        Ok(Visit::Next)
    })?;
    Ok(found)
}

/// What is remembered of a walk that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastWalk {
    /// The entry that had set the rules.
    pub rules: LogIndex,
    pub began: Timestamp,
    /// What a walk ends can make more due: a delete marker without versions under it.
    pub found_nothing: bool,
}

impl LastWalk {
    /// Whether another walk would find nothing, either: days end at midnight, and so nothing becomes due between two of them.
    pub fn is_enough(&self, rules: LogIndex, now: Timestamp, day: Day) -> bool {
        self.rules == rules && self.found_nothing && !day.has_turned(self.began, now)
    }
}

/// Where a walk goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    realm: Realm,
    /// The first row that has not been looked at; empty at the beginning of the realm.
    from: Vec<u8>,
}

impl Place {
    pub const START: Self = Self::at(Realm::Current);

    const fn at(realm: Realm) -> Self {
        Self { realm, from: Vec::new() }
    }
}

/// How far one step goes.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub rows: usize,
    /// Versions and uploads that are due.
    pub due: usize,
}

/// What one step found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    pub versions: Vec<VersionEnd>,
    pub moves: Vec<DueMove>,
    pub uploads: Vec<UploadKey>,
    pub rows: usize,
    /// None at the end of the walk.
    pub next: Option<Place>,
}

impl Step {
    fn due(&self) -> usize {
        self.versions.len() + self.moves.len() + self.uploads.len()
    }
}

/// A version that is to be in another storage class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueMove {
    pub key: ObjectKey,
    pub sequence: Sequence,
    pub place: VersionPlace,
    pub class: String,
    /// What the rules saw, if they asked.
    pub tags: Option<Vec<(String, String)>>,
    /// How its blocks are kept now.
    pub kept: Replication,
    /// What is stored of it; with nothing there is nothing to keep in another way.
    pub stored: u64,
}

impl DueMove {
    /// To a class whose objects are kept so.
    pub fn to(self, replication: Replication) -> VersionMove {
        let Self { key, sequence, place, class, tags, .. } = self;
        VersionMove { key, sequence, place, class, replication, tags }
    }
}

/// A walk over one bucket.
#[derive(Debug, Clone, Copy)]
pub struct Walk<'a> {
    pub bucket: &'a BucketRow,
    pub rules: &'a LifecycleConfiguration,
    pub now: Timestamp,
    pub day: Day,
    pub bounds: Bounds,
}

impl Walk<'_> {
    pub fn step(&self, tables: &dyn ReadTables, place: &Place) -> Result<Step, StorageFault> {
        let mut step = Step::default();
        let stretches = Stretches::new(self.bucket.id, &self.rules.prefixes(place.realm));
        let left_at = match (stretches.first(&place.from), place.realm) {
            (None, _) => None,
            (Some(from), Realm::Current) => self.current(tables, &from, stretches, &mut step)?,
            (Some(from), Realm::Hidden) => self.hidden(tables, &from, stretches, &mut step)?,
            (Some(from), Realm::Uploads) => self.uploads(tables, &from, stretches, &mut step)?,
        };
        step.next = match (left_at, place.realm) {
            (Some(from), realm) => Some(Place { realm, from }),
            (None, Realm::Current) => Some(Place::at(Realm::Hidden)),
            (None, Realm::Hidden) => Some(Place::at(Realm::Uploads)),
            (None, Realm::Uploads) => None,
        };
        Ok(step)
    }

    fn is_full(&self, step: &Step) -> bool {
        step.rows >= self.bounds.rows || step.due() >= self.bounds.due
    }

    fn current(
        &self,
        tables: &dyn ReadTables,
        from: &[u8],
        mut stretches: Stretches,
        step: &mut Step,
    ) -> Result<Option<Vec<u8>>, StorageFault> {
        let mut left_at = None;
        tables.scan(KEYS, from, &mut |row_key, value| {
            if let Some(elsewhere) = stretches.leave(row_key) {
                return Ok(elsewhere);
            }
            if self.is_full(step) {
                left_at = Some(row_key.to_vec());
                return Ok(Visit::Stop);
            }
            step.rows += 1;
            let key = std::str::from_utf8(&row_key[8..]).map_err(|_| malformed(KEYS, "a key is not text"))?;
            let (head, tags) = self.head_and_tags(value)?;
            let current = Current::Object { facts: facts(key, &head, &tags), modified: head.modified };
            match self.rules.fate_of_current(current, self.now, self.day) {
                Fate::Expire if !self.is_kept(&head) => {
                    step.versions.push(self.end(KEYS, key, head.sequence, HowItEnds::Current, tags)?);
                }
                // A lock holds what the object is, not where it lies.
                Fate::Move(class) => {
                    let row = tables::decode(value, KEYS.name)?;
                    step.moves.push(self.due_move(KEYS, key, row, VersionPlace::Current, class, tags)?);
                }
                Fate::Expire | Fate::Stay => {}
            }
            Ok(Visit::Next)
        })?;
        Ok(left_at)
    }

    fn head_and_tags(&self, value: &[u8]) -> Result<(KeyHead, Vec<(String, String)>), StorageFault> {
        if self.rules.asks_for_tags() {
            KeyRow::decode_head_and_tags(value)
        } else {
            Ok((KeyRow::decode_head(value)?, Vec::new()))
        }
    }

    /// Whether a lock keeps the current version, which matters where it would be gone and not only hidden.
    fn is_kept(&self, head: &KeyHead) -> bool {
        let is_replaced = self.bucket.versioning != Versioning::Enabled && head.version.is_null();
        is_replaced && is_locked(head, self.now)
    }

    fn end(
        &self,
        table: Table,
        key: &str,
        sequence: Sequence,
        how: HowItEnds,
        tags: Vec<(String, String)>,
    ) -> Result<VersionEnd, StorageFault> {
        let key = ObjectKey::parse(key).map_err(|error| malformed(table, &error.to_string()))?;
        Ok(VersionEnd { key, sequence, how, tags: self.rules.asks_for_tags().then_some(tags) })
    }

    fn due_move(
        &self,
        table: Table,
        key: &str,
        row: KeyRow,
        place: VersionPlace,
        class: &str,
        tags: Vec<(String, String)>,
    ) -> Result<DueMove, StorageFault> {
        Ok(DueMove {
            key: ObjectKey::parse(key).map_err(|error| malformed(table, &error.to_string()))?,
            sequence: row.head.sequence,
            place,
            class: class.to_owned(),
            tags: self.rules.asks_for_tags().then_some(tags),
            kept: row.body.replication.unwrap_or(self.bucket.replication),
            stored: row.body.pieces.iter().map(|piece| piece.length).sum(),
        })
    }

    fn hidden(
        &self,
        tables: &dyn ReadTables,
        from: &[u8],
        mut stretches: Stretches,
        step: &mut Step,
    ) -> Result<Option<Vec<u8>>, StorageFault> {
        let mut left_at = None;
        let mut stack = Stack::resumed(tables, from)?;
        tables.scan(VERSIONS, from, &mut |row_key, value| {
            if let Some(elsewhere) = stretches.leave(row_key) {
                step.versions.extend(self.lone_marker(&mut stack)?);
                return Ok(elsewhere);
            }
            let (key, sequence) = decode_version_key(row_key)?;
            if stack.key == key {
                stack.marker = None;
            } else {
                step.versions.extend(self.lone_marker(&mut stack)?);
                stack = Stack { key: key.to_owned(), ..Stack::default() };
            }
            if self.is_full(step) {
                left_at = Some(row_key.to_vec());
                return Ok(Visit::Stop);
            }
            step.rows += 1;
            self.hidden_one(&mut stack, sequence, value, step)?;
            Ok(Visit::Next)
        })?;
        step.versions.extend(self.lone_marker(&mut stack)?);
        Ok(left_at)
    }

    fn hidden_one(&self, stack: &mut Stack, sequence: Sequence, value: &[u8], step: &mut Step) -> Result<(), StorageFault> {
        let (head, tags) = match self.rules.asks_for_tags() {
            true => VersionRow::decode_head_and_tags(value)?,
            false => (VersionRow::decode_head(value)?, Vec::new()),
        };
        let newer = stack.newer;
        let (what, since, is_kept) = match &head {
            VersionHead::Object(head) => {
                stack.newer = newer.saturating_add(1);
                (Hidden::Object(facts(&stack.key, head, &tags)), head.noncurrent, is_locked(head, self.now))
            }
            VersionHead::Marker(marker) if marker.noncurrent.is_none() => {
                stack.marker = Some(marker.clone());
                return Ok(());
            }
            VersionHead::Marker(marker) => (Hidden::Marker(&stack.key), marker.noncurrent, false),
        };
        let Some(since) = since else { return Ok(()) };
        let version = Noncurrent { what, since, newer };
        if let Some(newer) = self.rules.end_of_noncurrent(version, self.now, self.day) {
            if !is_kept {
                step.versions.push(self.end(VERSIONS, &stack.key, sequence, HowItEnds::Noncurrent { newer }, tags)?);
            }
        } else if let Fate::Move(class) = self.rules.fate_of_noncurrent(version, self.now, self.day)
            && let VersionRow::Object(row) = tables::decode(value, VERSIONS.name)?
        {
            step.moves.push(self.due_move(VERSIONS, &stack.key, row, VersionPlace::Noncurrent, class, tags)?);
        }
        Ok(())
    }

    /// The end of the marker that turned out to have nothing under it, if it is due.
    fn lone_marker(&self, stack: &mut Stack) -> Result<Option<VersionEnd>, StorageFault> {
        let Some(marker) = stack.marker.take() else { return Ok(None) };
        let current = Current::LoneMarker { key: &stack.key, modified: marker.modified };
        if self.rules.fate_of_current(current, self.now, self.day) != Fate::Expire {
            return Ok(None);
        }
        self.end(VERSIONS, &stack.key, marker.sequence, HowItEnds::LoneMarker, Vec::new()).map(Some)
    }

    fn uploads(
        &self,
        tables: &dyn ReadTables,
        from: &[u8],
        mut stretches: Stretches,
        step: &mut Step,
    ) -> Result<Option<Vec<u8>>, StorageFault> {
        let mut left_at = None;
        tables.scan(UPLOADS, from, &mut |row_key, value| {
            if let Some(elsewhere) = stretches.leave(row_key) {
                return Ok(elsewhere);
            }
            if self.is_full(step) {
                left_at = Some(row_key.to_vec());
                return Ok(Visit::Stop);
            }
            step.rows += 1;
            let at = UploadKey::decode(UPLOADS, row_key)?;
            let row: UploadRow = tables::decode(value, UPLOADS.name)?;
            let upload = StaleUpload { key: at.key.as_str(), initiated: row.initiated };
            if self.rules.aborts(upload, self.now, self.day) {
                step.uploads.push(at);
            }
            Ok(Visit::Next)
        })?;
        Ok(left_at)
    }
}

fn is_locked(head: &KeyHead, now: Timestamp) -> bool {
    head.lock.is_some_and(|lock| lock.holds(now, Bypass::No))
}

/// What rules look at in an object.
pub fn facts<'a>(key: &'a str, head: &'a KeyHead, tags: &'a [(String, String)]) -> ObjectFacts<'a> {
    ObjectFacts { key, size: head.size, tags, storage_class: head.storage_class.as_deref().unwrap_or("STANDARD") }
}

/// What a walk has seen of the versions of one key.
#[derive(Debug, Default)]
struct Stack {
    key: String,
    /// Noncurrent objects, all of them newer than the next row.
    newer: u32,
    /// The marker that the stack began with, as long as nothing was seen under it.
    marker: Option<DeleteMarker>,
}

impl Stack {
    /// The stack that a step begins in the middle of: what was seen of it is counted anew, as it is now.
    fn resumed(tables: &dyn ReadTables, from: &[u8]) -> Result<Self, StorageFault> {
        let Ok((key, sequence)) = decode_version_key(from) else { return Ok(Self::default()) };
        let bucket = BucketId(be64(VERSIONS, from, 0)?);
        let key = ObjectKey::parse(key).map_err(|error| malformed(VERSIONS, &error.to_string()))?;
        let newer = versions::hidden_objects_above(tables, bucket, &key, sequence, MOST_NEWER)?;
        Ok(Self { key: key.as_str().to_owned(), newer, marker: None })
    }
}

/// No rule keeps more versions than this.
const MOST_NEWER: u32 = 100;

/// The parts of a table where rules reach.
#[derive(Debug)]
struct Stretches {
    /// What the keys in each begin with, in order.
    prefixes: Vec<Vec<u8>>,
    at: usize,
}

impl Stretches {
    fn new(bucket: BucketId, prefixes: &[&str]) -> Self {
        Self { prefixes: prefixes.iter().map(|prefix| key_prefix(bucket, prefix.as_bytes())).collect(), at: 0 }
    }

    /// Where to begin, at `from` or behind it.
    fn first(&self, from: &[u8]) -> Option<Vec<u8>> {
        self.prefixes.first().map(|first| first.as_slice().max(from).to_vec())
    }

    /// Where to go on instead, if a row lies in none of them.
    fn leave(&mut self, row_key: &[u8]) -> Option<Visit> {
        while let Some(prefix) = self.prefixes.get(self.at) {
            if row_key.starts_with(prefix) {
                return None;
            }
            if row_key < prefix.as_slice() {
                return Some(Visit::SeekTo(prefix.clone()));
            }
            self.at += 1;
        }
        Some(Visit::Stop)
    }
}
