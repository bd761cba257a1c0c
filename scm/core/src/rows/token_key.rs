//! The keys that seal block tokens.

use std::fmt;

use minicbor::{Decode, Encode};
use tables::Table;
use types::Timestamp;

use super::{Row, TOKEN_KEYS};

/// `token keys / id`. Newer keys have higher ids.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct TokenKeyRow {
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub secret: [u8; 32],
    /// Nobody seals with it before, so that every datanode has heard of it by then.
    #[n(1)]
    pub seals_from: Timestamp,
    #[n(2)]
    pub seals_until: Timestamp,
    #[n(3)]
    pub expires: Timestamp,
}

impl fmt::Debug for TokenKeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKeyRow(secret, {:?} to {:?}, expires {:?})", self.seals_from, self.seals_until, self.expires)
    }
}

impl Row for TokenKeyRow {
    type Key = u32;
    const TABLE: Table = TOKEN_KEYS;
}
