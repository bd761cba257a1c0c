//! Moving objects to blocks of another kind: the OM says what, gateways copy the bytes as they are stored.
//!
//! Nobody asks for it: it follows from lifecycle rules, and a gateway learns no names and opens nothing.

use minicbor::{Decode, Encode};
use types::Millis;

use crate::{BlockPiece, CommittedBlock, OpenedKey, WriteSession};

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MoveOffer {
    #[n(0)]
    pub work: Option<MoveWork>,
    /// When to ask again where there is none.
    #[n(1)]
    pub ask_again: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MoveWork {
    /// Where the bytes go. To give up is to abandon its session.
    #[n(0)]
    pub to: OpenedKey,
    #[n(1)]
    pub from: MovePieces,
    /// How many bytes are stored, and so are to be written.
    #[n(2)]
    pub length: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MovePieces {
    /// In order, perhaps only the first of them.
    #[n(0)]
    pub pieces: Vec<BlockPiece>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LocateMove {
    #[n(0)]
    pub session: WriteSession,
    /// The first stored byte that is wanted.
    #[n(1)]
    pub from: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FinishMove {
    #[n(0)]
    pub session: WriteSession,
    /// In the object's order; blocks of the session that are not named here are freed.
    #[n(1)]
    pub blocks: Vec<CommittedBlock>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum MoveRejected {
    /// The object is gone or another by now, or this member does not know of the move any more. What was written is freed.
    #[n(0)]
    #[error("there is nothing to move any more")]
    Gone,
    #[n(1)]
    #[error("no blocks available: {0}")]
    NoBlocks(#[n(0)] String),
    /// What was written is not what was to be copied.
    #[n(2)]
    #[error("other bytes than the object's")]
    ForeignBlock,
}
