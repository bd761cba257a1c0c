//! A bucket gets object lock, or another default retention.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{BucketId, BucketLock, DefaultRetention, LogIndex};

use super::Outcome;
use crate::namespace;
use crate::rows::{self, Versioning, bucket_key};
use crate::tables::BUCKETS;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SetBucketLock {
    #[n(0)]
    pub bucket: BucketId,
    #[n(1)]
    pub default: Option<DefaultRetention>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum SetBucketLockRejected {
    #[n(0)]
    NoSuchBucket,
    /// Only versions can be locked.
    #[n(1)]
    NotVersioned,
}

impl SetBucketLock {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), SetBucketLockRejected> {
        let Some(mut row) = namespace::bucket(tables, self.bucket)? else {
            return Ok(Err(SetBucketLockRejected::NoSuchBucket));
        };
        if row.versioning != Versioning::Enabled {
            return Ok(Err(SetBucketLockRejected::NotVersioned));
        }
        row.object_lock = Some(BucketLock { default: self.default });
        rows::put(tables, BUCKETS, &bucket_key(row.id), &row);
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VersioningStatus;

    use crate::testing::Namespace;
    use types::{Bypass, RetentionMode, RetentionPeriod, Timestamp};

    #[test]
    fn only_a_versioned_bucket_gets_locks() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let lock = SetBucketLock { bucket, default: None };
        assert_eq!(om.apply(lock.clone()), Err(SetBucketLockRejected::NotVersioned));
        om.set_versioning(bucket, VersioningStatus::Suspended);
        assert_eq!(om.apply(lock.clone()), Err(SetBucketLockRejected::NotVersioned));
        om.set_versioning(bucket, VersioningStatus::Enabled);
        assert_eq!(om.apply(lock), Ok(()));
    }

    #[test]
    fn new_versions_get_the_buckets_retention_counted_from_a_clock_that_never_goes_back() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_versioning(bucket, VersioningStatus::Enabled);
        om.set_bucket_lock(bucket, Some(DefaultRetention { mode: RetentionMode::Compliance, period: RetentionPeriod::Days(1) }));
        let day = 86_400_000;
        for (name, now, until) in [("a", 5_000_000, 5_000_000 + day), ("b", 3_000_000, 5_000_000 + day)] {
            let session = om.open(bucket, []);
            let commit = crate::CommitKey { now: Timestamp(now), ..om.commit_of(session, name, []) };
            om.apply(commit).expect("a good commit");
            let lock = om.current(bucket, name).expect("it is there").head.lock.expect("the default");
            assert_eq!(lock.retention.expect("the default").until, Timestamp(until));
            assert!(lock.holds(Timestamp(until - 1), Bypass::Governance));
        }
    }
}
