//! All disks and containers of this datanode.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datanode_core::record::FIRST_RECORD_AT;
use datanode_core::rows::{ContainerRow, GroupRow};
use parking_lot::{Mutex, RwLock};
use runtime::Entropy;
use tables::StorageFault;
use tracing::{error, info, warn};
use types::{ClusterId, ContainerId, DatanodeId, PipelineId};

use crate::container::{Container, Flushed, OpenFiles, flush};
use crate::disk::{Changes, Disk, DiskError, Need};
use crate::{Config, StartError};

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) disks: Vec<Arc<Disk>>,
    containers: RwLock<BTreeMap<ContainerId, Arc<Container>>>,
    /// Held while a container is made, so that it is made once.
    creating: Mutex<()>,
    entropy: Arc<dyn Entropy>,
}

impl Store {
    /// Opens the disks and finds their containers. Blocks.
    pub(crate) fn open(config: &Config, entropy: Arc<dyn Entropy>) -> Result<Self, StartError> {
        let mut disks = Vec::new();
        let files = Arc::new(OpenFiles::new(config.open_files));
        let mut containers = BTreeMap::new();
        for path in &config.disks {
            let disk = Arc::new(Disk::open(path, entropy.u128(), config, &files)?);
            let fault = |fault| StartError::Disk { path: path.clone(), fault };
            let found = open_containers(&disk).map_err(|error| fault(StorageFault(error.to_string())))?;
            info!(disk = %path.display(), containers = found.len(), "opened disk");
            for container in found {
                if let Some(other) = containers.insert(container.id, Arc::clone(&container)) {
                    let text = format!("{} is here and on {}", container.id, other.disk.root.display());
                    return Err(fault(StorageFault(text)));
                }
            }
            disks.push(disk);
        }
        let store = Self { disks, containers: RwLock::new(containers), creating: Mutex::default(), entropy };
        store.owner()?;
        Ok(store)
    }

    /// The cluster and datanode that the disks belong to, once registered. Disks of two datanodes must not be mixed.
    pub(crate) fn owner(&self) -> Result<Option<(ClusterId, DatanodeId)>, StartError> {
        let mut owners = self.disks.iter().filter_map(|disk| Some((disk, disk.owner()?)));
        let Some((_, first)) = owners.next() else { return Ok(None) };
        match owners.find(|(_, owner)| *owner != first) {
            None => Ok(Some(first)),
            Some((disk, (cluster, datanode))) => {
                let text = format!("the disk belongs to {datanode} of cluster {cluster}, others to {} of {}", first.1, first.0);
                Err(StartError::Disk { path: disk.root.clone(), fault: StorageFault(text) })
            }
        }
    }

    pub(crate) fn set_owner(&self, cluster: ClusterId, datanode: DatanodeId) -> Result<(), DiskError> {
        for disk in &self.disks {
            disk.set_owner(cluster, datanode).map_err(|error| disk.fails("writing the identity", &error))?;
        }
        Ok(())
    }

    pub(crate) fn get(&self, container: ContainerId) -> Option<Arc<Container>> {
        self.containers.read().get(&container).cloned()
    }

    pub(crate) fn containers(&self) -> Vec<Arc<Container>> {
        self.containers.read().values().cloned().collect()
    }

    pub(crate) fn of_pipeline(&self, pipeline: PipelineId) -> Vec<Arc<Container>> {
        self.containers().into_iter().filter(|container| container.pipeline() == pipeline).collect()
    }

    /// The container, made if it is not there. Blocks when it is made.
    pub(crate) fn get_or_create(
        &self,
        disk: &Arc<Disk>,
        need: Need,
        container: ContainerId,
        pipeline: PipelineId,
    ) -> Result<Arc<Container>, DiskError> {
        if let Some(found) = self.get(container) {
            return Ok(found);
        }
        let _one_at_a_time = self.creating.lock();
        if let Some(found) = self.get(container) {
            return Ok(found);
        }
        disk.check()?;
        let Some((cluster, _)) = disk.owner() else { return Err(DiskError::Failed("the disk has no owner yet".to_owned())) };
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        let made = Container::create(disk, need, cluster, container, pipeline, salt)?;
        info!(%container, %pipeline, disk = %disk.root.display(), "made container");
        self.containers.write().insert(container, Arc::clone(&made));
        Ok(made)
    }

    /// Takes in a container that was fetched whole: `adopt` puts its file and its rows in place.
    pub(crate) fn adopt(
        &self,
        container: ContainerId,
        adopt: impl FnOnce() -> Result<Arc<Container>, DiskError>,
    ) -> Result<(), DiskError> {
        let _one_at_a_time = self.creating.lock();
        match self.get(container) {
            // Its removal was cut short; a new file of that name would meet the old one's rows.
            Some(found) if found.is_gone() => self.remove(&found)?,
            Some(_) => return Ok(()),
            None => {}
        }
        let adopted = adopt()?;
        self.containers.write().insert(container, adopted);
        Ok(())
    }

    /// Makes all changes to the disk's containers durable.
    pub(crate) fn flush(&self, disk: &Disk, group: Option<(PipelineId, &GroupRow)>) -> Result<Flushed, DiskError> {
        flush(disk, |id| self.get(id), group)
    }

    /// Removes a replica, file and rows. Nothing of it is left after a crash at any point, once the rename is durable.
    pub(crate) fn delete(&self, container: ContainerId) -> Result<(), DiskError> {
        let _one_at_a_time = self.creating.lock();
        self.get(container).map_or(Ok(()), |found| self.remove(&found))
    }

