//! Logs and metrics of this process.

use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSection};

#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    #[error("log.level: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// Logs go to standard error, so that standard output belongs to answers and the audit.
pub(crate) fn start(log: &LogSection) -> Result<PrometheusHandle, TelemetryError> {
    let filter = EnvFilter::try_new(&log.level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
    }
    Ok(PrometheusBuilder::new().install_recorder()?)
}

/// A histogram keeps every sample until somebody asks for the metrics, which may be never.
const UPKEEP: Duration = Duration::from_secs(5);

/// Folds the samples of histograms together, so that they take room by what is measured and not by how often.
pub(crate) async fn fold_samples(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.run_upkeep();
    }
}
