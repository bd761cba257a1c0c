//! Telling others what happens in a bucket.
//!
//! The event is a row that the same entry writes that makes it happen: it is there exactly if the change is, whoever dies. Only buckets
//! with a configuration have any, and they pay one more row and no further sync. Who leads delivers the rows, to each destination those
//! of one key in their order, and takes them away ([`SettleEvents`](crate::SettleEvents)).

use std::collections::BTreeSet;

use bucket_config::NotificationConfiguration;
use tables::{ReadTables, StorageFault, Visit, WriteTables};
use types::{ETag, ObjectKey, Timestamp, VersionId};

use crate::commands::KeyCommitted;
use crate::namespace;
use crate::rows::{self, BucketRow, DeadEventRow, EventKind, EventRow, Origin, Sequence, decode_event_key, event_key, events_of};
use crate::tables::{DEAD_EVENTS, EVENTS};

/// What happened to a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) kind: EventKind,
    pub(crate) key: &'a ObjectKey,
    pub(crate) size: Option<u64>,
    pub(crate) etag: Option<ETag>,
    pub(crate) version: Option<VersionId>,
    pub(crate) at: Timestamp,
    /// Of a move to another storage class.
    pub(crate) class: Option<&'a str>,
}

impl<'a> Event<'a> {
    pub(crate) fn of(kind: EventKind, key: &'a ObjectKey, at: Timestamp) -> Self {
        Self { kind, key, size: None, etag: None, version: None, at, class: None }
    }

    /// An object that is there now.
    pub(crate) fn created(kind: EventKind, key: &'a ObjectKey, made: &KeyCommitted) -> Self {
        Self { kind, key, size: Some(made.size), etag: Some(made.etag), version: made.version, at: made.modified, class: None }
    }
}

/// Writes down what happened, if somebody is to be told. Of one entry no two events of a destination have the same sequence.
pub(crate) fn note(
    tables: &mut dyn WriteTables,
    bucket: &BucketRow,
    event: Event<'_>,
    sequence: Sequence,
    origin: Option<&Origin>,
) -> Result<(), StorageFault> {
    if bucket.notifies.is_none() {
        return Ok(());
    }
    let Some(configuration): Option<NotificationConfiguration> = namespace::bucket_document(tables, bucket.id)? else {
        return Ok(());
    };
    for target in configuration.matching(event.kind.name(), event.key.as_str()) {
        let Some(destination) = target.destination() else { continue };
        let row = EventRow {
            kind: event.kind,
            bucket: bucket.path(),
            owner: bucket.owner.clone(),
            configuration: target.id.clone(),
            key: Some(event.key.clone()),
            size: event.size,
            etag: event.etag,
            version: event.version,
            at: event.at,
            region: bucket.location.clone(),
            origin: origin.cloned(),
            since: None,
            class: event.class.map(str::to_owned),
        };
        rows::put(tables, EVENTS, &event_key(destination, sequence), &row);
    }
    Ok(())
}

/// Lets every destination of a new configuration know that it will be told.
pub(crate) fn test(
    tables: &mut dyn WriteTables,
    bucket: &BucketRow,
    configuration: &NotificationConfiguration,
    sequence: Sequence,
    at: Timestamp,
) {
    let mut tested = BTreeSet::new();
    for target in &configuration.targets {
        let Some(destination) = target.destination().filter(|destination| tested.insert(*destination)) else { continue };
        let row = EventRow {
            kind: EventKind::Test,
            bucket: bucket.path(),
            owner: bucket.owner.clone(),
            configuration: target.id.clone(),
            key: None,
            size: None,
            etag: None,
            version: None,
            at,
            region: bucket.location.clone(),
            origin: None,
            since: None,
            class: None,
        };
        rows::put(tables, EVENTS, &event_key(destination, sequence), &row);
    }
}

/// What waits for a destination, the oldest first.
pub fn waiting(tables: &dyn ReadTables, destination: &str, limit: usize) -> Result<Vec<(Sequence, EventRow)>, StorageFault> {
    let inside = events_of(destination);
    let mut found = Vec::new();
    tables.scan(EVENTS, &inside, &mut |key, value| {
        if found.len() == limit || !key.starts_with(&inside) {
            return Ok(Visit::Stop);
        }
        found.push((decode_event_key(EVENTS, key)?.1, tables::decode(value, EVENTS.name)?));
        Ok(Visit::Next)
    })?;
    Ok(found)
}

/// How many wait for a destination, counted up to `most`.
pub fn count_waiting(tables: &dyn ReadTables, destination: &str, most: usize) -> Result<u64, StorageFault> {
    count_under(tables, EVENTS, &events_of(destination), most)
}

/// How many of its events could not be delivered.
pub fn count_dead(tables: &dyn ReadTables, destination: &str, most: usize) -> Result<u64, StorageFault> {
    count_under(tables, DEAD_EVENTS, &events_of(destination), most)
}

pub(crate) fn count_under(
    tables: &dyn ReadTables,
    table: tables::Table,
    prefix: &[u8],
    most: usize,
) -> Result<u64, StorageFault> {
    let mut counted = 0;
    tables.scan(table, prefix, &mut |key, _| {
        if counted == most || !key.starts_with(prefix) {
            return Ok(Visit::Stop);
        }
        counted += 1;
        Ok(Visit::Next)
    })?;
    Ok(counted as u64)
}

/// Every destination that something waits for, whether or not it is known any more.
pub fn destinations_waited_for(tables: &dyn ReadTables) -> Result<Vec<String>, StorageFault> {
    let mut found: Vec<String> = Vec::new();
    loop {
        let mut from = found.last().map_or(Vec::new(), |last| last.as_bytes().to_vec());
        if !from.is_empty() {
            // Behind everything of the last one.
            from.push(1);
        }
        let mut next = None;
        tables.scan(EVENTS, &from, &mut |key, _| {
            next = Some(decode_event_key(EVENTS, key)?.0.to_owned());
            Ok(Visit::Stop)
        })?;
        match next {
            Some(name) => found.push(name),
            None => return Ok(found),
        }
    }
}

/// An event that could not be delivered, and where it was to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadEvent {
    pub destination: String,
    pub sequence: Sequence,
    pub row: DeadEventRow,
}

/// What could not be delivered, to one destination or to any, the oldest first.
pub fn dead(tables: &dyn ReadTables, destination: Option<&str>, limit: usize) -> Result<Vec<DeadEvent>, StorageFault> {
    let inside = destination.map_or(Vec::new(), events_of);
    let mut found = Vec::new();
    tables.scan(DEAD_EVENTS, &inside, &mut |key, value| {
        if found.len() == limit || !key.starts_with(&inside) {
            return Ok(Visit::Stop);
        }
        let (destination, sequence) = decode_event_key(DEAD_EVENTS, key)?;
        let row = tables::decode(value, DEAD_EVENTS.name)?;
        found.push(DeadEvent { destination: destination.to_owned(), sequence, row });
        Ok(Visit::Next)
    })?;
    Ok(found)
}
