//! A request's body, that must keep moving. Where it is a form, what is read of it in the end is the form's file.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use gateway_core::form::FormFile;
use gateway_core::{S3Error, S3ErrorCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout};

/// Below this over a minute of waiting a client is not slow but holding on: its memory could serve others.
const LEAST_BYTES_A_SECOND: u64 = 512;
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct RequestBody {
    body: Option<Incoming>,
    idle: Duration,
    received: u64,
    waited: Duration,
    /// The client waits for us to ask for the body.
    expects_continue: bool,
    polled: bool,
    /// When its end came.
    ended: Option<std::time::Instant>,
    /// Inside a form.
    file: Option<FormFile>,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, idle: Duration, expects_continue: bool) -> Self {
        Self {
            body: Some(body),
            idle,
            received: 0,
            waited: Duration::ZERO,
            expects_continue,
            polled: false,
            ended: None,
            file: None,
        }
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    pub(crate) fn ended(&self) -> Option<std::time::Instant> {
        self.ended
    }

    /// From here on nothing is read but a form's file.
    pub(crate) fn enter(&mut self, file: FormFile) {
        self.file = Some(file);
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, S3Error> {
        loop {
            let Some(file) = &mut self.file else { return self.next_raw().await };
            if let Some(data) = file.pull()? {
                return Ok(Some(data));
            }
            if file.is_at_end() {
                return Ok(None);
            }
            let Some(bytes) = self.next_raw().await? else {
                return self.file.as_ref().map_or(Ok(None), |file| file.finish().map(|()| None));
            };
            if let Some(file) = &mut self.file {
                file.push(bytes);
            }
        }
    }

    /// Time that we spend elsewhere is not held against the client.
    async fn next_raw(&mut self) -> Result<Option<Bytes>, S3Error> {
        loop {
            let Some(body) = &mut self.body else { return Ok(None) };
            self.polled = true;
            let asked = Instant::now();
            let frame = timeout(self.idle, body.frame()).await;
            self.waited += asked.elapsed();
            match frame {
                Err(_) => return Err(S3ErrorCode::RequestTimeout.into()),
                Ok(None) => {
                    self.body = None;
                    self.ended = Some(std::time::Instant::now());
                    return Ok(None);
                }
                // The client went away, or its framing is wrong.
                Ok(Some(Err(_))) => return Err(S3ErrorCode::IncompleteBody.into()),
                Ok(Some(Ok(frame))) => {
                    // Trailers of HTTP itself say nothing to S3.
                    let Ok(data) = frame.into_data() else { continue };
                    self.received += data.len() as u64;
                    if self.waited > PATIENCE && self.received < self.waited.as_secs() * LEAST_BYTES_A_SECOND {
                        return Err(S3ErrorCode::RequestTimeout.into());
                    }
                    return Ok(Some(data));
                }
            }
        }
    }

    /// Whether the body was read to its end.
    fn is_at_end(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    /// Whether another request can follow on the connection. Not if the client asked whether to go on and got the answer instead:
    /// aws-cli then takes the next answer's status line for a header and waits for a body that never ends. The same where there
    /// was no body to go on with, since nobody is told to go on with nothing.
    pub(crate) fn is_reusable(&self) -> bool {
        self.is_at_end() && !(self.expects_continue && self.received == 0)
    }

    /// Reads what is left, if it is known to be little, so that the connection can be used again. A client that waits for us to
    /// ask is not asked.
    pub(crate) async fn drain(&mut self, most: u64, within: Duration) {
        let left = self.body.as_ref().and_then(|body| body.size_hint().upper());
        if self.is_at_end() || (self.expects_continue && !self.polled) || left.is_none_or(|left| left > most) {
            return;
        }
        // What does not come in time ends the connection; the answer goes out either way.
        let _ = timeout(within, async { while matches!(self.next_raw().await, Ok(Some(_))) {} }).await;
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestBody after {} bytes", self.received)
    }
}
