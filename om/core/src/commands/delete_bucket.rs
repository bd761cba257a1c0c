//! The end of a bucket.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{BucketId, LogIndex};

use super::Outcome;
use crate::namespace;
use crate::rows::{self, LOGS_CHANGED, bucket_key, is_empty_under, keys_under, name_key, user_bucket_key};
use crate::tables::{
    BUCKET_CONFIGS, BUCKET_NAMES, BUCKETS, COMPLETED_UPLOADS, ENDING_BUCKETS, KEYS, LIFECYCLE_BUCKETS, LOGGED_BUCKETS, META,
    PREFIXES, UPLOADS, USER_BUCKETS, VERSIONS,
};

/// Its name is free at once. Uploads in flight cannot be reached any more and are freed piece by piece behind it
/// ([`PurgeBucket`](super::PurgeBucket)), since they may be many.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeleteBucket {
    #[n(0)]
    pub bucket: BucketId,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum DeleteBucketRejected {
    #[n(0)]
    NoSuchBucket,
    #[n(1)]
    NotEmpty,
}

impl DeleteBucket {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), DeleteBucketRejected> {
        let Some(row) = namespace::bucket(tables, self.bucket)? else {
            return Ok(Err(DeleteBucketRejected::NoSuchBucket));
        };
        let inside = bucket_key(row.id);
        if !is_empty_under(tables, KEYS, &inside)? || !is_empty_under(tables, VERSIONS, &inside)? {
            return Ok(Err(DeleteBucketRejected::NotEmpty));
        }
        tables.delete(BUCKETS, &inside);
        tables.delete(BUCKET_NAMES, &name_key(&row.volume, &row.name));
        tables.delete(USER_BUCKETS, &user_bucket_key(&row.owner, &row.volume, &row.name));
        // One row a kind at most.
        for key in keys_under(tables, BUCKET_CONFIGS, &inside, usize::MAX)?.0 {
            tables.delete(BUCKET_CONFIGS, &key);
        }
        for key in keys_under(tables, PREFIXES, &inside, usize::MAX)?.0 {
            tables.delete(PREFIXES, &key);
        }
        tables.delete(LIFECYCLE_BUCKETS, &inside);
        if tables.get(LOGGED_BUCKETS, &inside)?.is_some() {
            tables.delete(LOGGED_BUCKETS, &inside);
            rows::put(tables, META, LOGS_CHANGED, &log);
        }
        // Parts without their upload do not occur.
        if !is_empty_under(tables, UPLOADS, &inside)? || !is_empty_under(tables, COMPLETED_UPLOADS, &inside)? {
            tables.put(ENDING_BUCKETS, &inside, Vec::new());
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Namespace;

    #[test]
    fn a_bucket_with_a_key_stays() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "cat.jpg", [(7, 10)]);
        assert_eq!(om.apply(DeleteBucket { bucket }), Err(DeleteBucketRejected::NotEmpty));
        om.delete(bucket, "cat.jpg");
        assert_eq!(om.apply(DeleteBucket { bucket }), Ok(()));
        assert_eq!(om.apply(DeleteBucket { bucket }), Err(DeleteBucketRejected::NoSuchBucket));
    }

    #[test]
    fn a_bucket_beside_it_does_not_keep_a_bucket() {
        let mut om = Namespace::with_users(["ada"]);
        let first = om.create_bucket("ada", "first");
        let second = om.create_bucket("ada", "second");
        om.write(second, "cat.jpg", [(7, 10)]);
        assert_eq!(om.apply(DeleteBucket { bucket: first }), Ok(()));
    }
}
