//! Copies objects to blocks of another kind, as the OM says. It has no way to the datanodes; gateways have.
//!
//! One at a time a gateway, and within the memory that uploads have. The bytes go as they are stored: nothing is opened, and nobody
//! is told what they are. What breaks off is forgotten here; the OM finds it again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use datanode_api::Piece;
use futures_util::StreamExt;
use gateway_core::S3Error;
use om_api::{FinishMove, LocateMove, MovePieces, MoveRejected, MoveWork, Requester};
use rpc::{CallContext, CallError};
use tracing::{debug, info, warn};

use crate::context::{CallIds, Shared};
use crate::data::BlockSink;

/// After a failure. Long enough for a cluster that is starting, or has lost a node, to be there again.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
enum MoveFailed {
    #[error("asking the OM: {0}")]
    Om(#[from] CallError<MoveRejected>),
    #[error("reading: {0}")]
    Read(#[from] io::Error),
    #[error("writing: {0}")]
    Write(S3Error),
    #[error("{copied} of {length} bytes were there")]
    Short { copied: u64, length: u64 },
}

/// For as long as the gateway serves.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        let rest = match next(&shared).await {
            Ok(rest) => rest,
            Err(error) => {
                debug!(%error, "asking for objects to move");
                REST_AFTER_FAILURE
            }
        };
        tokio::time::sleep(rest).await;
    }
}

/// Does one piece of work if there is one, and tells when to look for the next.
async fn next(shared: &Arc<Shared>) -> Result<Duration, MoveFailed> {
    let ids = CallIds::new(shared.entropy.u128());
    let call = || CallContext::local(ids.next(), shared.config.om_timeout);
    let offer = shared.om.take_move(call(), ()).await?;
    let Some(work) = offer.work else { return Ok(Duration::from_millis(offer.ask_again.0)) };
    let object = work.to.session.object;
    match carry_out(shared, &ids, work).await {
        Ok(()) => Ok(Duration::ZERO),
        // Written, deleted or moved by another meanwhile.
        Err(MoveFailed::Om(CallError::Rejected(MoveRejected::Gone))) => {
            info!(write = %object, "what was to be moved is not there any more");
            Ok(Duration::ZERO)
        }
        Err(error) => {
            warn!(%error, write = %object, "an object was not moved");
            metrics::counter!("gateway_moves_failed_total").increment(1);
            Ok(REST_AFTER_FAILURE)
        }
    }
}

async fn carry_out(shared: &Arc<Shared>, ids: &CallIds, work: MoveWork) -> Result<(), MoveFailed> {
    let MoveWork { to, from, length } = work;
    let session = to.session.clone();
    // Dropped, it gives its blocks back.
    let mut sink = BlockSink::of(Arc::clone(shared), Requester::anonymous(), ids.clone(), to);
    let _room = shared.upload_memory.room(Some(length)).await;
    let call = || CallContext::local(ids.next(), shared.config.om_timeout);
    let (mut copied, mut from) = (0, from);
    while copied < length {
        let before = copied;
        let mut stream = shared.blocks.read(to_pieces(from), ids.next()).await.map_err(io::Error::other)?;
        while let Some(data) = stream.next().await {
            let data = data?;
            copied += data.len() as u64;
            sink.write(data).await.map_err(MoveFailed::Write)?;
        }
        if copied == before {
            return Err(MoveFailed::Short { copied, length });
        }
        if copied < length {
            from = shared.om.locate_move(call(), LocateMove { session: session.clone(), from: copied }).await?;
        } else {
            break;
        }
    }
    if copied != length {
        return Err(MoveFailed::Short { copied, length });
    }
    let blocks = sink.finish().await.map_err(MoveFailed::Write)?;
    shared.om.finish_move(call(), FinishMove { session: sink.settle(), blocks }).await?;
    metrics::counter!("gateway_moved_bytes_total").increment(length);
    Ok(())
}

fn to_pieces(from: MovePieces) -> Vec<Piece> {
    let piece = |piece: om_api::BlockPiece| Piece { location: piece.location, offset: piece.block_offset, length: piece.length };
    from.pieces.into_iter().map(piece).collect()
}
