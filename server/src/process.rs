//! The life of a process: telemetry, the runtime, the work, and a clean end on SIGTERM or SIGINT.

use std::error::Error;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use runtime::{Clock, Entropy, Shutdown, SystemClock, SystemEntropy};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use crate::config::Config;
use crate::telemetry;

/// What every composition is given.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) shutdown: Shutdown,
}

pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// Requests under way get so long to end once a stop was asked for.
const DRAIN: Duration = Duration::from_secs(20);

/// Runs a composition until it fails or is asked to stop.
pub(crate) fn run<F, Fut>(config: Config, work: F) -> ExitCode
where
    F: FnOnce(Config, Parts) -> Fut,
    Fut: Future<Output = Result<(), Failed>>,
{
    let metrics = match telemetry::start(&config.log) {
        Ok(metrics) => metrics,
        Err(error) => {
            eprintln!("trioxide: {error}");
            return ExitCode::from(2);
        }
    };
    block_on(async move {
        let parts =
            Parts { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy), metrics, shutdown: Shutdown::default() };
        let shutdown = parts.shutdown.clone();
        let stopper = shutdown.clone();
        tokio::spawn(async move {
            stop_asked_for().await;
            info!("stopping");
            stopper.start();
        });
        tokio::spawn(telemetry::fold_samples(parts.metrics.clone()));
        let outcome = work(config, parts).await;
        shutdown.start();
        if !shutdown.drained(DRAIN).await {
            warn!("some work did not end in time");
        }
        match outcome {
            Ok(()) => {
                info!("stopped");
                ExitCode::SUCCESS
            }
            Err(error) => {
                error!(%error, "stopped by a fault");
                eprintln!("trioxide: {}", chain(error.as_ref()));
                ExitCode::FAILURE
            }
        }
    })
}

pub(crate) fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            // What still runs is cut off: everything acknowledged is durable already.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("trioxide: starting the runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn stop_asked_for() {
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    match (terminate, interrupt) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

/// The error and what is below it, on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(source) = below {
        let source_text = source.to_string();
        if !text.contains(&source_text) {
            text.push_str(": ");
            text.push_str(&source_text);
        }
        below = source.source();
    }
    text
}
