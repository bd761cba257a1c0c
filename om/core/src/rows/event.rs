//! What happened in a bucket whose owner wants somebody told.

use std::net::IpAddr;

use minicbor::{Decode, Encode};
use tables::StorageFault;
use types::{BucketPath, ETag, ObjectKey, RequestId, Timestamp, VersionId};

use super::{Sequence, UserId, malformed};

/// Whoever made a change, as far as events tell. Only noted where somebody is told.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Origin {
    /// None: nobody in particular.
    #[n(0)]
    pub user: Option<UserId>,
    #[n(1)]
    pub source: Option<IpAddr>,
    /// As the client was told.
    #[n(2)]
    pub request: RequestId,
    #[n(3)]
    pub region: Option<String>,
    /// The change came as a browser's form.
    #[n(4)]
    pub is_form: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum EventKind {
    /// That a configuration was set, which all its destinations are told.
    #[n(0)]
    Test,
    #[n(1)]
    Put,
    #[n(2)]
    Post,
    #[n(3)]
    Copy,
    #[n(4)]
    CompleteUpload,
    #[n(5)]
    Delete,
    #[n(6)]
    DeleteMarker,
    #[n(7)]
    PutTags,
    #[n(8)]
    DeleteTags,
    #[n(9)]
    PutAcl,
    /// By a lifecycle rule, as the next.
    #[n(10)]
    Expired,
    #[n(11)]
    ExpiryMarker,
    #[n(12)]
    Moved,
}

impl EventKind {
    /// As configurations name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Test => "s3:TestEvent",
            Self::Put => "s3:ObjectCreated:Put",
            Self::Post => "s3:ObjectCreated:Post",
            Self::Copy => "s3:ObjectCreated:Copy",
            Self::CompleteUpload => "s3:ObjectCreated:CompleteMultipartUpload",
            Self::Delete => "s3:ObjectRemoved:Delete",
            Self::DeleteMarker => "s3:ObjectRemoved:DeleteMarkerCreated",
            Self::PutTags => "s3:ObjectTagging:Put",
            Self::DeleteTags => "s3:ObjectTagging:Delete",
            Self::PutAcl => "s3:ObjectAcl:Put",
            Self::Expired => "s3:LifecycleExpiration:Delete",
            Self::ExpiryMarker => "s3:LifecycleExpiration:DeleteMarkerCreated",
            Self::Moved => "s3:LifecycleTransition",
        }
    }
}

/// ```text
/// EVENTS       destination \0 sequence be64   → EventRow, in the order in which they happened
/// DEAD_EVENTS  destination \0 sequence be64   → DeadEventRow
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EventRow {
    #[n(0)]
    pub kind: EventKind,
    #[n(1)]
    pub bucket: BucketPath,
    #[n(2)]
    pub owner: UserId,
    /// What the bucket's owner calls the configuration.
    #[n(3)]
    pub configuration: String,
    /// None of a test.
    #[n(4)]
    pub key: Option<ObjectKey>,
    #[n(5)]
    pub size: Option<u64>,
    #[n(6)]
    pub etag: Option<ETag>,
    #[n(7)]
    pub version: Option<VersionId>,
    #[n(8)]
    pub at: Timestamp,
    #[n(9)]
    pub region: Option<String>,
    /// None: Trioxide itself, by a rule.
    #[n(10)]
    pub origin: Option<Origin>,
    /// Since when it waits to be delivered, if not since it happened.
    #[n(11)]
    pub since: Option<Timestamp>,
    /// The storage class to which it was moved.
    #[n(12)]
    pub class: Option<String>,
}

impl EventRow {
    pub fn waits_since(&self) -> Timestamp {
        self.since.unwrap_or(self.at)
    }
}

/// One that could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeadEventRow {
    #[n(0)]
    pub event: EventRow,
    #[n(1)]
    pub why: String,
    #[n(2)]
    pub died: Timestamp,
}

pub(crate) fn events_of(destination: &str) -> Vec<u8> {
    [destination.as_bytes(), b"\0"].concat()
}

pub(crate) fn event_key(destination: &str, sequence: Sequence) -> Vec<u8> {
    [destination.as_bytes(), b"\0", &sequence.0.to_be_bytes()].concat()
}

/// The destination and the sequence that a row's key names.
pub(crate) fn decode_event_key(table: tables::Table, key: &[u8]) -> Result<(&str, Sequence), StorageFault> {
    let split = key.len().checked_sub(9).filter(|at| key[*at] == 0);
    let (name, rest) = key.split_at(split.ok_or_else(|| malformed(table, "a key is too short"))?);
    let name = std::str::from_utf8(name).map_err(|_| malformed(table, "a destination is no text"))?;
    Ok((name, Sequence(super::be64(table, rest, 1)?)))
}
