//! Three datanodes that hold a block together.

use datanode_api::{BlockAccess, ChunkChecksums, PutBlock, PutContent};
use datanode_core::command::{self, PipelineCommand};
use rpc::{CallError, NotApplied};
use scm_api::token::{Access, Target};
use scm_api::{Order, ReplicaState};
use tempfile::TempDir;
use types::{ContainerId, LogIndex, Replica};

use super::rig::*;

async fn three(world: &World, dir: &TempDir) -> [Node; 3] {
    let nodes = [
        world.start("dn1", &dir.path().join("1")).await,
        world.start("dn2", &dir.path().join("2")).await,
        world.start("dn3", &dir.path().join("3")).await,
    ];
    world.pipeline(&nodes.each_ref()).await;
    nodes
}

async fn stop(nodes: impl IntoIterator<Item = Node>) {
    for node in nodes {
        node.stop().await;
    }
}

fn holds(node: &Node, blocks: u64) -> bool {
    let report = node.world.scm.report(node.id, CONTAINER);
    report.is_some_and(|report| report.blocks == blocks && report.missing_blocks == 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_replica_comes_to_hold_every_block() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let nodes = three(&world, &dir).await;
    let client = world.client();
    let sizes = [100, 131_072, 131_073, 4_000_000];
    for (local, size) in (0..).zip(sizes) {
        write(&client, &nodes.each_ref(), local, &content(local, size)).await.expect("written");
    }
    for node in &nodes {
        until("it holds all", async || holds(node, 4)).await;
        for (local, size) in (0..).zip(sizes) {
            assert_eq!(
                node.read(local, 0, size as u64).await,
                Ok(content(local, size).to_vec()),
                "{} of {}",
                local,
                node.endpoint
            );
        }
    }
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_tells_where_the_leader_takes_blocks() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let nodes = three(&world, &dir).await;
    let bytes = content(1, 100);
    let put = PutBlock {
        block: block(1),
        pipeline: PIPELINE,
        token: seal(Target::Block(block(1)), Access::Write, 100),
        length: 100,
        checksums: ChunkChecksums::of(&bytes),
        content: PutContent::Inline(bytes),
    };
    let mut hints = Vec::new();
    for node in &nodes {
        until("it knows the leader", async || {
            node.datanode.inner().pipelines.get(PIPELINE).is_some_and(|pipeline| pipeline.group.leader().is_some())
        })
        .await;
        match node.datanode.put(&node.replica(), cx(), put.clone()).await {
            Ok(_) => {}
            Err(CallError::NotApplied(NotApplied::NotLeader(Some(hint)))) => hints.push(hint),
            other => panic!("{other:?}"),
        }
    }
    let leader = nodes.iter().find(|node| node.datanode.inner().pipelines.get(PIPELINE).is_some_and(|one| one.group.is_leader()));
    let leader = leader.expect("one leads").endpoint.clone();
    assert_eq!(hints, [leader.clone(), leader]);
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_missed_the_bytes_fetches_them_before_it_counts() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let nodes = three(&world, &dir).await;
    let client = world.client();
    let follower =
        nodes.iter().position(|node| !node.datanode.inner().pipelines.get(PIPELINE).is_some_and(|one| one.group.is_leader()));
    let follower = &nodes[follower.expect("two follow")];
    // Its blocks do not arrive; its log does.
    world.peers.detach(&follower.endpoint);
    let bytes = content(1, 2_000_000);
    write(&client, &nodes.each_ref(), 1, &bytes).await.expect("two of three");
    until("it is fetched", async || holds(follower, 1)).await;
    assert_eq!(follower.read(1, 0, 2_000_000).await, Ok(bytes.to_vec()));
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_that_nobody_has_do_not_keep_others_from_being_fetched() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let nodes = three(&world, &dir).await;
    let pipeline_of = |node: &Node| node.datanode.inner().pipelines.get(PIPELINE).expect("a member");
    let follower = nodes.iter().find(|node| !pipeline_of(node).group.is_leader()).expect("two follow");
    let pipeline = pipeline_of(follower);
    // More than a pass tries.
    for local in 0..300 {
        let put = command::PutBlock { container: CONTAINER, local, length: 1, sums: [0; 4].as_slice().into(), content: None };
        let command = (LogIndex(1), Some(PipelineCommand::PutBlock(put)));
        pipeline.machine.apply_commands(&[command]).expect("applied");
    }
    world.peers.detach(&follower.endpoint);
    write(&world.client(), &nodes.each_ref(), 1000, &content(1000, 200_000)).await.expect("written by the others");
    until("it is fetched", async || {
        follower.datanode.services().nudge(crate::FETCH_SERVICE);
        follower.read(1000, 0, 200_000).await.is_ok_and(|bytes| bytes == content(1000, 200_000))
    })
    .await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_goes_on_with_another_replica_in_the_middle() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let nodes = three(&world, &dir).await;
    let client = world.client();
    let bytes = content(1, 6_000_000);
    write(&client, &nodes.each_ref(), 1, &bytes).await.expect("written");
    for node in &nodes {
        until("it holds it", async || holds(node, 1)).await;
    }
    // The first replica is damaged near the end, the second is away.
    let path = nodes[0].data_file();
    let stored = std::fs::read(&path).expect("reads");
    let needle = &bytes[5_000_000..5_000_064];
    let at = stored.windows(needle.len()).position(|window| window == needle).expect("stored");
    std::fs::File::options().write(true).open(&path).expect("opens").write_all_at(&[0xff; 64], at as u64).expect("damaged");
    world.peers.detach(&nodes[1].endpoint);
    assert_eq!(read(&client, &nodes.each_ref(), 1, 0, 6_000_000).await, Ok(bytes.to_vec()));
    assert_eq!(read(&client, &nodes.each_ref(), 1, 4_999_990, 100).await, Ok(bytes[4_999_990..5_000_090].to_vec()));
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_when_the_leader_dies_and_it_catches_up_when_it_is_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let mut nodes: Vec<Node> = three(&world, &dir).await.into();
    let client = world.client();
    write(&client, &nodes.iter().collect::<Vec<_>>(), 1, &content(1, 1000)).await.expect("written");
    let replicas: Vec<Replica> = nodes.iter().map(Node::replica).collect();
    let leader =
        nodes.iter().position(|node| node.datanode.inner().pipelines.get(PIPELINE).is_some_and(|one| one.group.is_leader()));
    let dead = nodes.remove(leader.expect("one leads"));
    let (name, home) = (dead.endpoint.0.split(':').next().expect("a name").to_owned(), dir.path().join("again"));
    dead.kill(&home).await;
    for (local, size) in [(2, 1000), (3, 3_000_000)] {
        let bytes = content(local, size);
        let mut location = location(local, &[], Access::Write, 1 << 30);
        location.replicas = replicas.clone();
        let mut writer = client.writer(location, types::RequestId::from_u128(local.into()));
        let mut rest = bytes.clone();
        writer.push(&mut rest).await.expect("a majority is left");
        assert_eq!(writer.finish().await.expect("a majority is left"), size as u64);
    }
    let back = world.start(&name, &home).await;
    until("it holds all three", async || holds(&back, 3)).await;
    assert_eq!(back.read(1, 0, 1000).await, Ok(content(1, 1000).to_vec()));
    assert_eq!(back.read(3, 0, 3_000_000).await, Ok(content(3, 3_000_000).to_vec()));
    nodes.push(back);
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_that_is_ended_leaves_quasi_closed_replicas_and_no_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let nodes = three(&world, &dir).await;
    let client = world.client();
    write(&client, &nodes.each_ref(), 1, &content(1, 1000)).await.expect("written");
    for node in &nodes {
        until("it holds it", async || holds(node, 1)).await;
        world.scm.order(node.id, Order::DestroyPipeline { pipeline: PIPELINE });
    }
    for node in &nodes {
        until("it is quasi-closed", async || {
            world.scm.pipelines(node.id).is_empty()
                && world.scm.report(node.id, CONTAINER).is_some_and(|report| report.state == ReplicaState::QuasiClosed)
        })
        .await;
        assert_eq!(node.read(1, 0, 1000).await, Ok(content(1, 1000).to_vec()));
    }
    assert!(write(&client, &nodes.each_ref(), 2, &content(2, 1000)).await.is_err());
    let [first, second, third] = nodes;
    stop([second, third]).await;
    let home = first.dir.clone();
    first.stop().await;
    let first = world.start("dn1", &home).await;
    assert_eq!(first.read(1, 0, 1000).await, Ok(content(1, 1000).to_vec()), "after a restart too");
    assert!(first.datanode.inner().pipelines.all().is_empty());
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_datanode_fetches_a_whole_container_and_keeps_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let source = world.start("dn1", &dir.path().join("1")).await;
    world.pipeline(&[&source]).await;
    let client = world.client();
    let sizes = [0, 100, 131_072, 131_073, 9_000_000];
    for (local, size) in (0..).zip(sizes) {
        write(&client, &[&source], local, &content(local, size)).await.expect("written");
    }
    world.scm.order(source.id, Order::CloseContainer { container: CONTAINER, pipeline: Some(PIPELINE) });
    let state = |node: &Node| world.scm.report(node.id, CONTAINER).map(|report| report.state);
    until("it is closed", async || state(&source) == Some(ReplicaState::Closed)).await;
    let copy = world.start("dn2", &dir.path().join("2")).await;
    let nowhere = Replica { datanode: types::DatanodeId(99), endpoint: types::Endpoint("nowhere:1".into()) };
    let sources = vec![nowhere, source.replica()];
    world.scm.order(copy.id, Order::ReplicateContainer { container: CONTAINER, sources: sources.clone() });
    until("the copy is reported", async || state(&copy) == Some(ReplicaState::Closed)).await;
    let (of_source, of_copy) = (world.scm.report(source.id, CONTAINER), world.scm.report(copy.id, CONTAINER));
    assert_eq!(of_source, of_copy);
    for (local, size) in (0..).zip(sizes) {
        assert_eq!(copy.read(local, 0, size as u64).await, Ok(content(local, size).to_vec()), "block {local}");
    }
    // A container that nobody has leaves nothing behind.
    world.scm.order(copy.id, Order::ReplicateContainer { container: ContainerId(55), sources });
    copy.kill(&dir.path().join("3")).await;
    let copy = world.start("dn2", &dir.path().join("3")).await;
    assert_eq!(copy.read(4, 0, 9_000_000).await, Ok(content(4, 9_000_000).to_vec()), "after a crash too");
    let names: Vec<_> =
        std::fs::read_dir(copy.dir.join("disk/containers")).expect("listed").map(|e| e.expect("listed").file_name()).collect();
    assert_eq!(names, ["3.data"]);
    stop([source, copy]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_away_for_longer_than_the_log_gets_a_snapshot_and_fetches_the_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut world = World::new();
    world.keep_entries = 0;
    let mut nodes: Vec<Node> = three(&world, &dir).await.into();
    let client = world.client();
    write(&client, &nodes.iter().collect::<Vec<_>>(), 1, &content(1, 1000)).await.expect("written");
    let away =
        nodes.iter().position(|node| !node.datanode.inner().pipelines.get(PIPELINE).is_some_and(|one| one.group.is_leader()));
    let away = nodes.remove(away.expect("two follow"));
    until("it holds it", async || holds(&away, 1)).await;
    let (name, home) = (away.endpoint.0.split(':').next().expect("a name").to_owned(), away.dir.clone());
    away.stop().await;
    for local in 2..30 {
        let size = if local % 10 == 0 { 400_000 } else { 1000 };
        let mut location = location(local, &nodes.iter().collect::<Vec<_>>(), Access::Write, 1 << 30);
        location.replicas.sort_by_key(|replica| replica.datanode);
        let mut writer = client.writer(location, types::RequestId::from_u128(local.into()));
        writer.push(&mut content(local, size)).await.expect("a majority is left");
        writer.finish().await.expect("a majority is left");
    }
    for node in &nodes {
        let pipeline = node.datanode.inner().pipelines.get(PIPELINE).expect("a member");
        until("the log is purged", async || {
            let _ = pipeline.group.compact().await;
            pipeline.group.status().purged.0 > 20
        })
        .await;
    }
    let back = world.start(&name, &home).await;
    until("it holds all", async || holds(&back, 29)).await;
    for local in 1..30 {
        let size = if local % 10 == 0 { 400_000 } else { 1000 };
        assert_eq!(back.read(local, 0, size as u64).await, Ok(content(local, size).to_vec()), "block {local}");
    }
    nodes.push(back);
    stop(nodes).await;
}
