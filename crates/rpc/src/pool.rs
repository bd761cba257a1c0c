//! Connections to other processes, one for each, opened by the first call and again after they broke.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pki::{PeerRole, Protocol, Tls};
use runtime::{Entropy, Shutdown, SystemEntropy};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant as TokioInstant, timeout, timeout_at};
use tracing::debug;
use types::Endpoint;

use crate::connection::{Connection, ConnectionLimits};
use crate::liveness::Patience;
use crate::wire::HARD_CAP;
use crate::{CallContext, CallFault, Caller, Connect, MethodId, NotApplied, Reply};

#[derive(Debug, Clone, Copy)]
pub struct PoolOptions {
    /// From the first packet to the end of the greeting. A stopped process accepts and then says nothing.
    pub connect_timeout: Duration,
    /// The longest frame that is read, at most 64 MiB.
    pub max_frame: usize,
    /// Calls that wait for an answer at once, per endpoint; more wait for their turn.
    pub in_flight: usize,
    /// Bytes of large requests that wait to be written, per endpoint.
    pub queued_bytes: usize,
    /// A peer silent for this long is pinged…
    pub quiet: Duration,
    /// …and given up when it has not answered for this long.
    pub answer: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            max_frame: HARD_CAP,
            in_flight: 1024,
            queued_bytes: 2 * HARD_CAP,
            // Together below three seconds, so that callers of a stopped leader move on before their users do.
            quiet: Duration::from_millis(700),
            answer: Duration::from_millis(1800),
        }
    }
}

/// After a failed attempt the next one waits, at first this long and doubling…
const BACK_OFF: Duration = Duration::from_millis(50);
/// …up to this: the price of a call to a process that has just come back.
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// All connections of a process. Clones share them; they end with the shutdown given, or with the last clone and caller.
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    links: Arc<Mutex<HashMap<Endpoint, Arc<Link>>>>,
}

#[derive(Debug)]
struct Shared {
    tls: Tls,
    options: PoolOptions,
    shutdown: Shutdown,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.shutdown.start();
    }
}

impl Pool {
    pub fn new(tls: Tls, options: PoolOptions, shutdown: &Shutdown) -> Self {
        let shared = Arc::new(Shared { tls, options, shutdown: shutdown.child() });
        Self { shared, links: Arc::default() }
    }

    /// A view of this pool through which only processes of `role` are called: should another one answer at an endpoint,
    /// the call is not made.
    pub fn expecting(&self, role: PeerRole) -> Expecting {
        Expecting { pool: self.clone(), role }
    }

    fn remote(&self, endpoint: &Endpoint, role: Option<PeerRole>) -> Arc<dyn Caller> {
        let link = Arc::clone(self.links.lock().entry(endpoint.clone()).or_insert_with(|| {
            Arc::new(Link { endpoint: endpoint.clone(), shared: Arc::clone(&self.shared), state: Mutex::new(State::Idle) })
        }));
        Arc::new(Remote { link, role })
    }
}

impl Connect for Pool {
    fn caller(&self, endpoint: &Endpoint) -> Arc<dyn Caller> {
        self.remote(endpoint, None)
    }
}

/// A [`Pool`] for the processes of one role.
#[derive(Debug, Clone)]
pub struct Expecting {
    pool: Pool,
    role: PeerRole,
}

impl Connect for Expecting {
    fn caller(&self, endpoint: &Endpoint) -> Arc<dyn Caller> {
        self.pool.remote(endpoint, Some(self.role))
    }
}

/// One endpoint, for callers that expect one role there.
#[derive(Debug)]
struct Remote {
    link: Arc<Link>,
    role: Option<PeerRole>,
}

#[async_trait]
impl Caller for Remote {
    async fn call(&self, method: MethodId, cx: CallContext, request: Bytes) -> Result<Reply, CallFault> {
        let connection = self.link.connection(cx.deadline).await.map_err(CallFault::NotApplied)?;
        let found = connection.peer();
        match self.role {
            Some(wanted) if wanted != found.role => {
                let why = format!("{found} answers at {}, where the {wanted} role was expected", self.link.endpoint);
                Err(CallFault::NotApplied(NotApplied::Unreachable(why)))
            }
            _ => connection.call(method, &cx, request).await,
        }
    }
}

