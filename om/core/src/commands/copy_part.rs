//! A part on another object's blocks.

use md5::{Digest, Md5 as Md5Hasher};
use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{ETag, LogIndex, Md5, ObjectId, PartNumber, Precondition, Timestamp};

use super::Outcome;
use super::commit_part::{PartCommitted, put_part};
use super::shared::CopySource;
use crate::blocks::{Freed, add_reference};
use crate::judged::is_another;
use crate::namespace::{self, ByteRange, Missing, Span, pieces_under};
use crate::rows::{self, KeyHead, PartRow, Piece, UploadKey, UploadRow, upload_key};
use crate::tables::UPLOADS;

/// Copies a range by reference. Only into uploads without checksums, and where nothing is encrypted: nobody looks at the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CopyPart {
    #[n(0)]
    pub source: CopySource,
    #[n(1)]
    pub range: Option<ByteRange>,
    #[n(2)]
    pub at: UploadKey,
    #[n(3)]
    pub part: PartNumber,
    #[n(4)]
    pub object: ObjectId,
    #[n(5)]
    pub max_size: u64,
    #[n(6)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum CopyPartRejected {
    #[n(0)]
    NoSuchSourceBucket,
    #[n(1)]
    NoSuchSourceKey,
    #[n(2)]
    NoSuchSourceVersion,
    #[n(3)]
    SourceIsDeleteMarker,
    #[n(4)]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    #[n(5)]
    NoSuchBucket,
    #[n(6)]
    NoSuchUpload,
    #[n(7)]
    InvalidRange,
    #[n(8)]
    TooLarge,
    #[n(9)]
    NeedsBytes,
    /// The source is not what was judged.
    #[n(10)]
    Changed,
}

impl From<Missing> for CopyPartRejected {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Key => Self::NoSuchSourceKey,
            Missing::Version => Self::NoSuchSourceVersion,
            Missing::DeleteMarker(_) => Self::SourceIsDeleteMarker,
        }
    }
}

impl CopyPart {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<PartCommitted, CopyPartRejected> {
        let Some(bucket) = namespace::bucket(tables, self.at.bucket)? else {
            return Ok(Err(CopyPartRejected::NoSuchBucket));
        };
        let Some(upload) = rows::get::<UploadRow>(tables, UPLOADS, &upload_key(&self.at))? else {
            return Ok(Err(CopyPartRejected::NoSuchUpload));
        };
        let Some(source_bucket) = namespace::bucket(tables, self.source.bucket)? else {
            return Ok(Err(CopyPartRejected::NoSuchSourceBucket));
        };
        let source = namespace::version(tables, self.source.bucket, &self.source.key, self.source.version)?;
        if is_another(self.source.judged.as_deref(), source.as_ref().ok()) {
            return Ok(Err(CopyPartRejected::Changed));
        }
        let source = match source {
            Ok(source) => source,
            Err(missing) => return Ok(Err(missing.into())),
        };
        if let Err(which) = self.source.conditions.check(&source.head) {
            return Ok(Err(CopyPartRejected::PreconditionFailed(Some(which.of_source()))));
        }
        let span = match self.range {
            None => Span { start: 0, end: source.head.size },
            Some(range) => match range.wholly_within(source.head.size) {
                Some(span) => span,
                None => return Ok(Err(CopyPartRejected::InvalidRange)),
            },
        };
        if span.length() > self.max_size {
            return Ok(Err(CopyPartRejected::TooLarge));
        }
        let is_kept_so =
            source.body.replication.unwrap_or(source_bucket.replication) == upload.replication.unwrap_or(bucket.replication);
        if !is_kept_so || upload.checksum.is_some() || upload.encryption.is_some() || source.body.encryption.is_some() {
            return Ok(Err(CopyPartRejected::NeedsBytes));
        }
        let pieces: Vec<Piece> = pieces_under(&source.body.pieces, span).map(|placed| placed.piece).collect();
        for piece in &pieces {
            add_reference(tables, piece.block)?;
        }
        let row = PartRow {
            object: self.object,
            size: span.length(),
            etag: etag_of(&source.head, span),
            checksum: None,
            modified: self.now,
            pieces,
            salt: None,
        };
        let mut freed = Freed::default();
        put_part(tables, &self.at, self.part, &row, &mut freed)?;
        freed.write(tables, log, self.now);
        let source_version = source.head.shown_version();
        Ok(Ok(PartCommitted { etag: row.etag, modified: row.modified, size: row.size, source_version, object: row.object }))
    }
}

