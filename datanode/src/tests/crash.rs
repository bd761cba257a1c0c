//! What was acknowledged is there after a crash; what was not is never half there.

use datanode_core::record::FIRST_RECORD_AT;

use super::rig::*;
use crate::rebuild_index;

const SIZES: [usize; 8] = [0, 1, 4096, 65_535, 65_536, 131_072, 131_073, 5_000_000];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_of_every_size_read_back_whole_and_in_part() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    let client = world.client();
    for (local, size) in SIZES.into_iter().enumerate() {
        let bytes = content(local as u64, size);
        assert_eq!(write(&client, &[&node], local as u64, &bytes).await, Ok(size as u64));
        assert_eq!(read(&client, &[&node], local as u64, 0, size as u64).await, Ok(bytes.to_vec()));
        for (offset, length) in [(0, 1), (65_530, 20), (65_536, 65_536), (1_048_570, 100), (4_194_300, 70_000)] {
            if offset + length <= size {
                let part = bytes[offset..offset + length].to_vec();
                assert_eq!(read(&client, &[&node], local as u64, offset as u64, length as u64).await, Ok(part));
            }
        }
    }
    let row = world.scm.report(node.id, CONTAINER);
    until("the blocks are reported", async || world.scm.report(node.id, CONTAINER).is_some_and(|row| row.blocks == 8)).await;
    assert!(row.is_none_or(|row| row.missing_blocks == 0));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_blocks_survive_a_kill_before_any_flush() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", &dir.path().join("a")).await;
    world.pipeline(&[&node]).await;
    let client = world.client();
    for (local, size) in SIZES.into_iter().enumerate() {
        write(&client, &[&node], local as u64, &content(local as u64, size)).await.expect("written");
    }
    node.kill(&dir.path().join("b")).await;
    let node = world.start("dn1", &dir.path().join("b")).await;
    for (local, size) in SIZES.into_iter().enumerate() {
        assert_eq!(node.read(local as u64, 0, size as u64).await, Ok(content(local as u64, size).to_vec()), "block {local}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_blocks_come_back_from_the_log_when_the_power_took_their_bytes_from_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", &dir.path().join("a")).await;
    world.pipeline(&[&node]).await;
    let client = world.client();
    for local in 0..20 {
        write(&client, &[&node], local, &content(local, 3000)).await.expect("written");
        if local == 9 {
            node.flush().await;
        }
    }
    let data = dir.path().join("b/disk/containers").join(format!("{}.data", CONTAINER.0));
    let synced = node.datanode.inner().store.get(CONTAINER).expect("made").indexed_to();
    assert!(synced > FIRST_RECORD_AT);
    node.kill(&dir.path().join("b")).await;
    // The last record that was written without a sync is cut in the middle, one before it lost its payload.
    let file = std::fs::File::options().write(true).open(&data).expect("opens");
    let length = file.metadata().expect("known").len();
    file.set_len(length - 100).expect("cut");
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 1000], synced + 200).expect("overwritten");
    let node = world.start("dn1", &dir.path().join("b")).await;
    for local in 0..20 {
        assert_eq!(node.read(local, 0, 3000).await, Ok(content(local, 3000).to_vec()), "block {local}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_breaks_off_leaves_no_block_and_its_space_is_given_back() {
    use bytes::Bytes;
    use datanode_api::{BlockAccess, WriteBlock};
    use futures_util::{StreamExt, stream};
    use scm_api::token::{Access, Target};
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    let pieces = vec![Ok(content(1, 3_000_000)), Err(std::io::Error::other("the client went away"))];
    let request =
        WriteBlock { block: block(1), pipeline: PIPELINE, token: seal(Target::Block(block(1)), Access::Write, 1 << 30) };
    let outcome = node.datanode.write(&node.replica(), cx(), request, stream::iter(pieces).boxed()).await;
    assert!(outcome.is_err());
    assert!(node.read(1, 0, 1).await.is_err());
    node.flush().await;
    let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(node.data_file()).expect("there")) * 512;
    assert!(blocks < 100_000, "{blocks} bytes are still held");
    // The number is free for a whole one.
    let bytes: Bytes = content(2, 200_000);
    write(&world.client(), &[&node], 1, &bytes).await.expect("written");
    assert_eq!(node.read(1, 0, 200_000).await, Ok(bytes.to_vec()));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuilt_index_is_the_index() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    let client = world.client();
    for (local, size) in SIZES.into_iter().enumerate() {
        write(&client, &[&node], local as u64, &content(local as u64, size)).await.expect("written");
    }
    world.scm.order(node.id, scm_api::Order::DeleteBlocks { transaction: 5, blocks: vec![block(1), block(4), block(7)] });
    until("the blocks are deleted", async || world.scm.has_deleted(5)).await;
    for local in 20..40 {
        write(&client, &[&node], local, &content(local, 10_000)).await.expect("written");
    }
    node.stop().await;
    let disk = dir.path().join("disk");
    let before = crate::disk::Index::open(&disk.join("index.redb"), 1 << 20, &std::sync::Arc::default()).expect("opens").dump();
    let report = rebuild_index(&disk).expect("rebuilt");
    assert_eq!((report.containers, report.blocks, report.pipelines), (1, 25, 1));
    let after = crate::disk::Index::open(&disk.join("index.redb"), 1 << 20, &std::sync::Arc::default()).expect("opens").dump();
    assert_eq!(before, after);
    // And it is one to go on with.
    let node = world.start("dn1", dir.path()).await;
    assert_eq!(node.read(6, 0, 131_073).await, Ok(content(6, 131_073).to_vec()));
    assert!(node.read(7, 0, 1).await.is_err(), "deleted");
    write(&world.client(), &[&node], 50, &content(50, 500)).await.expect("written");
    node.stop().await;
}
