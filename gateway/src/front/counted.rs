//! An answer's body that counts itself, and writes the request's audit line and metrics when it is over.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::access_log::Entry;
use crate::audit::{AuditRecord, AuditSink};
use crate::reply::ReplyBody;

pub(crate) struct CountedBody {
    body: ReplyBody,
    record: AuditRecord,
    /// Of a request that goes into an access log.
    entry: Option<Box<Entry>>,
    began: Instant,
    audit: Arc<dyn AuditSink>,
}

impl CountedBody {
    pub(crate) fn new(
        body: ReplyBody,
        record: AuditRecord,
        entry: Option<Box<Entry>>,
        began: Instant,
        audit: Arc<dyn AuditSink>,
    ) -> Self {
        Self { body, record, entry, began, audit }
    }
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            this.record.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for CountedBody {
    fn drop(&mut self) {
        let spent = self.began.elapsed();
        let record = &mut self.record;
        // Of a HEAD nobody asks for the body.
        record.aborted = !self.body.is_end_stream() && record.method != "HEAD";
        record.milliseconds = u64::try_from(spent.as_millis()).unwrap_or(u64::MAX);
        // Names that clients make up are no labels.
        let operation = match record.operation {
            Some(Cow::Borrowed(name)) => name,
            Some(Cow::Owned(_)) => "IAM",
            None => "none",
        };
        let outcome = record.error.unwrap_or("ok");
        metrics::counter!("gateway_requests_total", "operation" => operation, "outcome" => outcome).increment(1);
        metrics::histogram!("gateway_request_seconds", "operation" => operation).record(spent.as_secs_f64());
        if let Some(entry) = self.entry.take() {
            entry.finish(record.bytes_out);
        }
        self.audit.record(record.to_line());
    }
}

impl std::fmt::Debug for CountedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CountedBody({:?})", self.body)
    }
}
