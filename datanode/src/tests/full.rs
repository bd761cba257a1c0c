//! A disk without space: nothing acknowledged is lost, it can be read, and deletes make room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::model::{Disk, Entry};
use super::rig::{CONTAINER, PIPELINE, World, content, until, write};
use crate::disk::{DiskError, EIO, ENOSPC, Index, Room, Step};

fn put(local: u64, length: usize) -> Entry {
    Entry::Put { local, content: content(local, length), is_inline: true }
}

/// A flush meets a full disk at the `before`th write of this kind; what it had taken from memory comes with the next one.
async fn survives_a_failed_flush(kind: Step, before: usize) -> bool {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Disk::open(dir.path(), &[]);
    let faults = &disk.store.disks[0].room.faults;
    let log: Vec<Entry> = (1..=3).map(|local| put(local, 3000)).collect();
    for (index, entry) in (1..).zip(&log[..2]) {
        disk.apply(index, entry);
    }
    disk.container().turn().delete(&[2]).expect("deleted");
    faults.one(kind, before, ENOSPC);
    let failed = disk.machine.flush_to(Vec::new(), 2);
    faults.clear();
    assert!(matches!(failed, Ok(()) | Err(DiskError::Full)), "{failed:?}");
    assert!(disk.store.disks[0].failure().is_none(), "a full disk is no failed one");
    assert_eq!(disk.read(1).await.expect("reads").as_deref(), Some(&content(1, 3000)[..]));
    disk.apply(3, &log[2]);
    disk.machine.flush_to(Vec::new(), 3).expect("flushes");
    // Nothing comes from the file's tail and nothing from the log: the index alone has to know it all.
    let rows = disk.store.disks[0].index.blocks(CONTAINER, 0, 10).expect("reads");
    assert_eq!(rows.iter().map(|(local, _)| *local).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(disk.store.disks[0].index.dump().iter().any(|(table, ..)| *table == "dead"), "freed space is known");
    drop(disk);
    let disk = Disk::open(dir.path(), &log);
    for local in [1, 3] {
        assert_eq!(disk.read(local).await.expect("reads").as_deref(), Some(&content(local, 3000)[..]), "block {local}");
    }
    assert_eq!(disk.read(2).await, Ok(None), "deleted");
    failed.is_err()
}

#[tokio::test]
async fn a_flush_that_finds_no_space_leaves_its_rows_to_the_next_one() {
    assert!(survives_a_failed_flush(Step::Write, 0).await, "the fault was met");
    let mut failed = 0;
    for before in 0..40 {
        failed += u32::from(survives_a_failed_flush(Step::IndexWrite, before).await);
    }
    assert!(failed > 0, "the fault was met");
}

#[tokio::test]
async fn a_flush_that_meets_a_broken_disk_takes_it_out_of_service() {
    // A sync that found no space is as final as any that failed.
    let broken = [Step::Write, Step::Sync, Step::IndexWrite, Step::IndexSync].map(|kind| (kind, EIO));
    for (kind, errno) in broken.into_iter().chain([(Step::Sync, ENOSPC), (Step::IndexSync, ENOSPC)]) {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(dir.path(), &[]);
        disk.apply(1, &put(1, 3000));
        disk.container().turn().delete(&[2]).expect("deleted");
        disk.apply(2, &put(2, 3000));
        disk.store.disks[0].room.faults.one(kind, 0, errno);
        assert!(disk.machine.flush_to(Vec::new(), 2).is_err(), "{kind:?}");
        disk.store.disks[0].room.faults.clear();
        assert!(disk.machine.flush_to(Vec::new(), 2).is_err(), "nobody retries it into looking well");
        assert!(disk.store.disks[0].failure().is_some());
        assert!(disk.try_apply(3, &put(3, 10)).is_err());
    }
}

#[tokio::test]
async fn with_its_ballast_a_full_disk_flushes_and_deletes_and_starts() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut log = vec![put(1, 3000), put(2, 3000)];
    let open = |log: &[Entry]| Disk::open_with(dir.path(), log, |config| config.ballast_bytes = Some(1 << 20));
    let disk = open(&[]);
    let ballast = dir.path().join("ballast");
    // As on a disk where everything but the ballast is used up.
    let until_released = |disk: &Disk<'_>| {
        let ballast = ballast.clone();
        disk.store.disks[0].room.faults.set(move |_| match ballast.exists() {
            true => Err(std::io::Error::from_raw_os_error(ENOSPC)),
            false => Ok(()),
        });
    };
    disk.apply(1, &log[0]);
    until_released(&disk);
    let of_no_room = disk.try_apply(2, &log[1]).expect("carried out, without the content");
    assert_eq!(of_no_room, datanode_core::command::CommandAnswer::DiskFull);
    assert!(!ballast.exists());
    let served = &disk.store.disks[0];
    assert_eq!(served.space().remaining, 0, "it is reported as full");
    assert!(matches!(served.check_room(1), Err(DiskError::Full)), "and takes no blocks");
    served.room.ballast.restore();
    assert!(ballast.exists() && served.check_room(1).is_ok(), "with space comes the ballast");
    until_released(&disk);
    disk.container().turn().delete(&[1]).expect("deletes go on");
    assert!(!ballast.exists());
    served.room.ballast.restore();
    until_released(&disk);
    disk.machine.flush_to(Vec::new(), 2).expect("flushes go on");
    assert!(!ballast.exists());
    assert!(served.failure().is_none());
    drop(disk);
    log.push(put(3, 3000));
    let disk = open(&log);
    assert_eq!(disk.read(1).await, Ok(None));
    assert_eq!(disk.read(3).await.expect("reads").as_deref(), Some(&content(3, 3000)[..]));
}