/// The way to one endpoint.
struct Link {
    endpoint: Endpoint,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

enum State {
    Idle,
    Connecting(Attempt),
    Up(Arc<Connection>),
    /// The last attempt failed. Callers hear so at once, until the next attempt is due.
    Resting {
        until: Instant,
        why: String,
        failures: u32,
    },
}

/// What an attempt came to, once it has.
type Attempt = watch::Receiver<Option<Result<Arc<Connection>, String>>>;

impl Link {
    async fn connection(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Connection>, NotApplied> {
        let mut attempt = {
            let mut state = self.state.lock();
            let failures = match &*state {
                State::Up(connection) if !connection.has_ended() => return Ok(Arc::clone(connection)),
                State::Resting { until, why, .. } if Instant::now() < *until => {
                    return Err(NotApplied::Unreachable(why.clone()));
                }
                State::Connecting(attempt) => Err(attempt.clone()),
                State::Resting { failures, .. } => Ok(*failures),
                State::Idle | State::Up(_) => Ok(0),
            };
            match failures {
                Err(under_way) => under_way,
                Ok(failures) => {
                    let attempt = self.start_attempt(failures);
                    *state = State::Connecting(attempt.clone());
                    attempt
                }
            }
        };
        let outcome = timeout_at(TokioInstant::from_std(deadline), attempt.wait_for(Option::is_some)).await;
        match outcome {
            Ok(Ok(outcome)) => match &*outcome {
                Some(Ok(connection)) => Ok(Arc::clone(connection)),
                Some(Err(why)) => Err(NotApplied::Unreachable(why.clone())),
                None => Err(NotApplied::Unreachable(format!("{}: not connected", self.endpoint))),
            },
            // The attempt was dropped: this process is going down.
            Ok(Err(_)) => Err(NotApplied::Unreachable(format!("{}: this process is shutting down", self.endpoint))),
            Err(_) => Err(NotApplied::Unreachable(format!("{}: still connecting at the deadline", self.endpoint))),
        }
    }

    /// In a task of its own: callers come and go, the attempt stays theirs together.
    fn start_attempt(self: &Arc<Self>, failures: u32) -> Attempt {
        let (done, attempt) = watch::channel(None);
        let link = Arc::clone(self);
        self.shared.shutdown.spawn_until(async move {
            let options = link.shared.options;
            let outcome = match timeout(options.connect_timeout, link.connect()).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("{}: no connection within {:?}", link.endpoint, options.connect_timeout)),
            };
            *link.state.lock() = match &outcome {
                Ok(connection) => State::Up(Arc::clone(connection)),
                Err(why) => {
                    debug!(%why, failures, "connecting failed");
                    let until = Instant::now() + back_off(failures, &SystemEntropy);
                    State::Resting { until, why: why.clone(), failures: failures.saturating_add(1) }
                }
            };
            done.send_replace(Some(outcome));
        });
        attempt
    }

    async fn connect(&self) -> Result<Arc<Connection>, String> {
        let Shared { tls, options, shutdown } = &*self.shared;
        let failed = |error: &dyn fmt::Display| format!("{}: {error}", self.endpoint);
        let tcp = TcpStream::connect(&self.endpoint.0).await.map_err(|error| failed(&error))?;
        tcp.set_nodelay(true).map_err(|error| failed(&error))?;
        let (stream, peer) = tls.connect(tcp, Protocol::Rpc, None).await.map_err(|error| failed(&error))?;
        let limits = ConnectionLimits {
            max_frame: options.max_frame.min(HARD_CAP),
            in_flight: options.in_flight.max(1),
            queued_bytes: options.queued_bytes.max(1024),
            patience: Patience { quiet: options.quiet, answer: options.answer },
        };
        let (connection, running) =
            Connection::open(stream, self.endpoint.clone(), peer, limits).await.map_err(|error| failed(&error))?;
        shutdown.spawn_until(running);
        Ok(connection)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Between half and all of the doubled pause: those who lost one peer together do not come back together.
fn back_off(failures: u32, entropy: &dyn Entropy) -> Duration {
    let full = BACK_OFF.saturating_mul(1 << failures.min(10)).min(BACK_OFF_MAX);
    jittered(full, entropy)
}

pub(crate) fn jittered(full: Duration, entropy: &dyn Entropy) -> Duration {
    let half = full / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).saturating_add(1);
    half + Duration::from_micros(entropy.u64() % spread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::SeededEntropy;

    #[test]
    fn pauses_between_attempts_grow_are_spread_and_end_at_a_second() {
        let entropy = SeededEntropy::new(1);
        for failures in [0, 1, 2, 3, 10, 1000] {
            let full = BACK_OFF.saturating_mul(1 << failures.min(10)).min(BACK_OFF_MAX);
            let pauses: Vec<_> = (0..50).map(|_| back_off(failures, &entropy)).collect();
            assert!(pauses.iter().all(|pause| (full / 2..=full).contains(pause)));
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
        assert!(back_off(u32::MAX, &entropy) <= BACK_OFF_MAX);
    }
}
