//! A container's file that is made from another datanode's copy: written under a temporary name, put in place when it is whole.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use datanode_core::record::{
    Body, CommitBody, ContainerState, Draft, ExtentBody, FIRST_RECORD_AT, FileBody, InlineBody, RECORD_ALIGN, Salt, StateBody,
    WrittenBody,
};
use datanode_core::rows::BlockRow;
use types::{ClusterId, ContainerId, PipelineId};

use super::{Container, DataFile, FORMAT, create_file, rebuild};
use crate::disk::{Changes, Disk, DiskError, Need};

/// Written at a time.
const BUFFER: usize = 4 << 20;
/// Rows in one commit of the index.
const ROWS_AT_A_TIME: usize = 10_000;

#[derive(Debug)]
pub(crate) struct CopyFile {
    disk: Arc<Disk>,
    container: ContainerId,
    path: PathBuf,
    file: DataFile,
    salt: Salt,
    /// Where the buffer's first byte goes.
    at: u64,
    buffer: Vec<u8>,
}

impl CopyFile {
    pub(crate) fn create(
        disk: &Arc<Disk>,
        cluster: ClusterId,
        container: ContainerId,
        pipeline: PipelineId,
        salt: [u8; 16],
    ) -> Result<Self, DiskError> {
        let path = disk.temporary_path(container);
        let body = FileBody { format: FORMAT, cluster, container, pipeline, salt };
        let file = create_file(&path, &disk.room, Need::Data, body)
            .map_err(|error| disk.fails("creating a container's file", &error))?;
        Ok(Self {
            disk: Arc::clone(disk),
            container,
            path,
            file,
            salt: Salt(salt),
            at: FIRST_RECORD_AT,
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    fn record(&mut self, body: &Body, payload: &[u8]) -> Result<u64, DiskError> {
        let draft = Draft::new(body, payload.len() as u32);
        let at = self.at + self.buffer.len() as u64;
        draft.encode(self.salt, at, &mut self.buffer);
        self.buffer.extend_from_slice(payload);
        self.buffer.resize(self.buffer.len().next_multiple_of(RECORD_ALIGN as usize), 0);
        if self.buffer.len() >= BUFFER {
            self.write()?;
        }
        Ok(at)
    }

    fn write(&mut self) -> Result<(), DiskError> {
        self.disk.check_room(self.buffer.len() as u64)?;
        let written = self.file.write_at(Need::Data, &self.buffer, self.at);
        written.map_err(|error| self.disk.fails("writing to a container's file", &error))?;
        self.disk.count_written(self.buffer.len() as u64);
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    pub(crate) fn inline(&mut self, local: u64, index: u64, sums: Vec<u8>, content: &[u8]) -> Result<(), DiskError> {
        self.record(&Body::Inline(InlineBody { local, sums, index }), content).map(|_| ())
    }

    /// A stretch of a longer block, and where its record is.
    pub(crate) fn extent(&mut self, local: u64, offset: u64, sums: Vec<u8>, content: &[u8]) -> Result<u64, DiskError> {
        self.record(&Body::Extent(ExtentBody { local, offset, sums }), content)
    }

    pub(crate) fn streamed(&mut self, local: u64, index: u64, length: u64, extents: Vec<u64>) -> Result<(), DiskError> {
        self.record(&Body::Written(WrittenBody { local, length, extents }), &[])?;
        self.record(&Body::Commit(CommitBody { local, index }), &[]).map(|_| ())
    }

    /// Makes the copy a replica. A crash on the way leaves either nothing or all of it.
    pub(crate) fn install(mut self, state: ContainerState, commit_index: u64) -> Result<Arc<Container>, DiskError> {
        self.record(&Body::State(StateBody { state, commit_index, is_damaged: false }), &[])?;
        self.write()?;
        let disk = &self.disk;
        self.file.sync_all().map_err(|error| disk.fail(format!("syncing a container's file: {error}")))?;
        let failed = |error: io::Error| disk.fails("installing a container's file", &error);
        let rebuilt = rebuild(&self.path).map_err(failed)?;
        let rebuilt = rebuilt.ok_or_else(|| DiskError::Failed("the copy does not read back".to_owned()))?;
        let blocks: Vec<(u64, BlockRow)> = rebuilt.blocks.into_iter().collect();
        let commit = |changes| {
            let _flush = disk.commit.lock();
            disk.check()?;
            disk.commit_index(changes).map(|_| ())
        };
        // Rows of blocks without their container's row are nothing; what a crash left of them goes first.
        commit(Changes { dropped: vec![self.container], ..Changes::default() })?;
        for rows in blocks.chunks(ROWS_AT_A_TIME) {
            let row = |(local, row): &(u64, BlockRow)| (self.container, *local, Some(Arc::new(row.clone())));
            commit(Changes { blocks: rows.iter().map(row).collect(), ..Changes::default() })?;
        }
        let path = disk.container_path(self.container);
        fs::rename(&self.path, &path).map_err(failed)?;
        disk.sync_containers_dir()?;
        commit(Changes { containers: vec![(self.container, rebuilt.row.clone())], ..Changes::default() })?;
        Container::known(Arc::clone(disk), self.container, rebuilt.row, self.at)
    }
}

impl Drop for CopyFile {
    fn drop(&mut self) {
        // After the install there is nothing under this name; what stays after a crash goes at the next start.
        let _ = fs::remove_file(&self.path);
    }
}
