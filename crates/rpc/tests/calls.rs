//! Calls that arrive, and what services and callers see of them.

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::*;
use rpc::{CallFault, Connect, Limits, MethodId, NotApplied, PeerRole, PoolOptions, Reply};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_share_a_connection_and_each_gets_its_own_answer() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let caller = cluster.caller(&om.endpoint);
    let calls = (0..500_u64).map(|number| {
        let caller = Arc::clone(&caller);
        tokio::spawn(async move {
            let body = Bytes::from(vec![number as u8; number as usize * 40]);
            let outcome = caller.call(method(ECHO), soon(number.into()), body.clone()).await;
            assert_eq!(outcome, done(body));
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("answered");
    }
}

#[tokio::test]
async fn a_slow_call_does_not_hold_up_those_behind_it() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let caller = cluster.caller(&om.endpoint);
    let slow = tokio::spawn({
        let caller = Arc::clone(&caller);
        async move { caller.call(method(GATED), soon(1), Bytes::from_static(b"slow")).await }
    });
    om.service.has_begun(1).await;
    assert_eq!(caller.call(method(ECHO), soon(2), Bytes::from_static(b"quick")).await, done("quick"));
    assert!(!slow.is_finished());
    om.service.open_gate(1);
    assert_eq!(slow.await.expect("ends"), done("slow"));
}

#[tokio::test]
async fn a_service_knows_its_caller_by_certificate_and_the_caller_hears_rejections_as_such() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let caller = cluster.caller(&om.endpoint);
    assert_eq!(caller.call(method(WHO), soon(1), Bytes::new()).await, done("gateway/client"));
    let rejected = caller.call(method(REJECT), soon(2), Bytes::from_static(b"no")).await;
    assert_eq!(rejected, Ok(Reply::Rejected(Bytes::from_static(b"no"))));
}

#[tokio::test]
async fn a_panic_in_a_service_ends_that_call_alone_and_its_outcome_is_unknown() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let caller = cluster.caller(&om.endpoint);
    let bug = caller.call(method(PANIC), soon(1), Bytes::new()).await;
    assert!(matches!(bug, Err(CallFault::Unknown(_))), "{bug:?}");
    assert_eq!(caller.call(method(ECHO), soon(2), Bytes::from_static(b"on")).await, done("on"));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_refused() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let elsewhere = MethodId { service: 99, method: 1 };
    let outcome = cluster.caller(&om.endpoint).call(elsewhere, soon(1), Bytes::new()).await;
    assert!(matches!(outcome, Err(CallFault::NotApplied(NotApplied::Refused(_)))), "{outcome:?}");
}

#[tokio::test]
async fn long_bodies_pass_up_to_the_cap_and_beyond_it_the_caller_knows_what_happened() {
    let cluster = Cluster::new();
    let limits = Limits { max_frame: 1024 * 1024, ..Limits::default() };
    let om = cluster.serve(PeerRole::Om, limits).await;
    let options = PoolOptions { max_frame: 2 * 1024 * 1024, ..PoolOptions::default() };
    let caller = cluster.pool_with(options).caller(&om.endpoint);

    let fits = Bytes::from(vec![1; 1024 * 1024 - 100]);
    assert_eq!(caller.call(method(ECHO), soon(1), fits.clone()).await, done(fits));
    let too_long = caller.call(method(ECHO), soon(2), vec![1; 1024 * 1024].into()).await;
    assert!(matches!(too_long, Err(CallFault::NotApplied(NotApplied::Refused(_)))), "{too_long:?}");
    assert!(!om.service.saw(soon(2).request_id));

    let ask = |length: u64| Bytes::copy_from_slice(&length.to_be_bytes());
    let fits = caller.call(method(BYTES), soon(3), ask(2_000_000)).await;
    assert!(matches!(&fits, Ok(Reply::Done(body)) if body.len() == 2_000_000));
    let too_long = caller.call(method(BYTES), soon(4), ask(3_000_000)).await;
    assert!(matches!(too_long, Err(CallFault::Unknown(_))), "{too_long:?}");
    assert_eq!(caller.call(method(ECHO), soon(5), Bytes::from_static(b"on")).await, done("on"));
}

#[tokio::test]
async fn a_connection_takes_so_much_work_and_says_busy_to_more() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits { in_flight: 2, ..Limits::default() }).await;
    let caller = cluster.caller(&om.endpoint);
    let held: Vec<_> = (0..2)
        .map(|id| {
            let caller = Arc::clone(&caller);
            tokio::spawn(async move { caller.call(method(GATED), soon(id), Bytes::new()).await })
        })
        .collect();
    om.service.has_begun(2).await;
    let third = caller.call(method(ECHO), soon(9), Bytes::new()).await;
    assert_eq!(third, Err(CallFault::NotApplied(NotApplied::Busy)));
    assert!(!om.service.saw(soon(9).request_id));
    om.service.open_gate(2);
    for held in held {
        assert_eq!(held.await.expect("ends"), done(""));
    }
}

