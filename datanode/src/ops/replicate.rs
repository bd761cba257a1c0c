//! Fetching a whole container, as the SCM orders.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use datanode_api::{ByteStream, CHUNK_BYTES, ChunkChecksums, CopyRecord, ExportContainer, INLINE_BLOCK_MAX, NotACopy};
use datanode_core::record::ContainerState;
use futures_util::StreamExt;
use rpc::CallContext;
use scm_api::token::Target;
use tracing::{info, warn};
use types::{ContainerId, Replica, RequestId};

use crate::container::CopyFile;
use crate::datanode::Inner;
use crate::disk::{Disk, DiskError};

/// A copy that gives nothing for this long is tried elsewhere.
const STALL: Duration = Duration::from_secs(30);
/// Bytes of a long block that are written as one extent: a multiple of the chunk size.
const EXTENT: usize = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplicateError {
    #[error("no token keys yet")]
    NotReady,
    #[error("no disk is in service")]
    NoDisk,
    #[error("no source gave a good copy; the last: {0}")]
    NoSource(String),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error("{0}")]
    Source(String),
    #[error("it is no container copy")]
    NotACopy(#[from] NotACopy),
    #[error("block {0} is not what its checksums say")]
    Damaged(u64),
    #[error("it is another container's")]
    OtherContainer,
    #[error("{0}")]
    Disk(#[from] DiskError),
}

pub(crate) async fn run(datanode: &Arc<Inner>, container: ContainerId, sources: Vec<Replica>) -> Result<(), ReplicateError> {
    if datanode.store.get(container).is_some() {
        return Ok(());
    }
    let disk = datanode.store.choose_disk(|_| 0).ok_or(ReplicateError::NoDisk)?;
    let mut last = "there are none".to_owned();
    for source in sources.iter().filter(|source| source.endpoint != datanode.config.data_endpoint) {
        let token = datanode.tokens.seal_read(Target::Container(container), 0, &datanode.config.name);
        let token = token.ok_or(ReplicateError::NotReady)?;
        let cx = CallContext::local(RequestId::from_u128(datanode.entropy.u128()), STALL);
        let export = datanode.peers.export(source, cx, ExportContainer { container, token }).await;
        let copied = match export {
            Ok(stream) => receive(datanode, &disk, container, stream).await,
            Err(error) => Err(CopyError::Source(error.to_string())),
        };
        match copied {
            Ok((file, state, commit_index)) => {
                let store = Arc::clone(&datanode.store);
                let adopt = move || store.adopt(container, || file.install(state, commit_index));
                blocking(adopt).await?;
                info!(%container, source = %source.endpoint, "fetched container");
                metrics::counter!("datanode_containers_fetched").increment(1);
                return Ok(());
            }
            Err(CopyError::Disk(error)) => return Err(error.into()),
            Err(error) => {
                warn!(%container, source = %source.endpoint, %error, "no good copy");
                last = format!("{}: {error}", source.endpoint);
            }
        }
    }
    Err(ReplicateError::NoSource(last))
}

/// Writes a copy into a file that nobody sees yet, verifying every chunk.
async fn receive(
    datanode: &Arc<Inner>,
    disk: &Arc<Disk>,
    container: ContainerId,
    stream: ByteStream,
) -> Result<(CopyFile, ContainerState, u64), CopyError> {
    let mut source = Source { stream, buffer: BytesMut::new() };
    let CopyRecord::Container { container: id, is_closed, commit_index, pipeline } = source.record().await? else {
        return Err(NotACopy.into());
    };
    if id != container {
        return Err(CopyError::OtherContainer);
    }
    let Some((cluster, _)) = disk.owner() else { return Err(DiskError::Failed("the disk has no owner yet".to_owned()).into()) };
    let mut salt = [0; 16];
    datanode.entropy.fill(&mut salt);
    let made = Arc::clone(disk);
    let mut file = blocking(move || CopyFile::create(&made, cluster, container, pipeline, salt)).await?;
    let mut blocks = 0;
    loop {
        match source.record().await? {
            CopyRecord::Block { local, length, checksums, index } => {
                file = receive_block(&mut source, file, local, length, &checksums, index).await?;
                blocks += 1;
            }
            CopyRecord::End { blocks: sent } if sent == blocks => break,
            CopyRecord::End { .. } | CopyRecord::Container { .. } => return Err(NotACopy.into()),
        }
    }
    let state = if is_closed { ContainerState::Closed } else { ContainerState::QuasiClosed };
    Ok((file, state, commit_index))
}

async fn receive_block(
    source: &mut Source,
    mut file: CopyFile,
    local: u64,
    length: u64,
    checksums: &ChunkChecksums,
    index: u64,
) -> Result<CopyFile, CopyError> {
    if !checksums.fit(length) {
        return Err(CopyError::Damaged(local));
    }
    let mut extents = Vec::new();
    let mut offset = 0;
    let is_inline = length <= INLINE_BLOCK_MAX as u64;
    loop {
        let content = source.bytes((length - offset).min(EXTENT as u64) as usize).await?;
        let first = (offset as usize) / CHUNK_BYTES;
        let sums = ChunkChecksums::of(&content);
        if checksums.0.get(first..first + sums.0.len()) != Some(sums.0.as_slice()) {
            return Err(CopyError::Damaged(local));
        }
        let taken = content.len() as u64;
        let sums = sums.to_le_bytes();
        let mut written = std::mem::take(&mut extents);
        (file, extents) = blocking(move || {
            if is_inline {
                file.inline(local, index, sums, &content)?;
                return Ok((file, written));
            }
            written.push(file.extent(local, offset, sums, &content)?);
            if offset + taken == length {
                file.streamed(local, index, length, std::mem::take(&mut written))?;
            }
            Ok((file, written))
        })
        .await?;
        offset += taken;
        if offset == length {
            return Ok(file);
        }
    }
}

struct Source {
    stream: ByteStream,
    buffer: BytesMut,
}

impl Source {
    async fn more(&mut self) -> Result<(), CopyError> {
        match tokio::time::timeout(STALL, self.stream.next()).await {
            Ok(Some(Ok(bytes))) => {
                self.buffer.extend_from_slice(&bytes);
                Ok(())
            }
            Ok(Some(Err(error))) => Err(CopyError::Source(error.to_string())),
            Ok(None) => Err(CopyError::Source("it ended early".to_owned())),
            Err(_) => Err(CopyError::Source("it stalled".to_owned())),
        }
    }

    async fn record(&mut self) -> Result<CopyRecord, CopyError> {
        loop {
            if let Some(record) = CopyRecord::take(&mut self.buffer)? {
                return Ok(record);
            }
            self.more().await?;
        }
    }

    async fn bytes(&mut self, length: usize) -> Result<Bytes, CopyError> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        Ok(self.buffer.split_to(length).freeze())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, DiskError> + Send + 'static) -> Result<T, DiskError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(DiskError::Failed(error.to_string())))
}
