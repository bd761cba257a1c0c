//! A group of one member, on a real disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raft_node::{BootstrapError, NoPeers, OpenError, ProposeError, RaftHost, RaftTransport, TableMachine, TableOptions};
use runtime::Shutdown;
use types::{GroupId, LogIndex, MemberId};

use crate::support::{GROUP, Member, Words, endpoint, quick, request, soon};

fn nobody() -> Arc<dyn RaftTransport> {
    Arc::new(NoPeers)
}

async fn alone(dir: &Path) -> Member {
    let member = Member::start(quick(dir), 1, nobody()).await;
    if !member.group.is_initialised() {
        let members = BTreeMap::from([(MemberId(1), endpoint(1))]);
        member.group.bootstrap(members).await.expect("an empty group");
    }
    member
}

/// A copy of a member's files as they are, as if the process had been killed now.
fn copy_as_after_a_crash(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copies");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let member = alone(dir.path()).await;
    member.set("colour", "red").await;
    assert_eq!(member.word("colour").as_deref(), Some("red"), "at once");
    member.stop().await;

    let started = Instant::now();
    let member = alone(dir.path()).await;
    member.group.read_barrier(soon()).await.expect("leads again");
    assert!(started.elapsed() < Duration::from_millis(300), "alone, it waits for nobody: {:?}", started.elapsed());
    assert_eq!(member.word("colour").as_deref(), Some("red"));
    member.set("colour", "blue").await;
    assert_eq!(member.word("colour").as_deref(), Some("blue"));
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_without_a_flush_the_log_is_replayed() {
    let (dir, copy) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut config = quick(dir.path());
    config.compaction.flush_every = Duration::from_secs(3600);
    let member = Member::start(config, 1, nobody()).await;
    member.group.bootstrap(BTreeMap::from([(MemberId(1), endpoint(1))])).await.expect("an empty group");
    for number in 0..200 {
        member.group.propose(request(number), b"hit+".to_vec(), soon()).await.expect("written");
        member.set("last", &number.to_string()).await;
    }
    assert_eq!(member.group.status().durable, LogIndex(0), "nothing is in the tables yet");
    copy_as_after_a_crash(dir.path(), copy.path());
    member.stop().await;

    let again = alone(copy.path()).await;
    again.group.read_barrier(soon()).await.expect("leads again");
    assert_eq!((again.count("hit"), again.word("last").as_deref()), (200, Some("199")));
    let answer = again.group.propose(request(7), b"hit+".to_vec(), soon()).await.expect("answered").answer;
    assert_eq!((answer.as_ref(), again.count("hit")), (&[8][..], 200), "the first answer, after the crash too");
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_bootstrapped_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let member = Member::start(quick(dir.path()), 1, nobody()).await;
    assert!(!member.group.is_initialised());
    let others = BTreeMap::from([(MemberId(2), endpoint(2))]);
    assert_eq!(member.group.bootstrap(others).await, Err(BootstrapError::NotAMember));
    let members = BTreeMap::from([(MemberId(1), endpoint(1))]);
    assert_eq!(member.group.bootstrap(members.clone()).await, Ok(()));
    assert_eq!(member.group.bootstrap(members.clone()).await, Err(BootstrapError::AlreadyInitialised));
    member.stop().await;
    let member = Member::start(quick(dir.path()), 1, nobody()).await;
    assert!(member.group.is_initialised());
    assert_eq!(member.group.bootstrap(members).await, Err(BootstrapError::AlreadyInitialised));
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log_and_state_that_do_not_belong_together_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let member = alone(dir.path()).await;
    member.set("colour", "red").await;
    member.stop().await;

    let rows = dir.path().join("rows.redb");
    let start = async |id: u64| {
        let shutdown = Shutdown::default();
        let host = RaftHost::open(quick(dir.path()), nobody(), shutdown.clone()).await.expect("the log opens");
        let machine = TableMachine::open(&rows, Words, TableOptions::default()).expect("the tables open");
        let started = host.start_group(GROUP, MemberId(id), machine).await;
        shutdown.start();
        assert!(shutdown.drained(Duration::from_secs(10)).await);
        started.map(drop)
    };
    assert!(matches!(start(2).await, Err(OpenError::Mismatch { .. })), "another member's log");
    start(1).await.expect("its own");
    for entry in std::fs::read_dir(dir.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            std::fs::remove_file(path).expect("removes");
        }
    }
    assert!(matches!(start(1).await, Err(OpenError::Mismatch { .. })), "its votes are forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_older_than_the_log_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let member = alone(dir.path()).await;
    for number in 0..50 {
        member.set("n", &number.to_string()).await;
    }
    member.group.compact().await.expect("compacts");
    member.until("purged", |member| member.group.status().purged > LogIndex(20)).await;
    member.stop().await;
    std::fs::remove_file(dir.path().join("rows.redb")).expect("removes");

    let shutdown = Shutdown::default();
    let host = RaftHost::open(quick(dir.path()), nobody(), shutdown.clone()).await.expect("the log opens");
    let machine = TableMachine::open(&dir.path().join("rows.redb"), Words, TableOptions::default()).expect("opens");
    let started = host.start_group(GROUP, MemberId(1), machine).await;
    assert!(matches!(started, Err(OpenError::Mismatch { .. })), "{started:?}");
    shutdown.start();
    assert!(shutdown.drained(Duration::from_secs(10)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_on_disk_are_told_until_they_are_removed() {
    let dir = tempfile::tempdir().expect("a folder");
    let member = alone(dir.path()).await;
    let second = TableMachine::open(&dir.path().join("second.redb"), Words, TableOptions::default()).expect("opens");
    let other = member.host.start_group(GroupId(9), MemberId(4), second).await.expect("starts");
    other.bootstrap(BTreeMap::from([(MemberId(4), endpoint(1))])).await.expect("an empty group");
    other.propose(None, b"a=b".to_vec(), soon()).await.expect("written");
    assert_eq!(member.host.groups_on_disk(), [GROUP, GroupId(9)]);
    assert_eq!(member.host.member_on_disk(GroupId(9)), Some(MemberId(4)));
    member.host.remove_group(GroupId(9)).await.expect("removed");
    assert!(matches!(other.propose(None, b"a=c".to_vec(), soon()).await, Err(ProposeError::Stopped(_))));
    assert_eq!(member.host.groups_on_disk(), [GROUP]);
    member.stop().await;
    let member = alone(dir.path()).await;
    assert_eq!(member.host.groups_on_disk(), [GROUP]);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unawaited_command_stands_before_what_is_proposed_later() {
    let dir = tempfile::tempdir().expect("a folder");
    let member = alone(dir.path()).await;
    member.group.read_barrier(soon()).await.expect("leads");
    for number in 0..50 {
        member.group.propose_unawaited(format!("step={number}").into_bytes()).expect("queued");
        let proposed = member.group.propose(None, b"mark=1".to_vec(), soon()).await.expect("written");
        assert_eq!(member.word("step"), Some(number.to_string()), "at {}", proposed.index);
    }
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_alone_takes_unawaited_commands_long_after_its_election() {
    let dir = tempfile::tempdir().expect("a folder");
    let member = alone(dir.path()).await;
    member.group.read_barrier(soon()).await.expect("leads");
    // Longer than the lease that a leader among others would have to renew.
    let until = Instant::now() + quick(dir.path()).timings.election.end * 2;
    while Instant::now() < until {
        member.group.propose_unawaited(b"step=1".to_vec()).expect("queued");
        member.set("mark", "1").await;
    }
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proposals_that_cannot_be_taken_say_that_nothing_happened() {
    let dir = tempfile::tempdir().expect("a folder");
    let member = alone(dir.path()).await;
    let large = vec![b'='; (256 << 10) + 1];
    assert!(matches!(member.group.propose(None, large, soon()).await, Err(ProposeError::TooLarge { .. })));
    let late = Instant::now() - Duration::from_millis(1);
    assert_eq!(member.group.propose(None, b"a=b".to_vec(), late).await, Err(ProposeError::TooLate));
    assert_eq!(member.word("a"), None);
    member.shutdown.start();
    assert!(member.shutdown.drained(Duration::from_secs(10)).await);
    assert!(matches!(member.group.propose(None, b"a=b".to_vec(), soon()).await, Err(ProposeError::Stopped(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_proposals_share_syncs() {
    let dir = tempfile::tempdir().expect("a folder");
    let member = alone(dir.path()).await;
    member.group.read_barrier(soon()).await.expect("leads");
    let before = member.host.wal_syncs();
    let proposers: Vec<_> = (0..64)
        .map(|proposer| {
            let group = member.group.clone();
            tokio::spawn(async move {
                for number in 0..20 {
                    let command = format!("p{proposer}={number}").into_bytes();
                    group.propose(None, command, soon()).await.expect("written");
                }
            })
        })
        .collect();
    for proposer in proposers {
        proposer.await.expect("ends");
    }
    let syncs = member.host.wal_syncs() - before;
    assert!(syncs * 4 < 64 * 20, "{syncs} syncs for {} proposals", 64 * 20);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_machine_that_cannot_go_on_is_reported_to_the_process() {
    let dir = tempfile::tempdir().expect("a folder");
    let member = alone(dir.path()).await;
    let outcome = member.group.propose(None, b"no such command".to_vec(), soon()).await;
    assert!(matches!(outcome, Err(ProposeError::Unknown(_))), "{outcome:?}");
    let why = tokio::time::timeout(Duration::from_secs(10), member.host.failed()).await.expect("reported");
    assert!(why.contains("neither set nor count"), "{why}");
}
