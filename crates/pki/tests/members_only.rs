//! Who gets through a listener, and who does not.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pki::{Accepted, ClusterCa, ConnectError, KeyRequest, NodeId, NodeIdentity, NodeName, PeerRole, Protocol, Tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::{ClusterId, Millis, Timestamp};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp(u64::try_from(since.as_millis()).expect("fits"))
}

fn authority(cluster: u128) -> ClusterCa {
    ClusterCa::generate(ClusterId::from_u128(cluster), now() - Millis(10 * 24 * 3_600_000)).expect("made")
}

fn member(ca: &ClusterCa, role: PeerRole, from: Timestamp, validity: Duration) -> NodeIdentity {
    ca.issue(role, &NodeName::parse("n1").expect("legal"), from, validity).expect("signed")
}

fn tls(ca: &ClusterCa, role: PeerRole) -> Tls {
    Tls::new(member(ca, role, now(), DAY)).expect("configures")
}

/// The listener's verdict, and what a client could read behind the handshake: TLS 1.3 clients learn there of a refusal.
async fn meet(server: &Tls, client: &Tls, protocol: Protocol) -> (Option<NodeId>, Result<Vec<u8>, String>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let accept = async {
        match server.accept(far).await {
            Ok(Accepted::Member { peer, mut stream, .. }) => {
                stream.write_all(b"state").await.expect("goes");
                stream.shutdown().await.expect("ends");
                Some(peer)
            }
            Ok(Accepted::Stranger(_)) => panic!("a member's protocol without a certificate"),
            Err(_) => None,
        }
    };
    let connect = async {
        let (mut stream, _) = client.connect(near, protocol, None).await.map_err(|error| error.to_string())?;
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.map_err(|error| error.to_string())?;
        Ok(heard)
    };
    tokio::join!(accept, connect)
}

#[tokio::test]
async fn members_of_one_cluster_know_each_other_by_role_and_name() {
    let ca = authority(1);
    let (peer, heard) = meet(&tls(&ca, PeerRole::Om), &tls(&ca, PeerRole::Gateway), Protocol::Rpc).await;
    assert_eq!(peer.expect("accepted").to_string(), "gateway/n1");
    assert_eq!(heard.as_deref(), Ok(&b"state"[..]));
}

#[tokio::test]
async fn another_clusters_member_is_refused_on_both_sides() {
    let (ours, theirs) = (authority(1), authority(2));
    let (peer, heard) = meet(&tls(&ours, PeerRole::Om), &tls(&theirs, PeerRole::Gateway), Protocol::Rpc).await;
    assert!(peer.is_none() && heard.is_err(), "{heard:?}");
}

#[tokio::test]
async fn a_forged_authority_with_our_clusters_id_is_refused_on_both_sides() {
    let (ours, forged) = (authority(1), authority(1));
    let (peer, heard) = meet(&tls(&ours, PeerRole::Om), &tls(&forged, PeerRole::Om), Protocol::Rpc).await;
    assert!(peer.is_none() && heard.is_err(), "{heard:?}");
}

#[tokio::test]
async fn an_expired_or_future_certificate_is_refused_by_a_server_and_by_a_client() {
    let ca = authority(1);
    let expired = member(&ca, PeerRole::Gateway, now() - Millis(2 * 24 * 3_600_000), DAY);
    let future = member(&ca, PeerRole::Gateway, now() + Millis(2 * 24 * 3_600_000), DAY);
    for bad in [expired, future] {
        let bad = Tls::new(bad).expect("configures");
        let (peer, heard) = meet(&tls(&ca, PeerRole::Om), &bad, Protocol::Rpc).await;
        assert!(peer.is_none() && heard.is_err(), "as a client: {heard:?}");
        let (peer, heard) = meet(&bad, &tls(&ca, PeerRole::Om), Protocol::Rpc).await;
        assert!(peer.is_none() && heard.is_err(), "as a server: {heard:?}");
    }
}

#[tokio::test]
async fn a_client_that_wants_a_role_gets_that_role_or_no_connection() {
    let ca = authority(1);
    let (server, client) = (tls(&ca, PeerRole::Gateway), tls(&ca, PeerRole::Om));
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (_, connected) = tokio::join!(server.accept(far), client.connect(near, Protocol::Rpc, Some(PeerRole::Scm)));
    assert!(matches!(connected, Err(ConnectError::WrongRole { wanted: PeerRole::Scm, .. })), "{connected:?}");
}

#[tokio::test]
async fn a_listener_for_block_bytes_takes_no_calls_and_the_reverse() {
    let ca = authority(1);
    let (server, client) = (tls(&ca, PeerRole::Datanode), tls(&ca, PeerRole::Gateway));
    for (accepts_data, protocol) in [(true, Protocol::Rpc), (false, Protocol::Data), (true, Protocol::Renew)] {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let accept = async {
            match accepts_data {
                true => server.accept_data(far).await.is_ok(),
                false => server.accept(far).await.is_ok(),
            }
        };
        let (accepted, connected) = tokio::join!(accept, client.connect(near, protocol, None));
        assert!(!accepted && connected.is_err(), "{protocol:?}");
    }
}

#[tokio::test]
async fn plain_tcp_and_noise_end_with_an_error_and_no_answer_but_an_alert() {
    let server = tls(&authority(1), PeerRole::Om);
    let noises: [&[u8]; 4] = [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"\0\0\0\x10hello, this is it", &[0xff; 600], b""];
    for noise in noises {
        let (mut near, far) = tokio::io::duplex(64 * 1024);
        near.write_all(noise).await.expect("goes");
        near.shutdown().await.expect("ends");
        assert!(server.accept(far).await.is_err());
        let mut heard = Vec::new();
        near.read_to_end(&mut heard).await.expect("ends");
        assert!(heard.len() <= 7, "a TLS alert at most: {heard:?}");
    }
}

#[tokio::test]
async fn without_a_certificate_only_enrolment_is_open() {
    use rustls::pki_types::ServerName;
    use std::sync::Arc;

    let ca = authority(1);
    let server = tls(&ca, PeerRole::Scm);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.identity().authority().clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    for protocol in [Protocol::Rpc, Protocol::Renew] {
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("has versions")
            .dangerous()
            .with_custom_certificate_verifier(accept_all::verifier())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        let (near, far) = tokio::io::duplex(64 * 1024);
        let name = ServerName::try_from("scm").expect("a name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let (accepted, _) = tokio::join!(server.accept(far), connector.connect(name, near));
        assert!(accepted.is_err(), "{protocol:?}");
    }
}

#[tokio::test]
async fn a_replaced_identity_is_shown_on_the_next_connection() {
    let ca = authority(1);
    let (server, client) = (tls(&ca, PeerRole::Om), tls(&ca, PeerRole::Gateway));
    let request = KeyRequest::generate().expect("made");
    let other = NodeName::parse("n2").expect("legal");
    let issued = ca.sign(request.csr(), PeerRole::Gateway, &other, now(), DAY).expect("signed");
    client.replace(request.accept(&issued).expect("fits")).expect("configures");
    let (peer, _) = meet(&server, &client, Protocol::Rpc).await;
    assert_eq!(peer.expect("accepted").to_string(), "gateway/n2");
}

mod accept_all {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};
    use std::sync::Arc;

    #[derive(Debug)]
    struct AcceptAll;

    pub(super) fn verifier() -> Arc<dyn ServerCertVerifier> {
        Arc::new(AcceptAll)
    }

    impl ServerCertVerifier for AcceptAll {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ECDSA_NISTP256_SHA256]
        }
    }
}
