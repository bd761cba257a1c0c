//! One replica's share of a streamed block: a bounded queue in front of a `write` call.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use rpc::{CallContext, CallError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc};
use tokio::task::JoinHandle;
use types::{Replica, RequestId};

use crate::{BlockClient, BlockWritten, WriteBlock, WriteRejected};

pub(super) type WriteOutcome = Result<BlockWritten, CallError<WriteRejected>>;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) replica: Replica,
    items: mpsc::UnboundedSender<Item>,
    /// Bytes that may still be queued; closed once nobody takes them any more.
    room: Arc<Semaphore>,
    call: JoinHandle<WriteOutcome>,
    sent: u64,
}

#[derive(Debug)]
enum Item {
    Data(Bytes, OwnedSemaphorePermit),
    /// Told apart from a writer that went away: only this ends the block.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Queued,
    Full,
    Closed,
}

impl Lane {
    /// Begins the call. It runs on if the writer stops waiting for it, and fails if the lane is dropped before its end.
    pub(super) fn open(client: &BlockClient, replica: &Replica, write: WriteBlock, request: RequestId) -> Self {
        let (items, queue) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(client.config.lane_bytes));
        let data = LaneStream { queue, room: Arc::clone(&room), is_over: false }.boxed();
        let (client, to) = (client.clone(), replica.clone());
        let call = tokio::spawn(async move {
            let cx = CallContext::local(request, client.config.write_timeout);
            let outcome = client.access.write(&to, cx, write, data).await;
            match &outcome {
                Ok(_) => client.experience.worked(to.datanode),
                Err(CallError::Rejected(_)) => {}
                Err(CallError::NotApplied(_) | CallError::Unknown(_)) => client.experience.failed(to.datanode),
            }
            outcome
        });
        Self { replica: replica.clone(), items, room, call, sent: 0 }
    }

    /// All of the block's first `length` bytes are queued or sent.
    pub(super) fn keeps_up(&self, length: u64) -> bool {
        self.sent == length && !self.room.is_closed()
    }

    pub(super) fn try_send(&mut self, piece: &Bytes) -> Sent {
        match Arc::clone(&self.room).try_acquire_many_owned(piece.len() as u32) {
            Ok(permit) => self.queue(piece, permit),
            Err(TryAcquireError::NoPermits) => Sent::Full,
            Err(TryAcquireError::Closed) => Sent::Closed,
        }
    }

    pub(super) async fn send(&mut self, piece: &Bytes) -> Sent {
        match Arc::clone(&self.room).acquire_many_owned(piece.len() as u32).await {
            Ok(permit) => self.queue(piece, permit),
            Err(_) => Sent::Closed,
        }
    }

    fn queue(&mut self, piece: &Bytes, permit: OwnedSemaphorePermit) -> Sent {
        if self.items.send(Item::Data(piece.clone(), permit)).is_err() {
            return Sent::Closed;
        }
        self.sent += piece.len() as u64;
        Sent::Queued
    }

    /// Ends the block and waits for the replica's answer.
    pub(super) async fn finish(self) -> WriteOutcome {
        // If nobody listens, the call has ended already and its outcome says why.
        let _ = self.items.send(Item::End);
        self.outcome().await
    }

    /// Breaks the block off, unless the call has ended by itself, and tells why.
    pub(super) async fn outcome(self) -> WriteOutcome {
        drop(self.items);
        self.call.await.unwrap_or_else(|ended| Err(CallError::Unknown(format!("the call ended: {ended}"))))
    }
}

struct LaneStream {
    queue: mpsc::UnboundedReceiver<Item>,
    room: Arc<Semaphore>,
    is_over: bool,
}

impl Stream for LaneStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let item = ready!(self.queue.poll_recv(cx));
        if let Some(Item::Data(data, _permit)) = item {
            return Poll::Ready(Some(Ok(data)));
        }
        self.is_over = true;
        match item {
            Some(_) => Poll::Ready(None),
            None => {
                Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the block was given up by its writer"))))
            }
        }
    }
}

impl Drop for LaneStream {
    fn drop(&mut self) {
        self.room.close();
    }
}
