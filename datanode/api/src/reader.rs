//! Reading an object's bytes out of its blocks, going on with another replica when one fails.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rpc::{CallContext, CallError};
use tokio::task::JoinHandle;
use types::{BlockId, BlockLocation, Replica, RequestId};

use crate::{BlockClient, ByteStream, ReadBlock};

/// A stretch of one block.
#[derive(Debug, Clone)]
pub struct Piece {
    pub location: BlockLocation,
    pub offset: u64,
    pub length: u64,
}

/// No replica could give the bytes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{block} cannot be read; the replicas said: {reasons}")]
pub struct ReadFailed {
    pub block: BlockId,
    pub reasons: String,
}

/// Reads pieces one after the other. Bytes come out in order, each exactly once, or an error ends them.
#[derive(Debug)]
pub struct ObjectReader {
    client: BlockClient,
    request: RequestId,
    current: Option<OpenPiece>,
    /// The piece after the current one, opened ahead of its need.
    ahead: Option<Ahead>,
    waiting: VecDeque<Piece>,
}

/// With less than this left of a piece the next one is opened, so that its first bytes are there in time.
const OPEN_AHEAD: u64 = 1 << 20;
/// Every replica is asked this often before a piece is given up: a second time after a pause, for one that restarts.
const ROUNDS: usize = 2;
const ROUND_PAUSE: Duration = Duration::from_millis(200);

impl ObjectReader {
    pub(crate) async fn open(client: BlockClient, pieces: Vec<Piece>, request: RequestId) -> Result<ByteStream, ReadFailed> {
        let mut waiting: VecDeque<Piece> = pieces.into_iter().filter(|piece| piece.length > 0).collect();
        let current = match waiting.pop_front() {
            Some(first) => Some(OpenPiece::open(client.clone(), first, request).await?),
            None => None,
        };
        let reader = Self { client, request, current, ahead: None, waiting };
        let bytes = stream::unfold(Some(reader), |reader| async move {
            let mut reader = reader?;
            match reader.next().await {
                Ok(Some(data)) => Some((Ok(data), Some(reader))),
                Ok(None) => None,
                Err(failed) => Some((Err(io::Error::other(failed)), None)),
            }
        });
        Ok(bytes.boxed())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ReadFailed> {
        loop {
            let Some(current) = &mut self.current else { return Ok(None) };
            if current.left() == 0 {
                self.current = self.next_piece().await?;
                continue;
            }
            let data = current.next().await?;
            if current.left() <= OPEN_AHEAD && self.ahead.is_none() {
                self.ahead = self
                    .waiting
                    .pop_front()
                    .map(|next| Ahead(tokio::spawn(OpenPiece::open(self.client.clone(), next.clone(), self.request)), next));
            }
            return Ok(Some(data));
        }
    }

    async fn next_piece(&mut self) -> Result<Option<OpenPiece>, ReadFailed> {
        let piece = match self.ahead.take() {
            Some(mut ahead) => match (&mut ahead.0).await {
                Ok(opened) => return opened.map(Some),
                // Only a panic or a runtime that stops ends the task otherwise; open it here and see.
                Err(_) => ahead.1.clone(),
            },
            None => match self.waiting.pop_front() {
                Some(piece) => piece,
                None => return Ok(None),
            },
        };
        OpenPiece::open(self.client.clone(), piece, self.request).await.map(Some)
    }
}

#[derive(Debug)]
struct Ahead(JoinHandle<Result<OpenPiece, ReadFailed>>, Piece);

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A piece that a replica is sending.
struct OpenPiece {
    client: BlockClient,
    request: RequestId,
    piece: Piece,
    done: u64,
    /// Replicas still to be asked, the next one first.
    untried: VecDeque<Replica>,
    rounds: usize,
    from: Replica,
    bytes: ByteStream,
    reasons: Vec<String>,
}

impl std::fmt::Debug for OpenPiece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenPiece").field("piece", &self.piece).field("done", &self.done).finish_non_exhaustive()
    }
}

impl OpenPiece {
    async fn open(client: BlockClient, piece: Piece, request: RequestId) -> Result<Self, ReadFailed> {
        let untried = client.experience.in_order(&piece.location.replicas, client.config.avoid_for).into();
        let nobody = Replica { datanode: types::DatanodeId(0), endpoint: types::Endpoint(String::new()) };
        let mut opening = Self {
            client,
            request,
            piece,
            done: 0,
            untried,
            rounds: 1,
            from: nobody,
            bytes: stream::empty().boxed(),
            reasons: Vec::new(),
        };
        opening.go_on().await?;
        Ok(opening)
    }

    fn left(&self) -> u64 {
        self.piece.length - self.done
    }

    /// The next bytes, from whichever replica has them.
    async fn next(&mut self) -> Result<Bytes, ReadFailed> {
        loop {
            let reason = match tokio::time::timeout(self.client.config.read_stall, self.bytes.next()).await {
                Ok(Some(Ok(data))) if data.is_empty() => continue,
                Ok(Some(Ok(data))) if data.len() as u64 <= self.left() => {
                    self.done += data.len() as u64;
                    return Ok(data);
                }
                Ok(Some(Ok(_))) => "sent more than was asked for".to_owned(),
                Ok(Some(Err(error))) => error.to_string(),
                Ok(None) => "sent less than was asked for".to_owned(),
                Err(_) => "stalled".to_owned(),
            };
            self.client.experience.failed(self.from.datanode);
            self.reasons.push(format!("{}: {reason}", self.from.endpoint));
            self.go_on().await?;
        }
    }

    /// Asks the replicas that were not asked yet for the rest, from the exact byte on.
    async fn go_on(&mut self) -> Result<(), ReadFailed> {
        loop {
            let Some(replica) = self.untried.pop_front() else {
                if self.rounds == ROUNDS || self.piece.location.replicas.is_empty() {
                    let reasons = if self.reasons.is_empty() { "there are none".to_owned() } else { self.reasons.join("; ") };
                    return Err(ReadFailed { block: self.piece.location.block, reasons });
                }
                self.rounds += 1;
                self.untried = self.piece.location.replicas.iter().cloned().collect();
                tokio::time::sleep(ROUND_PAUSE).await;
                continue;
            };
            match self.ask(&replica).await {
                Ok(bytes) => {
                    self.client.experience.worked(replica.datanode);
                    self.bytes = bytes;
                    self.from = replica;
                    return Ok(());
                }
                Err(reason) => self.reasons.push(format!("{}: {reason}", replica.endpoint)),
            }
        }
    }

    async fn ask(&mut self, replica: &Replica) -> Result<ByteStream, String> {
        let read = ReadBlock {
            block: self.piece.location.block,
            token: self.piece.location.token.clone(),
            offset: self.piece.offset + self.done,
            length: self.left(),
        };
        let stall = self.client.config.read_stall;
        let call = self.client.access.read(replica, CallContext::local(self.request, stall), read);
        let outcome = tokio::time::timeout(stall, call).await.unwrap_or_else(|_| Err(CallError::Unknown("no answer".to_owned())));
        match outcome {
            Ok(data) if data.length == self.left() => Ok(data.stream),
            Ok(data) => Err(format!("offered {} bytes of {}", data.length, self.left())),
            Err(error) => {
                // A replica that says no is well; one that says nothing is to be avoided.
                if !matches!(error, CallError::Rejected(_)) {
                    self.client.experience.failed(replica.datanode);
                }
                Err(error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests;
