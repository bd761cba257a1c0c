//! The calling end of one connection.
//!
//! One task reads and writes; calls come through a bounded queue and share writes. What is known of a call when its
//! connection ends is exact: until the stream has taken a request's last byte the peer cannot have read it, so it is not
//! applied; from then on it may have been, unless the peer said goodbye, and so that it began nothing that it has not
//! answered.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use pki::NodeId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant as TokioInstant, timeout, timeout_at};
use tracing::{debug, info};
use types::Endpoint;

use crate::liveness::{Liveness, Patience, Verdict};
use crate::stream::{Batch, FrameReader, StreamError};
use crate::wire::{Frame, Hello, Request, request_length};
use crate::{CallContext, CallFault, MethodId, NotApplied, Reply};

/// Requests laid out for one write.
const BATCH: usize = 64;
/// Requests longer than this wait for their share of [`ConnectionLimits::queued_bytes`].
const LARGE: usize = 64 * 1024;
/// For what a peer said before it closed.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How often silence is judged.
const TICK: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    pub(crate) max_frame: usize,
    /// Calls that wait for an answer at once.
    pub(crate) in_flight: usize,
    /// Bytes of large requests that wait to be written.
    pub(crate) queued_bytes: usize,
    pub(crate) patience: Patience,
}

#[derive(Debug)]
pub(crate) struct Connection {
    endpoint: Endpoint,
    peer: NodeId,
    max_request: usize,
    calls: Mutex<Calls>,
    next_call: AtomicU64,
    queue: mpsc::Sender<Queued>,
    in_flight: Semaphore,
    queued_kib: Arc<Semaphore>,
    queued_kib_max: u32,
    liveness: Mutex<Liveness>,
}

#[derive(Debug)]
struct Queued {
    request: Request,
    _share: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Default)]
struct Calls {
    /// Why the connection ended; no call is added after that.
    ended: Option<String>,
    waiting: HashMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    stage: Stage,
    answer: oneshot::Sender<Result<Reply, CallFault>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Whoever gives up first wins: the caller, then it is never written, or the writer.
    Queued,
    /// Being written. If the connection ends now, the peer has not got all of it.
    Begun,
    /// The stream has taken all of it.
    Handed,
}

