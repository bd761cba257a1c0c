//! What a deleted bucket leaves behind.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{BucketId, LogIndex, Timestamp};

use super::{Never, Outcome};
use crate::blocks::Freed;
use crate::rows::{self, CompletedRow, PartRow, bucket_key, completed_time_key, keys_under, malformed};
use crate::tables::{COMPLETED_BY_TIME, COMPLETED_UPLOADS, ENDING_BUCKETS, PARTS, UPLOADS};

/// Frees up to `limit` rows of the uploads that ended with their bucket. Answers whether more are left.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PurgeBucket {
    #[n(0)]
    pub bucket: BucketId,
    #[n(1)]
    pub limit: u32,
    #[n(2)]
    pub now: Timestamp,
}

impl PurgeBucket {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<bool, Never> {
        let inside = bucket_key(self.bucket);
        if tables.get(ENDING_BUCKETS, &inside)?.is_none() {
            return Ok(Ok(false));
        }
        let mut left = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut freed = Freed::default();
        for table in [PARTS, UPLOADS, COMPLETED_UPLOADS] {
            let (keys, more) = keys_under(tables, table, &inside, left)?;
            for key in &keys {
                if table == PARTS {
                    let part: PartRow = rows::get(tables, PARTS, key)?.ok_or_else(|| malformed(PARTS, "a row vanished"))?;
                    freed.drop_pieces(tables, &part.pieces)?;
                }
                if table == COMPLETED_UPLOADS {
                    let row: CompletedRow = rows::get(tables, table, key)?.ok_or_else(|| malformed(table, "a row vanished"))?;
                    tables.delete(COMPLETED_BY_TIME, &completed_time_key(row.completed, key));
                }
                tables.delete(table, key);
            }
            left -= keys.len();
            if more {
                freed.write(tables, log, self.now);
                return Ok(Ok(true));
            }
        }
        tables.delete(ENDING_BUCKETS, &inside);
        freed.write(tables, log, self.now);
        Ok(Ok(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Namespace;

    #[test]
    fn the_uploads_of_a_deleted_bucket_are_freed_in_bounded_steps() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let upload = om.create_upload(bucket, "big");
        for part in 1..=3 {
            om.write_part(&upload, part, [(u64::from(part), 10)]);
        }
        om.apply(crate::DeleteBucket { bucket }).expect("uploads do not keep it");
        assert_eq!(om.deleted_blocks(), []);
        let mut steps = 0;
        while om.apply(PurgeBucket { bucket, limit: 2, now: Timestamp(50) }) == Ok(true) {
            steps += 1;
        }
        assert_eq!(steps, 1);
        assert_eq!(om.deleted_blocks(), [1, 2, 3]);
        om.check();
    }
}
