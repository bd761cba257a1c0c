//! What the compositions share: from the configuration to each role's own settings, and the small parts between roles.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use datanode_api::Dial;
use datanode_api::http::BoxedIo;
use gateway::Gateway;
use hmac::{Hmac, KeyInit, Mac};
use om_api::Om;
use pki::{JoinToken, PeerRole, Protocol, Tls};
use raft_node::{Group, HostConfig, TableMachine, TableOptions};
use rpc::{CallContext, CallError, CallFault, NotApplied, Peer, Reply, Service};
use runtime::{Entropy, Shutdown};
use sha2::Sha256;
use tokio::net::{TcpListener, TcpStream};
use types::{Endpoint, GroupId, Replication, RequestId};

use super::formation::Roster;
use crate::admin::Readiness;
use crate::config::{AccessLogNames, Config, Kept, NotificationSection};
use crate::process::Failed;

/// Far above the pipelines, whose groups have their pipeline's number.
pub(crate) const OM_GROUP: GroupId = GroupId(1 << 62);
pub(crate) const SCM_GROUP: GroupId = GroupId((1 << 62) + 1);

/// Requests under way get so long to end.
pub(crate) const DRAIN: Duration = Duration::from_secs(15);

pub(crate) fn host_config(config: &Config, data: &Path, role: PeerRole) -> HostConfig {
    let mut host = HostConfig::new(data.join("raft"), role);
    host.compaction.log_entries = config.raft.log_entries;
    host.compaction.keep_entries = config.raft.keep_entries;
    host
}

/// The SCM's tables in `dir`, made if there are none.
pub(crate) fn open_scm_machine(dir: &Path) -> Result<Arc<TableMachine<scm::ScmCore>>, Failed> {
    crate::files::private_folder(dir)?;
    // It knows containers, not what lies in them.
    let options = TableOptions { cache_bytes: 16 << 20, ..TableOptions::default() };
    Ok(TableMachine::open(&dir.join("scm.redb"), scm::ScmCore, options)?)
}

pub(crate) fn scm_config(config: &Config, replication: Replication) -> scm::Config {
    let base = match replication {
        Replication::One => scm::Config::single_node(),
        Replication::Three => scm::Config {
            heartbeat_every: config.scm.heartbeat.0,
            stale_after: config.scm.stale_after.0,
            dead_after: config.scm.dead_after.0,
            ..scm::Config::default()
        },
    };
    let replications_of_classes = storage_classes(config, replication).into_values().collect();
    scm::Config { container_size: config.scm.container_size.0, replications_of_classes, ..base }
}

/// `own` is how all else is kept.
fn storage_classes(config: &Config, own: Replication) -> BTreeMap<String, Replication> {
    let kept = |kept: &Kept| match kept {
        Kept::Default => own,
        Kept::One => Replication::One,
        Kept::Three => Replication::Three,
    };
    config.storage_classes.iter().map(|(class, how)| (class.clone(), kept(how))).collect()
}

/// Nothing can be kept in three copies by one process.
pub(crate) fn check_classes_of_one(config: &Config) -> Result<(), Failed> {
    match config.storage_classes.iter().find(|(_, kept)| **kept == Kept::Three) {
        Some((class, _)) => {
            Err(format!("storage_classes.{class}: a single server keeps one copy: \"default\" or \"one\"").into())
        }
        None => Ok(()),
    }
}

/// `name` in a cluster; in a single process nobody reaches its endpoints.
pub(crate) fn datanode_config(config: &Config, data: &Path, name: Option<&str>) -> datanode::Config {
    let section = &config.datanode;
    let disks = match section.disks.as_slice() {
        [] => vec![data.join("blocks")],
        disks => disks.to_vec(),
    };
    let endpoint = |address: SocketAddr| match name {
        Some(_) => Endpoint(address.to_string()),
        None => Endpoint("local".to_owned()),
    };
    let (name, data, rpc) = (name.unwrap_or("local"), endpoint(section.data_addr), endpoint(section.rpc_addr));
    datanode::Config {
        rack: section.rack.clone(),
        reserve_bytes: section.reserve.map(|size| size.0),
        heartbeat_every: config.scm.heartbeat.0,
        ..datanode::Config::new(name, disks, data, rpc)
    }
}

