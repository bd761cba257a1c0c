//! Bytes that changed on the disk are never given out, and the replica that holds them is reported.

use std::os::unix::fs::FileExt;

use scm_api::ReplicaState;

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
