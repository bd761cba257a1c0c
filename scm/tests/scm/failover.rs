//! Three members: what one has promised, the next one keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::harness::{FakeDatanode, Member, cx, lease, quick};
use raft_node::LocalNetwork;
use rpc::{CallError, NotApplied, PeerRole};
use runtime::ManualClock;
use scm_api::{HeartbeatRejected, Scm, TransferLeadership, TransferRejected};
use types::{Endpoint, MemberId, Millis, Replication, Timestamp};

struct Trio {
    members: BTreeMap<u64, Member>,
    clock: Arc<ManualClock>,
    datanodes: Vec<FakeDatanode>,
    _folders: Vec<tempfile::TempDir>,
}

fn endpoint(member: u64) -> Endpoint {
    Endpoint(format!("scm{member}:9863"))
}

impl Trio {
    async fn start() -> Self {
        let network = LocalNetwork::default();
        let clock = Arc::new(ManualClock::at(Timestamp(1_790_000_000_000)));
        let mut members = BTreeMap::new();
        let mut folders = Vec::new();
        let mut first = None;
        for id in 1..=3 {
            let folder = tempfile::tempdir().expect("a folder");
            let transport = network.transport(endpoint(id), PeerRole::Scm);
            let (member, group) = Member::start(folder.path(), MemberId(id), transport, quick(), Arc::clone(&clock), None).await;
            network.attach(endpoint(id), member.host.service());
            members.insert(id, member);
            folders.push(folder);
            first.get_or_insert(group);
        }
        let all = (1..=3).map(|id| (MemberId(id), endpoint(id))).collect();
        first.expect("three were started").bootstrap(all).await.expect("new");
        Self { members, clock, datanodes: Vec::new(), _folders: folders }
    }

    /// Whoever answers as the leader.
    async fn leader(&self) -> Option<u64> {
        for (id, member) in &self.members {
            if member.scm.overview(cx(), ()).await.is_ok() {
                return Some(*id);
            }
        }
        None
    }

    async fn await_leader(&self) -> u64 {
        for _ in 0..1_000 {
            if let Some(leader) = self.leader().await {
                return leader;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody leads");
    }

    async fn await_leader_to_be(&self, member: u64) {
        for _ in 0..1_000 {
            if self.leader().await == Some(member) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("member {member} does not lead");
    }

    /// One heartbeat of each datanode to the leader.
    async fn beat(&mut self) {
        self.clock.advance(Millis(500));
        let Some(leader) = self.leader().await else { return };
        let scm = Arc::clone(&self.members[&leader].scm);
        let mut datanodes = std::mem::take(&mut self.datanodes);
        for n in 0..datanodes.len() {
            let others = datanodes.iter().map(|other| (other.name, other.clone())).collect();
            let datanode = &mut datanodes[n];
            match datanode.beat(&*scm).await {
                Ok(reply) => reply.orders.into_iter().for_each(|order| datanode.obey(order, &others)),
                Err(CallError::Rejected(HeartbeatRejected::NotRegistered)) => panic!("{} was forgotten", datanode.name),
                Err(_) => {}
            }
        }
        self.datanodes = datanodes;
    }

    /// Leases until it succeeds; returns every id given.
    async fn lease(&mut self, count: u32) -> BTreeSet<(u64, u64)> {
        for _ in 0..2_000 {
            self.beat().await;
            if let Some(leader) = self.leader().await
                && let Ok(leased) = lease(&*self.members[&leader].scm, Replication::Three, count).await
            {
                let ids = |range: scm_api::BlockRange| {
                    (range.first..range.first + u64::from(range.count)).map(move |local| (range.container.0, local))
                };
                return leased.ranges.into_iter().flat_map(ids).collect();
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("nothing was leased");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_leases_other_blocks_once_datanodes_have_reported_to_it() {
    let mut trio = Trio::start().await;
    let first = trio.await_leader().await;
    for name in ["dn1", "dn2", "dn3"] {
        let datanode = FakeDatanode::register(&*trio.members[&first].scm, name, None).await.expect("admitted");
        trio.datanodes.push(datanode);
    }
    let mut leased = trio.lease(100).await;
    let before = trio.members[&first].scm.overview(cx(), ()).await.expect("leads").cluster_id;

    trio.members.remove(&first).expect("it runs").stop().await;
    let second = trio.await_leader().await;
    let after = trio.members[&second].scm.overview(cx(), ()).await.expect("leads");
    assert_eq!(after.cluster_id, before);
    assert!(after.safe_mode.is_on, "it has heard of nothing yet");
    let more = trio.lease(100).await;
    assert!(leased.is_disjoint(&more));
    leased.extend(more);
    assert_eq!(leased.len(), 200);
    let pipelines = trio.members[&second].scm.pipelines(cx(), ()).await.expect("leads");
    assert_eq!(pipelines.len(), 2, "the same pipelines go on: {pipelines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sends_callers_to_the_leader_and_leadership_moves_on_request() {
    let trio = Trio::start().await;
    let first = trio.await_leader().await;
    let follower = trio.members.keys().copied().find(|id| *id != first).expect("two follow");
    let sent_on = trio.members[&follower].scm.token_keys(cx(), ()).await.expect_err("it follows");
    assert_eq!(sent_on, CallError::NotApplied(NotApplied::NotLeader(Some(endpoint(first)))));

    let nobody = TransferLeadership { to: Some(MemberId(9)) };
    let refused = trio.members[&first].scm.transfer_leadership(cx(), nobody).await;
    assert_eq!(refused, Err(CallError::Rejected(TransferRejected::NotAVoter)));
    let to = TransferLeadership { to: Some(MemberId(follower)) };
    trio.members[&first].scm.transfer_leadership(cx(), to).await.expect("moved");
    trio.await_leader_to_be(follower).await;
}