pub(crate) fn om_config(config: &Config, replication: Replication, seal: [u8; 32]) -> Result<om::Config, Failed> {
    let notifications = config.notifications.iter().map(|(name, section)| Ok((name.clone(), destination(name, section)?)));
    Ok(om::Config {
        notifications: notifications.collect::<Result<_, Failed>>()?,
        block_size: config.om.block_size.0,
        session_lifetime: config.om.session_lifetime.0,
        reclaim_after: config.om.delete_grace.0,
        default_kms_key: config.kms.default_key.clone(),
        oidc: om::OidcConfig { issuers: config.oidc.issuers.clone(), authorities: config.oidc.ca_files.clone() },
        storage_classes: storage_classes(config, replication),
        lifecycle_every: config.om.lifecycle_every.0,
        move_small_objects: config.om.move_small_objects,
        lifecycle_day: config.om.lifecycle_day.map(|day| day.0),
        accounts_as_users: config.om.accounts_as_users,
        token_renew_interval: config.om.token_renew_interval.0,
        token_max_lifetime: config.om.token_max_lifetime.0,
        ..om::Config::new(om::MasterKey::new(seal), replication)
    })
}

fn destination(name: &str, section: &NotificationSection) -> Result<om::Destination, Failed> {
    let token = match &section.token_file {
        Some(path) => {
            let failed = |error: &dyn std::fmt::Display| format!("notifications.{name}.token_file: {}: {error}", path.display());
            let bytes = crate::files::read_secret(path).map_err(|error| failed(&error))?;
            Some(String::from_utf8(bytes).map_err(|error| failed(&error))?.trim().to_owned())
        }
        None => None,
    };
    let destination = om::Destination::new(&section.url, token, section.ca_file.clone());
    let mut destination = destination.map_err(|error| format!("notifications.{name}: {error}"))?;
    destination.timeout = section.timeout.map_or(destination.timeout, |span| span.0);
    destination.give_up_after = section.give_up_after.map_or(destination.give_up_after, |span| span.0);
    destination.max_waiting = section.max_waiting.unwrap_or(destination.max_waiting);
    Ok(destination)
}

pub(crate) fn gateway_config(config: &Config) -> Result<gateway::Config, gateway::InvalidConfig> {
    let trusted_proxies = gateway::TrustedProxies::parse(&config.gateway.trusted_proxies).ok_or(gateway::InvalidConfig {
        field: "trusted_proxies",
        why: "must be addresses or networks such as 10.0.0.0/8, and not everybody",
    })?;
    let settings = gateway::Config {
        trusted_proxies,
        region: config.gateway.region.clone(),
        accepts: if config.gateway.sigv2 { gateway::Accepts::V4AndV2 } else { gateway::Accepts::V4 },
        domains: config.gateway.domains.clone(),
        website_domains: config.gateway.website_domains.clone(),
        max_connections: config.gateway.max_connections,
        idle_timeout: config.gateway.idle_timeout.0,
        access_logs: gateway::AccessLogConfig {
            roll_after: config.gateway.access_log_roll.0,
            names: match config.gateway.access_log_names {
                AccessLogNames::S3 => gateway::OperationNames::S3,
                AccessLogNames::Rgw => gateway::OperationNames::Rgw,
            },
            ..gateway::AccessLogConfig::default()
        },
        ..gateway::Config::default()
    };
    settings.validate()?;
    Ok(settings)
}

pub(crate) fn with_doors(gateway: Gateway, website: Option<TcpListener>, tls: Option<Arc<pki::ServerConfig>>) -> Gateway {
    let gateway = website.into_iter().fold(gateway, Gateway::with_website);
    tls.into_iter().fold(gateway, Gateway::with_tls)
}

