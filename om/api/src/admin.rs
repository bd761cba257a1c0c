//! What an operator sees of the OM.

use minicbor::{Decode, Encode};
use types::{MemberId, RequestId, Timestamp};

use crate::Requester;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BackgroundStatus {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub passes: u64,
    #[n(2)]
    pub failures: u64,
    #[n(3)]
    pub last_error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OmOverview {
    #[n(0)]
    pub buckets: u64,
    /// Objects whose blocks are still to be handed to the SCM for deletion.
    #[n(1)]
    pub deleted_pending: u64,
    /// Writes under way.
    #[n(2)]
    pub open_keys: u64,
    #[n(3)]
    pub background: Vec<BackgroundStatus>,
    /// The SCM answers, and gives blocks.
    #[n(4)]
    pub can_write: bool,
    /// Why not, in words.
    #[n(5)]
    pub cannot_write_because: Option<String>,
    /// What the leader's configuration names and could not be made, and why.
    #[n(6)]
    #[cbor(default)]
    pub unmade: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TransferLeadership {
    /// Nobody in particular: whoever is furthest.
    #[n(0)]
    pub to: Option<MemberId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum TransferRejected {
    #[n(0)]
    #[error("not a voting member")]
    NotAVoter,
}

/// Asked by an administrator of one request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Explain {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub request: RequestId,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Explanation {
    #[n(0)]
    pub at: Timestamp,
    /// As policies name them.
    #[n(1)]
    pub caller: String,
    #[n(2)]
    pub bucket: Option<String>,
    /// What was asked for, and which statement or which lack of one decided.
    #[n(3)]
    pub why: String,
}
