//! What can end a measurement.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{0}")]
    Usage(String),
    #[error("{attempt} {}", path.display())]
    File {
        attempt: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{attempt}")]
    Io {
        attempt: String,
        #[source]
        source: io::Error,
    },
    #[error("http")]
    Http(#[from] hyper::Error),
    #[error("building a request")]
    Request(#[from] http::Error),
    #[error("{method} {path} answered {status}: {body}")]
    Status { method: http::Method, path: String, status: http::StatusCode, body: String },
    #[error("{0}")]
    Unexpected(String),
    #[error("a worker failed")]
    Worker(#[from] tokio::task::JoinError),
    #[error("writing the report")]
    Json(#[from] serde_json::Error),
    #[error("interrupted")]
    Interrupted,
}

impl BenchError {
    pub(crate) fn io(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let attempt = attempt.into();
        move |source| Self::Io { attempt, source }
    }
}
