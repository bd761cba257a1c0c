//! The answering end: listens, lets members in, hands each request to its service.
//!
//! A request is read whole and given to a task of its own, in the order of arrival; answers go out in the order in which
//! they are ready. Who asks is what the connection's certificate says. On shutdown no new work is begun, what was begun is
//! answered, and then connections close.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use pki::{Accepted, NodeId, Protocol, Tls, enroll};
use runtime::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tracing::{debug, error, warn};

use crate::stream::{Batch, FrameReader, StreamError};
use crate::wire::{Frame, HARD_CAP, Hello, Request, reply_length};
use crate::{CallContext, CallFault, NotApplied, Peer, Reply, Service};

/// What one listener takes on at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections, those in their handshake included.
    pub connections: usize,
    /// Requests being worked on, per connection; more are told that the service is busy.
    pub in_flight: usize,
    /// The longest frame that is read, at most 64 MiB.
    pub max_frame: usize,
    /// A connection silent for this long is closed, as is one that takes no answer for this long; callers ping far more
    /// often.
    pub idle: Duration,
    /// How long a shutdown waits for answers under way.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            in_flight: 1024,
            max_frame: HARD_CAP,
            idle: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }
}

/// Replies laid out for one write, and waiting for one.
const BATCH: usize = 64;
/// The greeting follows the handshake at once, or somebody is holding a slot.
const GREETING: Duration = Duration::from_secs(10);
/// For the last bytes of a connection that ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a listener serves.
#[derive(Default)]
pub struct Services {
    by_id: HashMap<u8, Arc<dyn Service>>,
    enrolment: Option<Arc<enroll::Server>>,
    limits: Limits,
}

impl Services {
    pub fn new(services: impl IntoIterator<Item = Arc<dyn Service>>) -> Self {
        let by_id = services.into_iter().map(|service| (service.id(), service)).collect();
        Self { by_id, ..Self::default() }
    }

