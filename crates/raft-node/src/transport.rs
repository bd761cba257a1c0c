//! How members reach one another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use rpc::{CallContext, CallFault, Connect, MethodId, NotApplied, Peer, PeerRole, Reply, Service};
use types::{Endpoint, MemberId};

/// Carries the messages of Raft. It must not deliver one that was not sent, and should know its peers by certificate; beyond
/// that it may lose, delay, repeat and reorder.
#[async_trait]
pub trait RaftTransport: Send + Sync + 'static {
    async fn call(&self, to: (MemberId, &Endpoint), method: MethodId, cx: CallContext, body: Bytes) -> Result<Reply, CallFault>;
}

/// For groups of one member: there is nobody to talk to.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPeers;

#[async_trait]
impl RaftTransport for NoPeers {
    async fn call(&self, to: (MemberId, &Endpoint), _: MethodId, _: CallContext, _: Bytes) -> Result<Reply, CallFault> {
        Err(CallFault::NotApplied(NotApplied::Unreachable(format!("{} at {}: this process has no peers", to.0, to.1))))
    }
}

/// Over the process's connections to its peers.
pub struct ConnectTransport(Arc<dyn Connect>);

impl ConnectTransport {
    pub fn new(connect: Arc<dyn Connect>) -> Self {
        Self(connect)
    }
}

impl fmt::Debug for ConnectTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectTransport")
    }
}

#[async_trait]
impl RaftTransport for ConnectTransport {
    async fn call(&self, to: (MemberId, &Endpoint), method: MethodId, cx: CallContext, body: Bytes) -> Result<Reply, CallFault> {
        self.0.caller(to.1).call(method, cx, body).await
    }
}

/// A network within one process, whose links can be cut: for tests and simulations.
#[derive(Clone, Default)]
pub struct LocalNetwork(Arc<RwLock<Links>>);

#[derive(Default)]
struct Links {
    services: BTreeMap<Endpoint, Arc<dyn Service>>,
    /// Directed: a message from the first to the second is lost.
    cut: BTreeSet<(Endpoint, Endpoint)>,
}

impl fmt::Debug for LocalNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let links = self.0.read();
        f.debug_struct("LocalNetwork").field("endpoints", &links.services.keys()).field("cut", &links.cut).finish()
    }
}

impl LocalNetwork {
    /// What a process at `me` sends through, as a node of `role`.
    pub fn transport(&self, me: Endpoint, role: PeerRole) -> Arc<dyn RaftTransport> {
        Arc::new(LocalTransport { network: self.clone(), me, role })
    }

    /// From now on messages to `endpoint` reach `service`.
    pub fn attach(&self, endpoint: Endpoint, service: Arc<dyn Service>) {
        self.0.write().services.insert(endpoint, service);
    }

    pub fn detach(&self, endpoint: &Endpoint) {
        self.0.write().services.remove(endpoint);
    }

    /// Loses everything between the two, both ways, answers included.
    pub fn cut(&self, a: &Endpoint, b: &Endpoint) {
        let mut links = self.0.write();
        links.cut.insert((a.clone(), b.clone()));
        links.cut.insert((b.clone(), a.clone()));
    }

    /// Cuts one endpoint off from all others that are attached.
    pub fn isolate(&self, endpoint: &Endpoint) {
        let others: Vec<Endpoint> = self.0.read().services.keys().filter(|e| *e != endpoint).cloned().collect();
        others.iter().for_each(|other| self.cut(endpoint, other));
    }

    pub fn heal(&self) {
        self.0.write().cut.clear();
    }

    fn passes(&self, from: &Endpoint, to: &Endpoint) -> bool {
        !self.0.read().cut.contains(&(from.clone(), to.clone()))
    }
}

struct LocalTransport {
    network: LocalNetwork,
    me: Endpoint,
    role: PeerRole,
}

#[async_trait]
impl RaftTransport for LocalTransport {
    async fn call(&self, to: (MemberId, &Endpoint), method: MethodId, cx: CallContext, body: Bytes) -> Result<Reply, CallFault> {
        let unreachable = || CallFault::NotApplied(NotApplied::Unreachable(to.1.to_string()));
        if !self.network.passes(&self.me, to.1) {
            return Err(unreachable());
        }
        let service = self.network.0.read().services.get(to.1).cloned().ok_or_else(unreachable)?;
        let cx = CallContext { peer: Peer::Node { role: self.role, name: self.me.to_string() }, ..cx };
        // The other process works on even when the caller gives up.
        let answer = tokio::spawn(async move { service.handle(method.method, cx, body).await }).await;
        if !self.network.passes(to.1, &self.me) {
            return Err(CallFault::Unknown(format!("the answer of {} was lost", to.1)));
        }
        answer.unwrap_or_else(|error| Err(CallFault::Unknown(error.to_string())))
    }
}
