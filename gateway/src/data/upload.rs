//! An object's bytes on their way into blocks.
//!
//! A block that fails is written again elsewhere as long as its bytes are still held; beyond that only the client can send
//! them again, and is asked to. What was opened and not committed is abandoned, also when the client goes away in the middle.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use datanode_api::{BlockFailed, BlockWriter, Replay};
use gateway_core::encryption::StreamSealer;
use gateway_core::payload::{BodyDecoder, BodySummary};
use gateway_core::{S3Error, S3ErrorCode};
use om_api::{AbandonKey, AllocateBlocks, AllocateRejected, CommittedBlock, OpenedKey, Requester, WriteSession};
use rpc::{CallContext, CallError};
use tracing::{debug, warn};
use types::{BlockLocation, PipelineId};

use crate::context::{CallIds, OpContext, Shared};
use crate::data::RequestBody;
use crate::rejections::{call_failed, no_blocks};

/// Blocks of one object that may fail before the client is told to try again.
const REPLACEMENTS: u32 = 5;

/// Takes the bytes of one open session.
#[derive(Debug)]
pub(crate) struct BlockSink {
    shared: Arc<Shared>,
    by: Requester,
    ids: CallIds,
    session: WriteSession,
    /// Handed out and not begun.
    waiting: VecDeque<BlockLocation>,
    writer: Option<BlockWriter>,
    /// Of an encrypted object: what comes is sealed before anything else sees it.
    sealer: Option<StreamSealer>,
    done: Vec<CommittedBlock>,
    exclude: Vec<PipelineId>,
    replacements: u32,
    /// The session needs no abandoning: it was committed, or the commit's outcome is not known.
    settled: bool,
}

impl BlockSink {
    pub(crate) fn new(cx: &OpContext, opened: OpenedKey) -> Self {
        Self::of(Arc::clone(&cx.shared), cx.by(), cx.ids.clone(), opened)
    }

    /// For work of our own, which no request asked for.
    pub(crate) fn of(shared: Arc<Shared>, by: Requester, ids: CallIds, opened: OpenedKey) -> Self {
        Self {
            shared,
            by,
            ids,
            session: opened.session,
            waiting: opened.blocks.into(),
            writer: None,
            sealer: None,
            done: Vec::new(),
            exclude: Vec::new(),
            replacements: REPLACEMENTS,
            settled: false,
        }
    }

    /// Before the first byte.
    pub(crate) fn seal_with(&mut self, sealer: StreamSealer) {
        self.sealer = Some(sealer);
    }

    /// Waits while the datanodes cannot take more, which in the end holds the client back.
    pub(crate) async fn write(&mut self, data: Bytes) -> Result<(), S3Error> {
        let mut queue = VecDeque::new();
        match &mut self.sealer {
            Some(sealer) => sealer.push(data, &mut queue)?,
            None => queue.push_back(data),
        }
        self.write_all(&mut queue).await
    }

    /// Commits the blocks at the datanodes: all bytes are durable, and visible to nobody.
    pub(crate) async fn finish(&mut self) -> Result<Vec<CommittedBlock>, S3Error> {
        if let Some(last) = self.sealer.take().map(StreamSealer::finish).transpose()?.flatten() {
            self.write_all(&mut VecDeque::from([last])).await?;
        }
        while let Some(writer) = self.writer.take() {
            let mut queue = VecDeque::new();
            self.close(writer, &mut queue).await?;
            self.write_all(&mut queue).await?;
        }
        Ok(std::mem::take(&mut self.done))
    }

    /// The session, for its commit; it is not abandoned any more.
    pub(crate) fn settle(mut self) -> WriteSession {
        self.settled = true;
        self.session.clone()
    }

    async fn write_all(&mut self, queue: &mut VecDeque<Bytes>) -> Result<(), S3Error> {
        while let Some(mut data) = queue.pop_front() {
            if data.is_empty() {
                continue;
            }
            let mut writer = match self.writer.take() {
                Some(writer) => writer,
                None => self.next_writer().await?,
            };
            match writer.push(&mut data).await {
                Ok(()) => {
                    queue.push_front(data);
                    if writer.room() == 0 {
                        self.close(writer, queue).await?;
                    } else {
                        self.writer = Some(writer);
                    }
                }
                Err(failed) => {
                    // What the writer had taken of it comes back with the rest of the block.
                    queue.push_front(data);
                    self.replace(failed, queue)?;
                }
            }
        }
        Ok(())
    }

