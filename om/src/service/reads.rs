//! Reading an object: what it is, and where its bytes are.

use std::collections::BTreeSet;

use om_api as api;
use om_core::authorise::{Action, Target};
use om_core::namespace::{self, Missing, PlacedPiece, Span, pieces_under};
use om_core::rows::{KeyBody, KeyHead, KeyRow, PartEntry};
use om_core::sealed::Sealed;
use rpc::{CallContext, CallError};
use scm_api::token::Access;
use tables::StorageFault;
use types::{BlockLocation, PartNumber, PipelineId};

use super::OmService;
use super::buckets::Names;
use super::calls::{Stop, denied};
use super::encryption::Opening;
use crate::convert::{IntoApi, IntoCore, join_attributes};

/// Blocks located in one answer: 16 GiB of whole blocks. A longer read looks up again as it goes.
pub(super) const MOST_PIECES: usize = 128;

/// What the tables know of a read.
struct Found {
    info: api::ObjectInfo,
    pieces: Vec<PlacedPiece>,
    more: bool,
    parts: Vec<api::PartInfo>,
    opening: Option<Opening>,
    needed_acl: bool,
    caller: String,
}

fn action(request: &api::LookupKey) -> Action {
    use api::LookupPurpose::{Append, AppendBehind, Attributes, LegalHold, Object, Retention, Tagging};
    match (request.purpose, request.version) {
        (Object, None) => Action::GetObject,
        (Object, Some(_)) => Action::GetObjectVersion,
        (Attributes, None) => Action::GetObjectAttributes,
        (Attributes, Some(_)) => Action::GetObjectVersionAttributes,
        (Tagging, None) => Action::GetObjectTagging,
        (Tagging, Some(_)) => Action::GetObjectVersionTagging,
        (Retention, _) => Action::GetObjectRetention,
        (LegalHold, _) => Action::GetObjectLegalHold,
        (Append | AppendBehind, _) => Action::PutObject,
    }
}

fn part_list(body: &KeyBody, wanted: api::BlocksWanted) -> Vec<api::PartInfo> {
    let api::BlocksWanted::PartList { after, limit } = wanted else { return Vec::new() };
    let info = |part: &PartEntry| api::PartInfo { number: part.number, size: part.size, checksum: part.checksum.clone() };
    body.parts.iter().filter(|part| part.number.get() > after).take(limit.into()).map(info).collect()
}

impl OmService {
    pub(super) async fn lookup_key(
        &self,
        cx: CallContext,
        request: api::LookupKey,
    ) -> Result<api::ObjectRead, CallError<api::LookupRejected>> {
        let found = self
            .log
            .read(cx.deadline, |tables| {
                let action = action(&request);
                let entry = self.open(tables, &request.by, &request.bucket)?;
                let found = match request.purpose {
                    // To make an object longer is to write the key. An offset is a condition on what the object is, too: whoever may
                    // try until it holds learns that, which is to read.
                    api::LookupPurpose::Append => {
                        entry.allow_write(&request.key)?;
                        entry.may_probe(tables, &request.key, None)?.map_err(denied)?;
                        namespace::version(tables, entry.bucket.id, &request.key, None)?
                    }
                    api::LookupPurpose::AppendBehind => {
                        entry.allow_write(&request.key)?;
                        entry.object(tables, Action::GetObject, &request.key, None)?
                    }
                    _ => match request.pinned {
                        Some(pinned) => entry.pinned(tables, action, &request.key, pinned)?,
                        None => entry.object(tables, action, &request.key, request.version)?,
                    },
                };
                let wants_lock = matches!(request.purpose, api::LookupPurpose::Retention | api::LookupPurpose::LegalHold);
                if wants_lock && entry.bucket.object_lock.is_none() {
                    return Err(Stop::Rejected(api::LookupRejected::NoObjectLock));
                }
                let row = wanted_row(found, &request)?;
                let needed_acl = entry.needed_acl(action, Target::Object(&request.key, &row));
                let span = wanted(&row, request.wanted).map_err(Stop::Rejected)?;
                let sealed = Sealed::of(&row).filter(|_| span.is_some());
                // From here on bytes as they are stored.
                let span = sealed.as_ref().map_or(span, |sealed| stored(sealed, span, request.wanted));
                let mut pieces: Vec<PlacedPiece> =
                    span.into_iter().flat_map(|span| pieces_under(&row.body.pieces, span)).take(MOST_PIECES + 1).collect();
                let more = pieces.len() > MOST_PIECES;
                pieces.truncate(MOST_PIECES);
                let encryption = row.body.encryption.as_ref();
                let opening = Opening::of(&entry.identity, encryption, sealed.as_ref(), span, &pieces)?;
                let parts = part_list(&row.body, request.wanted);
                let ends = self.lifecycles.of(tables, &entry.bucket)?.and_then(|rules| rules.end_of_object(&request.key, &row));
                let info = api::ObjectInfo { ends, ..info(row, request.wanted, &mut Names::new(tables))? };
                Ok(Found { info, pieces, more, parts, opening, needed_acl, caller: entry.identity.caller().to_owned() })
            })
            .await?;
        let Found { info, pieces, more, parts, opening, needed_acl, caller } = found;
        let pieces = self.locate(pieces, &caller, request.refresh, &cx).await?;
        let open_with = match opening {
            Some(opening) => Some(opening.open_with(self).await?),
            None => None,
        };
        Ok(api::ObjectRead { info, pieces, more, parts, open_with, needed_acl })
    }

