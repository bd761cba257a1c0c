//! One datanode, in memory. It can be told to fail.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use datanode_api::{
    BlockAccess, BlockData, BlockPut, BlockWritten, ByteStream, ChunkChecksums, PutBlock, PutContent, PutRejected, ReadBlock,
    ReadRejected, WriteBlock, WriteRejected,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use rpc::{CallContext, CallError};
use types::{BlockId, Replica};

#[derive(Debug, Default)]
pub struct MemoryBlocks {
    streamed: Mutex<BTreeMap<BlockId, Bytes>>,
    put: Mutex<BTreeMap<BlockId, Bytes>>,
    /// So many puts to come are rejected.
    pub reject_puts: AtomicU64,
    /// So many reads to come break off in the middle.
    pub break_reads: AtomicU64,
}

impl MemoryBlocks {
    pub fn committed(&self) -> usize {
        self.put.lock().expect("no panic under the lock").len()
    }

    /// Everything that is stored, block by block.
    pub fn stored(&self) -> Vec<u8> {
        self.put.lock().expect("no panic under the lock").values().flat_map(|bytes| bytes.to_vec()).collect()
    }

    /// As somebody with access to the disk would who makes the checksums fit.
    pub fn flip_a_bit(&self, at: usize) {
        let mut blocks = self.put.lock().expect("no panic under the lock");
        let block = blocks.values_mut().find(|bytes| bytes.len() > at).expect("a block as long");
        let mut bytes = block.to_vec();
        bytes[at] ^= 1;
        *block = bytes.into();
    }

    fn takes(&self, counter: &AtomicU64) -> bool {
        counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

#[async_trait]
impl BlockAccess for MemoryBlocks {
    async fn write(
        &self,
        _: &Replica,
        _: CallContext,
        request: WriteBlock,
        data: ByteStream,
    ) -> Result<BlockWritten, CallError<WriteRejected>> {
        let bytes = data
            .try_fold(BytesMut::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            })
            .await
            .map_err(|_| CallError::Rejected(WriteRejected::Incomplete))?
            .freeze();
        let written = BlockWritten { length: bytes.len() as u64, checksums: ChunkChecksums::of(&bytes) };
        self.streamed.lock().expect("no panic under the lock").insert(request.block, bytes);
        Ok(written)
    }

    async fn put(&self, _: &Replica, _: CallContext, request: PutBlock) -> Result<BlockPut, CallError<PutRejected>> {
        if self.takes(&self.reject_puts) {
            return Err(CallError::Rejected(PutRejected::Closed));
        }
        let bytes = match request.content {
            PutContent::Inline(bytes) => bytes,
            PutContent::Streamed => {
                let streamed = self.streamed.lock().expect("no panic under the lock");
                streamed.get(&request.block).cloned().ok_or(CallError::Rejected(PutRejected::NotWritten))?
            }
        };
        assert_eq!(ChunkChecksums::of(&bytes), request.checksums);
        self.put.lock().expect("no panic under the lock").insert(request.block, bytes);
        Ok(BlockPut { length: request.length })
    }

    async fn read(&self, _: &Replica, _: CallContext, request: ReadBlock) -> Result<BlockData, CallError<ReadRejected>> {
        let bytes = self.put.lock().expect("no panic under the lock").get(&request.block).cloned();
        let bytes = bytes.ok_or(CallError::Rejected(ReadRejected::NoSuchBlock))?;
        let (from, to) = (request.offset as usize, (request.offset + request.length) as usize);
        if to > bytes.len() {
            return Err(CallError::Rejected(ReadRejected::OutOfRange));
        }
        let mut pieces: Vec<io::Result<Bytes>> =
            bytes.slice(from..to).chunks(10_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        if self.takes(&self.break_reads) {
            pieces.truncate(pieces.len() / 2);
            pieces.push(Err(io::Error::other("the disk is gone")));
        }
        Ok(BlockData { length: request.length, stream: stream::iter(pieces).boxed() })
    }
}