    async fn close(&mut self, writer: BlockWriter, queue: &mut VecDeque<Bytes>) -> Result<(), S3Error> {
        let block = writer.location().block;
        match writer.finish().await {
            Ok(length) => {
                self.done.push(CommittedBlock { block, length });
                Ok(())
            }
            Err(failed) => self.replace(failed, queue),
        }
    }

    /// Puts the failed block's bytes in front of the queue.
    fn replace(&mut self, failed: BlockFailed, queue: &mut VecDeque<Bytes>) -> Result<(), S3Error> {
        warn!(pipeline = %failed.pipeline, cause = %failed.cause, "a block failed");
        metrics::counter!("gateway_block_failures_total").increment(1);
        self.exclude.push(failed.pipeline);
        let left = self.replacements.checked_sub(1);
        match (failed.replay, left) {
            (Replay::Whole(pieces), Some(left)) => {
                self.replacements = left;
                pieces.into_iter().rev().for_each(|piece| queue.push_front(piece));
                Ok(())
            }
            (Replay::Whole(_) | Replay::Lost, _) => Err(S3ErrorCode::ServiceUnavailable.into()),
        }
    }

    async fn next_writer(&mut self) -> Result<BlockWriter, S3Error> {
        // A block on a pipeline that failed would most likely fail too.
        self.waiting.retain(|location| !self.exclude.contains(&location.pipeline));
        if self.waiting.is_empty() {
            self.waiting = self.allocate().await?.into();
        }
        let location = self.waiting.pop_front().ok_or_else(|| no_blocks("none were handed out"))?;
        Ok(self.shared.blocks.writer(location, self.ids.next()))
    }

    async fn allocate(&mut self) -> Result<Vec<BlockLocation>, S3Error> {
        let cx = CallContext::local(self.ids.next(), self.shared.config.om_timeout);
        let request =
            AllocateBlocks { by: self.by.clone(), session: self.session.clone(), count: 1, exclude: self.exclude.clone() };
        match self.shared.om.allocate_blocks(cx, request).await {
            Ok(blocks) => Ok(blocks),
            Err(CallError::Rejected(AllocateRejected::Denied(_))) => Err(S3ErrorCode::AccessDenied.into()),
            Err(CallError::Rejected(AllocateRejected::NoSuchSession)) => {
                debug!(object = %self.session.object, "the write session has expired");
                Err(S3ErrorCode::RequestTimeout.into())
            }
            Err(CallError::Rejected(AllocateRejected::NoBlocks(why))) => Err(no_blocks(&why)),
            Err(failure) => Err(call_failed(&failure)),
        }
    }
}

impl Drop for BlockSink {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        // Not awaited: whoever dropped us is gone or has an answer to give. If it fails, the session's age frees the blocks.
        let om = Arc::clone(&self.shared.om);
        let cx = CallContext::local(self.ids.next(), self.shared.config.om_timeout);
        let session = self.session.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = om.abandon_key(cx, AbandonKey { session }).await {
                    debug!(%error, "a session was not abandoned");
                }
            });
        }
    }
}

/// Moves a request's body into blocks, and tells what it was once all of it is durable.
pub(crate) async fn receive(
    body: &mut RequestBody,
    mut decoder: BodyDecoder,
    sink: &mut BlockSink,
) -> Result<(BodySummary, Vec<CommittedBlock>), S3Error> {
    while let Some(bytes) = body.next().await? {
        decoder.push(bytes);
        while let Some(data) = decoder.pull()? {
            sink.write(data).await?;
        }
    }
    // Judged before the last block is committed: a body that is wrong costs the datanodes nothing more.
    let summary = decoder.finish()?;
    let blocks = sink.finish().await?;
    metrics::counter!("gateway_bytes_written_total").increment(summary.length);
    Ok((summary, blocks))
}
