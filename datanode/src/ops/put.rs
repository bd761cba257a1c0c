//! Committing a block in its pipeline's log.

use std::sync::Arc;

use datanode_api::{BlockPut, ChunkChecksums, INLINE_BLOCK_MAX, PutBlock, PutContent, PutRejected};
use datanode_core::command::{self, CommandAnswer, PipelineCommand};
use datanode_core::record::ContainerState;
use datanode_core::rows::{BlockRow, BlockState};
use rpc::{CallContext, CallError, NotApplied};
use scm_api::token::{Access, Target};

use super::{not_done, refused};
use crate::datanode::Inner;
use crate::pipeline::Pipeline;

pub(crate) async fn run(datanode: &Arc<Inner>, cx: CallContext, request: PutBlock) -> Result<BlockPut, CallError<PutRejected>> {
    let gate = datanode.tokens.check(&request.token, Target::Block(request.block), Access::Write, request.length);
    gate.map_err(|refusal| refused(refusal, PutRejected::PermissionDenied))?;
    check_content(&request).map_err(CallError::Rejected)?;
    let Some(pipeline) = datanode.pipelines.get(request.pipeline) else {
        return Err(match datanode.pipelines.is_loaded() {
            true => CallError::Rejected(PutRejected::Closed),
            false => CallError::unavailable("starting"),
        });
    };
    if !pipeline.group.is_leader()
        && let Some(leader) = pipeline.leader_endpoint().filter(|leader| *leader != datanode.config.data_endpoint)
    {
        return Err(CallError::not_leader(Some(leader)));
    }
    let sums = request.checksums.to_le_bytes();
    if is_done(datanode, &pipeline, &request, &sums)? {
        return Ok(BlockPut { length: request.length });
    }
    let command = encode(&request, &sums);
    let proposed = pipeline.group.propose(None, command, cx.deadline).await;
    let proposed = proposed.map_err(|error| match CallError::from(error) {
        // The group knows where its members' messages go; a client needs to know where the blocks go.
        CallError::NotApplied(NotApplied::NotLeader(_)) => CallError::not_leader(pipeline.leader_endpoint()),
        other => other,
    })?;
    let answer = tables::decode::<CommandAnswer>(&proposed.answer, "a pipeline's answer");
    match answer.map_err(|fault| CallError::Unknown(fault.0))? {
        CommandAnswer::Done => {
            metrics::counter!("datanode_blocks_put").increment(1);
            Ok(BlockPut { length: request.length })
        }
        CommandAnswer::Closed | CommandAnswer::Deleted => Err(CallError::Rejected(PutRejected::Closed)),
        CommandAnswer::Exists => Err(CallError::Rejected(PutRejected::Exists)),
        CommandAnswer::DiskFull => Err(CallError::Rejected(PutRejected::DiskFull)),
        CommandAnswer::DiskFailed => Err(CallError::Unknown("the leader's disk failed".to_owned())),
    }
}

/// What can be seen of a put without looking at anything else.
fn check_content(request: &PutBlock) -> Result<(), PutRejected> {
    if !request.checksums.fit(request.length) {
        return Err(PutRejected::ChecksumMismatch);
    }
    let PutContent::Inline(content) = &request.content else { return Ok(()) };
    if content.len() > INLINE_BLOCK_MAX {
        return Err(PutRejected::TooLong);
    }
    if content.len() as u64 != request.length || ChunkChecksums::of(content) != request.checksums {
        return Err(PutRejected::ChecksumMismatch);
    }
    Ok(())
}

/// Whether the block is committed already; refuses what the log would refuse, before it costs an entry.
fn is_done(datanode: &Inner, pipeline: &Pipeline, request: &PutBlock, sums: &[u8]) -> Result<bool, CallError<PutRejected>> {
    let rejected = |rejection| Err(CallError::Rejected(rejection));
    let room = match &request.content {
        PutContent::Inline(content) => content.len() as u64,
        PutContent::Streamed => 0,
    };
    pipeline.disk.check_room(room).map_err(|error| not_done(error, PutRejected::DiskFull))?;
    let container = datanode.store.get(request.block.container);
    let row = match &container {
        Some(container) if container.pipeline() != pipeline.id || container.is_gone() => return rejected(PutRejected::Closed),
        Some(container) => {
            container.lookup(request.block.local).map_err(|fault| CallError::unavailable(container.disk.fault(fault)))?
        }
        None => None,
    };
    let has_content = |row: &BlockRow| row.has_content(request.length, sums);
    match row.as_deref() {
        Some(row) if row.state == BlockState::Tombstone => return rejected(PutRejected::Closed),
        Some(row) if row.is_committed() && has_content(row) => return Ok(true),
        Some(row) if row.is_committed() => return rejected(PutRejected::Exists),
        _ => {}
    }
    if container.is_some_and(|container| container.row().state != ContainerState::Open) {
        return rejected(PutRejected::Closed);
    }
    match (&request.content, row.as_deref()) {
        (PutContent::Streamed, Some(row)) if has_content(row) => Ok(false),
        (PutContent::Streamed, _) => rejected(PutRejected::NotWritten),
        (PutContent::Inline(_), _) => Ok(false),
    }
}

fn encode(request: &PutBlock, sums: &[u8]) -> Vec<u8> {
    let content = match &request.content {
        PutContent::Inline(content) => Some(&**content),
        PutContent::Streamed => None,
    };
    tables::encode(&PipelineCommand::PutBlock(command::PutBlock {
        container: request.block.container,
        local: request.block.local,
        length: request.length,
        sums: sums.into(),
        content: content.map(Into::into),
    }))
}
