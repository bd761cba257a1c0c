//! A small cluster of one authority: processes with certificates, a service to call, and a wire that can be cut.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pki::{ClusterCa, NodeName, PeerRole, Tls};
use rpc::{CallContext, CallFault, Caller, Connect, MethodId, Peer, Pool, PoolOptions, Reply, Service, Services, serve};
use runtime::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use types::{ClusterId, Endpoint, RequestId, Timestamp};

pub const SERVICE: u8 = 40;
/// Gives the request back.
pub const ECHO: u8 = 1;
/// Gives the request back once the gate opens.
pub const GATED: u8 = 2;
/// Has a bug.
pub const PANIC: u8 = 3;
/// Tells who asks.
pub const WHO: u8 = 4;
/// Answers with as many bytes as asked for.
pub const BYTES: u8 = 5;
/// Decides against it.
pub const REJECT: u8 = 6;

pub struct Cluster(ClusterCa);

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp(u64::try_from(since.as_millis()).expect("fits"))
}

impl Cluster {
    pub fn new() -> Self {
        Self(ClusterCa::generate(ClusterId::from_u128(1), now()).expect("made"))
    }

    pub fn tls(&self, role: PeerRole, name: &str) -> Tls {
        let name = NodeName::parse(name).expect("legal");
        Tls::new(self.0.issue(role, &name, now(), Duration::from_secs(3600)).expect("signed")).expect("configures")
    }

    /// A process that serves until told to stop.
    pub async fn serve(&self, role: PeerRole, limits: rpc::Limits) -> Process {
        self.serve_at("127.0.0.1:0", role, limits).await
    }

    pub async fn serve_at(&self, address: &str, role: PeerRole, limits: rpc::Limits) -> Process {
        let listener = TcpListener::bind(address).await.expect("binds");
        let endpoint = Endpoint(listener.local_addr().expect("bound").to_string());
        let service = Arc::new(Echo::default());
        let services = Services::new([Arc::clone(&service) as Arc<dyn Service>]).with_limits(limits);
        let shutdown = Shutdown::default();
        let serving = tokio::spawn(serve(listener, self.tls(role, "server"), services, shutdown.clone()));
        Process { endpoint, service, shutdown, serving }
    }

    pub fn pool(&self) -> Pool {
        self.pool_with(PoolOptions::default())
    }

    pub fn pool_with(&self, options: PoolOptions) -> Pool {
        Pool::new(self.tls(PeerRole::Gateway, "client"), options, &Shutdown::default())
    }

    pub fn caller(&self, endpoint: &Endpoint) -> Arc<dyn Caller> {
        self.pool().caller(endpoint)
    }
}

pub struct Process {
    pub endpoint: Endpoint,
    pub service: Arc<Echo>,
    pub shutdown: Shutdown,
    serving: tokio::task::JoinHandle<()>,
}

impl Process {
    pub async fn stop(self) {
        self.shutdown.start();
        self.serving.await.expect("ends");
    }
}

pub struct Echo {
    gate: Semaphore,
    seen: Mutex<HashSet<RequestId>>,
    begun: watch::Sender<usize>,
}

impl Default for Echo {
    fn default() -> Self {
        Self { gate: Semaphore::new(0), seen: Mutex::default(), begun: watch::Sender::new(0) }
    }
}

impl Echo {
    pub fn open_gate(&self, calls: usize) {
        self.gate.add_permits(calls);
    }

    pub fn saw(&self, id: RequestId) -> bool {
        self.seen.lock().contains(&id)
    }

    /// Waits until so many calls have been begun in all.
    pub async fn has_begun(&self, calls: usize) {
        let mut begun = self.begun.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(20), begun.wait_for(|begun| *begun >= calls)).await;
        waited.expect("in time").expect("still there");
    }
}

#[async_trait]
impl Service for Echo {
    fn id(&self) -> u8 {
        SERVICE
    }

    async fn handle(&self, method: u8, cx: CallContext, request: Bytes) -> Result<Reply, CallFault> {
        self.seen.lock().insert(cx.request_id);
        self.begun.send_modify(|begun| *begun += 1);
        match method {
            GATED => {
                self.gate.acquire().await.expect("open").forget();
                Ok(Reply::Done(request))
            }
            PANIC => panic!("a bug in a service"),
            WHO => match cx.peer {
                Peer::Node { role, name } => Ok(Reply::Done(format!("{role}/{name}").into())),
                Peer::Local => Ok(Reply::Done(Bytes::from_static(b"local"))),
            },
            BYTES => {
                let length = u64::from_be_bytes(request[..].try_into().expect("eight bytes"));
                Ok(Reply::Done(vec![7; length as usize].into()))
            }
            REJECT => Ok(Reply::Rejected(request)),
            _ => Ok(Reply::Done(request)),
        }
    }
}

pub fn method(method: u8) -> MethodId {
    MethodId { service: SERVICE, method }
}

pub fn cx(id: u128, timeout: Duration) -> CallContext {
    CallContext::local(RequestId::from_u128(id), timeout)
}

pub fn soon(id: u128) -> CallContext {
    cx(id, Duration::from_secs(20))
}

pub fn done(bytes: impl Into<Bytes>) -> Result<Reply, CallFault> {
    Ok(Reply::Done(bytes.into()))
}

/// A wire between a caller and a process: passes bytes on until it is frozen or cut.
pub struct Wire {
    pub endpoint: Endpoint,
    state: watch::Sender<WireState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WireState {
    Open,
    Frozen,
    Cut,
}

impl Wire {
    pub async fn to(target: &Endpoint) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let endpoint = Endpoint(listener.local_addr().expect("bound").to_string());
        let target: SocketAddr = target.0.parse().expect("an address");
        let state = watch::Sender::new(WireState::Open);
        let watching = state.subscribe();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(target).await else { continue };
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = far.into_split();
                tokio::spawn(carry(near_read, far_write, watching.clone()));
                tokio::spawn(carry(far_read, near_write, watching.clone()));
            }
        });
        Self { endpoint, state }
    }

    /// Like a stopped process behind it: takes connections, passes nothing on, closes nothing.
    pub fn freeze(&self) {
        self.state.send_replace(WireState::Frozen);
    }

    pub fn thaw(&self) {
        self.state.send_replace(WireState::Open);
    }

    /// Ends every connection, and those to come.
    pub fn cut(&self) {
        self.state.send_replace(WireState::Cut);
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut state: watch::Receiver<WireState>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let current = *state.borrow_and_update();
        match current {
            WireState::Cut => return,
            WireState::Frozen => {
                if state.changed().await.is_err() {
                    return;
                }
            }
            WireState::Open => tokio::select! {
                changed = state.changed() => if changed.is_err() { return },
                read = from.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(length) => if to.write_all(&buffer[..length]).await.is_err() { return },
                },
            },
        }
    }
}

/// How long something took.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    (work.await, start.elapsed())
}
