//! An object's bytes on their way to a client.
//!
//! The client sees one unbroken body: replicas are changed below us, and when all of a block's have failed the OM is asked
//! where it is now, always for the same object. A body that cannot go on breaks off; it never goes on with other bytes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use datanode_api::{ByteStream, Piece};
use futures_util::{StreamExt, stream};
use gateway_core::encryption::{ContentKey, StreamOpener};
use gateway_core::range::ByteRange;
use gateway_core::{S3Error, S3ErrorCode};
use om_api::{BlockPiece, BlocksWanted, LookupKey, OpenWith, Requester};
use rpc::CallContext;
use tracing::warn;
use types::{BucketPath, ObjectId, ObjectKey, VersionId};

use crate::context::{CallIds, OpContext, Shared};
use crate::reply::ReplyBody;

/// Read as a whole before the answer begins, so that a damaged object is an error and not a broken connection, and head and
/// body leave in one write.
const WHOLE_MAX: u64 = 128 << 10;
/// The locations of one object may fail so often before its reading is given up.
const REFRESHES: u32 = 3;

/// Which object is read, and by whom.
#[derive(Debug, Clone)]
pub(crate) struct ObjectSource {
    pub(crate) bucket: BucketPath,
    pub(crate) key: ObjectKey,
    pub(crate) version: Option<VersionId>,
}

/// What a look-up found of an object's bytes.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) object: ObjectId,
    /// The first of the blocks.
    pub(crate) pieces: Vec<BlockPiece>,
    /// If the object is encrypted.
    pub(crate) opening: Option<(ContentKey, OpenWith)>,
}

/// The bytes in `range` of an object.
pub(crate) async fn read_object(
    cx: &OpContext,
    source: ObjectSource,
    located: Located,
    range: Option<ByteRange>,
) -> Result<ReplyBody, S3Error> {
    let Some(range) = range else { return Ok(ReplyBody::empty()) };
    let mut reader = ReadObject::new(cx, source, located, Some(range));
    metrics::counter!("gateway_bytes_read_total").increment(range.length());
    if range.length() <= WHOLE_MAX {
        return reader.whole().await.map(ReplyBody::Whole);
    }
    // The first bytes are there before the answer begins.
    let first = reader.next().await.map_err(|error| unreadable(&error))?;
    let first = stream::iter(first.map(Ok));
    let rest = stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(data)) => Some((Ok(data), Some(reader))),
            Ok(None) => None,
            Err(error) => {
                warn!(%error, object = %reader.object, "a body broke off");
                metrics::counter!("gateway_bodies_broken_off_total").increment(1);
                Some((Err(error), None))
            }
        }
    });
    Ok(ReplyBody::Stream { bytes: first.chain(rest).boxed(), left: range.length() })
}

pub(crate) fn unreadable(error: &io::Error) -> S3Error {
    warn!(%error, "an object cannot be read");
    match error.kind() {
        // It would be found so again.
        io::ErrorKind::InvalidData => S3ErrorCode::InternalError.into(),
        _ => S3ErrorCode::ServiceUnavailable.into(),
    }
}

fn damaged(error: gateway_core::encryption::Damaged) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Reads an object piece by piece.
pub(crate) struct ReadObject {
    shared: Arc<Shared>,
    by: Requester,
    ids: CallIds,
    source: ObjectSource,
    object: ObjectId,
    /// In the object, or in what is stored of it if it is encrypted: where the next byte stands, and where the last one ends.
    position: u64,
    end: u64,
    pieces: VecDeque<BlockPiece>,
    opener: Option<StreamOpener>,
    current: Option<ByteStream>,
    refreshes: u32,
}

impl ReadObject {
    pub(crate) fn new(cx: &OpContext, source: ObjectSource, located: Located, range: Option<ByteRange>) -> Self {
        let Located { object, pieces, opening } = located;
        let wanted = range.map_or(0..0, |range| range.first()..range.last() + 1);
        let (stored, opener) = match opening {
            Some((key, with)) => {
                let mut opener = StreamOpener::new(key, wanted, with.stored_first);
                opener.expect(&with.streams);
                (with.stored_first..with.stored_end, Some(opener))
            }
            None => (wanted, None),
        };
        Self {
            shared: Arc::clone(&cx.shared),
            by: cx.by(),
            ids: cx.ids.clone(),
            source,
            object,
            position: stored.start,
            end: stored.end,
            pieces: pieces.into(),
            opener,
            current: None,
            refreshes: REFRESHES,
        }
    }