    /// Where the pieces are now, with the tokens that let them be read.
    pub(super) async fn locate<R>(
        &self,
        pieces: Vec<PlacedPiece>,
        caller: &str,
        anew: bool,
        cx: &CallContext,
    ) -> Result<Vec<api::BlockPiece>, CallError<R>> {
        if pieces.is_empty() {
            return Ok(Vec::new());
        }
        let containers: BTreeSet<_> = pieces.iter().map(|placed| placed.piece.block.container).collect();
        let located = self.locations.locate(&containers, anew, cx.deadline).await.map_err(CallError::unavailable)?;
        let sealer = self.tokens.sealer(cx.deadline).await.map_err(CallError::unavailable)?;
        let lifetime = self.config.read_token_lifetime.into();
        let locate = |PlacedPiece { object_offset, piece, readable }| {
            let known = located.get(&piece.block.container);
            api::BlockPiece {
                object_offset,
                block_offset: piece.offset,
                length: piece.length,
                location: BlockLocation {
                    block: piece.block,
                    pipeline: known.and_then(|known| known.pipeline).unwrap_or(PipelineId(0)),
                    replicas: known.map(|known| known.replicas.to_vec()).unwrap_or_default(),
                    length: readable,
                    token: sealer.seal(piece.block, Access::Read, readable, lifetime, caller),
                },
            }
        };
        Ok(pieces.into_iter().map(locate).collect())
    }
}

fn wanted_row(found: Result<KeyRow, Missing>, request: &api::LookupKey) -> Result<KeyRow, Stop<api::LookupRejected>> {
    let rejected = match (found, request.pinned) {
        (Ok(row), Some(pinned)) if row.head.object != pinned => api::LookupRejected::Replaced,
        (Ok(row), _) => return Ok(row),
        (Err(_), Some(_)) => api::LookupRejected::Replaced,
        (Err(Missing::Key), None) => api::LookupRejected::NoSuchKey,
        (Err(Missing::Version), None) => api::LookupRejected::NoSuchVersion,
        (Err(Missing::DeleteMarker(version)), None) => api::LookupRejected::DeleteMarker(version),
    };
    Err(Stop::Rejected(rejected))
}

/// The bytes to locate. None for a range that begins behind the end: the caller sees the size and says so.
fn wanted(row: &KeyRow, wanted: api::BlocksWanted) -> Result<Option<Span>, api::LookupRejected> {
    let size = row.head.size;
    Ok(match wanted {
        api::BlocksWanted::None | api::BlocksWanted::PartList { .. } => None,
        // Whole; what is stored under it is looked at where it is known how.
        api::BlocksWanted::All | api::BlocksWanted::Stored(..) => Some(Span { start: 0, end: size }),
        api::BlocksWanted::Range(range) => range.into_core().within(size),
        api::BlocksWanted::Part(number) => Some(part_span(&row.body, size, number).ok_or(api::LookupRejected::NoSuchPart)?),
    })
}

/// What is stored for the wanted bytes of an encrypted object.
fn stored(sealed: &Sealed, span: Option<Span>, wanted: api::BlocksWanted) -> Option<Span> {
    let under = sealed.stored(span?)?;
    match wanted {
        api::BlocksWanted::Stored(first, end) => {
            let (start, end) = (first.max(under.start), end.min(under.end));
            (start < end).then_some(Span { start, end })
        }
        _ => Some(under),
    }
}

/// An object that was put whole is its own first part.
fn part_span(body: &KeyBody, size: u64, number: PartNumber) -> Option<Span> {
    if body.parts.is_empty() {
        return (number.get() == 1).then_some(Span { start: 0, end: size });
    }
    let at = body.parts.iter().position(|part| part.number == number)?;
    let start = body.parts[..at].iter().map(|part| part.size).sum();
    Some(Span { start, end: start + body.parts[at].size })
}

fn info(row: KeyRow, wanted: api::BlocksWanted, names: &mut Names<'_>) -> Result<api::ObjectInfo, StorageFault> {
    let KeyRow { head, body } = row;
    let (part, part_offset) = match wanted {
        api::BlocksWanted::Part(number) => part(&head, &body, number),
        _ => (None, None),
    };
    Ok(api::ObjectInfo {
        object: head.object,
        size: head.size,
        etag: head.etag,
        last_modified: head.modified,
        owner: names.show(&head.owner)?,
        version: head.shown_version(),
        parts: u16::try_from(body.parts.len()).ok().filter(|parts| *parts > 0),
        part,
        part_offset,
        checksum: head.checksum.into_api(),
        encryption: body.encryption.clone().into_api(),
        lock: head.lock,
        ends: None,
        attributes: join_attributes(body.attributes, head.storage_class),
    })
}

fn part(head: &KeyHead, body: &KeyBody, number: PartNumber) -> (Option<api::PartInfo>, Option<u64>) {
    let Some(span) = part_span(body, head.size, number) else { return (None, None) };
    let entry = body.parts.iter().find(|part| part.number == number);
    let checksum = entry.and_then(|part| part.checksum.clone());
    (Some(api::PartInfo { number, size: span.length(), checksum }), Some(span.start))
}
