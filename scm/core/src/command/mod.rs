//! Everything that changes the rows, one file a command.
//!
//! The leader samples time, secrets and placement before it proposes; `apply` sees the command and the rows, so a replay years
//! later leaves the same bytes. A command that the leader planned from a state that has moved on since does what still holds
//! and skips the rest: the next plan sees what is left.

mod acknowledge_deletions;
mod add_token_key;
mod allocate_blocks;
mod close_containers;
mod close_pipeline;
mod create_pipeline;
mod delete_blocks;
mod drop_containers;
mod finish_containers;
mod finish_deletions;
mod initialise;
mod note_containers;
mod open_pipeline;
mod register_datanode;
mod remove_pipeline;
#[cfg(test)]
pub(crate) mod testing;

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables, decode, encode};

pub use acknowledge_deletions::{AcknowledgeDeletions, Acknowledgement};
pub use add_token_key::{AddTokenKey, KeyAdded};
pub use allocate_blocks::{AllocateBlocks, AllocateRejected, Allocation, Slot, SlotShare};
pub use close_containers::CloseContainers;
pub use close_pipeline::ClosePipeline;
pub use create_pipeline::{CreatePipeline, CreatePipelineRejected};
pub use delete_blocks::{BLOCKS_PER_DELETION, DeleteBlocks};
pub use drop_containers::DropContainers;
pub use finish_containers::{FinishContainers, FinishedContainer};
pub use finish_deletions::FinishDeletions;
pub use initialise::{Initialise, Initialised};
pub use note_containers::{ContainerNote, NoteContainers};
pub use open_pipeline::OpenPipeline;
pub use register_datanode::{RegisterDatanode, RegisterRejected};
pub use remove_pipeline::RemovePipeline;

/// A change of the rows, and what it answers.
pub trait Change: Into<Command> {
    /// A `Result` where the rows may say no: all replicas agree on it.
    type Outcome: Encode<()> + for<'b> Decode<'b, ()>;

    /// Only a fault of this replica's storage makes it fail.
    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<Self::Outcome, StorageFault>;
}

macro_rules! commands {
    ($($number:literal $name:ident)*) => {
        /// An entry of the log. Numbers are never reused.
        #[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
        pub enum Command {
            $(#[n($number)] $name(#[n(0)] $name),)*
        }

        impl Command {
            fn dispatch(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<Vec<u8>, StorageFault> {
                match self {
                    $(Self::$name(change) => Ok(encode(&change.apply(tables)?)),)*
                }
            }
        }

        $(impl From<$name> for Command {
            fn from(change: $name) -> Self {
                Self::$name(change)
            }
        })*
    };
}

commands! {
    0 Initialise
    1 RegisterDatanode
    2 CreatePipeline
    3 OpenPipeline
    4 ClosePipeline
    5 RemovePipeline
    6 AllocateBlocks
    7 CloseContainers
    8 FinishContainers
    9 NoteContainers
    10 DropContainers
    11 AddTokenKey
    12 DeleteBlocks
    13 AcknowledgeDeletions
    14 FinishDeletions
}

/// Applies an entry and gives the encoded outcome; [`outcome`] reads it back.
pub fn apply(command: &[u8], tables: &mut (impl WriteTables + ?Sized)) -> Result<Vec<u8>, StorageFault> {
    decode::<Command>(command, "an SCM command")?.dispatch(tables)
}

/// What the change answered.
pub fn outcome<C: Change>(answer: &[u8]) -> Result<C::Outcome, StorageFault> {
    decode(answer, "the outcome of an SCM command")
}
