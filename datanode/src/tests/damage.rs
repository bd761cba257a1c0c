//! Bytes that changed on the disk are never given out, and the replica that holds them is reported.

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datanode_api::{BlockClient, ClientConfig, Piece};
use futures_util::TryStreamExt;
use raft_node::StateMachine;
use scm_api::ReplicaState;
use scm_api::token::{Access, Target};
use types::{ContainerId, PipelineId, RequestId};

use super::rig::*;

/// Flips one bit of the block's stored bytes, wherever they are in the file.
fn flip(node: &Node, needle: &[u8]) {
    let path = node.data_file();
    let bytes = std::fs::read(&path).expect("reads");
    let at = bytes.windows(needle.len()).position(|window| window == needle).expect("stored as it came");
    let file = std::fs::File::options().write(true).open(&path).expect("opens");
    file.write_all_at(&[bytes[at] ^ 0x10], at as u64).expect("flipped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_is_an_error_for_its_block_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    let client = world.client();
    let (small, large) = (content(1, 5000), content(2, 3_000_000));
    write(&client, &[&node], 1, &small).await.expect("written");
    write(&client, &[&node], 2, &large).await.expect("written");
    write(&client, &[&node], 3, &content(3, 5000)).await.expect("written");
    flip(&node, &small[100..200]);
    flip(&node, &large[2_000_000..2_000_100]);
    assert_eq!(node.read(1, 0, 5000).await, Err("rejected: Damaged".to_owned()));
    assert_eq!(node.read(1, 4999, 1).await, Err("rejected: Damaged".to_owned()), "a chunk is verified whole");
    // Good chunks before the damage may come, wrong ones never.
    assert!(node.read(2, 0, 3_000_000).await.is_err());
    assert_eq!(node.read(2, 0, 1_000_000).await, Ok(large[..1_000_000].to_vec()));
    assert_eq!(node.read(3, 0, 5000).await, Ok(content(3, 5000).to_vec()));
    assert!(read(&client, &[&node], 1, 0, 5000).await.is_err(), "an error, not wrong bytes");
    until("the damage is reported", async || {
        world.scm.report(node.id, CONTAINER).is_some_and(|report| report.state == ReplicaState::Unhealthy)
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scrubber_finds_damage_that_nobody_reads() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start_with("dn1", dir.path(), |config| config.scrub_bytes_per_second = 1 << 30).await;
    world.pipeline(&[&node]).await;
    let bytes = content(1, 300_000);
    write(&world.client(), &[&node], 1, &bytes).await.expect("written");
    flip(&node, &bytes[250_000..250_100]);
    // A round may have passed before the block was there.
    world.clock.advance(types::Millis(2 * 24 * 3_600_000));
    until("the damage is reported", async || {
        world.scm.report(node.id, CONTAINER).is_some_and(|report| report.state == ReplicaState::Unhealthy)
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_failed_is_out_of_service_and_the_other_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let both = vec![dir.path().join("disk"), dir.path().join("second")];
    let node = world.start_with("dn1", dir.path(), |config| config.disks = both).await;
    let other = PipelineId(8);
    world.pipeline(&[&node]).await;
    world.pipeline_named(other, &[&node]).await;
    let client = world.client();
    write(&client, &[&node], 1, &content(1, 5000)).await.expect("written");
    let elsewhere = |local, access| {
        let mut location = location(local, &[&node], access, 1 << 20);
        location.pipeline = other;
        location.block.container = ContainerId(4);
        location.token = seal(Target::Block(location.block), access, 1 << 20);
        location
    };
    let store = &node.datanode.inner().store;
    let disk = Arc::clone(&store.get(CONTAINER).expect("made").disk);
    disk.fail("the sync failed".to_owned());
    assert!(matches!(node.read(1, 0, 10).await, Err(why) if why.contains("the sync failed")));
    assert!(write(&BlockClient::new(Arc::new(world.peers.clone()), impatient()), &[&node], 2, &content(2, 5000)).await.is_err());
    for (local, size) in [(1, 5000), (2, 500_000)] {
        let mut writer = client.writer(elsewhere(local, Access::Write), RequestId::from_u128(local.into()));
        writer.push(&mut content(local, size)).await.expect("the other disk serves");
        writer.finish().await.expect("the other disk serves");
        let piece = Piece { location: elsewhere(local, Access::Read), offset: 0, length: size as u64 };
        let stream = client.read(vec![piece], RequestId::from_u128(1)).await.expect("reads");
        let bytes: Vec<Bytes> = stream.try_collect().await.expect("reads");
        assert_eq!(bytes.concat(), content(local, size));
    }
    until("the failure is reported", async || {
        let failed = world.scm.disks(node.id).iter().filter(|disk| disk.failed.as_deref() == Some("the sync failed")).count();
        let served: Vec<_> = world.scm.pipelines(node.id).iter().map(|report| report.pipeline).collect();
        failed == 1 && served == [other] && world.scm.report(node.id, CONTAINER).is_none()
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_disk_fails_leaves_its_group_and_neither_flush_nor_snapshot_ends_the_process() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let both = vec![dir.path().join("disk"), dir.path().join("second")];
    let node = world.start_with("dn1", dir.path(), |config| config.disks = both).await;
    world.pipeline(&[&node]).await;
    write(&world.client(), &[&node], 1, &content(1, 5000)).await.expect("written");
    node.flush().await;
    let pipeline = node.datanode.inner().pipelines.get(PIPELINE).expect("a member");
    pipeline.disk.fail("the sync failed".to_owned());
    // What is committed from here on is not in the disk's files.
    let put = pipeline.group.propose(None, vec![0x82, 1, 0x81, 3], std::time::Instant::now() + Duration::from_secs(5)).await;
    assert!(put.is_ok() || put.is_err_and(|error| error.to_string().contains("stopped")));
    assert!(pipeline.machine.flush().is_ok());
    let (_, mut source) = pipeline.machine.snapshot().expect("no fault");
    assert!(source.next_frame().is_err());
    let _ = pipeline.group.compact().await;
    until("it has left its group", async || node.datanode.inner().pipelines.get(PIPELINE).is_none()).await;
    assert!(tokio::time::timeout(Duration::from_millis(200), node.raft.failed()).await.is_err(), "the process goes on");
    node.stop().await;
}

fn impatient() -> ClientConfig {
    ClientConfig { put_timeout: Duration::from_millis(500), ..ClientConfig::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_stays_known_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    let bytes = content(1, 5000);
    write(&world.client(), &[&node], 1, &bytes).await.expect("written");
    flip(&node, &bytes[..100]);
    assert!(node.read(1, 0, 5000).await.is_err());
    let is_unhealthy = async |id| world.scm.report(id, CONTAINER).is_some_and(|report| report.state == ReplicaState::Unhealthy);
    until("the damage is reported", async || is_unhealthy(node.id).await).await;
    node.stop().await;
    let node = world.start("dn1", dir.path()).await;
    until("the damage is reported again", async || is_unhealthy(node.id).await).await;
    node.stop().await;
}
