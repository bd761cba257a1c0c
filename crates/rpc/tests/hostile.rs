//! Members that have lost their mind: a certificate and any bytes.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::*;
use pki::{PeerRole, Protocol};
use rpc::{CallFault, Limits, NotApplied};
use runtime::{Entropy, SeededEntropy};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use types::Endpoint;

/// A good hello, as version one writes it.
const HELLO: &[u8] = &[0, 0, 0, 9, 1, 0x83, 1, 1, 0x1a, 1, 0, 0, 0];

async fn ends(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut rest)).await;
    // A reset is an end, too.
    let _ = ended.expect("in time");
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    // The other end may have hung up already.
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_sends_nonsense_loses_its_connection_and_nobody_else_notices() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let caller = cluster.caller(&om.endpoint);
    let mad = cluster.tls(PeerRole::Gateway, "mad");
    let nonsense: [&[u8]; 10] = [
        &[0xff; 64],                                  // 4 GiB announced
        &[0, 0, 0, 0],                                // a frame of nothing
        &[0, 0, 0, 1, 2],                             // a request without fields
        &[0, 0, 0, 1, 9],                             // an unknown kind
        &[0, 0, 0, 9, 5, 0, 0, 0, 0, 0, 0, 0, 1],     // a pong nobody asked for
        &[0, 0, 0, 10, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0], // a reply
        &[0, 0, 0, 10, 3, 0, 0, 0, 0, 0, 0, 0, 1, 9], // a reply of unknown status
        HELLO,                                        // a second hello
        &[0, 0, 0, 3, 1, 0x9f, 0xff],                 // a broken hello
        &[0, 0, 0, 4, 4, 1, 2, 3],                    // a short ping
    ];
    for greeted in [true, false] {
        for bytes in nonsense {
            if !greeted && bytes == HELLO {
                continue;
            }
            let tcp = TcpStream::connect(&om.endpoint.0).await.expect("connects");
            let (mut stream, _) = mad.connect(tcp, Protocol::Rpc, None).await.expect("a member");
            if greeted {
                send(&mut stream, HELLO).await;
            }
            send(&mut stream, bytes).await;
            ends(&mut stream).await;
        }
    }
    assert_eq!(caller.call(method(ECHO), soon(1), "on".into()).await, done("on"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_behind_a_good_greeting_never_stop_a_server() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let mad = cluster.tls(PeerRole::Gateway, "mad");
    let dice = SeededEntropy::new(97);
    for _ in 0..200 {
        let tcp = TcpStream::connect(&om.endpoint.0).await.expect("connects");
        let (mut stream, _) = mad.connect(tcp, Protocol::Rpc, None).await.expect("a member");
        let mut bytes = vec![0; (dice.u64() % 400) as usize];
        dice.fill(&mut bytes);
        // Half of them with a plausible length and kind, to get past the first look.
        if bytes.len() > 40 && dice.u64().is_multiple_of(2) {
            bytes[..5].copy_from_slice(&[0, 0, 0, 36, (dice.u64() % 6) as u8]);
        }
        send(&mut stream, HELLO).await;
        send(&mut stream, &bytes).await;
        let _ = stream.shutdown().await;
        ends(&mut stream).await;
    }
    let outcome = cluster.caller(&om.endpoint).call(method(ECHO), soon(1), "on".into()).await;
    assert_eq!(outcome, done("on"));
}

#[tokio::test]
async fn a_caller_survives_a_service_that_answers_nonsense() {
    let cluster = Cluster::new();
    let mad = cluster.tls(PeerRole::Om, "mad");
    let answers: [&[u8]; 5] = [
        &[0xff; 64],
        &[0, 0, 0, 1, 2],
        &[0, 0, 0, 10, 3, 0, 0, 0, 0, 0, 0, 0, 0, 77],
        &[0, 0, 0, 9, 4, 0, 0, 0, 0, 0, 0, 0, 1],
        b"",
    ];
    for answer in answers {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let endpoint = Endpoint(listener.local_addr().expect("bound").to_string());
        let tls = mad.clone();
        tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.expect("accepts");
            let Ok(pki::Accepted::Member { mut stream, .. }) = tls.accept(tcp).await else { panic!("not a member") };
            send(&mut stream, HELLO).await;
            // The greeting and the request.
            let mut heard = vec![0; 13 + 35];
            stream.read_exact(&mut heard).await.expect("comes");
            send(&mut stream, answer).await;
            let _ = stream.shutdown().await;
        });
        let outcome = cluster.caller(&endpoint).call(method(ECHO), soon(1), Bytes::new()).await;
        assert!(matches!(outcome, Err(CallFault::Unknown(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_version_that_is_not_ours_is_told_apart_before_any_call() {
    let cluster = Cluster::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let endpoint = Endpoint(listener.local_addr().expect("bound").to_string());
    let tls = cluster.tls(PeerRole::Om, "future");
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.expect("accepts");
        let Ok(pki::Accepted::Member { mut stream, .. }) = tls.accept(tcp).await else { panic!("not a member") };
        send(&mut stream, &[0, 0, 0, 6, 1, 0x83, 7, 9, 0x18, 99]).await;
        ends(&mut stream).await;
    });
    let outcome = cluster.caller(&endpoint).call(method(ECHO), soon(1), Bytes::new()).await;
    let Err(CallFault::NotApplied(NotApplied::Unreachable(why))) = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("no protocol version in common"), "{why}");
}
