//! The data listener: [`BlockAccess`] for other processes, as `datanode_api::http` describes it.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use datanode_api::http::BoxedIo;
use datanode_api::http::wire::{Call, Head, OUTCOME, Outcome, RejectionStatus, failure_to_answer, to_cbor};
use datanode_api::{
    BlockAccess, ByteStream, ChunkChecksums, ContainerAccess, ExportContainer, INLINE_BLOCK_MAX, PutBlock, PutContent,
    PutRejected, ReadBlock, WriteBlock,
};
use futures_util::{StreamExt, TryStreamExt};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, BodyStream, Full, Limited, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use minicbor::Encode;
use rpc::{CallContext, CallError, NotApplied, Peer, PeerRole};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, warn};
use types::Replica;

use crate::Datanode;

/// Makes a connection that was accepted one that can be talked on, and tells who is at its other end.
#[async_trait]
pub trait Accept: Send + Sync + 'static {
    async fn accept(&self, stream: TcpStream) -> io::Result<(BoxedIo, Peer)>;
}

/// Without encryption, taking every caller for a part of this process: for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainAccept;

#[async_trait]
impl Accept for PlainAccept {
    async fn accept(&self, stream: TcpStream) -> io::Result<(BoxedIo, Peer)> {
        Ok((Box::new(stream), Peer::Local))
    }
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A head takes no time to send.
const HEAD_TIMEOUT: Duration = Duration::from_secs(300);
/// Nobody waits longer for anything here, whatever the head says.
const CALL_MAX: Duration = Duration::from_secs(24 * 3600);
/// The checksums of a block of 1 GiB are 64 KiB.
const PUT_BODY_MAX: usize = if INLINE_BLOCK_MAX > 1 << 20 { INLINE_BLOCK_MAX } else { 1 << 20 };
/// Time for calls under way when the listener ends.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves blocks until shutdown.
pub async fn serve(datanode: Arc<Datanode>, listener: TcpListener, accept: Arc<dyn Accept>, shutdown: runtime::Shutdown) {
    let connections = Arc::new(Semaphore::new(datanode.config().connections));
    loop {
        // The place first: at the limit, the system's queue makes callers wait.
        let Ok(place) = Arc::clone(&connections).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = shutdown.started() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: waiting lets some go.
                warn!(%error, "accepting a data connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (datanode, accept, ending) = (Arc::clone(&datanode), Arc::clone(&accept), shutdown.clone());
        shutdown.spawn(async move {
            let _place = place;
            if let Err(error) = connection(datanode, stream, &*accept, &ending).await {
                debug!(%error, "data connection ended");
            }
        });
    }
}

async fn connection(
    datanode: Arc<Datanode>,
    stream: TcpStream,
    accept: &dyn Accept,
    shutdown: &runtime::Shutdown,
) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let accepted = tokio::time::timeout(HANDSHAKE_TIMEOUT, accept.accept(stream)).await;
    let (io, peer) = accepted.map_err(|_| "the handshake took too long".to_owned())?.map_err(|error| error.to_string())?;
    let service = service_fn(move |request| {
        let (datanode, peer) = (Arc::clone(&datanode), peer.clone());
        async move { Ok::<_, Infallible>(answer(datanode, peer, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended.map_err(|error| error.to_string()),
        () = shutdown.started() => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::time::timeout(DRAIN, connection)
        .await
        .map_err(|_| "calls were under way".to_owned())?
        .map_err(|error| error.to_string())
}

async fn answer(datanode: Arc<Datanode>, peer: Peer, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if !peer.is_one_of(&[PeerRole::Gateway, PeerRole::Datanode]) {
        return refused(format!("{peer:?} may not use blocks"));
    }
    let head = match Head::parse(&parts) {
        Ok(head) => head,
        Err(error) => return refused(error.to_string()),
    };
    let deadline = Instant::now() + head.timeout.min(CALL_MAX);
    let cx = CallContext { request_id: head.request_id, deadline, peer };
    let here = here(&datanode);
    match head.call {
        Call::Write { block, pipeline } => {
            let request = WriteBlock { block, pipeline, token: head.token };
            small(datanode.write(&here, cx, request, body_stream(body)).await)
        }
        Call::PutInline { block, pipeline, length, checksums } => match whole(body).await {
            Ok(content) => {
                let content = PutContent::Inline(content);
                small(datanode.put(&here, cx, PutBlock { block, pipeline, token: head.token, length, checksums, content }).await)
            }
            Err(error) => small::<(), PutRejected>(Err(error)),
        },
        Call::PutStreamed { block, pipeline, length } => match whole(body).await {
            Ok(sums) => {
                let checksums = ChunkChecksums::from_le_bytes(&sums).unwrap_or_default();
                let content = PutContent::Streamed;
                small(datanode.put(&here, cx, PutBlock { block, pipeline, token: head.token, length, checksums, content }).await)
            }
            Err(error) => small::<(), PutRejected>(Err(error)),
        },
        Call::Read { block, offset, length } => {
            match datanode.read(&here, cx, ReadBlock { block, token: head.token, offset, length }).await {
                Ok(data) => stream(data.stream, Some(data.length)),
                Err(failure) => failed(&failure),
            }
        }
        Call::Export { container } => match datanode.export(&here, cx, ExportContainer { container, token: head.token }).await {
            Ok(copy) => stream(copy, None),
            Err(failure) => failed(&failure),
        },
    }
}

/// A call that arrived here is for here.
fn here(datanode: &Datanode) -> Replica {
    let id = datanode.identity().map_or(types::DatanodeId(0), |(_, id)| id);
    Replica { datanode: id, endpoint: datanode.config().data_endpoint.clone() }
}

fn body_stream(body: Incoming) -> ByteStream {
    let frames = TryStreamExt::map_err(BodyStream::new(body), io::Error::other);
    frames.try_filter_map(|frame| std::future::ready(Ok(frame.into_data().ok()))).boxed()
}

async fn whole<R>(body: Incoming) -> Result<Bytes, CallError<R>> {
    let collected = Limited::new(body, PUT_BODY_MAX).collect().await;
    let not_whole =
        |error: Box<dyn std::error::Error + Send + Sync>| CallError::NotApplied(NotApplied::Refused(error.to_string()));
    Ok(collected.map_err(not_whole)?.to_bytes())
}

fn small<T: Encode<()>, R: RejectionStatus + Encode<()>>(outcome: Result<T, CallError<R>>) -> Response<Body> {
    match outcome {
        Ok(reply) => response(StatusCode::OK, Outcome::Done, to_cbor(&reply)),
        Err(failure) => failed(&failure),
    }
}

fn failed<R: RejectionStatus + Encode<()>>(failure: &CallError<R>) -> Response<Body> {
    let (status, outcome, body) = failure_to_answer(failure);
    response(status, outcome, body)
}

fn refused(why: String) -> Response<Body> {
    failed::<PutRejected>(&CallError::NotApplied(NotApplied::Refused(why)))
}

fn response(status: StatusCode, outcome: Outcome, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(OUTCOME, HeaderValue::from_static(outcome.as_str()));
    response
}

fn stream(bytes: ByteStream, length: Option<u64>) -> Response<Body> {
    let mut response = Response::new(StreamBody::new(bytes.map_ok(Frame::data)).boxed_unsync());
    response.headers_mut().insert(OUTCOME, HeaderValue::from_static(Outcome::Done.as_str()));
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}
