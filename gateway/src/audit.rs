//! One line of JSON for every request, when its answer has gone out or broken off.
//!
//! A line names who asked, for what, and what came of it. It never holds a query (presigned signatures stand there), a
//! header's value but the user agent's, or anything of a body; JSON escapes what a name may contain.

use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use serde::Serialize;
use tracing::error;

/// Takes finished lines, without the line's end. Must not block.
pub trait AuditSink: Send + Sync + fmt::Debug {
    fn record(&self, line: String);
}

/// Lines that may wait for standard output: a few seconds of a fully loaded gateway.
const WAITING: usize = 65_536;

/// Standard output, by a thread of its own, so that a reader that stands still does not stop requests. When it stands still
/// for too long lines are dropped and counted (`gateway_audit_lines_dropped_total`).
#[derive(Debug)]
pub struct StdoutAudit(SyncSender<String>);

impl StdoutAudit {
    pub fn start() -> io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING);
        thread::Builder::new().name("audit".to_owned()).spawn(move || write_all(&waiting))?;
        Ok(Self(lines))
    }
}

impl AuditSink for StdoutAudit {
    fn record(&self, line: String) {
        match self.0.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                metrics::counter!("gateway_audit_lines_dropped_total").increment(1);
            }
        }
    }
}

fn write_all(waiting: &Receiver<String>) {
    let mut out = io::BufWriter::with_capacity(64 * 1024, io::stdout());
    while let Ok(first) = waiting.recv() {
        let written = std::iter::once(first).chain(waiting.try_iter()).try_for_each(|line| writeln!(out, "{line}"));
        if let Err(error) = written.and_then(|()| out.flush()) {
            error!(%error, "the audit cannot be written; no more lines will be");
            return;
        }
    }
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct AuditRecord {
    pub(crate) time: String,
    pub(crate) request_id: String,
    pub(crate) remote: String,
    pub(crate) access_key: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) method: String,
    pub(crate) operation: Option<&'static str>,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) status: u16,
    pub(crate) error: Option<&'static str>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// The answer broke off before its end.
    pub(crate) aborted: bool,
    pub(crate) milliseconds: u64,
    pub(crate) user_agent: Option<String>,
}

impl AuditRecord {
    pub(crate) fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_make_a_line_of_its_own() {
        let record = AuditRecord { key: Some("a\r\n{\"x\":1}\u{1b}[31m".into()), ..AuditRecord::default() };
        let line = record.to_line();
        assert!(!line.contains(['\r', '\n', '\u{1b}']), "{line}");
        assert!(line.contains(r#""key":"a\r\n{\"x\":1}\u001b[31m""#), "{line}");
    }
}
