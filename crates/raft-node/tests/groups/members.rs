//! Groups of several members, over a network that can be cut.

use std::time::{Duration, Instant};

use raft_node::{Leadership, ProposeError};
use rpc::PeerRole;
use types::{LogIndex, MemberId};

use crate::support::{Cluster, Member, endpoint, quick, request, soon};

async fn caught_up(member: &Member, index: LogIndex) {
    member.until("caught up", |member| member.group.status().applied >= index).await;
}

/// All members at the same index with the same bytes.
async fn equal(cluster: &Cluster) {
    let last = cluster.leader().await.group.status().last_log;
    let mut digests = Vec::new();
    for member in cluster.members.values() {
        caught_up(member, last).await;
        digests.push(member.machine.digest().expect("hashes"));
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_is_cut_off_another_leads_and_nothing_acknowledged_is_lost() {
    let cluster = Cluster::start(&[1, 2, 3]).await;
    let old = cluster.leader().await;
    for number in 0..20 {
        old.set(&format!("word-{number}"), "before").await;
    }
    cluster.network.isolate(&old.endpoint);
    let cut = Instant::now();
    let new = loop {
        let others = cluster.members.values().filter(|member| member.group.me() != old.group.me());
        if let Some(new) = others.into_iter().find(|member| member.group.is_leader()) {
            break new;
        }
        assert!(cut.elapsed() < Duration::from_secs(10), "nobody took over");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    new.set("word-0", "after").await;
    let lost = old.group.propose(None, b"word-1=lost".to_vec(), Instant::now() + Duration::from_secs(2)).await;
    assert!(matches!(lost, Err(ProposeError::NotLeader(_) | ProposeError::Unknown(_) | ProposeError::TooLate)), "{lost:?}");
    let stale = old.group.read_barrier(Instant::now() + Duration::from_secs(2)).await;
    assert!(stale.is_err(), "a leader without a majority answers no reads");
    cluster.network.heal();
    old.until("hears of the new leader", |old| old.word("word-0").as_deref() == Some("after")).await;
    assert_eq!(old.word("word-1").as_deref(), Some("before"));
    equal(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sends_writers_to_the_leader_and_reads_by_asking_it() {
    let cluster = Cluster::start(&[1, 2, 3]).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    follower.until("knows the leader", |member| member.group.leader().is_some()).await;
    let refused = follower.group.propose(None, b"a=b".to_vec(), soon()).await;
    assert_eq!(refused, Err(ProposeError::NotLeader(Some(leader.endpoint.clone()))));
    assert_eq!(follower.group.read_barrier(soon()).await, Err(ProposeError::NotLeader(Some(leader.endpoint.clone()))));
    assert_eq!(follower.group.propose_unawaited(b"a=b".to_vec()), Err(ProposeError::NotLeader(Some(leader.endpoint.clone()))));
    for number in 0..20 {
        leader.set("word", &number.to_string()).await;
        follower.group.follower_read_barrier(soon()).await.expect("asks the leader");
        assert_eq!(follower.word("word"), Some(number.to_string()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_away_longer_than_the_log_reaches_catches_up_by_snapshot() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    let away = cluster.follower().await.group.me().0;
    cluster.leader().await.set("before", "1").await;
    cluster.stop(away).await;
    let leader = cluster.leader().await;
    for number in 0..300 {
        let command = format!("word-{number}={}", "v".repeat(2000)).into_bytes();
        leader.group.propose(request(number), command, soon()).await.expect("written");
    }
    for member in cluster.members.values() {
        caught_up(member, leader.group.status().last_log).await;
        member.group.compact().await.expect("compacts");
        member.until("purged", |member| member.group.status().purged >= LogIndex(290)).await;
    }
    cluster.restart(away).await;
    let returned = &cluster.members[&away];
    returned.until("has the snapshot", |member| member.word("word-299").is_some()).await;
    returned.until("says so", |member| member.group.status().snapshot >= LogIndex(290)).await;
    equal(&cluster).await;
    let answer = cluster.leader().await.group.propose(request(5), b"word-5=again".to_vec(), soon()).await;
    answer.expect("the first answer");
    equal(&cluster).await;
    assert_ne!(cluster.members[&away].word("word-5").as_deref(), Some("again"));

    // What came by snapshot survives a restart, and the log goes on behind it.
    cluster.stop(away).await;
    cluster.restart(away).await;
    cluster.leader().await.set("behind", "it").await;
    equal(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_retried_across_a_change_of_leader_is_applied_once() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    for round in 0..3_u128 {
        let first = cluster.leader().await;
        let id = first.group.me().0;
        let answer = first.group.propose(request(round), b"hit+".to_vec(), soon()).await.expect("written").answer;
        cluster.stop(id).await;
        let second = cluster.leader().await;
        let again = second.group.propose(request(round), b"hit+".to_vec(), soon()).await.expect("answered").answer;
        assert_eq!(answer, again);
        assert_eq!(u128::from(second.count("hit")), round + 1);
        cluster.restart(id).await;
    }
    equal(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_over_on_request_and_watchers_are_told() {
    let cluster = Cluster::start(&[1, 2, 3]).await;
    let leader = cluster.leader().await;
    let to = cluster.follower().await;
    let mut told = to.group.leadership();
    leader.set("a", "1").await;
    leader.group.transfer_leadership(to.group.me(), soon()).await.expect("handed over");
    let heard = tokio::time::timeout(Duration::from_secs(10), told.wait_for(|known: &Leadership| known.is_me)).await;
    heard.expect("in time").expect("told");
    to.set("a", "2").await;
    equal(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_grows_from_one_to_three_and_shrinks_again() {
    let mut cluster = Cluster::start(&[1]).await;
    for number in 0..100 {
        cluster.leader().await.set(&format!("word-{number}"), "v").await;
    }
    cluster.leader().await.group.compact().await.expect("compacts");
    let mut added = Vec::new();
    for _ in 0..2 {
        let id = cluster.leader().await.group.allocate_member_id(soon()).await.expect("an id");
        assert!(!added.contains(&id) && id != MemberId(1), "{id}");
        cluster.restart(id.0).await;
        let leader = cluster.leader().await;
        leader.group.add_learner(id, endpoint(id.0), soon()).await.expect("added");
        leader.group.promote(id, soon()).await.expect("promoted");
        added.push(id);
    }
    equal(&cluster).await;
    let voters = |member: &Member| member.group.status().members.iter().filter(|known| known.voter).count();
    assert_eq!(voters(cluster.leader().await), 3);

    cluster.stop(added[0].0).await;
    cluster.leader().await.set("two", "of three").await;
    let leader = cluster.leader().await;
    leader.group.remove(added[0], soon()).await.expect("removed");
    leader.until("two are left", |leader| voters(leader) == 2).await;
    equal(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_removed_hands_over_and_the_rest_go_on() {
    let cluster = Cluster::start(&[1, 2, 3]).await;
    let old = cluster.leader().await;
    old.set("a", "1").await;
    old.group.remove(old.group.me(), soon()).await.expect("removed");
    let others: Vec<&Member> = cluster.members.values().filter(|member| member.group.me() != old.group.me()).collect();
    let deadline = soon();
    while !others.iter().any(|member| member.group.is_leader()) {
        assert!(Instant::now() < deadline, "nobody took over");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let new = others.iter().find(|member| member.group.is_leader()).expect("leads");
    new.set("a", "2").await;
    assert_eq!(new.group.status().members.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_killed_at_once_come_back_with_all_that_was_acknowledged() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    let leader = cluster.leader().await;
    for number in 0..50 {
        leader.set("last", &number.to_string()).await;
    }
    for id in [1, 2, 3] {
        cluster.stop(id).await;
    }
    for id in [1, 2, 3] {
        cluster.restart(id).await;
    }
    assert_eq!(cluster.leader().await.word("last").as_deref(), Some("49"));
    equal(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_other_roles_and_for_other_members_are_refused() {
    let mut cluster = Cluster::start(&[1, 2, 3]).await;
    cluster.leader().await.set("a", "1").await;
    let follower = cluster.follower().await.group.me().0;
    cluster.stop(follower).await;
    // Under the same endpoint, another process: it is not the member that the group knows.
    let config = quick(&cluster.dir.path().join("stranger"));
    let stranger = Member::start(config, 99, cluster.network.transport(endpoint(follower), PeerRole::Om)).await;
    cluster.network.attach(endpoint(follower), stranger.host.service());
    cluster.leader().await.set("a", "2").await;
    // The rest of the group commits and heartbeats reach the stranger meanwhile.
    let heartbeats = cluster.leader().await;
    for number in 0..20 {
        heartbeats.set("b", &number.to_string()).await;
    }
    assert_eq!(stranger.group.status().last_log, LogIndex(0));
    assert!(!stranger.group.is_initialised());

    let service = heartbeats.host.service();
    let gateway = rpc::Peer::Node { role: PeerRole::Gateway, name: "gateway".to_owned() };
    let cx = rpc::CallContext::local(types::RequestId::from_u128(1), Duration::from_secs(5));
    let answer = service.handle(2, rpc::CallContext { peer: gateway, ..cx }, bytes::Bytes::new()).await;
    assert!(matches!(answer, Err(rpc::CallFault::NotApplied(rpc::NotApplied::Refused(_)))), "{answer:?}");
    stranger.stop().await;
}
