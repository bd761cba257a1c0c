//! A group of one member, on a real disk.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raft_node::{BootstrapError, NoPeers, OpenError, ProposeError, RaftHost};
use support::{GROUP, Member, Words, endpoint, quick, request, soon};
use types::MemberId;

async fn alone(dir: &std::path::Path) -> Member {
    let member = Member::start(quick(dir), 1, Arc::new(NoPeers)).await;
    if !member.group.is_initialised() {
        let members = BTreeMap::from([(MemberId(1), endpoint(1))]);
        member.group.bootstrap(members).await.expect("an empty group");
    }
    member
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let member = alone(dir.path()).await;
    member.set("colour", "red").await;
    assert_eq!(member.word("colour").as_deref(), Some("red"), "at once");
    member.stop().await;

    let member = alone(dir.path()).await;
    member.group.read_barrier(soon()).await.expect("leads again");
    assert_eq!(member.word("colour").as_deref(), Some("red"));
    member.set("colour", "blue").await;
    assert_eq!(member.word("colour").as_deref(), Some("blue"));
    member.stop().await;
}
