//! The listener for calls is also the door for newcomers, where a process signs; elsewhere it stays shut.

mod common;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::*;
use pki::enroll::{self, EnrollError, Refused, Signer};
use pki::{ClusterCa, Issued, JoinToken, NodeId, NodeName, PeerRole, Tls};
use rpc::{Connect, Limits, Pool, PoolOptions, Service, Services, serve};
use runtime::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use types::{ClusterId, Endpoint};

struct Authority(ClusterCa);

fn token() -> JoinToken {
    JoinToken::from_bytes([5; 32])
}

#[async_trait]
impl Signer for Authority {
    async fn join_tokens(&self) -> Vec<JoinToken> {
        vec![token()]
    }

    async fn sign(&self, role: PeerRole, name: &NodeName, csr: &[u8]) -> Result<Issued, Refused> {
        let signed = self.0.sign(csr, role, name, now(), ClusterCa::MEMBER_VALIDITY);
        signed.map_err(|error| Refused::No(error.to_string()))
    }

    async fn renew(&self, member: &NodeId, csr: &[u8]) -> Result<Issued, Refused> {
        self.sign(member.role, &member.name, csr).await
    }
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text).expect("legal")
}

#[tokio::test]
async fn a_newcomer_enrols_renews_and_calls_at_one_address() {
    let ca = ClusterCa::generate(ClusterId::from_u128(1), now()).expect("made");
    let own = ca.issue(PeerRole::Scm, &name("scm1"), now(), ClusterCa::MEMBER_VALIDITY).expect("signed");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = Endpoint(listener.local_addr().expect("bound").to_string());
    let services = Services::new([Arc::new(Echo::default()) as Arc<dyn Service>])
        .with_enrolment(Arc::new(enroll::Server::new(Arc::new(Authority(ca)))));
    let shutdown = Shutdown::default();
    let serving = tokio::spawn(serve(listener, Tls::new(own).expect("configures"), services, shutdown.clone()));

    let addresses = [address.clone()];
    let identity = enroll::client(&addresses, &token(), PeerRole::Datanode, &name("dn1"), Duration::from_secs(10)).await;
    let tls = Tls::new(identity.expect("enrolled")).expect("configures");
    let renewed = enroll::renew(&addresses, &tls).await.expect("renewed");
    tls.replace(renewed).expect("configures");
    let pool = Pool::new(tls, PoolOptions::default(), &Shutdown::default());
    let caller = pool.expecting(PeerRole::Scm).caller(&address);
    assert_eq!(caller.call(method(WHO), soon(1), Bytes::new()).await, done("datanode/dn1"));

    drop((caller, pool));
    shutdown.start();
    serving.await.expect("ends");
}

#[tokio::test]
async fn a_process_that_signs_nothing_hears_no_newcomer() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let at = [om.endpoint.clone()];
    let outcome = enroll::client(&at, &token(), PeerRole::Datanode, &name("dn1"), Duration::ZERO).await;
    assert!(matches!(outcome, Err(EnrollError::Io { .. })), "{outcome:?}");
    let renewed = enroll::renew(&at, &cluster.tls(PeerRole::Gateway, "g1")).await;
    assert!(renewed.is_err(), "{renewed:?}");
}

#[tokio::test]
async fn plain_tcp_gets_nothing_but_an_alert_and_others_are_served_meanwhile() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let silent = TcpStream::connect(&om.endpoint.0).await.expect("connects");
    let mut plain = TcpStream::connect(&om.endpoint.0).await.expect("connects");
    plain.write_all(b"GET /state HTTP/1.1\r\nhost: om\r\n\r\n").await.expect("goes");
    let mut heard = Vec::new();
    // A reset, with what was sent unread, is an end as good as any.
    let _ = plain.read_to_end(&mut heard).await;
    assert!(heard.len() <= 7, "{heard:?}");
    let caller = cluster.caller(&om.endpoint);
    assert_eq!(caller.call(method(ECHO), soon(1), "on".into()).await, done("on"));
    drop(silent);
}
