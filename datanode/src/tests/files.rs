//! More containers than files that may be open.

use std::path::Path;

use types::ContainerId;

use super::model::{Disk, Entry};
use super::rig::{PIPELINE, content};
use crate::disk::{DiskError, EMFILE, Need, Step};

fn open_under(dir: &Path) -> usize {
    let links =
        std::fs::read_dir("/proc/self/fd").expect("lists").filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.filter(|path| path.starts_with(dir.join("containers"))).count()
}

#[tokio::test]
async fn files_that_are_idle_are_closed_and_opened_again_for_who_needs_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Disk::open_with(dir.path(), &[], |config| config.open_files = 3);
    let made = (100..120).map(|id| {
        let container = disk.store.get_or_create(&disk.store.disks[0], Need::Data, ContainerId(id), PIPELINE).expect("made");
        container.turn().delete(&[id]).expect("deleted");
        container
    });
    let made: Vec<_> = made.collect();
    assert_eq!(open_under(dir.path()), 20, "none is closed before it is synced");
    disk.machine.flush_to(Vec::new(), 0).expect("flushes");
    for container in &made {
        assert!(container.file().expect("opens").metadata().expect("open").len() > 4096);
        container.turn().delete(&[7]).expect("deleted");
        disk.machine.flush_to(Vec::new(), 0).expect("flushes");
    }
    disk.container();
    assert!(open_under(dir.path()) <= 4, "{} are open", open_under(dir.path()));
    let held = made[5].file().expect("opens");
    for container in &made {
        container.file().expect("opens");
    }
    assert_eq!(std::sync::Arc::strong_count(&held), 2, "one that is in use stays open");
}

#[tokio::test]
async fn a_process_with_too_many_files_is_no_failure_of_the_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let entry = Entry::Put { local: 1, content: content(1, 10), is_inline: true };
    {
        let disk = Disk::open(dir.path(), &[]);
        disk.apply(1, &entry);
        disk.machine.flush_to(Vec::new(), 1).expect("flushes");
    }
    let disk = Disk::open(dir.path(), &[]);
    let faults = &disk.store.disks[0].room.faults;
    faults.every(Step::Open, EMFILE);
    assert!(matches!(disk.container().file(), Err(DiskError::TooManyFiles)));
    assert!(disk.store.disks[0].failure().is_none());
    faults.clear();
    assert_eq!(disk.read(1).await.expect("reads").as_deref(), Some(&content(1, 10)[..]));
}