/// The listener for websites, if there is to be one.
pub(crate) async fn listen_website(config: &Config) -> Result<Option<TcpListener>, Failed> {
    match config.gateway.website_addr {
        Some(address) => listen(address).await.map(Some),
        None => Ok(None),
    }
}

/// Where each request's line goes: standard output, a file, or nowhere (`log.audit`).
pub(crate) fn audit(config: &Config) -> io::Result<Arc<dyn gateway::AuditSink>> {
    Ok(match config.log.audit.as_deref() {
        None => Arc::new(gateway::AuditLog::stdout()?),
        Some("off") => Arc::new(gateway::NoAudit),
        Some(path) => Arc::new(gateway::AuditLog::file(Path::new(path))?),
    })
}

/// The configured members of a replicated role.
#[derive(Debug)]
pub(crate) struct Members(BTreeMap<String, Endpoint>);

#[derive(Debug, thiserror::Error)]
pub(crate) enum MembersError {
    #[error("the setting `{0}.nodes` is missing: the members of the group, as name = \"host:port\"")]
    None(&'static str),
    #[error("node {0:?} is not one of {1}")]
    NotListed(String, String),
    #[error("{0} is not an address to listen on: host:port with an IP address")]
    Address(Endpoint),
}

impl Members {
    pub(crate) fn new(role: &'static str, nodes: &BTreeMap<String, String>) -> Result<Self, MembersError> {
        if nodes.is_empty() {
            return Err(MembersError::None(role));
        }
        Ok(Self(nodes.iter().map(|(name, at)| (name.clone(), Endpoint(at.clone()))).collect()))
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.0.values().cloned().collect()
    }

    pub(crate) fn roster(&self, me: &str) -> Result<Roster, MembersError> {
        let names = || self.0.keys().cloned().collect::<Vec<_>>().join(", ");
        let me = self.0.get(me).ok_or_else(|| MembersError::NotListed(me.to_owned(), names()))?;
        Ok(Roster { me: me.clone(), all: self.endpoints() })
    }
}

pub(crate) fn listen_address(endpoint: &Endpoint) -> Result<SocketAddr, MembersError> {
    endpoint.0.parse().map_err(|_| MembersError::Address(endpoint.clone()))
}

pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Failed> {
    TcpListener::bind(address).await.map_err(|error| format!("listening on {address}: {error}").into())
}

/// The key that seals S3 secrets, the same on every OM of the cluster and never in its database.
pub(crate) fn secrets_key(token: &JoinToken) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("any key length");
    mac.update(b"trioxide: sealing of s3 secrets, 1");
    mac.finalize().into_bytes().into()
}

/// A service that begins later than the listener it is reached through.
pub(crate) struct Late {
    id: u8,
    service: OnceLock<Arc<dyn Service>>,
}

impl Late {
    pub(crate) fn new(id: u8) -> Self {
        Self { id, service: OnceLock::new() }
    }

    pub(crate) fn begin(&self, service: Arc<dyn Service>) {
        assert_eq!(self.id, service.id(), "a service is reached under its own id");
        let _ = self.service.set(service);
    }
}

#[rpc::async_trait]
impl Service for Late {
    fn id(&self) -> u8 {
        self.id
    }

    async fn handle(&self, method: u8, cx: CallContext, request: Bytes) -> Result<Reply, CallFault> {
        match self.service.get() {
            Some(service) => service.handle(method, cx, request).await,
            None => Err(CallFault::NotApplied(NotApplied::Unavailable("starting".to_owned()))),
        }
    }
}

pub(crate) async fn until_leading(group: &Group, at_most: Duration) -> Result<(), Failed> {
    let mut leadership = group.leadership();
    match tokio::time::timeout(at_most, leadership.wait_for(|now| now.is_me)).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err("the Raft group has no leader".into()),
    }
}

