//! Kept connections, by endpoint.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use types::Endpoint;

use super::Dial;

pub(super) type RequestBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// Idle connections kept for one endpoint.
const IDLE_MAX: usize = 64;
/// Shorter than a datanode keeps them, so that we seldom meet one that is being closed.
const IDLE_FOR: Duration = Duration::from_secs(45);

pub(super) struct Pool {
    dial: Arc<dyn Dial>,
    idle: Mutex<BTreeMap<Endpoint, Vec<Idle>>>,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// A connection in use. Given back with [`Self::keep`] after a complete exchange, closed otherwise.
pub(super) struct Connection {
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) is_reused: bool,
    endpoint: Endpoint,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    pub(super) fn new(dial: Arc<dyn Dial>) -> Self {
        Self { dial, idle: Mutex::default() }
    }

    pub(super) async fn connection(&self, endpoint: &Endpoint) -> std::io::Result<Connection> {
        match self.idle_connection(endpoint) {
            Some(sender) => Ok(Connection { sender, is_reused: true, endpoint: endpoint.clone() }),
            None => self.fresh(endpoint).await,
        }
    }

    pub(super) async fn fresh(&self, endpoint: &Endpoint) -> std::io::Result<Connection> {
        let io = self.dial.dial(endpoint).await?;
        let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(io)).await.map_err(std::io::Error::other)?;
        tokio::spawn(async move {
            // Whoever waits for an answer on it learns of its end.
            let _ = connection.await;
        });
        Ok(Connection { sender, is_reused: false, endpoint: endpoint.clone() })
    }

    pub(super) fn keep(&self, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.idle();
        let kept = idle.entry(connection.endpoint).or_default();
        if kept.len() < IDLE_MAX {
            kept.push(Idle { sender: connection.sender, since: Instant::now() });
        }
    }

    /// The one used last that is ready: the others may then grow old and go.
    fn idle_connection(&self, endpoint: &Endpoint) -> Option<SendRequest<RequestBody>> {
        let mut idle = self.idle();
        let kept = idle.get_mut(endpoint)?;
        kept.retain(|one| one.since.elapsed() < IDLE_FOR && !one.sender.is_closed());
        // One that was given back a moment ago may not have finished its turn yet.
        let ready = kept.iter_mut().rposition(|one| matches!(one.sender.ready().now_or_never(), Some(Ok(()))))?;
        Some(kept.remove(ready).sender)
    }

    fn idle(&self) -> MutexGuard<'_, BTreeMap<Endpoint, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