    async fn whole(&mut self) -> Result<Bytes, S3Error> {
        let first = self.next().await.map_err(|error| unreadable(&error))?.unwrap_or_default();
        let Some(second) = self.next().await.map_err(|error| unreadable(&error))? else { return Ok(first) };
        let mut bytes = BytesMut::from(first);
        bytes.extend_from_slice(&second);
        while let Some(data) = self.next().await.map_err(|error| unreadable(&error))? {
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    }

    /// The next bytes; `None` once all of the range have come.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Some(opener) = &mut self.opener else { return self.next_stored().await };
            if let Some(bytes) = opener.pull().map_err(damaged)? {
                return Ok(Some(bytes));
            }
            let stored = self.next_stored().await?;
            match (&mut self.opener, stored) {
                (Some(opener), Some(stored)) => opener.push(&stored),
                (Some(opener), None) => return opener.finish().map(|()| None).map_err(damaged),
                (None, stored) => return Ok(stored),
            }
        }
    }

    /// As they are stored.
    async fn next_stored(&mut self) -> io::Result<Option<Bytes>> {
        while self.position < self.end {
            let failed = match &mut self.current {
                Some(stream) => match stream.next().await {
                    Some(Ok(data)) => {
                        self.position += data.len() as u64;
                        if self.position > self.end {
                            return Err(io::Error::other("the blocks hold more than the object"));
                        }
                        return Ok(Some(data));
                    }
                    None => {
                        self.current = None;
                        continue;
                    }
                    Some(Err(error)) => error,
                },
                None => match self.open().await {
                    Ok(()) => continue,
                    Err(error) => error,
                },
            };
            self.current = None;
            let Some(left) = self.refreshes.checked_sub(1) else { return Err(failed) };
            self.refreshes = left;
            warn!(error = %failed, object = %self.object, "asking anew where an object is");
            self.locate(true).await?;
        }
        Ok(None)
    }

    /// Begins to read all pieces that are known.
    async fn open(&mut self) -> io::Result<()> {
        if self.pieces.is_empty() {
            self.locate(false).await?;
        }
        let mut expected = self.position;
        let mut pieces = Vec::with_capacity(self.pieces.len());
        for piece in self.pieces.drain(..) {
            // A piece may begin before the wanted bytes and end behind them.
            let skip = expected.checked_sub(piece.object_offset).ok_or_else(|| io::Error::other("the object has a gap"))?;
            let length = piece.length.saturating_sub(skip).min(self.end.saturating_sub(expected));
            if length > 0 {
                expected += length;
                pieces.push(Piece { location: piece.location, offset: piece.block_offset + skip, length });
            }
        }
        if pieces.is_empty() {
            return Err(io::Error::other("the OM knows no blocks of the object"));
        }
        self.current = Some(self.shared.blocks.read(pieces, self.ids.next()).await.map_err(io::Error::other)?);
        Ok(())
    }

    /// Asks the OM where the bytes from here on are.
    async fn locate(&mut self, refresh: bool) -> io::Result<()> {
        let last = self.end.saturating_sub(1);
        let wanted = match self.opener {
            Some(_) => BlocksWanted::Stored(self.position, self.end),
            None => BlocksWanted::Range(om_api::ByteRange::Span(self.position, last)),
        };
        let request = LookupKey {
            by: self.by.clone(),
            bucket: self.source.bucket.clone(),
            key: self.source.key.clone(),
            version: self.source.version,
            wanted,
            pinned: Some(self.object),
            refresh,
            purpose: om_api::LookupPurpose::Object,
        };
        let cx = CallContext::local(self.ids.next(), self.shared.config.om_timeout);
        let read = self.shared.om.lookup_key(cx, request).await.map_err(io::Error::other)?;
        if let (Some(opener), Some(with)) = (&mut self.opener, &read.open_with) {
            opener.expect(&with.streams);
        }
        self.pieces = read.pieces.into();
        Ok(())
    }
}
