//! An upload's parts become one object.

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, WriteTables};
use types::{ETag, LogIndex, ObjectId, PartNumber, Precondition, Timestamp, VersionId};

use super::Outcome;
use super::shared::{KeyCommitted, link};
use crate::blocks::Freed;
use crate::condition::{ConditionFailed, WriteCondition};
use crate::namespace;
use crate::native_acl;
use crate::notifications::{Event, note};
use crate::rows::{
    self, CompletedRow, EventKind, KeyBody, KeyHead, KeyRow, ObjectChecksum, Origin, PartEntry, PartRow, Sequence, UploadKey,
    UploadRow, completed_time_key, keys_under, part_key, parts_prefix, upload_key,
};
use crate::tables::{COMPLETED_BY_TIME, COMPLETED_UPLOADS, PARTS, UPLOADS};

/// Links the parts named as one version, frees the others, and remembers the answer for a second identical completion.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CompleteUpload {
    #[n(0)]
    pub at: UploadKey,
    /// Ascending.
    #[n(1)]
    pub parts: Vec<CompletedPart>,
    #[n(2)]
    pub etag: ETag,
    #[n(3)]
    pub checksum: Option<ObjectChecksum>,
    #[n(4)]
    pub condition: WriteCondition,
    #[n(5)]
    pub object: ObjectId,
    /// Of every part but the last.
    #[n(6)]
    pub min_part_size: u64,
    #[n(7)]
    pub max_size: u64,
    #[n(8)]
    pub now: Timestamp,
    /// Noted if the bucket has somebody told.
    #[n(9)]
    pub origin: Option<Origin>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CompletedPart {
    #[n(0)]
    pub number: PartNumber,
    #[n(1)]
    pub etag: ETag,
    /// The write that the checksums were computed from.
    #[n(2)]
    pub object: ObjectId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum CompleteUploadRejected {
    #[n(0)]
    NoSuchBucket,
    #[n(1)]
    NoSuchUpload,
    #[n(2)]
    InvalidPart(#[n(0)] u16),
    #[n(3)]
    InvalidPartOrder,
    #[n(4)]
    PartTooSmall(#[n(0)] u16),
    #[n(5)]
    PartChanged(#[n(0)] u16),
    #[n(6)]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    #[n(7)]
    NoSuchKey,
    #[n(8)]
    TooLarge,
}

impl From<ConditionFailed> for CompleteUploadRejected {
    fn from(failed: ConditionFailed) -> Self {
        match failed {
            ConditionFailed::Mismatch(which) => Self::PreconditionFailed(Some(which)),
            ConditionFailed::Absent => Self::NoSuchKey,
        }
    }
}

impl CompleteUpload {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<KeyCommitted, CompleteUploadRejected> {
        let Some(bucket) = namespace::bucket(tables, self.at.bucket)? else {
            return Ok(Err(CompleteUploadRejected::NoSuchBucket));
        };
        let upload_at = upload_key(&self.at);
        let Some(upload) = rows::get::<UploadRow>(tables, UPLOADS, &upload_at)? else {
            let before: Option<CompletedRow> = rows::get(tables, COMPLETED_UPLOADS, &upload_at)?;
            let same = before.filter(|before| before.answer.etag == self.etag).map(|before| before.answer);
            return Ok(same.ok_or(CompleteUploadRejected::NoSuchUpload));
        };
        let parts = match self.named_parts(tables)? {
            Ok(parts) => parts,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let size = match self.total_size(&parts) {
            Ok(size) => size,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let replaced = namespace::current(tables, bucket.id, &self.at.key)?;
        if let Err(failed) = self.condition.check(replaced.as_ref().map(|row| &row.head)) {
            return Ok(Err(failed.into()));
        }

        let mut freed = Freed::default();
        self.remove_upload(tables, &mut freed)?;
        let mut row = self.version(log, size, &upload, parts);
        row.body.native_acl = native_acl::inherited(tables, &bucket, &self.at.key, &row.head.owner)?;
        let answer = link(tables, &bucket, &self.at.key, replaced, row, &mut freed)?;
        let event = Event::created(EventKind::CompleteUpload, &self.at.key, &answer);
        note(tables, &bucket, event, Sequence::new(log, 0), self.origin.as_ref())?;
        let completed = CompletedRow { upload, answer: answer.clone(), completed: self.now };
        rows::put(tables, COMPLETED_UPLOADS, &upload_at, &completed);
        tables.put(COMPLETED_BY_TIME, &completed_time_key(self.now, &upload_at), Vec::new());
        freed.write(tables, log, self.now);
        Ok(Ok(answer))
    }

    /// The parts that are named, each as it was listed.
    fn named_parts(
        &self,
        tables: &dyn ReadTables,
    ) -> Result<Result<Vec<(PartNumber, PartRow)>, CompleteUploadRejected>, StorageFault> {
        if self.parts.windows(2).any(|pair| pair[0].number >= pair[1].number) {
            return Ok(Err(CompleteUploadRejected::InvalidPartOrder));
        }
        let mut parts = Vec::with_capacity(self.parts.len());
        for named in &self.parts {
            let number = named.number.get();
            match rows::get::<PartRow>(tables, PARTS, &part_key(&self.at, named.number))? {
                Some(row) if row.etag != named.etag => return Ok(Err(CompleteUploadRejected::InvalidPart(number))),
                Some(row) if row.object != named.object => return Ok(Err(CompleteUploadRejected::PartChanged(number))),
                Some(row) => parts.push((named.number, row)),
                None => return Ok(Err(CompleteUploadRejected::InvalidPart(number))),
            }
        }
        if parts.is_empty() { Ok(Err(CompleteUploadRejected::InvalidPart(0))) } else { Ok(Ok(parts)) }
    }

    fn total_size(&self, parts: &[(PartNumber, PartRow)]) -> Result<u64, CompleteUploadRejected> {
        let (_, all_but_last) = parts.split_last().ok_or(CompleteUploadRejected::InvalidPart(0))?;
        if let Some((number, _)) = all_but_last.iter().find(|(_, row)| row.size < self.min_part_size) {
            return Err(CompleteUploadRejected::PartTooSmall(number.get()));
        }
        let size = parts.iter().try_fold(0u64, |sum, (_, row)| sum.checked_add(row.size));
        size.filter(|size| *size <= self.max_size).ok_or(CompleteUploadRejected::TooLarge)
    }

    /// Removes the upload with all its parts. The references of the parts named go over to the version; those of the others are
    /// dropped.
    fn remove_upload(&self, tables: &mut dyn WriteTables, freed: &mut Freed) -> Result<(), StorageFault> {
        let (keys, _) = keys_under(tables, PARTS, &parts_prefix(&self.at), usize::MAX)?;
        let named: Vec<Vec<u8>> = self.parts.iter().map(|part| part_key(&self.at, part.number)).collect();
        for key in keys {
            if named.binary_search(&key).is_err()
                && let Some(row) = rows::get::<PartRow>(tables, PARTS, &key)?
            {
                freed.drop_pieces(tables, &row.pieces)?;
            }
            tables.delete(PARTS, &key);
        }
        tables.delete(UPLOADS, &upload_key(&self.at));
        Ok(())
    }

    fn version(&self, log: LogIndex, size: u64, upload: &UploadRow, parts: Vec<(PartNumber, PartRow)>) -> KeyRow {
        let head = KeyHead {
            object: self.object,
            sequence: Sequence::new(log, 0),
            version: VersionId::NULL,
            size,
            etag: self.etag,
            modified: self.now,
            owner: upload.owner.clone(),
            storage_class: upload.storage_class.clone(),
            checksum: self.checksum.clone(),
            noncurrent: None,
            lock: upload.lock,
        };
        let entries = parts.iter().map(|(number, row)| PartEntry {
            number: *number,
            size: row.size,
            checksum: row.checksum.clone(),
            salt: row.salt,
        });
        let body = KeyBody {
            attributes: upload.attributes.clone(),
            parts: entries.collect(),
            pieces: parts.into_iter().flat_map(|(_, row)| row.pieces).collect(),
            encryption: upload.encryption.clone(),
            acl: upload.acl.clone(),
            replication: upload.replication,
            native_acl: None,
        };
        KeyRow { head, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::SessionEncryption;
    use crate::testing::{Namespace, etag, sealed_object};
    use types::Salt;

    fn complete(at: &UploadKey, parts: &[(u64, ETag, ObjectId)]) -> CompleteUpload {
        let part = |(number, etag, object): &(u64, ETag, ObjectId)| CompletedPart {
            number: PartNumber::new(*number).expect("legal"),
            etag: *etag,
            object: *object,
        };
        CompleteUpload {
            origin: None,
            at: at.clone(),
            parts: parts.iter().map(part).collect(),
            etag: ETag { parts: Some(parts.len() as u16), ..etag(200) },
            checksum: None,
            condition: WriteCondition::Always,
            object: ObjectId(1 << 40),
            min_part_size: 5,
            max_size: 1000,
            now: Timestamp(80),
        }
    }

    struct Uploaded {
        om: Namespace,
        at: UploadKey,
        parts: Vec<(u64, ETag, ObjectId)>,
    }

    /// Parts of 10, 10 and 3 bytes in blocks 1, 2 and 3.
    fn uploaded() -> Uploaded {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let at = om.create_upload(bucket, "big");
        let parts = [(1, 10), (2, 10), (3, 3)].map(|(number, size)| {
            let part = om.write_part(&at, number, [(u64::from(number), size)]);
            (u64::from(number), part.etag, part.object)
        });
        Uploaded { om, at, parts: parts.to_vec() }
    }

    #[test]
    fn the_parts_become_one_object_in_their_order() {
        let Uploaded { mut om, at, parts } = uploaded();
        let committed = om.apply(complete(&at, &parts)).expect("all parts are there");
        assert_eq!(committed.size, 23);
        let row = om.current(at.bucket, "big").expect("it is visible");
        assert_eq!(row.body.pieces.iter().map(|piece| piece.block.local).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(row.body.parts.iter().map(|part| part.size).collect::<Vec<_>>(), [10, 10, 3]);
        assert_eq!(om.deleted_blocks(), []);
        om.check();
    }

    #[test]
    fn a_sealed_object_keeps_its_uploads_key_and_each_parts_salt() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let at = om.create_sealed_upload(bucket, "big", sealed_object(7));
        let parts = [(1, 10), (2, 3)].map(|(number, size)| {
            let session = om.open_sealed(bucket, [number], SessionEncryption::Part(Salt([number as u8; 16])));
            let part = om.apply(om.part_of(session, &at, number as u16, [(number, size + 16)])).expect("the upload exists");
            (number, part.etag, part.object)
        });
        assert_eq!(om.apply(complete(&at, &parts)).expect("all parts are there").size, 13);
        let row = om.current(bucket, "big").expect("it is visible");
        assert_eq!(row.body.encryption, Some(sealed_object(7)));
        assert_eq!(row.body.parts.iter().map(|part| part.salt).collect::<Vec<_>>(), [Some(Salt([1; 16])), Some(Salt([2; 16]))]);
        om.check();
    }

    #[test]
    fn parts_that_are_not_named_are_freed() {
        let Uploaded { mut om, at, parts } = uploaded();
        om.apply(complete(&at, &[parts[0], parts[2]])).expect("two parts are enough");
        assert_eq!(om.deleted_blocks(), [2]);
        om.check();
    }

    #[test]
    fn the_same_completion_again_is_answered_as_the_first() {
        let Uploaded { mut om, at, parts } = uploaded();
        let first = om.apply(complete(&at, &parts)).expect("all parts are there");
        let again = CompleteUpload { object: ObjectId(1 << 41), now: Timestamp(90), ..complete(&at, &parts) };
        assert_eq!(om.apply(again), Ok(first));
        let other = complete(&at, &parts[..1]);
        assert_eq!(om.apply(other), Err(CompleteUploadRejected::NoSuchUpload));
        om.check();
    }

    #[test]
    fn a_completion_that_is_refused_leaves_the_upload_as_it_was() {
        use CompleteUploadRejected::*;
        let Uploaded { mut om, at, parts } = uploaded();
        let wrong_tag = [(1, etag(99), parts[0].2)];
        let other_write = [(1, parts[0].1, ObjectId(99))];
        let absent = [parts[0], (4, etag(4), ObjectId(1))];
        let small_before_last = [parts[2], (4, etag(4), ObjectId(1))];
        let cases = [
            (complete(&at, &[parts[1], parts[0]]), InvalidPartOrder),
            (complete(&at, &[parts[0], parts[0]]), InvalidPartOrder),
            (complete(&at, &wrong_tag), InvalidPart(1)),
            (complete(&at, &other_write), PartChanged(1)),
            (complete(&at, &absent), InvalidPart(4)),
            (complete(&at, &small_before_last), InvalidPart(4)),
            (complete(&at, &[]), InvalidPart(0)),
            (CompleteUpload { min_part_size: 11, ..complete(&at, &parts) }, PartTooSmall(1)),
            (CompleteUpload { max_size: 22, ..complete(&at, &parts) }, TooLarge),
            (CompleteUpload { condition: WriteCondition::IfPresent, ..complete(&at, &parts) }, NoSuchKey),
        ];
        for (command, rejected) in cases {
            assert_eq!(om.apply(command), Err(rejected));
            om.check();
        }
        om.apply(complete(&at, &parts)).expect("nothing was lost");
    }
}
