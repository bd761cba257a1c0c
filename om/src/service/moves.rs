//! Moving objects to blocks of another kind, with the hands of the gateways, which alone reach datanodes.

use om_api as api;
use om_core::namespace::{self, PlacedPiece, Span, pieces_under};
use om_core::rows::{BucketRow, KeyRow, Storage};
use rpc::{CallContext, CallError};
use tables::{ReadTables, StorageFault};
use types::Millis;

use super::OmService;
use super::calls::{Kind, scoped};
use super::reads::MOST_PIECES;
use super::writes::NoSession;
use crate::background::Lifecycle;
use crate::convert::{IntoApi, IntoCore};
use crate::moves::{Move, UnderWay};

/// In the tokens that open the blocks.
const CALLER: &str = "lifecycle";

/// An idle gateway asks so often.
const ASK_AGAIN: Millis = Millis(10_000);

/// The version as it was planned, if it still is to be moved.
fn found(tables: &dyn ReadTables, what: &Move) -> Result<Option<(BucketRow, KeyRow)>, StorageFault> {
    let bucket = namespace::bucket(tables, what.bucket)?.filter(|bucket| bucket.lifecycle == Some(what.rules));
    let Some(bucket) = bucket else { return Ok(None) };
    let row = what.planned.find(tables, bucket.id)?;
    // Moved meanwhile by the name alone, or by another.
    let row = row.filter(|row| row.body.replication.unwrap_or(bucket.replication) != what.planned.replication);
    Ok(row.map(|row| (bucket, row)))
}

/// What is stored of it, from one byte on.
fn pieces_from(row: &KeyRow, from: u64) -> (Vec<PlacedPiece>, u64) {
    let length = row.body.pieces.iter().map(|piece| piece.length).sum();
    let pieces = pieces_under(&row.body.pieces, Span { start: from.min(length), end: length }).take(MOST_PIECES);
    (pieces.collect(), length)
}

impl OmService {
    pub(super) async fn take_move(&self, cx: CallContext, (): ()) -> Result<api::MoveOffer, CallError<api::MoveRejected>> {
        let pause = Millis::from(Lifecycle::pause(&self.config));
        let ask_again = pause.min(ASK_AGAIN);
        while let Some(what) = self.moves.take() {
            let found = self.log.read(cx.deadline, |tables| Ok(found(tables, &what)?)).await?;
            let Some((bucket, row)) = found else { continue };
            let (pieces, length) = pieces_from(&row, 0);
            if pieces.is_empty() {
                continue;
            }
            // Before anything is begun: if nobody can say where they are, the next walk finds the object again.
            let pieces = self.locate(pieces, CALLER, false, &cx).await?;
            let storage = Storage { class: what.planned.class.clone(), replication: what.planned.replication };
            // It is copied as it is stored: what is sealed stays sealed.
            let opened = self.open_session(&bucket, Some(length), None, Some(storage), CALLER, cx.deadline).await;
            let to = opened.map_err(|error: NoSession<_>| error.into_call(api::MoveRejected::NoBlocks))?;
            self.moves.begin(to.session.object, what, row.head.object, self.clock.now());
            let work = api::MoveWork { to, from: api::MovePieces { pieces }, length };
            return Ok(api::MoveOffer { work: Some(work), ask_again });
        }
        Ok(api::MoveOffer { work: None, ask_again })
    }

    pub(super) async fn locate_move(
        &self,
        cx: CallContext,
        request: api::LocateMove,
    ) -> Result<api::MovePieces, CallError<api::MoveRejected>> {
        let session = request.session.object;
        let under_way = self.moves.under_way(session);
        let UnderWay { what, object, .. } = under_way.ok_or(CallError::Rejected(api::MoveRejected::Gone))?;
        self.moves.go_on(session, self.clock.now());
        let found = self.log.read(cx.deadline, |tables| Ok(found(tables, &what)?)).await?;
        let Some((_, row)) = found.filter(|(_, row)| row.head.object == object) else {
            return Err(CallError::Rejected(api::MoveRejected::Gone));
        };
        let (pieces, _) = pieces_from(&row, request.from);
        Ok(api::MovePieces { pieces: self.locate(pieces, CALLER, true, &cx).await? })
    }

    pub(super) async fn finish_move(
        &self,
        cx: CallContext,
        request: api::FinishMove,
    ) -> Result<(), CallError<api::MoveRejected>> {
        let session = request.session.into_core();
        let Some(UnderWay { what, object, .. }) = self.moves.under_way(session.object) else {
            // Another member gave it out, or it was given up; what was written is freed.
            self.close(&cx, session).await.map_err(|error| error.map_rejection(|never| match never {}))?;
            return Err(CallError::Rejected(api::MoveRejected::Gone));
        };
        let command = om_core::MoveBytes {
            session,
            rules: what.rules,
            planned: what.planned,
            object,
            blocks: request.blocks.into_core(),
            now: self.now_after(session.opened),
        };
        let moved = self.log.propose(scoped(&cx, Kind::Move), command, cx.deadline).await;
        self.moves.end(session.object);
        moved.map_err(|error| error.map_rejection(IntoApi::into_api))?;
        metrics::counter!("om_lifecycle_moved_total", "how" => "copied").increment(1);
        Ok(())
    }
}
