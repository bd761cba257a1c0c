//! What is said about a version changes; its bytes stay.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{Acl, BucketId, Bypass, LogIndex, ObjectKey, Retention, Timestamp, VersionId};

use super::Outcome;
use crate::judged::{Judged, is_another};
use crate::namespace::{self, Missing};
use crate::notifications::{Event, note};
use crate::rows::{EventKind, Origin, Sequence};

use crate::versions;

/// Keeps the time of modification, the tag and everything else as they are.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UpdateVersion {
    #[n(0)]
    pub bucket: BucketId,
    #[n(1)]
    pub key: ObjectKey,
    /// The current one if absent.
    #[n(2)]
    pub version: Option<VersionId>,
    #[n(3)]
    pub change: VersionChange,
    #[n(4)]
    pub now: Timestamp,
    /// Noted if the bucket has somebody told.
    #[n(5)]
    pub origin: Option<Origin>,
    #[n(6)]
    pub judged: Option<Box<Judged>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum VersionChange {
    #[n(0)]
    Tags(#[n(0)] Vec<(String, String)>),
    #[n(1)]
    Retention(#[n(0)] Option<Retention>, #[n(1)] Bypass),
    #[n(2)]
    LegalHold(#[n(0)] bool),
    #[n(3)]
    Acl(#[n(0)] Option<Acl>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum UpdateVersionRejected {
    #[n(0)]
    NoSuchBucket,
    #[n(1)]
    NoSuchKey,
    #[n(2)]
    NoSuchVersion,
    #[n(3)]
    DeleteMarker(#[n(0)] VersionId),
    /// The bucket has no object lock.
    #[n(4)]
    NoObjectLock,
    /// The retention that is there may not be loosened.
    #[n(5)]
    Locked,
    /// The version is not what was judged.
    #[n(6)]
    Changed,
}

impl From<Missing> for UpdateVersionRejected {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Key => Self::NoSuchKey,
            Missing::Version => Self::NoSuchVersion,
            Missing::DeleteMarker(version) => Self::DeleteMarker(version),
        }
    }
}

impl UpdateVersion {
    /// Answers with the version that was changed, if its bucket names versions.
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<Option<VersionId>, UpdateVersionRejected> {
        let Some(bucket) = namespace::bucket(tables, self.bucket)? else {
            return Ok(Err(UpdateVersionRejected::NoSuchBucket));
        };
        let needs_lock = matches!(self.change, VersionChange::Retention(..) | VersionChange::LegalHold(_));
        if needs_lock && bucket.object_lock.is_none() {
            return Ok(Err(UpdateVersionRejected::NoObjectLock));
        }
        let found = namespace::version(tables, bucket.id, &self.key, self.version)?;
        if is_another(self.judged.as_deref(), found.as_ref().ok()) {
            return Ok(Err(UpdateVersionRejected::Changed));
        }
        let mut row = match found {
            Ok(row) => row,
            Err(missing) => return Ok(Err(missing.into())),
        };
        let kind = match &self.change {
            VersionChange::Tags(tags) if tags.is_empty() => Some(EventKind::DeleteTags),
            VersionChange::Tags(_) => Some(EventKind::PutTags),
            VersionChange::Acl(_) => Some(EventKind::PutAcl),
            VersionChange::Retention(..) | VersionChange::LegalHold(_) => None,
        };
        match self.change {
            VersionChange::Tags(tags) => row.body.attributes.tags = tags,
            VersionChange::Retention(next, bypass) => {
                let lock = row.head.lock.get_or_insert_default();
                if lock.retention.is_some_and(|retention| !retention.may_become(next, self.now, bypass)) {
                    return Ok(Err(UpdateVersionRejected::Locked));
                }
                lock.retention = next;
            }
            VersionChange::Acl(acl) => row.body.acl = acl,
            VersionChange::LegalHold(hold) => row.head.lock.get_or_insert_default().legal_hold = Some(hold),
        }
        let version = row.head.shown_version();
        if let Some(kind) = kind {
            let event = Event { etag: Some(row.head.etag), version, ..Event::of(kind, &self.key, self.now) };
            note(tables, &bucket, event, Sequence::new(log, 0), self.origin.as_ref())?;
        }
        versions::rewrite(tables, bucket.id, &self.key, row)?;
        Ok(Ok(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VersioningStatus;
    use crate::testing::{Namespace, key};
    use types::RetentionMode;

    fn tags(value: &str) -> VersionChange {
        VersionChange::Tags(vec![("k".into(), value.into())])
    }

    fn update(bucket: BucketId, version: Option<VersionId>, change: VersionChange) -> UpdateVersion {
        UpdateVersion { origin: None, judged: None, bucket, key: key("cat"), version, change, now: Timestamp(100) }
    }

    #[test]
    fn tags_change_on_the_version_that_is_named_and_nothing_else_does() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_versioning(bucket, VersioningStatus::Enabled);
        let old = om.write(bucket, "cat", [(1, 10)]).version;
        let new = om.write(bucket, "cat", [(2, 20)]).version;
        assert_eq!(om.apply(update(bucket, old, tags("old"))), Ok(old));
        assert_eq!(om.apply(update(bucket, None, tags("new"))), Ok(new));
        om.check();
        for (version, value, size) in [(old, "old", 10), (new, "new", 20)] {
            let row = namespace::version(&om.tables, bucket, &key("cat"), version).expect("memory").expect("it is there");
            assert_eq!(row.body.attributes.tags, [("k".to_owned(), value.to_owned())]);
            assert_eq!(row.head.size, size);
        }
        om.delete(bucket, "cat");
        let outcome = om.apply(update(bucket, None, tags("none")));
        assert!(matches!(outcome, Err(UpdateVersionRejected::DeleteMarker(_))), "{outcome:?}");
        let unknown = om.apply(update(bucket, Some(VersionId(1)), tags("none")));
        assert_eq!(unknown, Err(UpdateVersionRejected::NoSuchVersion));
    }

    #[test]
    fn a_lock_needs_a_bucket_with_locks_and_is_not_loosened_without_right() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.set_versioning(bucket, VersioningStatus::Enabled);
        om.write(bucket, "cat", [(1, 10)]);
        let retention = |seconds| Some(Retention { mode: RetentionMode::Governance, until: Timestamp(seconds) });
        let retain = |seconds, bypass| update(bucket, None, VersionChange::Retention(retention(seconds), bypass));
        assert_eq!(om.apply(retain(500, Bypass::No)), Err(UpdateVersionRejected::NoObjectLock));
        om.set_bucket_lock(bucket, None);
        assert!(om.apply(retain(500, Bypass::No)).is_ok());
        assert_eq!(om.apply(retain(400, Bypass::No)), Err(UpdateVersionRejected::Locked));
        assert!(om.apply(retain(400, Bypass::Governance)).is_ok());
        assert!(om.apply(update(bucket, None, VersionChange::LegalHold(true))).is_ok());
        let lock = om.current(bucket, "cat").expect("it is there").head.lock.expect("both");
        assert_eq!((lock.retention, lock.legal_hold), (retention(400), Some(true)));
    }
}
