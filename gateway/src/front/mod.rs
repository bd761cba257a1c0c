//! The listener: connections under limits, and an orderly end.

mod counted;
mod idle;

use std::net::SocketAddr;
use std::sync::Arc;

use datanode_api::{BlockAccess, BlockClient};
use gateway_core::request::Addressing;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use om_api::Om;
use runtime::{Clock, Entropy, Shutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};

use crate::audit::{AuditLog, AuditSink};
use crate::authenticator::Authenticator;
use crate::config::Config;
use crate::context::Shared;
use crate::data::{UploadCache, UploadMemory};
use crate::service;

pub(crate) use counted::CountedBody;
use idle::IdleIo;

/// User metadata of 2 KiB in short headers, and all that S3 has beside it.
const MAX_HEADERS: usize = 256;
/// Where hyper gives up on a head (431), well above what we then judge ourselves with an answer of S3's form.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// When the process is out of descriptors, accepting again at once would only spin.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// S3's front door. Holds nothing that a restart would miss.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    shutdown: Shutdown,
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
        let authenticator = Arc::new(Authenticator::new(
            config.region.clone(),
            Arc::clone(&om),
            config.om_timeout,
            Arc::clone(&clock),
            Arc::clone(&entropy),
        ));
        let shared = Shared {
            blocks: BlockClient::new(datanodes, config.blocks.clone()),
            addressing: Addressing::new(&config.domains),
            upload_memory: UploadMemory::new(&config),
            uploads: UploadCache::default(),
            host_id: format!("{:032x}", entropy.u128()),
            om,
            clock,
            entropy,
            authenticator,
            audit,
            config,
        };
        Self { shared: Arc::new(shared), shutdown }
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
        let connections = Arc::new(Semaphore::new(self.shared.config.max_connections.min(Semaphore::MAX_PERMITS)));
        let graceful = GracefulShutdown::new();
        let server = self.http();
        loop {
            // Taken before accepting: beyond the cap clients wait in the kernel's queue, where they cost us nothing.
            let accepted = tokio::select! {
                () = self.shutdown.started() => break,
                accepted = async {
                    let permit = Arc::clone(&connections).acquire_owned().await;
                    (permit, listener.accept().await)
                } => accepted,
            };
            let (Ok(permit), accepted) = accepted else { break };
            let (stream, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let connection = graceful.watch(self.connection(&server, stream, remote));
            tokio::spawn(async move {
                metrics::gauge!("gateway_connections").increment(1.0);
                if let Err(error) = connection.await {
                    debug!(%error, %remote, "a connection ended early");
                }
                metrics::gauge!("gateway_connections").decrement(1.0);
                drop(permit);
            });
        }
        drop(listener);
        let open = graceful.count();
        info!(open, "no more connections are accepted");
        if tokio::time::timeout(self.shared.config.drain_timeout, graceful.shutdown()).await.is_err() {
            warn!("requests were still under way when the drain timeout was over");
        }
        let audit = Arc::clone(&self.shared.audit);
        // It waits for a thread, which ours must not.
        let _ = tokio::task::spawn_blocking(move || audit.flush()).await;
        Ok(())
    }

    fn http(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.shared.config.header_timeout)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD_BYTES);
        builder
    }

    fn connection(
        &self,
        server: &http1::Builder,
        stream: TcpStream,
        remote: SocketAddr,
    ) -> http1::Connection<
        TokioIo<IdleIo>,
        impl hyper::service::HttpService<hyper::body::Incoming, ResBody = CountedBody, Error = std::convert::Infallible, Future: Send>
        + use<>,
    > {
        // Answers leave at once: each is written as a whole, so that Nagle's wait gains nothing.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "no nodelay");
        }
        let shared = Arc::clone(&self.shared);
        let io = TokioIo::new(IdleIo::new(stream, shared.config.idle_timeout));
        server.serve_connection(io, service_fn(move |request| service::handle(Arc::clone(&shared), remote, request)))
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
