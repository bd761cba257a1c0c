//! Giving a whole container away, to a datanode that is to hold a copy.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use datanode_api::{ByteStream, ChunkChecksums, CopyRecord, ExportContainer, ExportRejected};
use datanode_core::record::ContainerState;
use datanode_core::rows::{BlockRow, BlockState, ContainerRow};
use futures_util::{StreamExt, stream};
use rpc::CallError;
use scm_api::token::{Access, Target};
use tokio::sync::Semaphore;

use super::read::Reading;
use super::refused;
use crate::container::Container;
use crate::datanode::Inner;

const BLOCKS_AT_A_TIME: usize = 1024;

pub(crate) fn run(datanode: &Arc<Inner>, request: &ExportContainer) -> Result<ByteStream, CallError<ExportRejected>> {
    let gate = datanode.tokens.check(&request.token, Target::Container(request.container), Access::Read, 0);
    gate.map_err(|refusal| refused(refusal, ExportRejected::PermissionDenied))?;
    let no_such = CallError::Rejected(ExportRejected::NoSuchContainer);
    let container = datanode.store.get(request.container).filter(|container| !container.is_gone()).ok_or(no_such.clone())?;
    container.disk.check().map_err(CallError::unavailable)?;
    let row = container.row();
    if row.state == ContainerState::Open || row.is_damaged || row.missing > 0 {
        return Err(no_such);
    }
    let export = Export::new(container, row, Arc::clone(&datanode.disk_reads));
    let bytes = stream::unfold(Some(export), |export| async move {
        let mut export = export?;
        match export.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(export))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(bytes.boxed())
}

struct Export {
    container: Arc<Container>,
    disk_reads: Arc<Semaphore>,
    head: Option<CopyRecord>,
    waiting: VecDeque<(u64, Arc<BlockRow>)>,
    /// Where the next page of blocks begins.
    from: Option<u64>,
    reading: Option<Reading>,
    blocks: u64,
    is_over: bool,
}

impl Export {
    fn new(container: Arc<Container>, row: ContainerRow, disk_reads: Arc<Semaphore>) -> Self {
        let head = CopyRecord::Container {
            container: container.id,
            is_closed: row.state == ContainerState::Closed,
            commit_index: row.commit_index,
            pipeline: row.pipeline,
        };
        Self {
            container,
            disk_reads,
            head: Some(head),
            waiting: VecDeque::new(),
            from: Some(0),
            reading: None,
            blocks: 0,
            is_over: false,
        }
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head.to_bytes()));
        }
        if let Some(reading) = &mut self.reading {
            // A block that is deleted meanwhile ends the copy; the next one does not have it.
            if let Some(bytes) = reading.next().await.map_err(io::Error::other)? {
                return Ok(Some(bytes));
            }
            self.reading = None;
        }
        loop {
            if let Some((local, row)) = self.waiting.pop_front() {
                if row.state != BlockState::Stored {
                    continue;
                }
                let checksums = ChunkChecksums::from_le_bytes(&row.sums).unwrap_or_default();
                let record = CopyRecord::Block { local, length: row.length, checksums, index: row.index };
                let (container, end) = (Arc::clone(&self.container), row.length);
                let reading = Reading::new(container, local, row, 0, end, Arc::clone(&self.disk_reads));
                self.reading = Some(reading.map_err(io::Error::other)?);
                self.blocks += 1;
                return Ok(Some(record.to_bytes()));
            }
            let Some(from) = self.from.take() else { break };
            let (rows, next) = self.container.blocks(from, BLOCKS_AT_A_TIME).map_err(io::Error::other)?;
            self.waiting = rows.into();
            self.from = next;
        }
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(None);
        }
        Ok(Some(CopyRecord::End { blocks: self.blocks }.to_bytes()))
    }
}