#[tokio::test]
async fn calls_beyond_the_callers_own_bound_wait_for_their_turn() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let caller = cluster.pool_with(PoolOptions { in_flight: 1, ..PoolOptions::default() }).caller(&om.endpoint);
    let first = tokio::spawn({
        let caller = Arc::clone(&caller);
        async move { caller.call(method(GATED), soon(1), Bytes::new()).await }
    });
    om.service.has_begun(1).await;
    let impatient = caller.call(method(ECHO), cx(2, Duration::from_millis(50)), Bytes::new()).await;
    assert_eq!(impatient, Err(CallFault::NotApplied(NotApplied::Busy)));
    let patient = tokio::spawn(async move { caller.call(method(ECHO), soon(3), Bytes::from_static(b"turn")).await });
    om.service.open_gate(1);
    assert_eq!(first.await.expect("ends"), done(""));
    assert_eq!(patient.await.expect("ends"), done("turn"));
}

#[tokio::test]
async fn a_caller_that_expects_a_role_makes_no_call_to_another() {
    let cluster = Cluster::new();
    let datanode = cluster.serve(PeerRole::Datanode, Limits::default()).await;
    let pool = cluster.pool();
    let wrong = pool.expecting(PeerRole::Om).caller(&datanode.endpoint).call(method(ECHO), soon(1), Bytes::new()).await;
    assert!(matches!(wrong, Err(CallFault::NotApplied(NotApplied::Unreachable(_)))), "{wrong:?}");
    assert!(!datanode.service.saw(soon(1).request_id));
    let right = pool.expecting(PeerRole::Datanode).caller(&datanode.endpoint).call(method(ECHO), soon(2), "x".into()).await;
    assert_eq!(right, done("x"));
}

#[tokio::test]
async fn a_process_that_stops_answers_what_it_began_and_begins_nothing_more() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let caller = cluster.caller(&om.endpoint);
    let begun = tokio::spawn({
        let caller = Arc::clone(&caller);
        async move { caller.call(method(GATED), soon(1), Bytes::from_static(b"begun")).await }
    });
    let service = Arc::clone(&om.service);
    service.has_begun(1).await;
    om.shutdown.start();
    // From some moment on, every new call hears that it was not begun.
    let mut id = 2;
    loop {
        match caller.call(method(ECHO), soon(id), Bytes::new()).await {
            Ok(_) => id += 1,
            Err(CallFault::NotApplied(NotApplied::Unavailable(_))) => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(!service.saw(soon(id).request_id));
    service.open_gate(1);
    assert_eq!(begun.await.expect("ends"), done("begun"));
    om.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stops_in_good_order_leaves_no_call_in_doubt() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let (caller, service) = (cluster.caller(&om.endpoint), Arc::clone(&om.service));
    let callers: Vec<_> = (0..16_u128)
        .map(|worker| {
            let caller = Arc::clone(&caller);
            tokio::spawn(async move {
                let mut ids = (worker << 64..).map(|id| (id, soon(id)));
                loop {
                    let (id, cx) = ids.next().expect("endless");
                    match caller.call(method(ECHO), cx, Bytes::from_static(b"x")).await {
                        Ok(_) => {}
                        Err(CallFault::NotApplied(_)) => break id,
                        Err(CallFault::Unknown(why)) => panic!("in doubt: {why}"),
                    }
                }
            })
        })
        .collect();
    service.has_begun(1000).await;
    om.stop().await;
    for caller in callers {
        let not_applied = caller.await.expect("never in doubt");
        assert!(!service.saw(soon(not_applied).request_id));
    }
}

#[tokio::test]
async fn a_process_that_comes_back_at_its_address_is_called_again_without_anyones_help() {
    let cluster = Cluster::new();
    let first = cluster.serve(PeerRole::Om, Limits::default()).await;
    let endpoint = first.endpoint.clone();
    let caller = cluster.caller(&endpoint);
    assert_eq!(caller.call(method(ECHO), soon(1), Bytes::new()).await, done(""));
    first.stop().await;
    let away = caller.call(method(ECHO), soon(2), Bytes::new()).await;
    assert!(matches!(away, Err(CallFault::NotApplied(NotApplied::Unreachable(_)))), "{away:?}");
    let second = cluster.serve_at(&endpoint.0, PeerRole::Om, Limits::default()).await;
    let back = async {
        loop {
            match caller.call(method(ECHO), soon(3), Bytes::new()).await {
                Err(CallFault::NotApplied(NotApplied::Unreachable(_))) => tokio::task::yield_now().await,
                outcome => break outcome,
            }
        }
    };
    let back = tokio::time::timeout(Duration::from_secs(5), back).await.expect("in time");
    assert_eq!(back, done(""));
    second.stop().await;
}
