//! A pipeline's state, from one member to another.

use datanode_core::rows::BlockState;
use raft_node::{Progress, StateMachine};

use super::model::{Disk, Entry};
use super::rig::content;

fn put(local: u64) -> Entry {
    Entry::Put { local, content: content(local, 10), is_inline: true }
}

#[tokio::test]
async fn a_snapshot_of_many_frames_makes_exactly_its_blocks_the_committed_ones() {
    let dirs = [tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory")];
    let [from, to] = dirs.each_ref().map(|dir| Disk::open(dir.path(), &[]));
    for local in 0..1000 {
        from.apply(local + 1, &put(local * 2));
    }
    // Some that are there too, and some that are not: before, between and behind those that are.
    for (index, local) in (1..).zip([10, 1998, 3, 801, 1997, 1999, 5000]) {
        to.apply(index, &put(local));
    }
    let (_, mut source) = from.machine.snapshot().expect("pins");
    let mut sink = to.machine.install().expect("begins");
    let mut frames = 0;
    while let Some(frame) = source.next_frame().expect("reads") {
        sink.frame(&frame).expect("takes");
        frames += 1;
    }
    assert!(frames > 3, "{frames} frames");
    assert_eq!(to.container().row().blocks, 7, "nothing changes before the end");
    sink.finish(Progress::default()).expect("installs");
    let (rows, _) = to.container().blocks(0, 10_000).expect("reads");
    let committed = rows.iter().filter(|(_, row)| row.is_committed());
    let stored = committed.clone().filter(|(_, row)| row.state == BlockState::Stored);
    assert_eq!(committed.map(|(local, _)| *local).collect::<Vec<_>>(), (0..1000).map(|i| i * 2).collect::<Vec<_>>());
    assert_eq!(stored.map(|(local, _)| *local).collect::<Vec<_>>(), [10, 1998]);
    assert_eq!(to.container().row().missing, 998);
    let names = std::fs::read_dir(dirs[1].path()).expect("lists").map(|entry| entry.expect("listed").file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with("snapshot")), "no file is left");
}
