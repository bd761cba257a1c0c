//! One call to one datanode.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use minicbor::{Decode, Encode};
use rpc::{CallContext, CallError};
use types::{BlockId, ContainerId, PipelineId, Replica};

/// Bytes as they come; an error ends them, and what came before must not be taken for the whole.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// A block is checksummed in chunks of this many bytes: a ranged read verifies at most one chunk more at either end.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// A block of at most this size rides inside its `put` entry: one synced log append is then the whole write. Above it, writing
/// the bytes a second time costs more than the second sync saves.
pub const INLINE_BLOCK_MAX: usize = 128 * 1024;

/// CRC32C of each chunk of a block, in order; the last chunk may be short.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct ChunkChecksums(pub Vec<u32>);

/// Sends the bytes of a large block to one replica, ahead of the `put` that commits them.
#[derive(Debug, Clone)]
pub struct WriteBlock {
    pub block: BlockId,
    pub pipeline: PipelineId,
    pub token: Bytes,
}

/// The replica holds the bytes, synced. They are nothing to anybody until they are put.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BlockWritten {
    #[n(0)]
    pub length: u64,
    /// Of the bytes as they arrived.
    #[n(1)]
    pub checksums: ChunkChecksums,
}

/// Commits a block in its pipeline's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutBlock {
    pub block: BlockId,
    pub pipeline: PipelineId,
    pub token: Bytes,
    pub length: u64,
    pub checksums: ChunkChecksums,
    pub content: PutContent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutContent {
    /// The whole block, at most [`INLINE_BLOCK_MAX`].
    Inline(Bytes),
    /// Sent before by [`WriteBlock`] to a majority of the replicas at least; a replica that missed it fetches it from a peer.
    Streamed,
}

/// The block is committed by the pipeline's majority: it survives the loss of any minority.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BlockPut {
    #[n(0)]
    pub length: u64,
}

#[derive(Debug, Clone)]
pub struct ReadBlock {
    pub block: BlockId,
    pub token: Bytes,
    pub offset: u64,
    pub length: u64,
}

/// The bytes asked for, verified chunk by chunk before they are sent.
pub struct BlockData {
    pub length: u64,
    pub stream: ByteStream,
}

impl std::fmt::Debug for BlockData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlockData({} bytes)", self.length)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum WriteRejected {
    /// No token, or not one for this.
    #[n(0)]
    #[error("permission denied")]
    PermissionDenied,
    /// The container takes no more writes, or the pipeline is not served here: get another block.
    #[n(1)]
    #[error("the container or pipeline is closed")]
    Closed,
    #[n(2)]
    #[error("the disk is full")]
    DiskFull,
    /// The block is committed already.
    #[n(3)]
    #[error("the block exists")]
    Exists,
    /// More bytes than the token allows, or than a block holds.
    #[n(4)]
    #[error("too long")]
    TooLong,
    /// The sender's stream broke off; what arrived was dropped.
    #[n(5)]
    #[error("the stream broke off")]
    Incomplete,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum PutRejected {
    #[n(0)]
    #[error("permission denied")]
    PermissionDenied,
    #[n(1)]
    #[error("the container or pipeline is closed")]
    Closed,
    #[n(2)]
    #[error("the disk is full")]
    DiskFull,
    /// Committed before with another length or other checksums.
    #[n(3)]
    #[error("the block exists with other content")]
    Exists,
    /// The checksums do not fit the content or the length.
    #[n(4)]
    #[error("the checksums do not match")]
    ChecksumMismatch,
    /// Streamed content that the leader does not hold: send it again.
    #[n(5)]
    #[error("the bytes were not written here")]
    NotWritten,
    #[n(6)]
    #[error("too long")]
    TooLong,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum ReadRejected {
    #[n(0)]
    #[error("permission denied")]
    PermissionDenied,
    /// Not on this datanode, or not whole here: ask another.
    #[n(1)]
    #[error("no such block here")]
    NoSuchBlock,
    /// The replica is damaged and has been reported; ask another.
    #[n(2)]
    #[error("the replica is damaged")]
    Damaged,
    #[n(3)]
    #[error("beyond the block's end")]
    OutOfRange,
}

/// A datanode's data service. A call that meets a follower of the pipeline is answered `NotLeader` with the leader's data
/// endpoint as the hint.
#[async_trait]
pub trait BlockAccess: Send + Sync + 'static {
    async fn write(
        &self,
        at: &Replica,
        cx: CallContext,
        request: WriteBlock,
        data: ByteStream,
    ) -> Result<BlockWritten, CallError<WriteRejected>>;

    async fn put(&self, at: &Replica, cx: CallContext, request: PutBlock) -> Result<BlockPut, CallError<PutRejected>>;

    async fn read(&self, at: &Replica, cx: CallContext, request: ReadBlock) -> Result<BlockData, CallError<ReadRejected>>;
}

/// Asks for a copy of a whole container, to keep.
#[derive(Debug, Clone)]
pub struct ExportContainer {
    pub container: ContainerId,
    /// For reading the container.
    pub token: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum ExportRejected {
    #[n(0)]
    #[error("permission denied")]
    PermissionDenied,
    /// Not here, or not in a state worth a copy: still open, damaged, or lacking blocks.
    #[n(1)]
    #[error("no such container to copy here")]
    NoSuchContainer,
}

/// What datanodes ask of each other.
#[async_trait]
pub trait ContainerAccess: Send + Sync + 'static {
    /// The container as a stream of [`crate::CopyRecord`]s and block bytes.
    async fn export(
        &self,
        at: &Replica,
        cx: CallContext,
        request: ExportContainer,
    ) -> Result<ByteStream, CallError<ExportRejected>>;
}
