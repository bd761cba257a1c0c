//! Enrolment over in-memory connections: each end real, and someone in between where the test says so.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::io::DuplexStream;
use types::{ClusterId, Endpoint, Timestamp};

use super::client::enroll_over;
use super::message::{Proven, Verdict, receive, send};
use super::*;
use crate::authority::KeyRequest;
use crate::tls::connect_to_anyone;
use crate::{Accepted, ClusterCa, Issued, JoinToken, NodeId, NodeIdentity, NodeName, PeerRole, Tls};

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp(u64::try_from(since.as_millis()).expect("fits"))
}

/// An SCM's judgement: any name but those taken.
struct Authority {
    ca: ClusterCa,
    token: JoinToken,
    signed: Mutex<Vec<String>>,
}

#[async_trait]
impl Signer for Authority {
    async fn join_tokens(&self) -> Vec<JoinToken> {
        vec![JoinToken::from_bytes([0xee; 32]), self.token.clone()]
    }

    async fn sign(&self, role: PeerRole, name: &NodeName, csr: &[u8]) -> Result<Issued, Refused> {
        if name.as_str() == "later" {
            return Err(Refused::Later("not ready".to_owned()));
        }
        let mut signed = self.signed.lock();
        if signed.contains(&name.to_string()) {
            return Err(Refused::No(format!("there is a {name} already")));
        }
        signed.push(name.to_string());
        self.ca.sign(csr, role, name, now(), ClusterCa::MEMBER_VALIDITY).map_err(|error| Refused::No(error.to_string()))
    }

    async fn renew(&self, member: &NodeId, csr: &[u8]) -> Result<Issued, Refused> {
        self.ca
            .sign(csr, member.role, &member.name, now(), ClusterCa::MEMBER_VALIDITY)
            .map_err(|error| Refused::No(error.to_string()))
    }
}

struct Scm {
    authority: Arc<Authority>,
    server: Arc<Server>,
    tls: Tls,
}

fn token() -> JoinToken {
    JoinToken::from_bytes([7; 32])
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text).expect("legal")
}

fn at() -> Endpoint {
    Endpoint("scm1:9860".to_owned())
}

impl Scm {
    fn start(token: JoinToken) -> Self {
        let ca = ClusterCa::generate(ClusterId::from_u128(3), now()).expect("made");
        let own = ca.issue(PeerRole::Scm, &name("scm1"), now(), ClusterCa::MEMBER_VALIDITY).expect("signed");
        let authority = Arc::new(Authority { ca, token, signed: Mutex::default() });
        let server = Arc::new(Server::new(Arc::clone(&authority) as Arc<dyn Signer>));
        Self { authority, server, tls: Tls::new(own).expect("configures") }
    }

    /// The near end of a connection that this SCM answers.
    fn dial(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (tls, server) = (self.tls.clone(), Arc::clone(&self.server));
        tokio::spawn(async move {
            match tls.accept(far).await {
                Ok(Accepted::Stranger(stream)) => server.enroll(stream, FROM).await,
                Ok(Accepted::Member { peer, stream, .. }) => server.renew(stream, &peer).await,
                Err(_) => {}
            }
        });
        near
    }

    async fn enroll(&self, token: &JoinToken, as_name: &str) -> Result<NodeIdentity, EnrollError> {
        let request = KeyRequest::generate().expect("made");
        enroll_over(self.dial(), &at(), token, PeerRole::Datanode, &name(as_name), request).await
    }
}

#[tokio::test]
async fn the_right_token_makes_a_member_that_the_cluster_talks_to() {
    let scm = Scm::start(token());
    let identity = scm.enroll(&token(), "dn1").await.expect("enrolled");
    assert_eq!(identity.node().to_string(), "datanode/dn1");

    let (near, far) = tokio::io::duplex(64 * 1024);
    let member = Tls::new(identity).expect("configures");
    let (accepted, connected) =
        tokio::join!(scm.tls.accept(far), member.connect(near, crate::Protocol::Rpc, Some(PeerRole::Scm)));
    assert_eq!(connected.expect("connects").1.to_string(), "scm/scm1");
    let Ok(Accepted::Member { peer, .. }) = accepted else { panic!("not taken as a member: {accepted:?}") };
    assert_eq!(peer.to_string(), "datanode/dn1");
}

#[tokio::test]
async fn a_wrong_token_gets_a_uniform_no_and_nothing_is_signed() {
    let scm = Scm::start(token());
    let wrong = scm.enroll(&JoinToken::from_bytes([8; 32]), "dn1").await;
    assert!(matches!(wrong, Err(EnrollError::WrongToken { .. })), "{wrong:?}");
    assert!(scm.authority.signed.lock().is_empty());
}

#[tokio::test]
async fn an_address_that_keeps_guessing_is_not_heard_even_with_the_right_token() {
    let scm = Scm::start(token());
    for _ in 0..10 {
        assert!(scm.enroll(&JoinToken::from_bytes([8; 32]), "dn1").await.is_err());
    }
    let late = scm.enroll(&token(), "dn1").await;
    assert!(matches!(late, Err(EnrollError::WrongToken { .. })), "{late:?}");
}

