//! Taking in a large block's bytes, ahead of its commit.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use datanode_api::{BlockWritten, ByteStream, WriteBlock, WriteRejected};
use datanode_core::record::ContainerState;
use datanode_core::rows::BlockState;
use futures_util::stream::Fuse;
use futures_util::{FutureExt, StreamExt};
use rpc::{CallContext, CallError, NotApplied};
use scm_api::token::{Access, Target};
use tokio::time::Instant;

use super::{not_done, refused};
use crate::container::{Accepted, Container, Incoming};
use crate::datanode::Inner;
use crate::disk::{DiskError, Need};

/// Written to the file at a time.
const SLICE: usize = 1 << 20;

pub(crate) async fn run(
    datanode: &Arc<Inner>,
    cx: CallContext,
    request: WriteBlock,
    data: ByteStream,
) -> Result<BlockWritten, CallError<WriteRejected>> {
    let target = Target::Block(request.block);
    let token = datanode.tokens.check(&request.token, target, Access::Write, 0);
    let token = token.map_err(|refusal| refused(refusal, WriteRejected::PermissionDenied))?;
    let Some(pipeline) = datanode.pipelines.get(request.pipeline) else {
        return Err(match datanode.pipelines.is_loaded() {
            true => CallError::Rejected(WriteRejected::Closed),
            false => CallError::unavailable("starting"),
        });
    };
    let Ok(turn) = Arc::clone(&datanode.write_streams).try_acquire_owned() else {
        return Err(CallError::NotApplied(NotApplied::Busy));
    };
    pipeline.disk.check_room(SLICE as u64).map_err(|error| not_done(error, WriteRejected::DiskFull))?;
    let store = Arc::clone(&datanode.store);
    let block = request.block;
    let created =
        tokio::task::spawn_blocking(move || store.get_or_create(&pipeline.disk, Need::Data, block.container, request.pipeline))
            .await;
    let container = created.unwrap_or_else(|error| Err(DiskError::Failed(error.to_string())));
    let container = container.map_err(|error| not_done(error, WriteRejected::DiskFull))?;
    check_wanted(&container, &request)?;
    let incoming = Incoming::begin(&container, block.local, token.max_length);
    let idle = datanode.config.stream_idle;
    // In a task of its own: a caller that goes away must not leave a half-done write behind that nobody cleans up.
    let receiving = tokio::spawn(async move {
        let _turn = turn;
        let source =
            Source { data: data.fuse(), idle, deadline: Instant::from_std(cx.deadline), most: token.max_length, taken: 0 };
        receive(incoming, source).await
    });
    receiving.await.unwrap_or_else(|error| Err(CallError::Unknown(error.to_string())))
}

fn check_wanted(container: &Arc<Container>, request: &WriteBlock) -> Result<(), CallError<WriteRejected>> {
    let row = container.row();
    let existing = container.lookup(request.block.local).map_err(|fault| CallError::unavailable(container.disk.fault(fault)))?;
    let is_missing = match existing.as_deref().map(|row| row.state) {
        None | Some(BlockState::Written) => false,
        Some(BlockState::Missing) => true,
        Some(BlockState::Stored) => return Err(CallError::Rejected(WriteRejected::Exists)),
        Some(BlockState::Tombstone) => return Err(CallError::Rejected(WriteRejected::Closed)),
    };
    // Bytes of a block that is committed are welcome even after the close.
    if row.pipeline != request.pipeline || container.is_gone() || (row.state != ContainerState::Open && !is_missing) {
        return Err(CallError::Rejected(WriteRejected::Closed));
    }
    Ok(())
}

/// The sender, and how long and how much we listen.
struct Source {
    data: Fuse<ByteStream>,
    idle: std::time::Duration,
    deadline: Instant,
    most: u64,
    taken: u64,
}

impl Source {
    /// As much as is there, at least something and about a slice at most; nothing at the end.
    async fn gather(&mut self) -> Result<Vec<Bytes>, WriteRejected> {
        let mut pieces = Vec::new();
        let mut length = 0;
        while length < SLICE {
            let next = if pieces.is_empty() {
                let until = (Instant::now() + self.idle).min(self.deadline);
                tokio::time::timeout_at(until, self.data.next()).await.map_err(|_| WriteRejected::Incomplete)?
            } else {
                match self.data.next().now_or_never() {
                    Some(next) => next,
                    None => break,
                }
            };
            match next {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => {
                    length += piece.len();
                    self.taken += piece.len() as u64;
                    if self.taken > self.most {
                        return Err(WriteRejected::TooLong);
                    }
                    pieces.push(piece);
                }
                Some(Err(_)) => return Err(WriteRejected::Incomplete),
                None => break,
            }
        }
        Ok(pieces)
    }
}

/// Writes one slice while the next is gathered.
async fn receive(incoming: Incoming, mut source: Source) -> Result<BlockWritten, CallError<WriteRejected>> {
    let mut incoming = Some(incoming);
    let mut gathered: VecDeque<Vec<Bytes>> = VecDeque::new();
    gathered.push_back(source.gather().await.map_err(CallError::Rejected)?);
    while let Some(pieces) = gathered.pop_front().filter(|pieces| !pieces.is_empty()) {
        let Some(mut writing) = incoming.take() else { break };
        let write = tokio::task::spawn_blocking(move || writing.write(pieces).map(|()| writing));
        let next = source.gather().await;
        let written = write.await.unwrap_or_else(|error| Err(DiskError::Failed(error.to_string())));
        incoming = Some(written.map_err(|error| not_done(error, WriteRejected::DiskFull))?);
        gathered.push_back(next.map_err(CallError::Rejected)?);
    }
    let Some(incoming) = incoming else { return Err(CallError::Unknown("the write was lost".to_owned())) };
    metrics::counter!("datanode_bytes_written").increment(incoming.length());
    // Bytes that may be on the disk and are not acknowledged are no block: certainly not applied.
    let finished = incoming.finish().await.map_err(|error| not_done(error, WriteRejected::DiskFull))?;
    match finished {
        (written, Accepted::Written | Accepted::Stored) => Ok(written),
        (_, Accepted::Unwanted) => Err(CallError::Rejected(WriteRejected::Exists)),
    }
}
