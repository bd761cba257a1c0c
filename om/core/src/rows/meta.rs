//! Single values.

use std::fmt;

use minicbor::{Decode, Encode};

pub(crate) const SEAL_CHECK: &[u8] = b"seal check";
/// The last entry that changed where access logs go.
pub(crate) const LOGS_CHANGED: &[u8] = b"access logs changed";
/// The latest time that a default retention was counted from.
pub(crate) const LOCK_CLOCK: &[u8] = b"lock clock";

/// A known text sealed with the key that seals secrets: a member with another key notices before it serves.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct SealCheck {
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

impl fmt::Debug for SealCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealCheck(…)")
    }
}
