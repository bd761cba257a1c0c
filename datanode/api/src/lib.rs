//! What others may ask of a datanode, and how to write and read an object's blocks through it.
//!
//! [`BlockAccess`] is one call to one datanode, over HTTP in a cluster and in process on a single node. `BlockWriter` and
//! `ObjectReader` are built on it: they fan a block out to its replicas, find the pipeline's leader, and go on with another
//! replica when one fails in the middle of a read.

mod access;

pub use access::{
    BlockAccess, BlockData, BlockPut, BlockWritten, ByteStream, CHUNK_BYTES, ChunkChecksums, INLINE_BLOCK_MAX, PutBlock,
    PutContent, PutRejected, ReadBlock, ReadRejected, WriteBlock, WriteRejected,
};
