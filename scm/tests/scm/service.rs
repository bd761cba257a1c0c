//! The real service over a real log: what datanodes, the OM and an operator see.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::harness::{Cluster, FakeDatanode, Member, cx, introduction, quick};
use pki::enroll::{Refused, Signer};
use pki::{ClusterCa, JoinToken, KeyRequest, NodeName};
use raft_node::NoPeers;
use rpc::{CallContext, CallError, NotApplied, Peer, PeerRole};
use runtime::{Clock, ManualClock, SeededEntropy};
use scm::{AuthorityParts, Config, TokenKeySettings};
use scm_api::token::{Access, BlockToken, Target};
use scm_api::{
    ContainerState, DatanodeState, DeleteBlocks, HeartbeatRejected, LeaseRejected, LocateContainers, RegisterRejected,
    ReplicaState, Scm,
};
use types::{BlockId, ClusterId, DatanodeId, MemberId, Millis, RaftRole, Replication, Timestamp};

async fn trio() -> Cluster {
    let mut cluster = Cluster::start(quick()).await;
    for name in ["dn1", "dn2", "dn3"] {
        cluster.add(name).await;
    }
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn datanodes_make_a_pipeline_and_blocks_are_leased_on_it_once() {
    let mut cluster = trio().await;
    assert_eq!(cluster.lease(10).await, Err(CallError::Rejected(LeaseRejected::SafeMode)));
    cluster.until_writable().await;
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        let leased = cluster.lease(100).await.expect("writable");
        assert!(leased.expires > cluster.clock.now());
        assert_eq!(leased.ranges.iter().map(|range| range.count).sum::<u32>(), 100);
        for range in &leased.ranges {
            assert_eq!(range.replicas.len(), 3);
            for local in range.first..range.first + u64::from(range.count) {
                assert!(seen.insert((range.container, local)), "{local} of {} leased twice", range.container);
            }
        }
    }
    let overview = cluster.scm().overview(cx(), ()).await.expect("answers");
    assert_eq!((overview.safe_mode.is_on, overview.healthy_datanodes), (false, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_lease_gets_the_same_blocks() {
    let mut cluster = trio().await;
    cluster.until_writable().await;
    let request = scm_api::LeaseBlocks { replication: Replication::Three, count: 10, exclude: Vec::new() };
    let again = cx();
    let first = cluster.scm().lease_blocks(again.clone(), request.clone()).await.expect("writable");
    let second = cluster.scm().lease_blocks(again, request).await.expect("writable");
    assert_eq!(first.ranges, second.ranges);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_node_is_writable_as_soon_as_its_datanode_reports() {
    let mut cluster = Cluster::start(Config { pass_every: Duration::from_millis(20), ..Config::single_node() }).await;
    cluster.add("dn1").await;
    cluster.until_writable().await;
    let leased = cluster.lease(5).await.expect("writable");
    assert!(leased.ranges.iter().all(|range| range.replicas.len() == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_container_is_closed_on_all_its_replicas() {
    let mut cluster = trio().await;
    cluster.until_writable().await;
    let range = cluster.lease(1).await.expect("writable").ranges[0].clone();
    cluster.write(range.container, range.pipeline, 5 << 30);
    cluster
        .until("closed everywhere", async |cluster| {
            let info = cluster.container(range.container).await;
            info.state == ContainerState::Closed && info.replicas.iter().all(|(_, state)| *state == ReplicaState::Closed)
        })
        .await;
    let info = cluster.container(range.container).await;
    assert_eq!((info.replicas.len(), info.is_healthy, info.used), (3, true, 5 << 30));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_with_two_of_three_and_the_wiped_third_gets_its_replicas_back() {
    let mut cluster = trio().await;
    cluster.until_writable().await;
    let range = cluster.lease(1).await.expect("writable").ranges[0].clone();
    cluster.write(range.container, range.pipeline, 1000);
    cluster.beat().await;

    cluster.down.insert("dn3");
    cluster
        .until("dn3 is dead", async |cluster| {
            cluster.lease(1).await.expect("writes go on");
            cluster.scm().overview(cx(), ()).await.expect("answers").dead_datanodes == 1
        })
        .await;
    let overview = cluster.scm().overview(cx(), ()).await.expect("answers");
    assert!(overview.under_replicated >= 1 && overview.missing == 0, "{overview:?}");
    cluster.write(range.container, range.pipeline, 1000);

    cluster.wipe("dn3").await;
    let mut refused = 0;
    cluster
        .until("the wiped datanode has its replica", async |cluster| {
            refused += u32::from(cluster.lease(1).await.is_err());
            cluster.holders(range.container).len() == 3
        })
        .await;
    assert_eq!(refused, 0, "leases never stopped");
    assert_eq!(cluster.datanodes["dn3"].replicas[&range.container].blocks, 2);
    cluster
        .until("all is well", async |cluster| cluster.scm().overview(cx(), ()).await.expect("answers").under_replicated == 0)
        .await;
    let pipelines = cluster.scm().pipelines(cx(), ()).await.expect("answers");
    assert!(pipelines.iter().all(|pipeline| !pipeline.members.contains(&DatanodeId(3))), "{pipelines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_datanode_is_replaced_by_another_one() {
    let mut cluster = trio().await;
    cluster.until_writable().await;
    let range = cluster.lease(1).await.expect("writable").ranges[0].clone();
    cluster.write(range.container, range.pipeline, 1000);
    cluster.beat().await;
    cluster.add("dn4").await;
    cluster.down.insert("dn2");
    cluster
        .until("the fourth holds a copy", async |cluster| cluster.datanodes["dn4"].replicas.contains_key(&range.container))
        .await;

    cluster.down.remove("dn2");
    cluster
        .until("one of four goes", async |cluster| {
            cluster.holders(range.container).len() == 3 && cluster.container(range.container).await.replicas.len() == 3
        })
        .await;
    for _ in 0..50 {
        cluster.beat().await;
        assert!(cluster.holders(range.container).len() >= 3, "no replica more than the surplus one goes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_ids_go_on_and_writes_wait_for_reports_while_reads_do_not() {
    let mut cluster = trio().await;
    cluster.until_writable().await;
    let before = cluster.lease(50).await.expect("writable").ranges;
    for range in &before {
        cluster.write(range.container, range.pipeline, 10);
    }
    cluster
        .until("the containers are known", async |cluster| {
            cluster.scm().overview(cx(), ()).await.expect("answers").under_replicated == 0
        })
        .await;
    let cluster_id = cluster.scm().cluster_id();
    cluster.restart().await;

    assert_eq!(cluster.lease(1).await, Err(CallError::Rejected(LeaseRejected::SafeMode)));
    let asked = LocateContainers { containers: vec![before[0].container] };
    let located = cluster.scm().locate_containers(cx(), asked).await.expect("reads go on");
    assert_eq!(located.locations[0].replicas.len(), 3);

    cluster.until_writable().await;
    assert_eq!(cluster.scm().cluster_id(), cluster_id);
    for range in cluster.lease(50).await.expect("writable").ranges {
        for old in before.iter().filter(|old| old.container == range.container) {
            assert!(range.first >= old.first + u64::from(old.count), "{range:?} overlaps {old:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_ends_safe_mode_by_hand() {
    let mut cluster = Cluster::start(Config { safe_mode_datanodes: 4, ..quick() }).await;
    for name in ["dn1", "dn2", "dn3"] {
        cluster.add(name).await;
    }
    cluster
        .until("only datanodes are awaited", async |cluster| {
            let safe_mode = cluster.scm().overview(cx(), ()).await.expect("answers").safe_mode;
            safe_mode.reasons == ["3 of 4 datanodes have reported"]
        })
        .await;
    assert_eq!(cluster.lease(1).await, Err(CallError::Rejected(LeaseRejected::SafeMode)));
    cluster.scm().leave_safe_mode(cx(), ()).await.expect("allowed");
    cluster.lease(1).await.expect("writable");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_blocks_are_owed_by_every_replica_until_each_has_acknowledged() {
    let mut cluster = trio().await;
    cluster.until_writable().await;
    let range = cluster.lease(3).await.expect("writable").ranges[0].clone();
    cluster.write(range.container, range.pipeline, 1000);
    cluster.datanodes.get_mut("dn2").expect("known").holds_back_deletions = true;
    let blocks = vec![BlockId { container: range.container, local: range.first }];
    cluster.scm().delete_blocks(cx(), DeleteBlocks { blocks }).await.expect("taken over");
    cluster
        .until("all were told, and dn2 twice", async |cluster| {
            cluster.datanodes["dn2"].deletion_orders >= 2 && cluster.datanodes.values().all(|d| d.deletion_orders > 0)
        })
        .await;
    assert_eq!(cluster.scm().overview(cx(), ()).await.expect("answers").blocks_to_delete, 1);

    cluster.restart().await;
    cluster.until_writable().await;
    assert_eq!(cluster.scm().overview(cx(), ()).await.expect("answers").blocks_to_delete, 1, "it is durable");
    cluster.datanodes.get_mut("dn2").expect("known").holds_back_deletions = false;
    cluster
        .until("the deletion is done", async |cluster| {
            cluster.scm().overview(cx(), ()).await.expect("answers").blocks_to_delete == 0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_container_goes_away_with_its_replicas() {
    let mut cluster = trio().await;
    cluster.until_writable().await;
    let range = cluster.lease(1).await.expect("writable").ranges[0].clone();
    cluster.write(range.container, range.pipeline, 5 << 30);
    cluster.until("closed", async |cluster| cluster.container(range.container).await.state == ContainerState::Closed).await;
    let blocks = vec![BlockId { container: range.container, local: range.first }];
    cluster.scm().delete_blocks(cx(), DeleteBlocks { blocks }).await.expect("taken over");
    cluster.until("no replica is left", async |cluster| cluster.holders(range.container).is_empty()).await;
    assert_eq!(cluster.container(range.container).await.state, ContainerState::Deleted);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_process_that_registered_is_heard() {
    let mut cluster = Cluster::start(quick()).await;
    cluster.add("dn1").await;
    cluster.beat().await;
    let mut impostor = cluster.datanodes["dn1"].clone();
    impostor.incarnation += 1000;
    let unknown = Err(CallError::Rejected(HeartbeatRejected::NotRegistered));
    assert_eq!(impostor.beat(cluster.scm()).await, unknown);
    impostor.id = DatanodeId(77);
    assert_eq!(impostor.beat(cluster.scm()).await, unknown);

    // A restart registers again under its id, and is asked for everything it holds.
    let id = cluster.datanodes["dn1"].id;
    let mut restarted = FakeDatanode::register(cluster.scm(), "dn1", Some(id)).await.expect("admitted");
    assert_eq!(restarted.id, id);
    restarted.must_report_in_full = false;
    let reply = restarted.beat(cluster.scm()).await.expect("heard");
    assert!(reply.orders.contains(&scm_api::Order::ReportInFull));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_the_place_of_a_datanode_that_is_alive() {
    let mut cluster = Cluster::start(quick()).await;
    cluster.add("dn1").await;
    cluster.beat().await;
    let in_use = Err(CallError::Rejected(RegisterRejected::IdInUse));
    let id = Some(cluster.datanodes["dn1"].id);
    let copied = scm_api::RegisterDatanode { rpc_endpoint: types::Endpoint("elsewhere:1".into()), ..introduction("dn1", id) };
    assert_eq!(cluster.scm().register_datanode(cx(), copied.clone()).await, in_use);
    let same_place = scm_api::RegisterDatanode { name: "dn2".into(), ..introduction("dn1", None) };
    assert_eq!(cluster.scm().register_datanode(cx(), same_place).await, in_use);
    let foreign = introduction("dn9", Some(DatanodeId(55)));
    let unknown = Err(CallError::Rejected(RegisterRejected::UnknownId));
    assert_eq!(cluster.scm().register_datanode(cx(), foreign).await, unknown);

    let certified = CallContext { peer: Peer::Node { role: PeerRole::Datanode, name: "dn2".into() }, ..cx() };
    let refused = cluster.scm().register_datanode(certified.clone(), introduction("dn1", id)).await;
    assert!(matches!(refused, Err(CallError::NotApplied(NotApplied::Refused(_)))), "{refused:?}");
    let refused = cluster.scm().heartbeat(certified, cluster.datanodes["dn1"].heartbeat()).await;
    assert!(matches!(refused, Err(CallError::NotApplied(NotApplied::Refused(_)))), "{refused:?}");

    cluster.down.insert("dn1");
    cluster
        .until("dn1 is stale", async |cluster| {
            let datanodes = cluster.scm().datanodes(cx(), ()).await.expect("answers");
            datanodes[0].state != DatanodeState::Healthy
        })
        .await;
    cluster.scm().register_datanode(cx(), copied).await.expect("its disks have moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn datanodes_know_a_token_key_before_the_om_seals_with_it() {
    let token_keys = TokenKeySettings {
        seal_for: Duration::from_secs(300),
        expire_after: Duration::from_secs(900),
        settle: Duration::from_secs(60),
    };
    let mut cluster = Cluster::start(Config { token_keys, ..quick() }).await;
    cluster.add("dn1").await;
    cluster.beat().await;
    let mut sealed_with = BTreeSet::new();
    cluster
        .until("three keys have sealed", async |cluster| {
            let now = cluster.clock.now();
            let keys = cluster.scm().token_keys(cx(), ()).await.expect("answers");
            let key = keys.sealing(now).expect("there is always one to seal with");
            sealed_with.insert(key.id);
            let block = BlockId { container: types::ContainerId(1), local: 1 };
            let (target, expires) = (Target::Block(block), now + Millis(300_000));
            let token = BlockToken { target, access: Access::Read, max_length: 1, expires, caller: "om".into() };
            let opened = cluster.datanodes["dn1"].keys.open(&token.seal(key), now);
            assert_eq!(opened, Ok(token), "the datanode opens what the OM seals");
            sealed_with.len() == 3
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_member_certifies_newcomers_by_the_authority_in_the_rows() {
    let entropy = SeededEntropy::new(9);
    let token = JoinToken::generate(&entropy);
    let now = Timestamp(1_790_000_000_000);
    let genesis = Arc::new(ClusterCa::generate(ClusterId::from_u128(42), now).expect("made"));
    let parts = AuthorityParts { join_tokens: vec![token.clone()], genesis: Some(Arc::clone(&genesis)) };
    let mut cluster = Cluster::with_authority(quick(), Some(parts)).await;
    cluster.until("initialised", async |cluster| cluster.scm().cluster_id().is_some()).await;
    assert_eq!(cluster.scm().cluster_id(), Some(genesis.cluster()));
    assert_eq!(cluster.scm().join_tokens().await.len(), 1);

    // The genesis is gone with its process; the rows still have it.
    cluster.restart().await;
    let request = KeyRequest::generate().expect("made");
    let name = NodeName::parse("dn1").expect("legal");
    let issued = cluster.scm().sign(PeerRole::Datanode, &name, request.csr()).await.expect("signed");
    let identity = request.accept(&issued).expect("holds together");
    assert_eq!(identity.node().cluster, genesis.cluster());
    let renewed = cluster.scm().renew(identity.node(), KeyRequest::generate().expect("made").csr()).await;
    assert!(renewed.is_ok());
    let garbage = cluster.scm().sign(PeerRole::Datanode, &name, b"not a request").await;
    assert!(matches!(garbage, Err(Refused::No(_))), "{garbage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_leader_only_the_roles_are_told() {
    let temporary = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ManualClock::at(Timestamp(1_790_000_000_000)));
    let (member, _) = Member::start(temporary.path(), MemberId(1), Arc::new(NoPeers), quick(), clock, None).await;
    let not_leader = CallError::NotApplied(NotApplied::NotLeader(None));
    assert_eq!(member.scm.overview(cx(), ()).await.expect_err("no leader"), not_leader);
    let refused = crate::harness::lease(&*member.scm, Replication::Three, 1).await.expect_err("no leader");
    assert_eq!(refused, CallError::NotApplied(NotApplied::NotLeader(None)));
    let roles = member.scm.roles(cx(), ()).await.expect("always answers");
    assert_ne!(roles.role, RaftRole::Leader);
    member.stop().await;
}