impl Connection {
    /// Agrees with the peer on how to talk, and starts to.
    pub(crate) async fn open<IO>(
        io: IO,
        endpoint: Endpoint,
        peer: NodeId,
        limits: ConnectionLimits,
    ) -> Result<(Arc<Self>, impl Future<Output = ()> + Send + use<IO>), StreamError>
    where
        IO: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, mut write) = tokio::io::split(io);
        let mut reader = FrameReader::new(read, limits.max_frame);
        let ours = Hello::ours(limits.max_frame);
        let mut batch = Batch::default();
        batch.push(Frame::Hello(ours.clone()), Instant::now());
        batch.write(&mut write, |_| {}).await?;
        let theirs = match reader.next().await? {
            Frame::Hello(theirs) => theirs,
            _ => return Err(StreamError::Io(std::io::Error::other("the peer did not begin with a hello"))),
        };
        let version = ours
            .common_version(&theirs)
            .ok_or_else(|| StreamError::Io(std::io::Error::other("no protocol version in common")))?;
        debug!(%endpoint, %peer, ?version, "connected");

        let (queue, requests) = mpsc::channel(limits.in_flight.max(1));
        let queued_kib_max = u32::try_from(limits.queued_bytes / 1024).unwrap_or(u32::MAX);
        let connection = Arc::new(Self {
            endpoint,
            peer,
            max_request: theirs.max_frame(),
            calls: Mutex::default(),
            next_call: AtomicU64::new(0),
            queue,
            in_flight: Semaphore::new(limits.in_flight),
            queued_kib: Arc::new(Semaphore::new(queued_kib_max as usize)),
            queued_kib_max,
            liveness: Mutex::new(Liveness::new(limits.patience, Instant::now())),
        });
        let running = Arc::clone(&connection).run(reader, write, requests);
        Ok((connection, running))
    }

    pub(crate) fn peer(&self) -> &NodeId {
        &self.peer
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.calls.lock().ended.is_some()
    }

    pub(crate) async fn call(&self, method: MethodId, cx: &CallContext, body: Bytes) -> Result<Reply, CallFault> {
        let length = request_length(body.len());
        if length > self.max_request {
            let why = format!("a request of {length} bytes, {} takes {}", self.endpoint, self.max_request);
            return Err(CallFault::NotApplied(NotApplied::Refused(why)));
        }
        let deadline = TokioInstant::from_std(cx.deadline);
        let busy = || CallFault::NotApplied(NotApplied::Busy);
        let Ok(Ok(_slot)) = timeout_at(deadline, self.in_flight.acquire()).await else {
            return Err(busy());
        };
        let share = match length > LARGE {
            false => None,
            true => {
                let kib = u32::try_from(length / 1024).unwrap_or(u32::MAX).min(self.queued_kib_max);
                let share = Arc::clone(&self.queued_kib).acquire_many_owned(kib);
                Some(timeout_at(deadline, share).await.map_err(|_| busy())?.map_err(|_| self.gone())?)
            }
        };

        let (mut given_up, mut answer) = self.enter()?;
        let request = Request { call: given_up.call, method, request_id: cx.request_id, deadline: cx.deadline, body };
        // There is a place for every call in flight, but for those given up and not yet swept out by the writer.
        match timeout_at(deadline, self.queue.send(Queued { request, _share: share })).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(self.gone()),
            Err(_) => return Err(busy()),
        }
        match timeout_at(deadline, &mut answer).await {
            Ok(Ok(outcome)) => {
                given_up.over = true;
                outcome
            }
            Ok(Err(_)) => Err(given_up.now()),
            // The answer may have come in this very moment.
            Err(_) => {
                let known = given_up.now();
                answer.try_recv().unwrap_or(Err(known))
            }
        }
    }

    fn gone(&self) -> CallFault {
        CallFault::NotApplied(NotApplied::Unreachable(format!("the connection to {} ended", self.endpoint)))
    }

    /// Makes room for an answer.
    fn enter(&self) -> Result<(GivenUp<'_>, oneshot::Receiver<Result<Reply, CallFault>>), CallFault> {
        let call = self.next_call.fetch_add(1, Ordering::Relaxed);
        let (answer, receiver) = oneshot::channel();
        let mut calls = self.calls.lock();
        if let Some(why) = &calls.ended {
            return Err(CallFault::NotApplied(NotApplied::Unreachable(why.clone())));
        }
        calls.waiting.insert(call, Waiting { stage: Stage::Queued, answer });
        Ok((GivenUp { connection: self, call, over: false }, receiver))
    }

    async fn run<R, W>(self: Arc<Self>, mut reader: FrameReader<R>, mut write: W, mut requests: mpsc::Receiver<Queued>)
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        // Also when the task is dropped, nobody may wait for an answer that cannot come.
        let ended = EndOnDrop(&self);
        let (ping, pings) = mpsc::channel(1);
        let mut reading = std::pin::pin!(self.read(&mut reader, ping));
        let end = tokio::select! {
            end = &mut reading => end,
            // What the peer still had to say, a goodbye perhaps, may lie unread.
            cut = self.write(&mut write, &mut requests, pings) => match timeout(LAST_WORDS, reading).await {
                Ok(End::Goodbye) => End::Goodbye,
                Ok(End::Cut(_)) | Err(_) => End::Cut(cut),
            },
        };
        info!(endpoint = %self.endpoint, peer = %self.peer, %end, "connection ended");
        self.end(&end);
        drop(ended);
    }

    async fn read<R>(&self, reader: &mut FrameReader<R>, ping: mpsc::Sender<u64>) -> End
    where
        R: AsyncRead + Unpin + Send,
    {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut nonce = 0;
        loop {
            loop {
                match reader.take() {
                    Ok(Some(frame)) => {
                        if let Err(end) = self.take(frame) {
                            return end;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => return End::Cut(format!("the peer sent {error}")),
                }
            }
            tokio::select! {
                filled = reader.fill() => match filled {
                    Ok(()) => self.liveness.lock().heard(Instant::now()),
                    Err(error) => return End::Cut(error.to_string()),
                },
                _ = tick.tick() => match self.liveness.lock().judge(Instant::now()) {
                    Verdict::Fine => {}
                    Verdict::Ask => {
                        nonce += 1;
                        // A ping that still waits does for this one.
                        let _ = ping.try_send(nonce);
                    }
                    Verdict::Dead => return End::Cut("the peer gives no sign of life".to_owned()),
                },
            }
        }
    }

    fn take(&self, frame: Frame) -> Result<(), End> {
        match frame {
            Frame::Reply { call, outcome } => {
                // No one waits for the answer to a call that was given up.
                let waiting = self.calls.lock().waiting.remove(&call);
                if let Some(waiting) = waiting {
                    let _ = waiting.answer.send(outcome);
                }
                Ok(())
            }
            Frame::Pong(_) => Ok(()),
            Frame::Goodbye => Err(End::Goodbye),
            Frame::Hello(_) | Frame::Request(_) | Frame::Ping(_) => {
                Err(End::Cut("the peer sent what only callers send".to_owned()))
            }
        }
    }

    async fn write<W>(&self, write: &mut W, requests: &mut mpsc::Receiver<Queued>, mut pings: mpsc::Receiver<u64>) -> String
    where
        W: AsyncWrite + Unpin + Send,
    {
        let mut batch = Batch::default();
        let mut next: Vec<Queued> = Vec::with_capacity(BATCH);
        let mut begun: Vec<u64> = Vec::with_capacity(BATCH);
        loop {
            let mut pinged = false;
            tokio::select! {
                biased;
                Some(nonce) = pings.recv() => {
                    batch.push(Frame::Ping(nonce), Instant::now());
                    pinged = true;
                }
                _ = requests.recv_many(&mut next, BATCH) => self.begin(&next, &mut batch, &mut begun),
            }
            if batch.is_empty() {
                continue;
            }
            let mut handed = 0;
            let written = batch.write(write, |taken| {
                let done = begun.get(handed..taken.min(begun.len())).unwrap_or_default();
                self.mark_handed(done);
                handed = taken.min(begun.len());
                let now = Instant::now();
                let mut liveness = self.liveness.lock();
                liveness.wrote(now);
                if pinged && taken > 0 {
                    liveness.ping_sent(now);
                }
            });
            if let Err(error) = written.await {
                return error.to_string();
            }
            next.clear();
            begun.clear();
        }
    }

    /// Lays out those requests that someone still waits for.
    fn begin(&self, next: &[Queued], batch: &mut Batch, begun: &mut Vec<u64>) {
        let now = Instant::now();
        let mut calls = self.calls.lock();
        for queued in next {
            let Some(waiting) = calls.waiting.get_mut(&queued.request.call) else {
                continue;
            };
            waiting.stage = Stage::Begun;
            begun.push(queued.request.call);
            batch.push(Frame::Request(queued.request.clone()), now);
        }
    }

    fn mark_handed(&self, handed: &[u64]) {
        let mut calls = self.calls.lock();
        for call in handed {
            if let Some(waiting) = calls.waiting.get_mut(call) {
                waiting.stage = Stage::Handed;
            }
        }
    }

    /// Tells every waiting call what is known about it. The first reason stays.
    fn end(&self, end: &End) {
        let why = format!("{}: {end}", self.endpoint);
        let waiting = {
            let mut calls = self.calls.lock();
            calls.ended.get_or_insert_with(|| why.clone());
            std::mem::take(&mut calls.waiting)
        };
        self.queued_kib.close();
        for (_, Waiting { stage, answer }) in waiting {
            let _ = answer.send(Err(match (stage, end) {
                (Stage::Queued | Stage::Begun, _) | (Stage::Handed, End::Goodbye) => {
                    CallFault::NotApplied(NotApplied::Unreachable(why.clone()))
                }
                (Stage::Handed, End::Cut(_)) => CallFault::Unknown(why.clone()),
            }));
        }
    }
}

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// The peer stopped in good order.
    Goodbye,
    Cut(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Goodbye => f.write_str("the peer is shutting down"),
            Self::Cut(why) => f.write_str(why),
        }
    }
}

struct EndOnDrop<'a>(&'a Connection);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end(&End::Cut("closed by this process".to_owned()));
    }
}

/// Takes a call out of the table when its caller stops to wait, however that happens.
struct GivenUp<'a> {
    connection: &'a Connection,
    call: u64,
    over: bool,
}

impl GivenUp<'_> {
    /// What is known about the call at this moment; an answer from now on finds nobody.
    fn now(&mut self) -> CallFault {
        self.over = true;
        let waiting = self.connection.calls.lock().waiting.remove(&self.call);
        match waiting.map(|waiting| waiting.stage) {
            Some(Stage::Queued) => CallFault::NotApplied(NotApplied::TooLate),
            Some(Stage::Begun | Stage::Handed) | None => {
                CallFault::Unknown(format!("no answer from {} before the deadline", self.connection.endpoint))
            }
        }
    }
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.connection.calls.lock().waiting.remove(&self.call);
        }
    }
}
