//! A part of an upload is there.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::sealed::plain_length;
use types::{Checksum, ETag, LogIndex, ObjectId, PartNumber, Salt, Timestamp, VersionId};

use super::Outcome;
use super::shared::{CommittedBlock, sort_blocks, take_session};
use crate::blocks::Freed;
use crate::namespace;
use crate::rows::{self, PartRow, Session, SessionEncryption, SessionRow, UploadKey, UploadRow, part_key, upload_key};
use crate::tables::{PARTS, UPLOADS};

/// Puts the part in place of one sent before under its number: the last to finish wins. Ends the session whatever the answer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CommitPart {
    #[n(0)]
    pub session: Session,
    #[n(1)]
    pub at: UploadKey,
    #[n(2)]
    pub part: PartNumber,
    #[n(3)]
    pub blocks: Vec<CommittedBlock>,
    #[n(4)]
    pub etag: ETag,
    #[n(5)]
    pub checksum: Option<Checksum>,
    #[n(6)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PartCommitted {
    #[n(0)]
    pub etag: ETag,
    #[n(1)]
    pub modified: Timestamp,
    #[n(2)]
    pub size: u64,
    #[n(3)]
    pub source_version: Option<VersionId>,
    #[n(4)]
    pub object: ObjectId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum CommitPartRejected {
    #[n(0)]
    NoSuchBucket,
    #[n(1)]
    NoSuchUpload,
    #[n(2)]
    NoSuchSession,
    #[n(3)]
    ForeignBlock,
}

impl CommitPart {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<PartCommitted, CommitPartRejected> {
        let Some(session) = take_session(tables, &self.session)? else {
            return Ok(Err(CommitPartRejected::NoSuchSession));
        };
        let now = self.now;
        let mut freed = Freed::default();
        let outcome = self.link(tables, &session, &mut freed)?;
        if outcome.is_err() {
            freed.drop_handed_out(session.blocks);
        }
        freed.write(tables, log, now);
        Ok(outcome)
    }

    /// Changes nothing if it rejects.
    fn link(
        self,
        tables: &mut dyn WriteTables,
        session: &SessionRow,
        freed: &mut Freed,
    ) -> Result<Result<PartCommitted, CommitPartRejected>, StorageFault> {
        if self.at.bucket != session.bucket || namespace::bucket(tables, self.at.bucket)?.is_none() {
            return Ok(Err(CommitPartRejected::NoSuchBucket));
        }
        let Some(upload) = rows::get::<UploadRow>(tables, UPLOADS, &upload_key(&self.at))? else {
            return Ok(Err(CommitPartRejected::NoSuchUpload));
        };
        let Some(sorted) = sort_blocks(session, &self.blocks) else {
            return Ok(Err(CommitPartRejected::ForeignBlock));
        };
        // Opened for another upload, its blocks are kept in another way than this one's.
        if session.storage.as_ref().map(|storage| storage.replication) != upload.replication {
            return Ok(Err(CommitPartRejected::NoSuchSession));
        }
        let (salt, size) = match of_part(&upload, session, sorted.stored) {
            Ok(found) => found,
            Err(rejected) => return Ok(Err(rejected)),
        };
        freed.drop_handed_out(sorted.unused);
        let row = PartRow {
            object: self.session.object,
            size,
            etag: self.etag,
            checksum: self.checksum,
            modified: self.now,
            pieces: sorted.pieces,
            salt,
        };
        put_part(tables, &self.at, self.part, &row, freed)?;
        Ok(Ok(PartCommitted { etag: row.etag, modified: row.modified, size: row.size, source_version: None, object: row.object }))
    }
}

/// The salt of the part's stream, and how many bytes there are in so many stored ones.
fn of_part(upload: &UploadRow, session: &SessionRow, stored: u64) -> Result<(Option<Salt>, u64), CommitPartRejected> {
    match (&upload.encryption, &session.encryption) {
        (None, None) => Ok((None, stored)),
        (Some(_), Some(SessionEncryption::Part(salt))) => {
            Ok((Some(*salt), plain_length(stored).ok_or(CommitPartRejected::ForeignBlock)?))
        }
        // Opened for a part of another upload, or for an object: sealed under another key than this upload's, or not at all.
        (None, Some(_)) | (Some(_), None | Some(SessionEncryption::Object(_) | SessionEncryption::Append { .. })) => {
            Err(CommitPartRejected::NoSuchSession)
        }
    }
}

pub(super) fn put_part(
    tables: &mut dyn WriteTables,
    at: &UploadKey,
    part: PartNumber,
    row: &PartRow,
    freed: &mut Freed,
) -> Result<(), StorageFault> {
    let key = part_key(at, part);
    if let Some(replaced) = rows::get::<PartRow>(tables, PARTS, &key)? {
        freed.drop_pieces(tables, &replaced.pieces)?;
    }
    rows::put(tables, PARTS, &key, row);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Namespace, sealed_object};

    #[test]
    fn a_part_sent_again_replaces_the_first_and_frees_it() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let upload = om.create_upload(bucket, "big");
        let first = om.write_part(&upload, 1, [(1, 10)]);
        let second = om.write_part(&upload, 1, [(2, 20)]);
        assert_ne!(first.object, second.object);
        assert_eq!(om.deleted_blocks(), [1]);
        om.check();
    }

    #[test]
    fn a_part_of_an_upload_that_was_aborted_is_refused_and_freed() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let upload = om.create_upload(bucket, "big");
        let session = om.open(bucket, [1]);
        om.apply(crate::AbortUpload { at: upload.clone(), now: Timestamp(3) }).expect("it exists");
        assert_eq!(om.apply(om.part_of(session, &upload, 1, [(1, 10)])), Err(CommitPartRejected::NoSuchUpload));
        assert_eq!(om.deleted_blocks(), [1]);
        om.check();
    }

    #[test]
    fn a_part_is_sealed_exactly_if_its_upload_is() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let (plain, sealed) = (om.create_upload(bucket, "plain"), om.create_sealed_upload(bucket, "sealed", sealed_object(7)));
        let part = SessionEncryption::Part(Salt([1; 16]));
        let object = SessionEncryption::Object(sealed_object(7));
        for (block, upload, encryption) in [(1, &plain, Some(part.clone())), (2, &sealed, None), (3, &sealed, Some(object))] {
            let session = match encryption {
                None => om.open(bucket, [block]),
                Some(encryption) => om.open_sealed(bucket, [block], encryption),
            };
            let outcome = om.apply(om.part_of(session, upload, 1, [(block, 17)]));
            assert_eq!(outcome, Err(CommitPartRejected::NoSuchSession), "{block}");
        }
        let session = om.open_sealed(bucket, [4], part);
        assert_eq!(om.apply(om.part_of(session, &sealed, 1, [(4, 17)])).map(|part| part.size), Ok(1));
        assert_eq!(om.deleted_blocks(), [1, 2, 3]);
        om.check();
    }
}
