//! One line of JSON for every request, when its answer has gone out or broken off.
//!
//! A line names who asked, for what, and what came of it. It never holds a query (presigned signatures stand there), a
//! header's value but the user agent's, or anything of a body; JSON escapes what a name may contain.

use std::borrow::Cow;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use tracing::error;

/// Takes finished lines, without the line's end. Must not block.
pub trait AuditSink: Send + Sync + fmt::Debug {
    fn record(&self, line: String);

    /// Waits until what was recorded has been written, at most for a moment: the process is about to end.
    fn flush(&self) {}
}

/// Lines that may wait to be written: a few seconds of a fully loaded gateway.
const WAITING: usize = 65_536;
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// Standard output or a file, written by a thread of its own, so that a reader that stands still does not stop requests. When
/// it stands still for too long lines are dropped and counted (`gateway_audit_lines_dropped_total`).
#[derive(Debug)]
pub struct AuditLog(SyncSender<Entry>);

enum Entry {
    Line(String),
    /// Tells when all before it is written.
    Flush(Sender<()>),
}

impl AuditLog {
    pub fn stdout() -> io::Result<Self> {
        Self::start(Box::new(io::stdout()))
    }

    /// Adds to the file, which only its owner may read: it tells who did what.
    pub fn file(path: &Path) -> io::Result<Self> {
        Self::start(Box::new(OpenOptions::new().append(true).create(true).mode(0o600).open(path)?))
    }

    fn start(out: Box<dyn Write + Send>) -> io::Result<Self> {
        let (entries, waiting) = sync_channel(WAITING);
        thread::Builder::new().name("audit".to_owned()).spawn(move || {
            if let Err(error) = write_all(BufWriter::with_capacity(64 * 1024, out), &waiting) {
                error!(%error, "the audit cannot be written; no more lines will be");
            }
        })?;
        Ok(Self(entries))
    }
}

impl AuditSink for AuditLog {
    fn record(&self, line: String) {
        match self.0.try_send(Entry::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                metrics::counter!("gateway_audit_lines_dropped_total").increment(1);
            }
        }
    }

    fn flush(&self) {
        let (done, written) = channel();
        if self.0.send(Entry::Flush(done)).is_ok() {
            // Whoever does not read our output does not hold up our end.
            let _ = written.recv_timeout(FLUSH_WITHIN);
        }
    }
}

fn write_all(mut out: BufWriter<Box<dyn Write + Send>>, waiting: &Receiver<Entry>) -> io::Result<()> {
    while let Ok(first) = waiting.recv() {
        let mut flushed = Vec::new();
        for entry in std::iter::once(first).chain(waiting.try_iter()) {
            match entry {
                Entry::Line(line) => writeln!(out, "{line}")?,
                Entry::Flush(done) => flushed.push(done),
            }
        }
        out.flush()?;
        for done in flushed {
            let _ = done.send(());
        }
    }
    Ok(())
}

/// No audit at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAudit;

impl AuditSink for NoAudit {
    fn record(&self, _: String) {}
}

/// What a line says.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AuditRecord {
    pub time: String,
    pub request_id: String,
    pub remote: String,
    /// Where the connection comes from, if a proxy spoke for the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    pub access_key: Option<String>,
    pub user: Option<String>,
    pub method: String,
    pub operation: Option<Cow<'static, str>>,
    pub bucket: Option<String>,
    pub key: Option<String>,
    /// Of an administrator's request, whose object stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    pub status: u16,
    pub error: Option<&'static str>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// The answer broke off before its end.
    pub aborted: bool,
    pub milliseconds: u64,
    pub user_agent: Option<String>,
}

impl AuditRecord {
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_in_the_file_once_it_is_flushed() {
        let path = std::env::temp_dir().join(format!("trioxide-audit-{}.json", std::process::id()));
        let audit = AuditLog::file(&path).expect("a file");
        for line in ["one", "two"] {
            audit.record(line.to_owned());
        }
        audit.flush();
        let text = std::fs::read_to_string(&path).expect("written");
        std::fs::remove_file(&path).expect("there");
        assert_eq!(text, "one\ntwo\n");
    }

    #[test]
    fn a_key_cannot_make_a_line_of_its_own() {
        let record = AuditRecord { key: Some("a\r\n{\"x\":1}\u{1b}[31m".into()), ..AuditRecord::default() };
        let line = record.to_line();
        assert!(!line.contains(['\r', '\n', '\u{1b}']), "{line}");
        assert!(line.contains(r#""key":"a\r\n{\"x\":1}\u001b[31m""#), "{line}");
    }
}
