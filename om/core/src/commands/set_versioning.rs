//! A bucket's versioning is switched.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{BucketId, LogIndex};

use super::Outcome;
use crate::namespace;
use crate::rows::{self, Versioning, bucket_key};
use crate::tables::BUCKETS;

/// What S3 lets a client ask for: there is no way back to a bucket without versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum VersioningStatus {
    #[n(0)]
    Enabled,
    #[n(1)]
    Suspended,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SetVersioning {
    #[n(0)]
    pub bucket: BucketId,
    #[n(1)]
    pub status: VersioningStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum SetVersioningRejected {
    #[n(0)]
    NoSuchBucket,
    /// A bucket whose versions can be locked keeps them.
    #[n(1)]
    HasObjectLock,
}

impl SetVersioning {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), SetVersioningRejected> {
        let Some(mut row) = namespace::bucket(tables, self.bucket)? else {
            return Ok(Err(SetVersioningRejected::NoSuchBucket));
        };
        if self.status == VersioningStatus::Suspended && row.object_lock.is_some() {
            return Ok(Err(SetVersioningRejected::HasObjectLock));
        }
        row.versioning = match self.status {
            VersioningStatus::Enabled => Versioning::Enabled,
            VersioningStatus::Suspended => Versioning::Suspended,
        };
        rows::put(tables, BUCKETS, &bucket_key(row.id), &row);
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Namespace, key};
    use types::VersionId;

    const ENABLED: VersioningStatus = VersioningStatus::Enabled;
    const SUSPENDED: VersioningStatus = VersioningStatus::Suspended;

    #[test]
    fn what_lay_in_a_bucket_before_its_versions_is_the_null_version_under_them() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "cat", [(1, 10)]);
        om.set_versioning(bucket, ENABLED);
        let version = om.write(bucket, "cat", [(2, 20)]).version.expect("a versioned bucket");
        assert_eq!(om.versions(bucket), [format!("cat {version}*"), "cat null".to_owned()]);
        assert_eq!(om.deleted_blocks(), []);
        om.check();
        let null = namespace::version(&om.tables, bucket, &key("cat"), Some(VersionId::NULL)).expect("memory");
        assert_eq!(null.expect("it lies in the stack").head.size, 10);
    }

    #[test]
    fn a_suspended_bucket_replaces_its_null_version_wherever_it_lies() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "cat", [(1, 10)]);
        om.set_versioning(bucket, ENABLED);
        let version = om.write(bucket, "cat", [(2, 20)]).version.expect("a versioned bucket");
        om.set_versioning(bucket, SUSPENDED);
        assert_eq!(om.write(bucket, "cat", [(3, 30)]).version, None);
        assert_eq!(om.versions(bucket), ["cat null*".to_owned(), format!("cat {version}")]);
        assert_eq!(om.deleted_blocks(), [1]);
        om.check();
        om.write(bucket, "cat", [(4, 40)]);
        assert_eq!(om.deleted_blocks(), [1, 3]);
        om.delete(bucket, "cat");
        assert_eq!(om.versions(bucket), ["cat nullx*".to_owned(), format!("cat {version}")]);
        om.delete(bucket, "cat");
        assert_eq!(om.versions(bucket), ["cat nullx*".to_owned(), format!("cat {version}")]);
        om.check();
        om.set_versioning(bucket, ENABLED);
        let newest = om.write(bucket, "cat", [(5, 50)]).version.expect("a versioned bucket");
        let all = [format!("cat {newest}*"), "cat nullx".to_owned(), format!("cat {version}")];
        assert_eq!(om.versions(bucket), all);
        assert_eq!(om.deleted_blocks(), [1, 3, 4]);
        om.check();
    }

    #[test]
    fn a_bucket_with_locks_keeps_its_versions() {
        let mut om = Namespace::with_users(["ada"]);
        let create = crate::CreateBucket { object_lock: Some(true), ..om.bucket("ada", "photos") };
        let bucket = om.apply(create).expect("a new bucket").id;
        assert_eq!(om.apply(SetVersioning { bucket, status: SUSPENDED }), Err(SetVersioningRejected::HasObjectLock));
        assert_eq!(om.apply(SetVersioning { bucket, status: ENABLED }), Ok(()));
    }
}
