//! A new bucket.

use bucket_config::{BucketAcl, BucketDocument, OwnershipControls};
use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{Acl, BucketId, BucketLock, BucketName, LogIndex, Replication, Timestamp, VolumeName};

use super::Outcome;
use crate::namespace;
use crate::native_acl;
use crate::rows::{
    self, BucketConfigRow, BucketLayout, BucketRow, UserId, Versioning, bucket_key, config_key, keys_under, name_key,
    prefix_acl_key, user_bucket_key, user_bucket_prefix,
};
use crate::tables::{BUCKET_CONFIGS, BUCKET_NAMES, BUCKETS, PREFIXES, USER_BUCKETS};

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CreateBucket {
    #[n(0)]
    pub volume: VolumeName,
    #[n(1)]
    pub name: BucketName,
    #[n(2)]
    pub owner: UserId,
    #[n(3)]
    pub location: Option<String>,
    #[n(4)]
    pub replication: Replication,
    /// How many buckets the owner may have in the volume.
    #[n(5)]
    pub limit: u32,
    #[n(6)]
    pub now: Timestamp,
    /// Whether versions in it can be locked; it then begins versioned.
    #[n(7)]
    pub object_lock: Option<bool>,
    /// Private if absent.
    #[n(8)]
    pub acl: Option<Acl>,
    #[n(9)]
    pub ownership: Option<OwnershipControls>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum CreateBucketRejected {
    /// The owner has it already, with the same settings.
    #[n(0)]
    OwnedByYou(#[n(0)] Box<BucketRow>),
    #[n(1)]
    Exists,
    #[n(2)]
    TooMany,
    #[n(3)]
    NoSuchUser,
    #[n(4)]
    NoSuchVolume,
}

impl CreateBucket {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<BucketRow, CreateBucketRejected> {
        let with_lock = self.object_lock == Some(true);
        if let Some(existing) = namespace::bucket_by_name(tables, &self.volume, &self.name)? {
            let acl: Option<BucketAcl> = namespace::bucket_document(tables, existing.id)?;
            let ownership: Option<OwnershipControls> = namespace::bucket_document(tables, existing.id)?;
            let is_same = existing.owner == self.owner
                && existing.location == self.location
                && existing.object_lock.is_some() >= with_lock
                && acl.map(|acl| acl.acl) == self.acl
                && (self.ownership.is_none() || ownership == self.ownership);
            let rejected =
                if is_same { CreateBucketRejected::OwnedByYou(Box::new(existing)) } else { CreateBucketRejected::Exists };
            return Ok(Err(rejected));
        }
        if namespace::user(tables, &self.owner)?.is_none() {
            return Ok(Err(CreateBucketRejected::NoSuchUser));
        }
        // It ended with its account since the request was looked at.
        if !self.volume.is_s3v() && namespace::volume(tables, &self.volume)?.is_none() {
            return Ok(Err(CreateBucketRejected::NoSuchVolume));
        }
        let owned = user_bucket_prefix(&self.owner, &self.volume);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if keys_under(tables, USER_BUCKETS, &owned, limit)?.0.len() >= limit {
            return Ok(Err(CreateBucketRejected::TooMany));
        }
        let acl = self.acl.map(|acl| BucketDocument::from(BucketAcl { acl }));
        let documents: Vec<_> = acl.into_iter().chain(self.ownership.map(BucketDocument::from)).collect();
        let native_acl = native_acl::of_volume(tables, &self.volume)?.and_then(|acl| acl.handed_on());
        let row = BucketRow {
            id: BucketId(log.0),
            volume: self.volume,
            name: self.name,
            owner: self.owner,
            created: self.now,
            location: self.location,
            layout: BucketLayout::ObjectStore,
            replication: self.replication,
            versioning: if with_lock { Versioning::Enabled } else { Versioning::Unversioned },
            object_lock: with_lock.then(BucketLock::default),
            guarded: (!documents.is_empty() || native_acl.is_some()).then_some(log),
            lifecycle: None,
            notifies: None,
            native_acls: native_acl.as_ref().map(|_| log),
        };
        if let Some(acl) = native_acl {
            rows::put(tables, PREFIXES, &prefix_acl_key(row.id, ""), &acl);
        }
        for document in documents {
            let key = config_key(row.id, document.kind());
            rows::put(tables, BUCKET_CONFIGS, &key, &BucketConfigRow { document, changed: self.now });
        }
        rows::put(tables, BUCKETS, &bucket_key(row.id), &row);
        rows::put(tables, BUCKET_NAMES, &name_key(&row.volume, &row.name), &row.id);
        rows::put(tables, USER_BUCKETS, &user_bucket_key(&row.owner, &row.volume, &row.name), &row.id);
        Ok(Ok(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Namespace;

    #[test]
    fn a_bucket_made_again_is_another_bucket() {
        let mut om = Namespace::with_users(["ada"]);
        let first = om.create_bucket("ada", "photos");
        om.apply(crate::DeleteBucket { bucket: first }).expect("it is empty");
        let second = om.create_bucket("ada", "photos");
        assert_ne!(first, second);
    }

    #[test]
    fn a_name_is_taken_once() {
        let mut om = Namespace::with_users(["ada", "bob"]);
        let id = om.create_bucket("ada", "photos");
        assert_eq!(om.apply(om.bucket("bob", "photos")), Err(CreateBucketRejected::Exists));
        let again = om.apply(om.bucket("ada", "photos")).expect_err("it exists");
        assert!(matches!(again, CreateBucketRejected::OwnedByYou(row) if row.id == id));
        let elsewhere = CreateBucket { location: Some("eu".into()), ..om.bucket("ada", "photos") };
        assert_eq!(om.apply(elsewhere), Err(CreateBucketRejected::Exists));
    }

    #[test]
    fn an_owner_has_at_most_so_many() {
        let mut om = Namespace::with_users(["ada"]);
        om.create_bucket("ada", "one");
        let second = CreateBucket { limit: 1, ..om.bucket("ada", "two") };
        assert_eq!(om.apply(second), Err(CreateBucketRejected::TooMany));
    }
}
