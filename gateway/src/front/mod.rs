//! The listener: connections under limits, and an orderly end.

mod connections;
mod counted;
mod idle;
mod socket;
mod traffic;
mod watched;

use std::net::SocketAddr;
use std::sync::Arc;

use datanode_api::{BlockAccess, BlockClient};
use gateway_core::proxies::Peer;
use gateway_core::request::Addressing;
use http::{Request, Response};
use hyper::body::Incoming;
use om_api::Om;
use runtime::{Clock, Entropy, Shutdown};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::rustls::ServerConfig;
use tracing::{info, warn};

use crate::access_log::{AccessLogs, deliver_until};
use crate::audit::{AuditLog, AuditSink};
use crate::authenticator::Authenticator;
use crate::config::Config;
use crate::context::Shared;
use crate::data::{UploadCache, UploadMemory};
use crate::iam::IamEndpoint;
use crate::moves;
use crate::service::{self, Door};

pub(crate) use connections::MAX_HEADERS;
pub use connections::{Answers, Limits, Refusal, serve};
pub(crate) use counted::CountedBody;
pub(crate) use traffic::{DoublyFramed, MAX_HEAD_BYTES};

/// S3's front door. Holds nothing that a restart would miss.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    shutdown: Shutdown,
    website: Option<TcpListener>,
    tls: Option<Arc<ServerConfig>>,
}

impl Gateway {
    /// A gateway whose audit goes to standard output. The configuration must be valid.
    pub fn new(
        config: Config,
        om: Arc<dyn Om>,
        datanodes: Arc<dyn BlockAccess>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        shutdown: Shutdown,
    ) -> Self {
        let audit: Arc<dyn AuditSink> = match AuditLog::stdout() {
            Ok(audit) => Arc::new(audit),
            Err(error) => {
                warn!(%error, "no thread for the audit; its lines go to the log");
                Arc::new(LogAudit)
            }
        };
        Self::with_audit(config, om, datanodes, clock, entropy, shutdown, audit)
    }

    pub fn with_audit(
        config: Config,
        om: Arc<dyn Om>,
        datanodes: Arc<dyn BlockAccess>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        shutdown: Shutdown,
        audit: Arc<dyn AuditSink>,
    ) -> Self {
        let authenticator = Arc::new(Authenticator::new(&config, Arc::clone(&om), Arc::clone(&clock)));
        let iam = IamEndpoint::new(Arc::clone(&om), Arc::clone(&authenticator));
        let shared = Shared {
            iam,
            blocks: BlockClient::new(datanodes, config.blocks.clone()),
            addressing: Addressing::new(&config.domains),
            website_domains: Addressing::new(&config.website_domains),
            upload_memory: UploadMemory::new(&config),
            uploads: UploadCache::default(),
            host_id: format!("{:032x}", entropy.u128()),
            om,
            clock,
            entropy,
            authenticator,
            audit,
            access_logs: Arc::new(AccessLogs::new(config.access_logs.clone())),
            config,
        };
        Self { shared: Arc::new(shared), shutdown, website: None, tls: None }
    }

    /// Serves buckets as websites there as well.
    #[must_use]
    pub fn with_website(self, listener: TcpListener) -> Self {
        Self { website: Some(listener), ..self }
    }

    /// Speaks TLS alone on S3's listener.
    #[must_use]
    pub fn with_tls(self, tls: Arc<ServerConfig>) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// For other listeners of this process that serve IAM, too.
    pub fn iam(&self) -> IamEndpoint {
        self.shared.iam.clone()
    }

    /// For other listeners of this process that verify the same signatures.
    pub fn authenticator(&self) -> Arc<Authenticator> {
        Arc::clone(&self.shared.authenticator)
    }

    /// Accepts until shutdown starts, then lets requests under way end, at most for the drain timeout.
    ///
    /// The work is a task of the shutdown's: whoever drops this future finds it among those that [`Shutdown::drained`] waits
    /// for, and no request is cut off.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        let shutdown = self.shutdown.clone();
        shutdown.spawn(self.run(listener)).await.unwrap_or_else(|ended| Err(std::io::Error::other(ended)))
    }

    async fn run(self, listener: TcpListener) -> std::io::Result<()> {
        let config = &self.shared.config;
        let limits = Limits {
            connections: config.max_connections,
            header_timeout: config.header_timeout,
            idle_timeout: config.idle_timeout,
            drain_timeout: config.drain_timeout,
        };
        let (ended, end) = oneshot::channel::<()>();
        let delivery = tokio::spawn(deliver_until(Arc::clone(&self.shared), async { drop(end.await) }));
        self.shutdown.spawn_until(moves::run(Arc::clone(&self.shared)));
        let visitors = async {
            if let Some(listener) = self.website {
                connections::serve(listener, None, limits, &self.shutdown, Arc::new(Website(Arc::clone(&self.shared)))).await;
            }
        };
        let s3 = connections::serve(listener, self.tls, limits, &self.shutdown, Arc::new(S3(Arc::clone(&self.shared))));
        tokio::join!(s3, visitors);
        // Nobody adds to the logs any more.
        drop(ended);
        let _ = delivery.await;
        let audit = Arc::clone(&self.shared.audit);
        // It waits for a thread, which ours must not.
        let _ = tokio::task::spawn_blocking(move || audit.flush()).await;
        Ok(())
    }
}

struct S3(Arc<Shared>);

impl Answers for S3 {
    const GAUGE: &'static str = "gateway_connections";

    type Body = CountedBody;

    async fn answer(&self, peer: Peer, request: Request<Incoming>) -> Response<CountedBody> {
        service::handle(Door::S3, Arc::clone(&self.0), peer, request).await
    }

    fn refuse(&self, remote: SocketAddr, refusal: Refusal<'_>) -> Option<Vec<u8>> {
        Some(service::refuse(&self.0, remote, refusal))
    }
}

struct Website(Arc<Shared>);

impl Answers for Website {
    const GAUGE: &'static str = "gateway_website_connections";

    type Body = CountedBody;

    async fn answer(&self, peer: Peer, request: Request<Incoming>) -> Response<CountedBody> {
        service::handle(Door::Website, Arc::clone(&self.0), peer, request).await
    }

    fn refuse(&self, remote: SocketAddr, refusal: Refusal<'_>) -> Option<Vec<u8>> {
        Some(service::refuse(&self.0, remote, refusal))
    }
}

/// The audit's last resort.
#[derive(Debug)]
struct LogAudit;

impl AuditSink for LogAudit {
    fn record(&self, line: String) {
        info!(target: "audit", "{line}");
    }
}
