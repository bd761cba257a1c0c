//! The calling side.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::{Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full, Limited, StreamBody};
use hyper::body::Incoming;
use minicbor::Decode;
use rpc::{CallContext, CallError, NotApplied};
use types::{Endpoint, Replica};

use super::Dial;
use super::pool::{Connection, Pool, RequestBody};
use super::wire::{Call, Head, Outcome, answer_to_failure};
use crate::{
    BlockAccess, BlockData, BlockPut, BlockWritten, ByteStream, ContainerAccess, ExportContainer, ExportRejected, PutBlock,
    PutContent, PutRejected, ReadBlock, ReadRejected, WriteBlock, WriteRejected,
};

/// Speaks to datanodes over kept connections. Clones share them.
#[derive(Debug, Clone)]
pub struct HttpBlocks {
    pool: Arc<Pool>,
}

/// The checksums of a block of 1 GiB are 64 KiB.
const ANSWER_MAX: usize = 1 << 20;
/// A dead host must not use up a call's whole time.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

impl HttpBlocks {
    pub fn new(dial: Arc<dyn Dial>) -> Self {
        Self { pool: Arc::new(Pool::new(dial)) }
    }

    /// Sends one request and waits for the head of its answer. A kept connection that turns out to be closed before it took the
    /// request is replaced by a fresh one, once.
    async fn exchange<R>(
        &self,
        endpoint: &Endpoint,
        cx: &CallContext,
        call: Call,
        token: Bytes,
        body: RequestBody,
    ) -> Result<(Connection, Response<Incoming>), CallError<R>> {
        let unreachable = |why: String| CallError::NotApplied(NotApplied::Unreachable(format!("{endpoint}: {why}")));
        if cx.is_over() {
            return Err(CallError::NotApplied(NotApplied::TooLate));
        }
        let head = Head { call, token, request_id: cx.request_id, timeout: cx.remaining() };
        let mut request = head.to_request(endpoint, body).map_err(|error| unreachable(error.to_string()))?;
        let deadline = tokio::time::Instant::from_std(cx.deadline);
        let mut is_retry = false;
        loop {
            let dialling =
                async { if is_retry { self.pool.fresh(endpoint).await } else { self.pool.connection(endpoint).await } };
            let mut connection = tokio::time::timeout(DIAL_TIMEOUT.min(cx.remaining()), dialling)
                .await
                .map_err(|_| unreachable("connecting took too long".to_owned()))?
                .map_err(|error| unreachable(error.to_string()))?;
            match tokio::time::timeout_at(deadline, connection.sender.try_send_request(request)).await {
                Ok(Ok(answer)) => return Ok((connection, answer)),
                Ok(Err(mut failed)) => match failed.take_message() {
                    // The connection gave the request back untouched: the other side never saw it.
                    Some(unsent) if connection.is_reused && !is_retry => {
                        is_retry = true;
                        request = unsent;
                    }
                    Some(_) => return Err(unreachable(failed.error().to_string())),
                    None => return Err(CallError::Unknown(format!("{endpoint}: {}", failed.error()))),
                },
                Err(_) => return Err(CallError::Unknown(format!("{endpoint}: no answer in time"))),
            }
        }
    }

    /// An exchange whose answer is small.
    async fn call<T, R>(
        &self,
        at: &Replica,
        cx: &CallContext,
        call: Call,
        token: Bytes,
        body: RequestBody,
    ) -> Result<T, CallError<R>>
    where
        T: for<'b> Decode<'b, ()>,
        R: for<'b> Decode<'b, ()>,
    {
        let (connection, answer) = self.exchange(&at.endpoint, cx, call, token, body).await?;
        let (outcome, body) =
            self.collect(connection, cx, answer).await.map_err(|why| CallError::Unknown(format!("{}: {why}", at.endpoint)))?;
        match outcome {
            Some(Outcome::Done) => minicbor::decode(&body)
                .map_err(|error| CallError::Unknown(format!("{}: answer does not decode: {error}", at.endpoint))),
            other => Err(answer_to_failure(other, &body)),
        }
    }

