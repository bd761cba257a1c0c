//! Events that have not arrived where they should, for administrators.

use minicbor::{Decode, Encode};
use types::Timestamp;

use crate::Requester;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GetUndelivered {
    #[n(0)]
    pub by: Requester,
    /// All if absent.
    #[n(1)]
    pub destination: Option<String>,
    /// Lets those that were put aside for this destination wait once more.
    #[n(2)]
    pub revive: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Undelivered {
    #[n(0)]
    pub destinations: Vec<DestinationState>,
    /// The oldest of those that were put aside.
    #[n(1)]
    pub dead: Vec<DeadEvent>,
    #[n(2)]
    pub revived: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DestinationState {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub waiting: u64,
    #[n(2)]
    pub dead: u64,
    /// The configuration names it.
    #[n(3)]
    pub is_known: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeadEvent {
    #[n(0)]
    pub destination: String,
    /// The document that could not be delivered.
    #[n(1)]
    pub event: String,
    #[n(2)]
    pub why: String,
    #[n(3)]
    pub died: Timestamp,
}
