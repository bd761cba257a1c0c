//! What a member answers to messages, one at a time.

use std::time::Duration;

use rpc::{CallContext, PeerRole, Reply};
use runtime::Shutdown;
use tables::{StorageFault, WriteTables};
use tempfile::TempDir;
use types::{Endpoint, GroupId, LogIndex, MemberId, RequestId};

use super::wire::{self, Address, Ballot, Voted};
use crate::wal::StoredVote;
use crate::{Core, HostConfig, LocalNetwork, RaftHost, TableMachine, TableOptions};

struct Nothing;

impl Core for Nothing {
    fn apply(&self, _: LogIndex, _: &[u8], _: &mut dyn WriteTables) -> Result<Vec<u8>, StorageFault> {
        Ok(Vec::new())
    }
}

const GROUP: GroupId = GroupId(3);

async fn start(dir: &TempDir) -> (RaftHost, Shutdown) {
    let mut config = HostConfig::new(dir.path(), PeerRole::Om);
    config.timings.election = Duration::from_millis(500)..Duration::from_millis(600);
    let transport = LocalNetwork::default().transport(Endpoint("one:1".to_owned()), PeerRole::Om);
    let shutdown = Shutdown::default();
    let host = RaftHost::open(config, transport, shutdown.clone()).await.expect("opens");
    let machine = TableMachine::open(&dir.path().join("rows.redb"), Nothing, TableOptions::default()).expect("opens");
    host.start_group(GROUP, MemberId(1), machine).await.expect("starts");
    (host, shutdown)
}

async fn granted(host: &RaftHost, method: u8, term: u64, transfer: bool) -> bool {
    let vote = StoredVote { term, leader: 2, committed: false };
    let ballot = Ballot { to: Address { group: GROUP, member: 1 }, vote, last: None, transfer };
    let cx = CallContext::local(RequestId::from_u128(1), Duration::from_secs(5));
    let body = tables::encode(&ballot).into();
    match host.service().handle(method, cx, body).await.expect("answers") {
        Reply::Done(answer) => minicbor::decode::<Voted>(&answer).expect("decodes").granted,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_member_votes_for_nobody_while_a_lease_it_forgot_may_hold() {
    let dir = TempDir::new().expect("a folder");
    let (host, shutdown) = start(&dir).await;
    assert!(granted(&host, wire::VOTE, 1, false).await, "it has promised nothing yet");
    shutdown.start();
    assert!(shutdown.drained(Duration::from_secs(20)).await);
    drop(host);

    let (host, _shutdown) = start(&dir).await;
    assert!(!granted(&host, wire::PRE_VOTE, 2, false).await);
    assert!(!granted(&host, wire::VOTE, 2, false).await);
    assert!(granted(&host, wire::VOTE, 2, true).await, "the leader itself wants another to lead");
    let mut term = 3;
    while !granted(&host, wire::VOTE, term, false).await {
        assert!(term < 1000, "silent for ever");
        term += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(term > 3, "it votes again only later");
}