#[tokio::test]
async fn a_refusal_comes_with_its_reason_to_one_who_knows_the_token() {
    let scm = Scm::start(token());
    scm.enroll(&token(), "dn1").await.expect("enrolled");
    let taken = scm.enroll(&token(), "dn1").await;
    assert!(matches!(&taken, Err(EnrollError::Refused { why, .. }) if why == "there is a dn1 already"), "{taken:?}");
    let later = scm.enroll(&token(), "later").await;
    assert!(matches!(later, Err(EnrollError::Later { .. })), "{later:?}");
}

#[tokio::test]
async fn someone_in_between_who_passes_messages_on_gets_nothing_from_either_end() {
    let scm = Scm::start(token());
    let impostor = Scm::start(JoinToken::from_bytes([9; 32]));

    // The newcomer's TLS ends at the impostor, who has another TLS connection to the true SCM.
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (tls, onward) = (impostor.tls.clone(), scm.dial());
    let between = tokio::spawn(async move {
        let Ok(Accepted::Stranger(mut newcomer)) = tls.accept(far).await else { panic!("not a stranger") };
        let mut onward = connect_to_anyone(onward).await.expect("connects");
        let request: Proven = receive(&mut newcomer).await.expect("comes");
        send(&mut onward, &request).await.expect("goes on");
        let verdict: Verdict = receive(&mut onward).await.expect("comes");
        send(&mut newcomer, &verdict).await.expect("goes back");
        verdict
    });
    let request = KeyRequest::generate().expect("made");
    let outcome = enroll_over(near, &at(), &token(), PeerRole::Datanode, &name("dn1"), request).await;
    assert!(matches!(outcome, Err(EnrollError::WrongToken { .. })), "{outcome:?}");
    assert_eq!(between.await.expect("ends"), Verdict::Unproven);
    assert!(scm.authority.signed.lock().is_empty());
}

#[tokio::test]
async fn a_server_that_signs_without_knowing_the_token_is_not_believed() {
    let impostor = Scm::start(token());
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (tls, authority) = (impostor.tls.clone(), Arc::clone(&impostor.authority));
    tokio::spawn(async move {
        let Ok(Accepted::Stranger(mut newcomer)) = tls.accept(far).await else { panic!("not a stranger") };
        let request: Proven = receive(&mut newcomer).await.expect("comes");
        let asked: super::message::Application = super::message::decode(&request.message).expect("decodes");
        let issued = authority.sign(asked.role, &name(&asked.name), &asked.csr).await.expect("signs");
        let message = super::message::encode(&super::message::Answer::Issued(issued));
        // Sent back as its own proof: a reflected proof is one of the other direction.
        let verdict = Verdict::Proven(Proven { message: message.into(), proof: request.proof });
        send(&mut newcomer, &verdict).await.expect("goes");
    });
    let request = KeyRequest::generate().expect("made");
    let outcome = enroll_over(near, &at(), &token(), PeerRole::Datanode, &name("dn1"), request).await;
    assert!(matches!(outcome, Err(EnrollError::Impostor { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_message_longer_than_any_is_refused_before_it_is_read() {
    let scm = Scm::start(token());
    let mut stream = connect_to_anyone(scm.dial()).await.expect("connects");
    tokio::io::AsyncWriteExt::write_all(&mut stream, &u32::MAX.to_be_bytes()).await.expect("goes");
    tokio::io::AsyncWriteExt::flush(&mut stream).await.expect("goes");
    assert!(receive::<Verdict>(&mut stream).await.is_err());
}

#[tokio::test]
async fn a_member_renews_with_the_certificate_it_has() {
    let scm = Scm::start(token());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = Endpoint(listener.local_addr().expect("bound").to_string());
    let (tls, server) = (scm.tls.clone(), Arc::clone(&scm.server));
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.expect("accepts");
        let Ok(Accepted::Member { peer, stream, .. }) = tls.accept(tcp).await else { panic!("not a member") };
        server.renew(stream, &peer).await;
    });
    let short = Duration::from_secs(600);
    let before = scm.authority.ca.issue(PeerRole::Om, &name("om1"), now(), short).expect("signed");
    let (node, ends) = (before.node().clone(), before.expires());
    let member = Tls::new(before).expect("configures");
    let renewed = renew(&[address], &member).await.expect("renewed");
    assert_eq!(renewed.node(), &node);
    assert!(renewed.expires() > ends);
    member.replace(renewed).expect("configures");
}

#[tokio::test]
async fn a_newcomer_finds_the_address_that_answers_among_those_that_do_not() {
    let scm = Scm::start(token());
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let dead = Endpoint(silent.local_addr().expect("bound").to_string());
    drop(silent);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let alive = Endpoint(listener.local_addr().expect("bound").to_string());
    let (tls, server) = (scm.tls.clone(), Arc::clone(&scm.server));
    tokio::spawn(async move {
        let (tcp, from) = listener.accept().await.expect("accepts");
        let Ok(Accepted::Stranger(stream)) = tls.accept(tcp).await else { panic!("not a stranger") };
        server.enroll(stream, from.ip()).await;
    });
    let identity = client(&[dead, alive], &token(), PeerRole::Gateway, &name("g1"), Duration::from_secs(10)).await;
    assert_eq!(identity.expect("enrolled").node().to_string(), "gateway/g1");
}