/// Until the OM has blocks to hand out, or for so long.
pub(crate) async fn until_writable(om: &dyn Om, entropy: &dyn Entropy, at_most: Duration) {
    let give_up = Instant::now() + at_most;
    loop {
        let why = match om.overview(context(entropy), ()).await {
            Ok(overview) if overview.can_write => return,
            Ok(overview) => overview.cannot_write_because.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= give_up {
            // A full disk, say: what is stored can be read and deleted all the same.
            tracing::warn!(why, "serving, but nothing can be written yet");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn context(entropy: &dyn Entropy) -> CallContext {
    CallContext::local(RequestId::from_u128(entropy.u128()), Duration::from_secs(5))
}

/// How often a watcher looks.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// A leader that cannot confirm within this time that it is one is cut off from the others.
const CONFIRM_WITHIN: Duration = Duration::from_secs(2);

/// A member is ready while its group has a leader. One that leads itself must find a majority: cut off from it, it goes on
/// believing for a while.
pub(crate) async fn watch_group(group: Group, ready: Arc<Readiness>) {
    loop {
        ready.set(match group.leader() {
            Some(_) if group.is_leader() => group.read_barrier(Instant::now() + CONFIRM_WITHIN).await.is_ok(),
            Some(_) => true,
            None => false,
        });
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// A datanode is ready while the SCM's leader hears its heartbeats.
pub(crate) async fn watch_datanode(datanode: Arc<datanode::Datanode>, ready: Arc<Readiness>) {
    loop {
        ready.set(datanode.is_ready() && datanode.is_heard());
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// A gateway is ready while an OM leader answers it.
pub(crate) async fn watch_readiness(om: Arc<dyn Om>, ready: Arc<Readiness>, entropy: Arc<dyn Entropy>) {
    loop {
        // Nobody's buckets: a read that the leader answers, whether or not it lets nobody ask.
        let buckets = om_api::ListBuckets { by: om_api::Requester::anonymous(), prefix: String::new(), after: None, limit: 1 };
        let answer = om.list_buckets(context(entropy.as_ref()), buckets).await;
        ready.set(matches!(answer, Ok(_) | Err(CallError::Rejected(_))));
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// What stops after what: clients first, then the roles they reach, last the log below them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stages {
    pub(crate) clients: Shutdown,
    pub(crate) roles: Shutdown,
    pub(crate) log: Shutdown,
}

impl Stages {
    pub(crate) fn new(clients: Shutdown) -> Self {
        Self { clients, ..Self::default() }
    }

    pub(crate) async fn stop(&self) {
        for stage in [&self.clients, &self.roles, &self.log] {
            stage.start();
            if !stage.drained(DRAIN).await {
                tracing::warn!("some work did not end in time");
            }
        }
    }
}

/// The way to another member's data listener.
pub(crate) struct TlsDial(Tls);

impl TlsDial {
    pub(crate) fn new(tls: Tls) -> Self {
        Self(tls)
    }
}

#[rpc::async_trait]
impl Dial for TlsDial {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<BoxedIo> {
        let tcp = TcpStream::connect(&endpoint.0).await?;
        tcp.set_nodelay(true)?;
        let connected = self.0.connect(tcp, Protocol::Data, Some(PeerRole::Datanode)).await;
        let (stream, _) = connected.map_err(io::Error::other)?;
        Ok(Box::new(stream))
    }
}

/// For a process without peers.
pub(crate) struct NoDial;

#[rpc::async_trait]
impl Dial for NoDial {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<BoxedIo> {
        Err(io::Error::other(format!("{endpoint}: this process has no peers")))
    }
}

/// Lets members in at the data listener.
pub(crate) struct TlsAccept(pub(crate) Tls);

#[rpc::async_trait]
impl datanode::Accept for TlsAccept {
    async fn accept(&self, stream: TcpStream) -> io::Result<(BoxedIo, Peer)> {
        stream.set_nodelay(true)?;
        let (stream, peer) = self.0.accept_data(stream).await.map_err(io::Error::other)?;
        Ok((Box::new(stream), Peer::Node { role: peer.role, name: peer.name.to_string() }))
    }
}
