//! Conditions that a request sets on what is there.

use minicbor::{Decode, Encode};

/// One that did not hold, for whoever asked to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Precondition {
    #[n(0)]
    IfMatch,
    #[n(1)]
    IfNoneMatch,
    #[n(2)]
    IfModifiedSince,
    #[n(3)]
    IfUnmodifiedSince,
    #[n(4)]
    SourceIfMatch,
    #[n(5)]
    SourceIfNoneMatch,
    #[n(6)]
    SourceIfModifiedSince,
    #[n(7)]
    SourceIfUnmodifiedSince,
    /// Of a deletion.
    #[n(8)]
    IfLastModified,
    #[n(9)]
    IfSize,
}

impl Precondition {
    /// The same, of what is copied or renamed.
    #[must_use]
    pub fn of_source(self) -> Self {
        match self {
            Self::IfMatch => Self::SourceIfMatch,
            Self::IfNoneMatch => Self::SourceIfNoneMatch,
            Self::IfModifiedSince => Self::SourceIfModifiedSince,
            Self::IfUnmodifiedSince => Self::SourceIfUnmodifiedSince,
            Self::SourceIfMatch
            | Self::SourceIfNoneMatch
            | Self::SourceIfModifiedSince
            | Self::SourceIfUnmodifiedSince
            | Self::IfLastModified
            | Self::IfSize => self,
        }
    }
}