/// The MD5 of the bytes where it is known, which is for a source that was put whole and is copied whole. Otherwise a digest
/// that differs where source or range differ, which is all that clients may read from a part's tag.
fn etag_of(source: &KeyHead, span: Span) -> ETag {
    if source.etag.parts.is_none() && span == (Span { start: 0, end: source.size }) {
        return source.etag;
    }
    let mut hasher = Md5Hasher::new();
    hasher.update(source.etag.to_string());
    hasher.update(span.start.to_be_bytes());
    hasher.update(span.end.to_be_bytes());
    ETag::whole(Md5(hasher.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReadConditions;
    use crate::testing::{Namespace, key, sealed_object};
    use types::{BucketId, ChecksumAlgorithm, ChecksumType};

    fn copy(bucket: BucketId, at: &UploadKey, range: Option<ByteRange>) -> CopyPart {
        CopyPart {
            source: CopySource { bucket, key: key("source"), version: None, conditions: ReadConditions::default(), judged: None },
            range,
            at: at.clone(),
            part: PartNumber::new(1).expect("legal"),
            object: ObjectId(1 << 40),
            max_size: 1000,
            now: Timestamp(70),
        }
    }

    #[test]
    fn a_range_is_copied_by_pieces_of_its_blocks() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "source", [(1, 10), (2, 10), (3, 10)]);
        let upload = om.create_upload(bucket, "big");
        let copied = om.apply(copy(bucket, &upload, Some(ByteRange::Span(5, 14)))).expect("within the source");
        assert_eq!(copied.size, 10);
        om.check();
        om.delete(bucket, "source");
        assert_eq!(om.deleted_blocks(), [3], "only the block outside the range has lost its last reference");
        om.check();
    }

    #[test]
    fn a_whole_copy_keeps_the_md5_and_a_range_gets_a_tag_of_its_own() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let source = om.write(bucket, "source", [(1, 10)]);
        let upload = om.create_upload(bucket, "big");
        let tag = |om: &mut Namespace, range| om.apply(copy(bucket, &upload, range)).expect("within the source").etag;
        assert_eq!(tag(&mut om, None), source.etag);
        let (first, second) = (tag(&mut om, Some(ByteRange::Span(0, 4))), tag(&mut om, Some(ByteRange::Span(5, 9))));
        assert!(first != second && first != source.etag);
        om.check();
    }

    #[test]
    fn what_cannot_be_copied_by_reference_is_refused() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "source", [(1, 10)]);
        let upload = om.create_upload(bucket, "big");
        assert_eq!(om.apply(copy(bucket, &upload, Some(ByteRange::Span(5, 10)))), Err(CopyPartRejected::InvalidRange));
        let large = CopyPart { max_size: 9, ..copy(bucket, &upload, None) };
        assert_eq!(om.apply(large), Err(CopyPartRejected::TooLarge));
        let with_checksum = Some((ChecksumAlgorithm::Crc32, ChecksumType::FullObject));
        let checked = om.create_upload_with(bucket, "checked", with_checksum);
        assert_eq!(om.apply(copy(bucket, &checked, None)), Err(CopyPartRejected::NeedsBytes));
        let sealed = om.create_sealed_upload(bucket, "sealed", sealed_object(7));
        assert_eq!(om.apply(copy(bucket, &sealed, None)), Err(CopyPartRejected::NeedsBytes));
        om.write_sealed(bucket, "source", [(2, 26)], sealed_object(8));
        assert_eq!(om.apply(copy(bucket, &upload, None)), Err(CopyPartRejected::NeedsBytes));
        om.check();
    }
}