    async fn collect(
        &self,
        connection: Connection,
        cx: &CallContext,
        answer: Response<Incoming>,
    ) -> Result<(Option<Outcome>, Bytes), String> {
        let outcome = Outcome::parse(answer.headers());
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect();
        let body = tokio::time::timeout_at(tokio::time::Instant::from_std(cx.deadline), body).await;
        let body = body.map_err(|_| "no whole answer in time".to_owned())?.map_err(|error| error.to_string())?.to_bytes();
        self.pool.keep(connection);
        Ok((outcome, body))
    }

    /// An exchange whose answer is a stream of bytes.
    async fn stream<R>(
        &self,
        at: &Replica,
        cx: &CallContext,
        call: Call,
        token: Bytes,
    ) -> Result<(Option<u64>, ByteStream), CallError<R>>
    where
        R: for<'b> Decode<'b, ()>,
    {
        let (connection, answer) = self.exchange(&at.endpoint, cx, call, token, empty()).await?;
        if answer.status() == StatusCode::OK && Outcome::parse(answer.headers()) == Some(Outcome::Done) {
            let length = answer.body().size_hint().exact();
            let body = AnswerStream { body: answer.into_body(), connection: Some(connection), pool: Arc::clone(&self.pool) };
            return Ok((length, body.boxed()));
        }
        let (outcome, body) = self.collect(connection, cx, answer).await.map_err(CallError::Unknown)?;
        Err(answer_to_failure(outcome, &body))
    }
}

fn empty() -> RequestBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn full(body: Bytes) -> RequestBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// An answer's bytes; its connection is kept once they were all read.
struct AnswerStream {
    body: Incoming,
    connection: Option<Connection>,
    pool: Arc<Pool>,
}

impl Stream for AnswerStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if self.body.is_end_stream() {
                        self.give_back();
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Some(Err(error)) => {
                    self.connection = None;
                    return Poll::Ready(Some(Err(io::Error::other(error))));
                }
                None => {
                    self.give_back();
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl AnswerStream {
    fn give_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.keep(connection);
        }
    }
}

#[async_trait]
impl BlockAccess for HttpBlocks {
    async fn write(
        &self,
        at: &Replica,
        cx: CallContext,
        request: WriteBlock,
        data: ByteStream,
    ) -> Result<BlockWritten, CallError<WriteRejected>> {
        let body = StreamBody::new(data.map_ok(Frame::data)).boxed_unsync();
        let call = Call::Write { block: request.block, pipeline: request.pipeline };
        self.call(at, &cx, call, request.token, body).await
    }

    async fn put(&self, at: &Replica, cx: CallContext, request: PutBlock) -> Result<BlockPut, CallError<PutRejected>> {
        let PutBlock { block, pipeline, token, length, checksums, content } = request;
        let (call, body) = match content {
            PutContent::Inline(bytes) => (Call::PutInline { block, pipeline, length, checksums }, bytes),
            PutContent::Streamed => (Call::PutStreamed { block, pipeline, length }, checksums.to_le_bytes().into()),
        };
        self.call(at, &cx, call, token, full(body)).await
    }

    async fn read(&self, at: &Replica, cx: CallContext, request: ReadBlock) -> Result<BlockData, CallError<ReadRejected>> {
        let call = Call::Read { block: request.block, offset: request.offset, length: request.length };
        match self.stream(at, &cx, call, request.token).await? {
            (Some(length), stream) => Ok(BlockData { length, stream }),
            (None, _) => Err(CallError::Unknown(format!("{}: an answer without a length", at.endpoint))),
        }
    }
}

#[async_trait]
impl ContainerAccess for HttpBlocks {
    async fn export(
        &self,
        at: &Replica,
        cx: CallContext,
        request: ExportContainer,
    ) -> Result<ByteStream, CallError<ExportRejected>> {
        let call = Call::Export { container: request.container };
        self.stream(at, &cx, call, request.token).await.map(|(_, stream)| stream)
    }
}
