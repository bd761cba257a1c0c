//! Calls to a service whose leader moves.

mod common;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::{cx, done, method, soon, timed};
use parking_lot::Mutex;
use rpc::{CallContext, CallFault, Caller, Connect, LeaderCaller, MethodId, NotApplied, Reply};
use types::{Endpoint, RequestId};

type Behaviour = dyn Fn(u32) -> Option<Result<Reply, CallFault>> + Send + Sync;

/// One member: answers its nth call by `behaviour`, or never.
struct Member {
    behaviour: Box<Behaviour>,
    calls: Mutex<Vec<RequestId>>,
}

#[async_trait]
impl Caller for Member {
    async fn call(&self, _: MethodId, cx: CallContext, _: Bytes) -> Result<Reply, CallFault> {
        let number = {
            let mut calls = self.calls.lock();
            calls.push(cx.request_id);
            u32::try_from(calls.len()).expect("few")
        };
        match (self.behaviour)(number) {
            Some(outcome) => outcome,
            None => {
                tokio::time::sleep(cx.remaining()).await;
                Err(CallFault::Unknown("no answer before the deadline".to_owned()))
            }
        }
    }
}

#[derive(Default)]
struct Members(HashMap<Endpoint, Arc<Member>>);

impl Members {
    fn with(mut self, name: &str, behaviour: impl Fn(u32) -> Option<Result<Reply, CallFault>> + Send + Sync + 'static) -> Self {
        let member = Member { behaviour: Box::new(behaviour), calls: Mutex::default() };
        self.0.insert(Endpoint(name.to_owned()), Arc::new(member));
        self
    }

    fn calls(&self, name: &str) -> usize {
        self.0[&Endpoint(name.to_owned())].calls.lock().len()
    }
}

impl Connect for Members {
    fn caller(&self, endpoint: &Endpoint) -> Arc<dyn Caller> {
        Arc::clone(&self.0[endpoint]) as Arc<dyn Caller>
    }
}

fn over(members: &Members, names: &[&str]) -> LeaderCaller {
    let endpoints: Vec<_> = names.iter().map(|name| Endpoint((*name).to_owned())).collect();
    LeaderCaller::new(members, &endpoints)
}

fn leads(_: u32) -> Option<Result<Reply, CallFault>> {
    Some(done("done"))
}

fn points_to(leader: Option<&'static str>) -> impl Fn(u32) -> Option<Result<Reply, CallFault>> + Send + Sync {
    move |_| {
        let leader = leader.map(|name| Endpoint(name.to_owned()));
        Some(Err(CallFault::NotApplied(NotApplied::NotLeader(leader))))
    }
}

fn gone(_: u32) -> Option<Result<Reply, CallFault>> {
    Some(Err(CallFault::NotApplied(NotApplied::Unreachable("gone".to_owned()))))
}

#[tokio::test]
async fn a_hint_is_followed_and_the_leader_remembered() {
    let members = Members::default().with("a", points_to(Some("c"))).with("b", points_to(Some("c"))).with("c", leads);
    let service = over(&members, &["a", "b", "c"]);
    for id in 0..10 {
        assert_eq!(service.call(method(1), soon(id), Bytes::new()).await, done("done"));
    }
    assert_eq!((members.calls("a"), members.calls("b"), members.calls("c")), (1, 0, 10));
}

#[tokio::test]
async fn a_hint_to_an_address_that_is_not_configured_is_not_followed() {
    let members = Members::default().with("a", points_to(Some("evil"))).with("b", leads);
    assert_eq!(over(&members, &["a", "b"]).call(method(1), soon(1), Bytes::new()).await, done("done"));
}

#[tokio::test]
async fn an_election_is_waited_out() {
    let elected = |number| match number {
        0..5 => Some(Err(CallFault::NotApplied(NotApplied::NotLeader(None)))),
        _ => Some(done("done")),
    };
    let members = Members::default().with("a", gone).with("b", points_to(None)).with("c", elected);
    assert_eq!(over(&members, &["a", "b", "c"]).call(method(1), soon(1), Bytes::new()).await, done("done"));
}

#[tokio::test]
async fn a_leader_that_hangs_costs_one_try_and_the_next_member_is_asked_under_the_same_request_id() {
    let members = Members::default().with("a", |_| None).with("b", leads);
    let service = over(&members, &["a", "b"]);
    let (outcome, took) = timed(service.call(method(1), cx(77, Duration::from_secs(60)), Bytes::new())).await;
    assert_eq!(outcome, done("done"));
    assert!(took < Duration::from_secs(20), "{took:?}");
    for member in members.0.values() {
        assert_eq!(*member.calls.lock(), [RequestId::from_u128(77)]);
    }
}

#[tokio::test]
async fn a_call_whose_try_broke_off_is_made_again_and_its_first_answer_counts() {
    let breaks_once = |number| match number {
        1 => Some(Err(CallFault::Unknown("cut".to_owned()))),
        _ => Some(done("done")),
    };
    let members = Members::default().with("a", breaks_once);
    assert_eq!(over(&members, &["a"]).call(method(1), soon(1), Bytes::new()).await, done("done"));
    assert_eq!(members.calls("a"), 2);
}

#[tokio::test]
async fn at_the_deadline_the_outcome_says_whether_any_try_may_have_happened() {
    let members = Members::default().with("a", gone).with("b", gone);
    let short = || cx(1, Duration::from_millis(300));
    let never = over(&members, &["a", "b"]).call(method(1), short(), Bytes::new()).await;
    assert_eq!(never, Err(CallFault::NotApplied(NotApplied::Unreachable("gone".to_owned()))));

    let cut = |_| Some(Err(CallFault::Unknown("cut".to_owned())));
    let members = Members::default().with("a", gone).with("b", cut);
    let maybe = over(&members, &["a", "b"]).call(method(1), short(), Bytes::new()).await;
    assert_eq!(maybe, Err(CallFault::Unknown("cut".to_owned())));
}

#[tokio::test]
async fn a_refusal_is_final() {
    let refuses = |_| Some(Err(CallFault::NotApplied(NotApplied::Refused("not yours".to_owned()))));
    let members = Members::default().with("a", refuses).with("b", leads);
    let outcome = over(&members, &["a", "b"]).call(method(1), soon(1), Bytes::new()).await;
    assert_eq!(outcome, Err(CallFault::NotApplied(NotApplied::Refused("not yours".to_owned()))));
}

#[tokio::test]
async fn a_service_without_members_is_unreachable() {
    let outcome = over(&Members::default(), &[]).call(method(1), soon(1), Bytes::new()).await;
    assert!(matches!(outcome, Err(CallFault::NotApplied(NotApplied::Unreachable(_)))), "{outcome:?}");
}
