//! What callers know when a connection fails them. "Not applied" is a promise: the service never saw the request.

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::*;
use rpc::{CallFault, Limits, NotApplied, PeerRole};
use tokio::net::TcpListener;
use types::Endpoint;

fn unreachable(outcome: &Result<rpc::Reply, CallFault>) -> bool {
    matches!(outcome, Err(CallFault::NotApplied(NotApplied::Unreachable(_))))
}

#[tokio::test]
async fn a_process_that_is_not_there_is_unreachable_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let nobody = Endpoint(listener.local_addr().expect("bound").to_string());
    drop(listener);
    let caller = Cluster::new().caller(&nobody);
    let (outcome, took) = timed(caller.call(method(ECHO), soon(1), Bytes::new())).await;
    assert!(unreachable(&outcome), "{outcome:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn a_listener_that_never_speaks_is_unreachable_after_the_connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let endpoint = Endpoint(silent.local_addr().expect("bound").to_string());
    let caller = Cluster::new().caller(&endpoint);
    let (outcome, took) = timed(caller.call(method(ECHO), soon(1), Bytes::new())).await;
    assert!(unreachable(&outcome), "{outcome:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn a_member_of_another_cluster_is_unreachable() {
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let om = theirs.serve(PeerRole::Om, Limits::default()).await;
    let outcome = ours.caller(&om.endpoint).call(method(ECHO), soon(1), Bytes::new()).await;
    assert!(unreachable(&outcome), "{outcome:?}");
    assert!(!om.service.saw(soon(1).request_id));
}

#[tokio::test]
async fn a_call_that_was_sent_when_its_connection_broke_is_unknown() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let wire = Wire::to(&om.endpoint).await;
    let caller = cluster.caller(&wire.endpoint);
    let call = tokio::spawn(async move { caller.call(method(GATED), soon(1), Bytes::new()).await });
    om.service.has_begun(1).await;
    wire.cut();
    let outcome = call.await.expect("ends");
    assert!(matches!(outcome, Err(CallFault::Unknown(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_call_that_was_sent_and_not_answered_by_its_deadline_is_unknown() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let caller = cluster.caller(&om.endpoint);
    let outcome = caller.call(method(GATED), cx(1, Duration::from_millis(300)), Bytes::new()).await;
    assert!(matches!(outcome, Err(CallFault::Unknown(_))), "{outcome:?}");
    assert!(om.service.saw(soon(1).request_id));
    // The answer that comes after all finds nobody and disturbs nobody.
    om.service.open_gate(1);
    assert_eq!(caller.call(method(ECHO), soon(2), "on".into()).await, done("on"));
}

#[tokio::test]
async fn a_peer_that_stops_is_noticed_long_before_the_deadline_and_calls_move_on() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let wire = Wire::to(&om.endpoint).await;
    let caller = cluster.caller(&wire.endpoint);
    assert_eq!(caller.call(method(ECHO), soon(1), Bytes::new()).await, done(""));
    wire.freeze();
    let (outcome, took) = timed(caller.call(method(ECHO), soon(2), Bytes::new())).await;
    assert!(matches!(outcome, Err(CallFault::Unknown(_))), "{outcome:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let (outcome, _) = timed(caller.call(method(ECHO), soon(3), Bytes::new())).await;
    assert!(unreachable(&outcome), "{outcome:?}");
    wire.thaw();
    let back = async {
        while caller.call(method(ECHO), soon(4), Bytes::new()).await != done("") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_calls_on_a_broken_connection_those_not_applied_were_never_seen() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let wire = Wire::to(&om.endpoint).await;
    let caller = cluster.caller(&wire.endpoint);
    assert_eq!(caller.call(method(ECHO), soon(0), Bytes::new()).await, done(""));
    // A stopped peer: some requests fit into buffers on the way, more do not, then the connection is given up.
    wire.freeze();
    let body = Bytes::from(vec![3; 60 * 1024]);
    let calls: Vec<_> = (1..=600_u128)
        .map(|id| {
            let (caller, body) = (Arc::clone(&caller), body.clone());
            tokio::spawn(async move { (id, caller.call(method(ECHO), soon(id), body).await) })
        })
        .collect();
    let (mut unknown, mut not_applied) = (Vec::new(), Vec::new());
    for call in calls {
        match call.await.expect("ends") {
            (id, Err(CallFault::Unknown(_))) => unknown.push(id),
            (id, Err(CallFault::NotApplied(_))) => not_applied.push(id),
            (id, outcome) => panic!("{id}: {outcome:?}"),
        }
    }
    assert!(!unknown.is_empty() && not_applied.len() > 100, "{} and {}", unknown.len(), not_applied.len());
    // What was on the way arrives after all; a process that stops has read what there was.
    wire.thaw();
    let service = Arc::clone(&om.service);
    let arrived = async {
        while !unknown.iter().any(|id| service.saw(soon(*id).request_id)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), arrived).await.expect("in time");
    om.stop().await;
    let seen: Vec<_> = not_applied.iter().filter(|id| service.saw(soon(**id).request_id)).collect();
    assert!(seen.is_empty(), "not applied, but seen: {seen:?}");
}

#[tokio::test]
async fn a_call_given_up_before_it_was_written_is_never_seen() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let wire = Wire::to(&om.endpoint).await;
    let caller = cluster.caller(&wire.endpoint);
    assert_eq!(caller.call(method(ECHO), soon(0), Bytes::new()).await, done(""));
    wire.freeze();
    // Fills what is on the way, so that what comes behind it is not written.
    let stuffing = tokio::spawn({
        let caller = Arc::clone(&caller);
        async move { caller.call(method(ECHO), soon(1), vec![1; 60 << 20].into()).await }
    });
    let mut given_up = Vec::new();
    for id in 2..=10 {
        match caller.call(method(ECHO), cx(id, Duration::from_millis(100)), Bytes::new()).await {
            Err(CallFault::NotApplied(NotApplied::TooLate)) => given_up.push(id),
            // It came before the stuffing.
            Err(CallFault::Unknown(_)) => {}
            outcome => panic!("{outcome:?}"),
        }
    }
    assert!(!given_up.is_empty());
    wire.thaw();
    assert!(stuffing.await.expect("ends").is_ok());
    assert_eq!(caller.call(method(ECHO), soon(11), Bytes::new()).await, done(""));
    let seen: Vec<_> = given_up.iter().filter(|id| om.service.saw(soon(**id).request_id)).collect();
    assert!(seen.is_empty(), "given up before writing, but seen: {seen:?}");
}
