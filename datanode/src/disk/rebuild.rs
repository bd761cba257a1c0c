//! Makes a disk's index anew from its container files, when the index is damaged or lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datanode_core::record::ProgressBody;
use datanode_core::rows::GroupRow;
use tables::StorageFault;
use types::{ContainerId, PipelineId};

use super::identity::{DiskLock, Identity};
use super::index::{Changes, Index};
use super::sync_dir;
use crate::StartError;
use crate::container;

/// What a rebuilt index holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    pub containers: u64,
    pub blocks: u64,
    pub bytes: u64,
    pub pipelines: u64,
    /// Files without a readable header: nothing of them is in the index. They are left where they are.
    pub unreadable: Vec<PathBuf>,
}

/// Rows in one commit.
const ROWS_AT_A_TIME: usize = 10_000;
const CACHE_BYTES: usize = 64 << 20;

/// Rebuilds the index of the disk at `root`, which no process may be using. The old one stays beside it as
/// `index.redb.replaced`; a crash on the way leaves it in place.
pub fn rebuild_index(root: &Path) -> Result<Rebuilt, StartError> {
    let io_error = |what, path: &Path| {
        let path = path.to_path_buf();
        move |source| StartError::Io { what, path, source }
    };
    let Some(_lock) = DiskLock::take(root).map_err(io_error("locking", root))? else {
        return Err(StartError::InUse(root.to_path_buf()));
    };
    let of_disk = |fault: StorageFault| StartError::Disk { path: root.to_path_buf(), fault };
    let identity = Identity::load(root).map_err(|error| of_disk(StorageFault(error.to_string())))?;
    identity.ok_or_else(|| of_disk(StorageFault("it has no identity: not a datanode's disk".to_owned())))?;
    let making = root.join("index.redb.rebuild");
    match fs::remove_file(&making) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io_error("removing", &making)(error)),
        _ => {}
    }
    let mut report = Rebuilt::default();
    {
        let index = Index::open(&making, CACHE_BYTES, &Arc::default()).map_err(|error| of_disk(error.into()))?;
        let mut furthest: BTreeMap<PipelineId, ProgressBody> = BTreeMap::new();
        let directory = root.join("containers");
        let mut paths = Vec::new();
        for entry in fs::read_dir(&directory).map_err(io_error("listing", &directory))? {
            paths.push(entry.map_err(io_error("listing", &directory))?.path());
        }
        paths.sort();
        for path in paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "data")) {
            match container::rebuild(&path).map_err(io_error("reading", &path))? {
                Some(found) => store(&index, found, &mut report, &mut furthest).map_err(of_disk)?,
                None => report.unreadable.push(path),
            }
        }
        let group = |(pipeline, progress): (PipelineId, ProgressBody)| {
            Ok((pipeline, Some(tables::decode::<GroupRow>(&progress.row, "a pipeline's progress")?)))
        };
        let groups = furthest.into_iter().map(group).collect::<Result<Vec<_>, StorageFault>>().map_err(of_disk)?;
        report.pipelines = groups.len() as u64;
        index.commit(Changes { groups, ..Changes::default() }).map_err(|error| of_disk(error.into()))?;
    }
    let index = root.join("index.redb");
    if index.exists() {
        fs::rename(&index, root.join("index.redb.replaced")).map_err(io_error("renaming", &index))?;
    }
    fs::rename(&making, &index).map_err(io_error("renaming", &making))?;
    sync_dir(root).map_err(io_error("syncing", root))?;
    Ok(report)
}

fn store(
    index: &Index,
    found: datanode_core::replay::Rebuilt,
    report: &mut Rebuilt,
    furthest: &mut BTreeMap<PipelineId, ProgressBody>,
) -> Result<(), StorageFault> {
    let id: ContainerId = found.file.container;
    report.containers += 1;
    report.blocks += found.row.blocks;
    report.bytes += found.row.used;
    let blocks: Vec<_> = found.blocks.into_iter().map(|(local, row)| (id, local, Some(Arc::new(row)))).collect();
    for rows in blocks.chunks(ROWS_AT_A_TIME) {
        index.commit(Changes { blocks: rows.to_vec(), ..Changes::default() })?;
    }
    let dead = found.dead.into_iter().map(|span| (id, span)).collect();
    index.commit(Changes { containers: vec![(id, found.row)], dead, ..Changes::default() })?;
    if let Some(progress) = found.progress
        && furthest.get(&progress.pipeline).is_none_or(|known| known.index < progress.index)
    {
        furthest.insert(progress.pipeline, progress);
    }
    Ok(())
}