#[test]
fn an_index_that_is_there_is_opened_without_growing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("index.redb");
    drop(Index::open(&path, 1 << 20, &Arc::default()).expect("opens"));
    let full = Arc::<Room>::default();
    // Only the header is written, in its place.
    let (writes, seen) = (Arc::new(AtomicUsize::new(0)), path.metadata().expect("there").len());
    let counted = Arc::clone(&writes);
    full.faults.set(move |step| {
        counted.fetch_add(usize::from(step == Step::IndexSync), Ordering::Relaxed);
        Ok(())
    });
    let index = Index::open(&path, 1 << 20, &full).expect("opens");
    assert!(writes.load(Ordering::Relaxed) <= 1, "a commit syncs twice");
    assert_eq!(path.metadata().expect("there").len(), seen);
    assert!(index.containers().expect("reads").is_empty());
}

#[tokio::test]
async fn an_entry_that_a_full_disk_cannot_carry_out_is_not_passed_over() {
    for step in [Step::Create, Step::Write] {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(dir.path(), &[]);
        let faults = &disk.store.disks[0].room.faults;
        faults.every(step, ENOSPC);
        let log = [put(1, 3000), put(2, 3000)];
        assert!(disk.try_apply(1, &log[0]).is_err());
        faults.clear();
        // What comes behind it may build on it.
        assert!(disk.try_apply(2, &log[1]).is_err());
        assert!(disk.machine.failure().is_some());
        assert!(disk.store.disks[0].failure().is_none(), "it is read");
        drop(disk);
        let disk = Disk::open(dir.path(), &log);
        for local in [1, 2] {
            assert_eq!(disk.read(local).await.expect("reads").as_deref(), Some(&content(local, 3000)[..]));
        }
    }
}

#[tokio::test]
async fn a_committed_block_without_space_is_missing_here_and_even_its_file_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Disk::open(dir.path(), &[]);
    disk.apply(1, &put(1, 10));
    disk.store.disks[0].room.faults.one(Step::Write, 0, ENOSPC);
    assert_eq!(disk.apply(2, &put(2, 3000)), datanode_core::command::CommandAnswer::DiskFull);
    disk.store.disks[0].room.faults.clear();
    assert_eq!(disk.container().row().missing, 1);
    disk.machine.flush_to(Vec::new(), 2).expect("flushes");
    drop(disk);
    crate::rebuild_index(dir.path()).expect("rebuilt");
    let disk = Disk::open(dir.path(), &[]);
    assert_eq!(disk.container().row().missing, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_that_stopped_for_want_of_space_goes_on_when_there_is_some() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    write(&world.client(), &[&node], 1, &content(1, 5000)).await.expect("written");
    let store = &node.datanode.inner().store;
    store.disks[0].room.faults.every(Step::Write, ENOSPC);
    assert!(write(&world.client(), &[&node], 2, &content(2, 5000)).await.is_err());
    assert_eq!(node.read(1, 0, 5000).await, Ok(content(1, 5000).to_vec()), "it can be read");
    until("it has stopped", async || {
        node.datanode.inner().pipelines.get(PIPELINE).is_none_or(|pipeline| pipeline.machine.failure().is_some())
    })
    .await;
    // Ended now, the log would take with it what it alone holds.
    assert!(node.datanode.inner().pipelines.destroy(PIPELINE).await.is_err());
    store.disks[0].room.faults.clear();
    until("it goes on, with what was committed", async || {
        node.read(2, 0, 5000).await.is_ok_and(|bytes| bytes == content(2, 5000))
    })
    .await;
    assert_eq!(node.read(1, 0, 5000).await, Ok(content(1, 5000).to_vec()));
    until("it takes blocks", async || write(&world.client(), &[&node], 3, &content(3, 5000)).await.is_ok()).await;
    node.stop().await;
}

#[tokio::test]
async fn a_container_that_was_closed_by_itself_is_not_made_whole_by_the_log() {
    use datanode_core::record::ContainerState;
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Disk::open(dir.path(), &[]);
    disk.apply(1, &put(1, 3000));
    disk.container().turn().change_state(ContainerState::QuasiClosed, false).expect("closes");
    // Entries that it was too late for.
    disk.apply(2, &put(2, 3000));
    disk.apply(3, &Entry::Close);
    assert_eq!(disk.container().row().state, ContainerState::QuasiClosed);
}

#[tokio::test]
async fn a_removal_that_a_full_disk_cuts_short_is_finished_later_and_fails_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Disk::open(dir.path(), &[]);
    disk.apply(1, &put(1, 3000));
    disk.machine.flush_to(Vec::new(), 1).expect("flushes");
    drop(disk);
    // Its file is not opened before somebody needs it.
    let disk = Disk::open(dir.path(), &[]);
    let container = disk.store.get(CONTAINER).expect("there");
    let served = &disk.store.disks[0];
    served.room.faults.one(Step::IndexWrite, 0, ENOSPC);
    assert!(matches!(disk.store.delete(CONTAINER), Err(DiskError::Full)));
    assert!(disk.store.get(CONTAINER).is_some_and(|found| found.is_gone()));
    served.room.faults.clear();
    // What still looks at it, a reader or the scrubber, finds no file.
    assert!(container.file().is_err());
    assert!(served.failure().is_none(), "that is no fault of the disk");
    disk.store.finish_removals();
    assert!(disk.store.get(CONTAINER).is_none());
    assert!(served.index.blocks(CONTAINER, 0, 10).expect("reads").is_empty());
    let left: Vec<_> = std::fs::read_dir(dir.path().join("containers")).expect("a directory").collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(served.failure().is_none());
}
