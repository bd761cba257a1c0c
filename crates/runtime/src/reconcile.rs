//! Background services: look at all the state, plan, do a bounded piece, report; again after a pause or a nudge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;
use tracing::{debug, error, warn};
use types::Timestamp;

use crate::{Clock, Shutdown};

/// Why a pass did not finish; the next one starts from the state as it then is.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// Not this node's turn: it does not lead.
    #[error("this node does not lead")]
    NotLeader,
    #[error("{0}")]
    Failed(String),
}

/// What a pass leaves to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// More work is waiting: go on at once.
    Again,
    /// Nothing is left until something changes or the pause is over.
    Rest,
}

/// A report of one pass and whether more is waiting.
#[derive(Debug)]
pub struct PassStatus<R> {
    pub pace: Pace,
    pub report: R,
}

#[async_trait]
pub trait Reconcile: Send + 'static {
    const NAME: &'static str;
    type Report: Serialize + Send;

    /// One bounded piece of work, planned from the state as it is now. A nudge never says what changed: after a restart there
    /// are no hints, so the path without hints is the only path.
    async fn pass(&mut self, now: Timestamp) -> Result<PassStatus<Self::Report>, PassError>;
}

/// How a service has fared, for `GET /status`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ReconcileStatus {
    pub passes: u64,
    pub failures: u64,
    pub last_pass_at_ms: u64,
    pub last_error: Option<String>,
    pub last_report: Option<serde_json::Value>,
}

/// The services of one role: starts them, nudges them, tells how they fare.
#[derive(Debug, Clone)]
pub struct Reconcilers {
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    services: Arc<Mutex<BTreeMap<String, Arc<Service>>>>,
}

#[derive(Debug, Default)]
struct Service {
    nudge: Notify,
    status: Mutex<ReconcileStatus>,
}

const BACK_OFF_MAX: Duration = Duration::from_secs(30);

impl Reconcilers {
    pub fn new(clock: Arc<dyn Clock>, shutdown: Shutdown) -> Self {
        Self { clock, shutdown, services: Arc::default() }
    }

    /// Runs `service` until shutdown, resting `pause` between passes that found nothing more to do.
    pub fn start<S: Reconcile>(&self, service: S, pause: Duration) {
        self.start_named(S::NAME.to_owned(), service, pause);
    }

    /// As one of several of its kind.
    pub fn start_named<S: Reconcile>(&self, name: String, mut service: S, pause: Duration) {
        let shared = Arc::new(Service::default());
        self.services.lock().insert(name, Arc::clone(&shared));
        let clock = Arc::clone(&self.clock);
        self.shutdown.spawn_until(async move {
            let mut failures_in_a_row: u32 = 0;
            loop {
                let now = clock.now();
                // A panic in one service must not end the process's other work; it is reported and backed off like a failure.
                let outcome = std::panic::AssertUnwindSafe(service.pass(now)).catch_unwind().await;
                let rest = shared.note::<S>(now, outcome, &mut failures_in_a_row, pause);
                if let Some(rest) = rest {
                    let _ = tokio::time::timeout(rest, shared.nudge.notified()).await;
                }
            }
        });
    }

    /// Hurries a service along; without effect if it is not running here.
    pub fn nudge(&self, name: &str) {
        if let Some(service) = self.services.lock().get(name) {
            service.nudge.notify_one();
        }
    }

    pub fn status(&self) -> BTreeMap<String, ReconcileStatus> {
        self.services.lock().iter().map(|(name, service)| (name.clone(), service.status.lock().clone())).collect()
    }
}

type PassOutcome<R> = Result<Result<PassStatus<R>, PassError>, Box<dyn std::any::Any + Send>>;

impl Service {
    /// Writes the outcome down and tells how long to rest.
    fn note<S: Reconcile>(
        &self,
        now: Timestamp,
        outcome: PassOutcome<S::Report>,
        failures_in_a_row: &mut u32,
        pause: Duration,
    ) -> Option<Duration> {
        let mut status = self.status.lock();
        status.passes += 1;
        status.last_pass_at_ms = now.0;
        let failure = match outcome {
            Ok(Ok(PassStatus { pace, report })) => {
                *failures_in_a_row = 0;
                status.last_error = None;
                status.last_report = serde_json::to_value(report).ok();
                return (pace == Pace::Rest).then_some(pause);
            }
            Ok(Err(PassError::NotLeader)) => {
                *failures_in_a_row = 0;
                debug!(service = S::NAME, "not leading, pass skipped");
                return Some(pause);
            }
            Ok(Err(error @ PassError::Failed(_))) => {
                warn!(service = S::NAME, %error, "pass failed");
                error.to_string()
            }
            Err(_) => {
                error!(service = S::NAME, "pass panicked");
                "the pass panicked".to_owned()
            }
        };
        status.failures += 1;
        status.last_error = Some(failure);
        *failures_in_a_row = failures_in_a_row.saturating_add(1);
        let back_off = Duration::from_millis(100).saturating_mul(1 << (*failures_in_a_row).min(10));
        Some(back_off.min(BACK_OFF_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemClock;
    use tokio::sync::mpsc;

    struct Counting {
        seen: mpsc::UnboundedSender<u32>,
        passes: u32,
    }

    #[async_trait]
    impl Reconcile for Counting {
        const NAME: &'static str = "counting";
        type Report = u32;
        async fn pass(&mut self, _now: Timestamp) -> Result<PassStatus<u32>, PassError> {
            self.passes += 1;
            let _ = self.seen.send(self.passes);
            match self.passes {
                1 => Ok(PassStatus { pace: Pace::Again, report: 1 }),
                2 => panic!("a bug in a background service"),
                n => Ok(PassStatus { pace: Pace::Rest, report: n }),
            }
        }
    }

    #[tokio::test]
    async fn a_service_goes_on_after_a_panic_and_runs_again_when_nudged() {
        let shutdown = Shutdown::default();
        let services = Reconcilers::new(Arc::new(SystemClock), shutdown.clone());
        let (seen, mut passes) = mpsc::unbounded_channel();
        services.start(Counting { seen, passes: 0 }, Duration::from_secs(3600));
        for expected in 1..=3 {
            assert_eq!(passes.recv().await, Some(expected));
        }
        services.nudge("counting");
        assert_eq!(passes.recv().await, Some(4));
        assert_eq!(services.status()["counting"].failures, 1);
        shutdown.start();
        assert!(shutdown.drained(Duration::from_secs(5)).await);
    }
}
