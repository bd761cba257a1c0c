//! An upload ends without an object.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{LogIndex, Timestamp};

use super::Outcome;
use crate::blocks::Freed;
use crate::namespace;
use crate::rows::{self, PartRow, UploadKey, keys_under, parts_prefix, upload_key};
use crate::tables::{PARTS, UPLOADS};

/// Frees its parts. A part still on its way finds no upload when it is committed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AbortUpload {
    #[n(0)]
    pub at: UploadKey,
    #[n(1)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum AbortUploadRejected {
    #[n(0)]
    NoSuchBucket,
    #[n(1)]
    NoSuchUpload,
}

impl AbortUpload {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), AbortUploadRejected> {
        if namespace::bucket(tables, self.at.bucket)?.is_none() {
            return Ok(Err(AbortUploadRejected::NoSuchBucket));
        }
        let key = upload_key(&self.at);
        if tables.get(UPLOADS, &key)?.is_none() {
            return Ok(Err(AbortUploadRejected::NoSuchUpload));
        }
        let mut freed = Freed::default();
        let (parts, _) = keys_under(tables, PARTS, &parts_prefix(&self.at), usize::MAX)?;
        for part in parts {
            if let Some(row) = rows::get::<PartRow>(tables, PARTS, &part)? {
                freed.drop_pieces(tables, &row.pieces)?;
            }
            tables.delete(PARTS, &part);
        }
        tables.delete(UPLOADS, &key);
        freed.write(tables, log, self.now);
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Namespace;

    #[test]
    fn aborting_frees_the_parts_of_this_upload_and_of_no_other() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let (first, second) = (om.create_upload(bucket, "big"), om.create_upload(bucket, "big"));
        om.write_part(&first, 1, [(1, 10)]);
        om.write_part(&second, 1, [(2, 10)]);
        let abort = AbortUpload { at: first, now: Timestamp(3) };
        assert_eq!(om.apply(abort.clone()), Ok(()));
        assert_eq!(om.deleted_blocks(), [1]);
        assert_eq!(om.apply(abort), Err(AbortUploadRejected::NoSuchUpload));
        om.check();
    }
}