    /// Also takes newcomers and renewals: the SCM's part.
    #[must_use]
    pub fn with_enrolment(mut self, server: Arc<enroll::Server>) -> Self {
        self.enrolment = Some(server);
        self
    }

    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("ids", &self.by_id.keys()).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Serves until shutdown starts and what was begun by then is answered.
pub async fn serve(listener: TcpListener, tls: Tls, services: Services, shutdown: Shutdown) {
    let services = Arc::new(services);
    let slots = Arc::new(Semaphore::new(services.limits.connections));
    let connections = shutdown.child();
    loop {
        // A slot first: connections beyond the limit wait in the kernel's queue, where they cost nothing.
        let accepted = tokio::select! {
            () = shutdown.started() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((tcp, from, slot)) = accepted else {
            continue;
        };
        let (tls, services, shutdown) = (tls.clone(), Arc::clone(&services), shutdown.clone());
        connections.spawn(async move {
            welcome(tcp, from, tls, services, &shutdown).await;
            drop(slot);
        });
    }
    drop(listener);
    if !connections.drained(services.limits.drain + Duration::from_secs(1)).await {
        warn!("connections were still being answered when the shutdown gave up on them");
    }
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((tcp, from)) => Some((tcp, from, slot)),
        Err(error) => {
            // Out of file descriptors, most likely: not this listener's end, and no reason to spin.
            error!(%error, "accepting a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn welcome(tcp: TcpStream, from: SocketAddr, tls: Tls, services: Arc<Services>, shutdown: &Shutdown) {
    if let Err(error) = tcp.set_nodelay(true) {
        debug!(%from, %error, "a connection that ended at once");
        return;
    }
    let accepted = tokio::select! {
        () = shutdown.started() => return,
        accepted = tls.accept(tcp) => accepted,
    };
    match accepted {
        Ok(Accepted::Member { peer, protocol: Protocol::Rpc, stream }) => {
            let why = answer(stream, &peer, &services, shutdown).await;
            debug!(%from, %peer, %why, "connection ended");
        }
        Ok(Accepted::Member { peer, stream, .. }) => match &services.enrolment {
            Some(enrolment) => enrolment.renew(stream, &peer).await,
            None => warn!(%from, %peer, "asked for a certificate where none are signed"),
        },
        Ok(Accepted::Stranger(stream)) => match &services.enrolment {
            Some(enrolment) => enrolment.enroll(stream, from.ip()).await,
            None => warn!(%from, "asked to enrol where nobody is enrolled"),
        },
        Err(error) => {
            metrics::counter!("rpc_handshakes_refused").increment(1);
            warn!(%from, error = &error as &dyn std::error::Error, "refused a connection");
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("the peer did not greet")]
    NoGreeting,
    #[error("no protocol version in common")]
    NoCommonVersion,
    #[error("the peer sent what only services send")]
    OutOfRole,
    #[error("the peer was silent for too long")]
    Idle,
    /// In good order: all that was begun is answered.
    #[error("this process shuts down")]
    Shutdown,
    #[error("this process shuts down, with calls unanswered")]
    ShutdownInHaste,
}

/// One connection's state that reading needs.
struct Answering<'a> {
    services: &'a Arc<Services>,
    peer: Peer,
    replies: mpsc::Sender<Frame>,
    in_flight: Arc<Semaphore>,
    max_reply: usize,
}

async fn answer<IO>(io: IO, peer: &NodeId, services: &Arc<Services>, shutdown: &Shutdown) -> Ended
where
    IO: AsyncRead + AsyncWrite + Send,
{
    let (read, mut write) = tokio::io::split(io);
    let mut reader = FrameReader::new(read, services.limits.max_frame.min(HARD_CAP));
    let max_reply = match timeout(GREETING, greet(&mut reader, &mut write, services.limits.max_frame)).await {
        Ok(Ok(max_reply)) => max_reply,
        Ok(Err(ended)) => return ended,
        Err(_) => return Ended::NoGreeting,
    };
    let (replies, mut ready) = mpsc::channel(BATCH);
    let answering = Answering {
        services,
        peer: Peer::Node { role: peer.role, name: peer.name.to_string() },
        replies,
        in_flight: Arc::new(Semaphore::new(services.limits.in_flight)),
        max_reply,
    };
    let ended = {
        let mut writing = std::pin::pin!(write_replies(&mut write, &mut ready, services.limits.idle));
        let ended = tokio::select! {
            ended = answering.read(&mut reader, shutdown) => ended,
            ended = &mut writing => return ended,
        };
        // The writer ends by itself once it has written what there is to write.
        drop(answering);
        match (ended, timeout(FAREWELL, writing).await) {
            (Ended::Shutdown, Ok(Ended::Shutdown)) => Ended::Shutdown,
            (Ended::Shutdown, _) => Ended::ShutdownInHaste,
            (ended, _) => ended,
        }
    };
    let _ = timeout(FAREWELL, take_leave(&mut reader, &mut write, &ended)).await;
    ended
}

/// Lets the peer tell an end from a cut.
async fn take_leave<R, W>(reader: &mut FrameReader<R>, write: &mut W, ended: &Ended) -> Result<(), StreamError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    if !matches!(ended, Ended::Shutdown) {
        return write.shutdown().await.map_err(StreamError::from);
    }
    let mut batch = Batch::default();
    batch.push(Frame::Goodbye, Instant::now());
    batch.write(write, |_| {}).await?;
    write.shutdown().await?;
    // Closing over unread bytes would reset the connection, and the peer might lose our last words to it.
    loop {
        reader.next().await?;
    }
}

async fn greet<R, W>(reader: &mut FrameReader<R>, write: &mut W, max_frame: usize) -> Result<usize, Ended>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Frame::Hello(theirs) = reader.next().await? else {
        return Err(Ended::NoGreeting);
    };
    let ours = Hello::ours(max_frame);
    let mut batch = Batch::default();
    batch.push(Frame::Hello(ours.clone()), Instant::now());
    batch.write(write, |_| {}).await.map_err(StreamError::from)?;
    ours.common_version(&theirs).ok_or(Ended::NoCommonVersion)?;
    Ok(theirs.max_frame())
}

impl Answering<'_> {
    async fn read<R>(&self, reader: &mut FrameReader<R>, shutdown: &Shutdown) -> Ended
    where
        R: AsyncRead + Unpin,
    {
        loop {
            loop {
                match reader.take() {
                    Ok(Some(frame)) => {
                        if let Err(ended) = self.take(frame).await {
                            return ended;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => return StreamError::from(error).into(),
                }
            }
            tokio::select! {
                () = shutdown.started() => return self.drain(reader).await,
                filled = timeout(self.services.limits.idle, reader.fill()) => match filled {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return error.into(),
                    Err(_) => return Ended::Idle,
                },
            }
        }
    }

    async fn take(&self, frame: Frame) -> Result<(), Ended> {
        match frame {
            Frame::Request(request) => self.begin(request).await,
            Frame::Ping(nonce) => self.send(Frame::Pong(nonce)).await,
            Frame::Hello(_) | Frame::Reply { .. } | Frame::Pong(_) | Frame::Goodbye => return Err(Ended::OutOfRole),
        }
        Ok(())
    }

    async fn begin(&self, request: Request) {
        let Ok(permit) = Arc::clone(&self.in_flight).try_acquire_owned() else {
            return self.refuse(request.call, NotApplied::Busy).await;
        };
        let Some(service) = self.services.by_id.get(&request.method.service) else {
            let why = format!("no service {} here", request.method.service);
            return self.refuse(request.call, NotApplied::Refused(why)).await;
        };
        let (service, replies, max_reply) = (Arc::clone(service), self.replies.clone(), self.max_reply);
        let Request { call, method, request_id, deadline, body } = request;
        let cx = CallContext { request_id, deadline, peer: self.peer.clone() };
        tokio::spawn(async move {
            let handled = AssertUnwindSafe(service.handle(method.method, cx, body)).catch_unwind().await;
            let outcome = handled.unwrap_or_else(|_| {
                // One request's bug is not every request's end; what it did before is anybody's guess.
                error!(?method, %request_id, "a service panicked");
                Err(CallFault::Unknown("the service failed while it worked on this".to_owned()))
            });
            // The reader may be gone; then nobody waits.
            let _ = replies.send(Frame::Reply { call, outcome: fitting(outcome, max_reply) }).await;
            drop(permit);
        });
    }

    async fn refuse(&self, call: u64, why: NotApplied) {
        self.send(Frame::Reply { call, outcome: Err(CallFault::NotApplied(why)) }).await;
    }

    /// Waits for room: a peer that does not read its answers is not read either.
    async fn send(&self, frame: Frame) {
        let _ = self.replies.send(frame).await;
    }

    /// Begins nothing new, and says so, until what was begun is answered.
    async fn drain<R>(&self, reader: &mut FrameReader<R>) -> Ended
    where
        R: AsyncRead + Unpin,
    {
        let all = u32::try_from(self.services.limits.in_flight).unwrap_or(u32::MAX);
        let answered = async {
            // Each request under way holds a permit until its answer is with the writer.
            self.in_flight.acquire_many(all).await.is_ok()
        };
        let refuse_all = async {
            loop {
                match reader.next().await? {
                    Frame::Request(request) => {
                        let why = NotApplied::Unavailable("this process is shutting down".to_owned());
                        self.refuse(request.call, why).await;
                    }
                    Frame::Ping(nonce) => self.send(Frame::Pong(nonce)).await,
                    Frame::Hello(_) | Frame::Reply { .. } | Frame::Pong(_) | Frame::Goodbye => {
                        return Err::<(), Ended>(Ended::OutOfRole);
                    }
                }
            }
        };
        tokio::select! {
            answered = timeout(self.services.limits.drain, answered) => match answered {
                Ok(true) => Ended::Shutdown,
                Ok(false) | Err(_) => Ended::ShutdownInHaste,
            },
            Err(ended) = refuse_all => ended,
        }
    }
}

/// An answer too long for the peer was still an answer: the call happened.
fn fitting(outcome: Result<Reply, CallFault>, max_reply: usize) -> Result<Reply, CallFault> {
    match &outcome {
        Ok(Reply::Done(body) | Reply::Rejected(body)) if reply_length(body.len()) > max_reply => {
            Err(CallFault::Unknown(format!("the answer of {} bytes is longer than the caller reads", body.len())))
        }
        _ => outcome,
    }
}

async fn write_replies<W>(write: &mut W, ready: &mut mpsc::Receiver<Frame>, idle: Duration) -> Ended
where
    W: AsyncWrite + Unpin,
{
    let mut batch = Batch::default();
    let mut next = Vec::with_capacity(BATCH);
    loop {
        if ready.recv_many(&mut next, BATCH).await == 0 {
            return Ended::Shutdown;
        }
        let now = Instant::now();
        for frame in next.drain(..) {
            batch.push(frame, now);
        }
        match timeout(idle, batch.write(write, |_| {})).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return StreamError::from(error).into(),
            Err(_) => return Ended::Idle,
        }
    }
}
