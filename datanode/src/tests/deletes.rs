//! Deleted blocks are gone, stay gone, and their space comes back; a full disk refuses writes and nothing else.

use std::os::unix::fs::MetadataExt;

use datanode_api::{BlockAccess, ChunkChecksums, PutBlock, PutContent, PutRejected, WriteBlock, WriteRejected};
use futures_util::{StreamExt, stream};
use rpc::CallError;
use scm_api::token::{Access, Target};
use scm_api::{Order, ReplicaState};

use super::rig::*;

fn held_bytes(node: &Node) -> u64 {
    std::fs::metadata(node.data_file()).expect("there").blocks() * 512
}

async fn delete(node: &Node, transaction: u64, locals: impl IntoIterator<Item = u64>) {
    let blocks = locals.into_iter().map(block).collect();
    node.world.scm.order(node.id, Order::DeleteBlocks { transaction, blocks });
    until("the delete is reported", async || node.world.scm.has_deleted(transaction)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_space_of_deleted_blocks_comes_back_small_ones_and_large() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    let client = world.client();
    for local in 0..200 {
        write(&client, &[&node], local, &content(local, 5000)).await.expect("written");
    }
    write(&client, &[&node], 900, &content(900, 6_000_000)).await.expect("written");
    node.flush().await;
    let full = held_bytes(&node);
    assert!(full > 7_000_000);
    // One by one, in an order that leaves every page to its last block.
    delete(&node, 1, (0..200).step_by(2)).await;
    delete(&node, 2, (1..199).step_by(2)).await;
    delete(&node, 3, [900]).await;
    let left = held_bytes(&node);
    assert!(left < 200_000, "{left} of {full} bytes are still held");
    for local in [0, 1, 100, 198, 900] {
        assert_eq!(node.read(local, 0, 1).await, Err("rejected: NoSuchBlock".to_owned()));
    }
    assert_eq!(node.read(199, 0, 5000).await, Ok(content(199, 5000).to_vec()));
    until("the counts are reported", async || {
        world.scm.report(node.id, CONTAINER).is_some_and(|report| (report.blocks, report.used) == (1, 5000))
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_block_does_not_come_back_with_the_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", &dir.path().join("a")).await;
    world.pipeline(&[&node]).await;
    let client = world.client();
    write(&client, &[&node], 1, &content(1, 5000)).await.expect("written");
    write(&client, &[&node], 2, &content(2, 500_000)).await.expect("written");
    write(&client, &[&node], 3, &content(3, 5000)).await.expect("written");
    // The log's place is not flushed: after the crash all three commits come again.
    delete(&node, 1, [1, 2]).await;
    node.kill(&dir.path().join("b")).await;
    let node = world.start("dn1", &dir.path().join("b")).await;
    for local in [1, 2] {
        assert_eq!(node.read(local, 0, 1).await, Err("rejected: NoSuchBlock".to_owned()), "block {local}");
    }
    assert_eq!(node.read(3, 0, 5000).await, Ok(content(3, 5000).to_vec()));
    // The same order again finds nothing to do.
    delete(&node, 2, [1, 2, 77]).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_container_takes_no_block_and_keeps_what_it_has() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    let client = world.client();
    write(&client, &[&node], 1, &content(1, 5000)).await.expect("written");
    world.scm.order(node.id, Order::CloseContainer { container: CONTAINER, pipeline: Some(PIPELINE) });
    until("it is closed", async || {
        world.scm.report(node.id, CONTAINER).is_some_and(|report| report.state == ReplicaState::Closed)
    })
    .await;
    assert!(write(&client, &[&node], 2, &content(2, 5000)).await.is_err());
    assert!(write(&client, &[&node], 3, &content(3, 500_000)).await.is_err());
    assert_eq!(node.read(1, 0, 5000).await, Ok(content(1, 5000).to_vec()));
    delete(&node, 1, [1]).await;
    assert!(node.read(1, 0, 1).await.is_err());
    // Empty, the SCM has it removed.
    world.scm.order(node.id, Order::DeleteContainer { container: CONTAINER });
    until("it is gone", async || world.scm.report(node.id, CONTAINER).is_none()).await;
    assert!(!node.data_file().exists());
    node.stop().await;
    let node = world.start("dn1", dir.path()).await;
    assert!(node.datanode.inner().store.get(CONTAINER).is_none(), "and stays gone");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_still_reads_and_deletes() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    write(&world.client(), &[&node], 1, &content(1, 5000)).await.expect("written");
    node.stop().await;
    // All of the disk is reserve now.
    let node = world.start_with("dn1", dir.path(), |config| config.reserve_bytes = Some(u64::MAX)).await;
    let bytes = content(2, 5000);
    let put = PutBlock {
        block: block(2),
        pipeline: PIPELINE,
        token: seal(Target::Block(block(2)), Access::Write, 5000),
        length: 5000,
        checksums: ChunkChecksums::of(&bytes),
        content: PutContent::Inline(bytes.clone()),
    };
    until("the pipeline leads again", async || world.scm.pipelines(node.id).iter().any(|pipeline| pipeline.is_leader)).await;
    assert_eq!(node.datanode.put(&node.replica(), cx(), put).await, Err(CallError::Rejected(PutRejected::DiskFull)));
    let request =
        WriteBlock { block: block(3), pipeline: PIPELINE, token: seal(Target::Block(block(3)), Access::Write, 1 << 20) };
    let outcome = node.datanode.write(&node.replica(), cx(), request, stream::iter([Ok(bytes)]).boxed()).await;
    assert_eq!(outcome, Err(CallError::Rejected(WriteRejected::DiskFull)));
    assert_eq!(
        world.scm.disks(node.id).iter().map(|disk| (disk.remaining, disk.failed.clone())).collect::<Vec<_>>(),
        [(0, None)]
    );
    assert_eq!(node.read(1, 0, 5000).await, Ok(content(1, 5000).to_vec()));
    delete(&node, 1, [1]).await;
    assert!(node.read(1, 0, 1).await.is_err());
    node.stop().await;
}