    /// Removes what is left of those whose removal was cut short, by a full disk say. Blocks.
    pub(crate) fn finish_removals(&self) {
        for found in self.containers().into_iter().filter(|found| found.is_gone() && found.disk.failure().is_none()) {
            let _one_at_a_time = self.creating.lock();
            let is_still_there = self.get(found.id).is_some_and(|now| Arc::ptr_eq(&now, &found));
            if is_still_there && let Err(error) = self.remove(&found) {
                warn!(container = %found.id, %error, "cannot be removed yet");
            }
        }
    }

    /// The caller holds `creating`. What an earlier try has done is not done again.
    fn remove(&self, found: &Container) -> Result<(), DiskError> {
        let (container, disk) = (found.id, &found.disk);
        disk.check()?;
        found.turn().mark_gone();
        let path = disk.container_path(container);
        let doomed = doomed_path(&path);
        match fs::rename(&path, &doomed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && doomed.exists() => {}
            renamed => renamed.map_err(|error| disk.fails("renaming a container's file", &error))?,
        }
        disk.sync_containers_dir()?;
        {
            let _flush = disk.commit.lock();
            let changes = Changes { dropped: vec![container], ..Changes::default() };
            disk.commit_index(changes)?;
        }
        self.containers.write().remove(&container);
        disk.dirty.lock().remove(&container);
        fs::remove_file(&doomed).map_err(|error| disk.fails("removing a container's file", &error))?;
        info!(%container, "removed container");
        Ok(())
    }

    /// Where the next pipeline or copy goes: a disk that serves and is not full, with the fewest of `load`, then the most room.
    pub(crate) fn choose_disk(&self, load: impl Fn(&Disk) -> usize) -> Option<Arc<Disk>> {
        let fit = self.disks.iter().filter(|disk| disk.failure().is_none());
        let preference = |disk: &&Arc<Disk>| {
            let remaining = disk.space().remaining;
            (remaining == 0, load(disk), std::cmp::Reverse(remaining))
        };
        fit.min_by_key(preference).cloned()
    }

    /// Holds ballast again where it was given up and there is space for it. Blocks.
    pub(crate) fn restore_ballast(&self) {
        for disk in self.disks.iter().filter(|disk| disk.failure().is_none()) {
            disk.room.ballast.restore();
        }
    }

    pub(crate) fn lacks_ballast(&self) -> bool {
        self.disks.iter().any(|disk| disk.room.ballast.is_released())
    }
}

fn doomed_path(path: &Path) -> PathBuf {
    path.with_extension("deleted")
}

/// Matches the files in the directory with the rows of the index.
fn open_containers(disk: &Arc<Disk>) -> Result<Vec<Arc<Container>>, DiskError> {
    let mut rows = disk.index.containers().map_err(|fault| disk.fault(fault))?;
    let mut dropped = Vec::new();
    let mut found = Vec::new();
    for (path, length) in list(disk)? {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let id = stem.and_then(|stem| stem.parse().ok()).map(ContainerId);
        match (id, path.extension().and_then(|extension| extension.to_str())) {
            (Some(id), Some("data")) => found.extend(open_container(disk, id, rows.remove(&id), length)?),
            (Some(_), Some("tmp")) => remove(disk, &path)?,
            (Some(id), Some("deleted")) => {
                dropped.push(id);
                rows.remove(&id);
                remove(disk, &path)?;
            }
            (Some(_), Some("unreadable")) => {}
            _ => warn!(path = %path.display(), "a file that is not ours"),
        }
    }
    for (container, row) in rows {
        error!(%container, blocks = row.blocks, "the container's file is gone");
        dropped.push(container);
    }
    // A file that came (back) under the same name stays.
    dropped.retain(|id| !found.iter().any(|container| container.id == *id));
    if !dropped.is_empty() {
        disk.commit_index(Changes { dropped, ..Changes::default() })?;
    }
    Ok(found)
}

fn list(disk: &Disk) -> Result<Vec<(PathBuf, u64)>, DiskError> {
    let entries = fs::read_dir(disk.root.join("containers")).and_then(|entries| {
        entries
            .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.metadata()?.len()))))
            .collect::<std::io::Result<Vec<_>>>()
    });
    entries.map_err(|error| disk.fails("listing the containers", &error))
}

fn open_container(
    disk: &Arc<Disk>,
    id: ContainerId,
    row: Option<ContainerRow>,
    length: u64,
) -> Result<Option<Arc<Container>>, DiskError> {
    if let Some(row) = row {
        return Container::known(Arc::clone(disk), id, row, length).map(Some);
    }
    let opened = Container::unknown(Arc::clone(disk), id)?;
    if opened.is_none() {
        // Made by a crash between the file's creation and its first sync; or damaged, and then somebody may want to look at it.
        let path = disk.container_path(id);
        if length <= FIRST_RECORD_AT {
            remove(disk, &path)?;
        } else {
            error!(container = %id, "a container's file without a readable header and without rows; put aside");
            let aside = path.with_extension("unreadable");
            fs::rename(&path, &aside).map_err(|error| disk.fails("renaming a container's file", &error))?;
        }
    }
    Ok(opened)
}

fn remove(disk: &Disk, path: &Path) -> Result<(), DiskError> {
    fs::remove_file(path).map_err(|error| disk.fails("removing a left-over file", &error))
}
