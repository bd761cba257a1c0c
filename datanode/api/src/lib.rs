//! What others may ask of a datanode, and how to write and read an object's blocks through it.
//!
//! [`BlockAccess`] is one call to one datanode, over HTTP ([`HttpBlocks`]) in a cluster and in process on a single node.
//! [`BlockClient`] is built on it: its [`BlockWriter`] fans a block out to the replicas and finds the pipeline's leader, its
//! reader goes on with another replica when one fails in the middle.

mod access;
mod client;
mod copy;
#[cfg(test)]
mod fake;
pub mod http;
mod reader;
mod sums;
mod writer;

pub use access::{
    BlockAccess, BlockData, BlockPut, BlockWritten, ByteStream, CHUNK_BYTES, ChunkChecksums, ContainerAccess, ExportContainer,
    ExportRejected, INLINE_BLOCK_MAX, PutBlock, PutContent, PutRejected, ReadBlock, ReadRejected, WriteBlock, WriteRejected,
};
pub use client::{BlockClient, ClientConfig};
pub use copy::{CopyRecord, NotACopy};
pub use http::{Dial, HttpBlocks, PlainTcp};
pub use reader::{ObjectReader, Piece, ReadFailed};
pub use sums::{ChunkSummer, chunk_checksum};
pub use writer::{BlockFailed, BlockFailure, BlockWriter, Replay};
