//! Connections under limits, and an orderly end: of S3's listener, and of any other that speaks HTTP to strangers.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use gateway_core::proxies::Peer;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use runtime::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tracing::{debug, info, warn};

use super::idle::IdleIo;
use super::socket::{HandshakeError, Socket};
use super::traffic::{DoublyFramed, HeldBody, MAX_HEAD_BYTES, Traffic};

/// User metadata of 2 KiB in short headers, and all that S3 has beside it.
pub(crate) const MAX_HEADERS: usize = 256;
/// When the process is out of descriptors, accepting again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener lets its peers do.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub connections: usize,
    /// A head must be whole within this time.
    pub header_timeout: Duration,
    /// A peer must take something of its answer within this time.
    pub idle_timeout: Duration,
    /// How long requests under way may take once shutdown has started.
    pub drain_timeout: Duration,
}

/// A head that hyper refused before there was a request.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// What hyper would answer, without a word.
    pub status: u16,
    pub head: &'a [u8],
    /// The head came to its end, so that its content is what was refused.
    pub is_whole: bool,
}

/// Who answers the requests of a listener.
pub trait Answers: Send + Sync + 'static {
    /// The metric that tells how many connections are open.
    const GAUGE: &'static str;

    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static;

    fn answer(&self, peer: Peer, request: Request<Incoming>) -> impl Future<Output = Response<Self::Body>> + Send;

    /// The whole answer to such a head, if hyper's own will not do.
    fn refuse(&self, remote: SocketAddr, refusal: Refusal<'_>) -> Option<Vec<u8>> {
        let _ = (remote, refusal);
        None
    }
}

/// Accepts until shutdown starts. Then connections without a request end at once, and the others after their answer, at most
/// after the drain timeout. With `tls` nobody is served without it.
pub async fn serve<A: Answers>(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
    shutdown: &Shutdown,
    answers: Arc<A>,
) {
    let most = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let slots = Arc::new(Semaphore::new(most as usize));
    let requests = Arc::new(AtomicUsize::new(0));
    let tls = tls.map(TlsAcceptor::from);
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES);
    loop {
        // Taken before accepting: beyond the cap clients wait in the kernel's queue, where they cost us nothing.
        let accepted = tokio::select! {
            () = shutdown.started() => break,
            accepted = async {
                let permit = Arc::clone(&slots).acquire_owned().await;
                (permit, listener.accept().await)
            } => accepted,
        };
        let (Ok(permit), accepted) = accepted else { break };
        match accepted {
            Ok((stream, remote)) => {
                // What a listener on both families calls an address of the older one is the same address.
                let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
                let connection = Connection {
                    server: server.clone(),
                    tls: tls.clone(),
                    handshake_timeout: limits.header_timeout,
                    idle_timeout: limits.idle_timeout,
                    answers: Arc::clone(&answers),
                    requests: Arc::clone(&requests),
                    shutdown: shutdown.clone(),
                    remote,
                    permit,
                };
                tokio::spawn(connection.run(stream));
            }
            Err(error) => {
                warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    info!(requests = requests.load(Ordering::Acquire), "no more connections are accepted");
    // All slots are free again once every connection has ended.
    if tokio::time::timeout(limits.drain_timeout, slots.acquire_many(most)).await.is_err() {
        let requests = requests.load(Ordering::Acquire);
        warn!(requests, "requests were still under way when the drain timeout was over");
    }
}

struct Connection<A> {
    server: http1::Builder,
    tls: Option<TlsAcceptor>,
    handshake_timeout: Duration,
    idle_timeout: Duration,
    answers: Arc<A>,
    /// Under way, on all connections.
    requests: Arc<AtomicUsize>,
    shutdown: Shutdown,
    remote: SocketAddr,
    permit: OwnedSemaphorePermit,
}

impl<A: Answers> Connection<A> {
    async fn run(self, stream: TcpStream) {
        let Self { server, tls, handshake_timeout, idle_timeout, answers, requests, shutdown, remote, permit } = self;
        let _open = Open::new(A::GAUGE);
        // Answers leave at once: each is written as a whole, so that Nagle's wait gains nothing.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "no nodelay");
        }
        let socket = match tls {
            None => Socket::plain(stream, idle_timeout),
            Some(tls) => tokio::select! {
                shaken = Socket::secured(stream, &tls, handshake_timeout, idle_timeout) => match shaken {
                    Ok(socket) => socket,
                    // A probe of whether somebody listens.
                    Err(HandshakeError::Silent) => return,
                    Err(error) => {
                        metrics::counter!("tls_handshakes_failed_total", "listener" => A::GAUGE.trim_end_matches("_connections")).increment(1);
                        debug!(%error, %remote, "a connection did not come to TLS");
                        return;
                    }
                },
                () = shutdown.started() => return,
            },
        };
        let peer = Peer { address: remote, tls: socket.tls() };
        let traffic = Arc::new(Traffic::default());
        let refuse = {
            let answers = Arc::clone(&answers);
            Box::new(move |refusal: Refusal<'_>| answers.refuse(remote, refusal))
        };
        let io = TokioIo::new(IdleIo::new(socket, Arc::clone(&traffic), refuse));
        let service = service_fn(|mut request: Request<Incoming>| {
            if traffic.is_doubly_framed() {
                request.extensions_mut().insert(DoublyFramed);
            }
            let (under_way, answers, requests) = (traffic.begin(), Arc::clone(&answers), Counted::one_more(&requests));
            async move {
                let answer = answers.answer(peer, request).await;
                Ok::<_, Infallible>(answer.map(|body| HeldBody { body, _request: (under_way, requests) }))
            }
        });
        let mut connection = pin!(server.serve_connection(io, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.started() => {
                connection.as_mut().graceful_shutdown();
                // hyper would go on waiting for the rest of a head that is half there.
                poll_fn(|cx| match connection.as_mut().poll(cx) {
                    Poll::Pending if traffic.is_quiet() => Poll::Ready(Ok(())),
                    polled => polled,
                })
                .await
            }
        };
        if let Err(error) = ended {
            debug!(%error, %remote, "a connection ended early");
        }
        drop(permit);
    }
}

/// A connection, as long as it takes a slot.
struct Open(metrics::Gauge);

impl Open {
    fn new(gauge: &'static str) -> Self {
        let gauge = metrics::gauge!(gauge);
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// One of the requests under way.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn one_more(requests: &Arc<AtomicUsize>) -> Self {
        requests.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(requests))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
