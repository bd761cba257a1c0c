//! Conditions on writes and on the source of a copy.

use minicbor::{Decode, Encode};
use types::{ETag, Precondition, Timestamp};

use crate::rows::KeyHead;

/// When a write may take effect, decided against the current version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub enum WriteCondition {
    #[default]
    #[n(0)]
    Always,
    #[n(1)]
    IfAbsent,
    #[n(2)]
    IfPresent,
    #[n(3)]
    IfMatch(#[n(0)] ETag),
    #[n(4)]
    IfNoneMatch(#[n(0)] ETag),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionFailed {
    /// There is a version, and not as the condition wants it; or there is one and should not be.
    Mismatch(Precondition),
    /// The condition wants a version and there is none: S3 says NoSuchKey.
    Absent,
}

impl WriteCondition {
    pub fn check(&self, current: Option<&KeyHead>) -> Result<(), ConditionFailed> {
        match (self, current) {
            (Self::Always, _) | (Self::IfAbsent | Self::IfNoneMatch(_), None) | (Self::IfPresent, Some(_)) => Ok(()),
            (Self::IfAbsent, Some(_)) => Err(ConditionFailed::Mismatch(Precondition::IfNoneMatch)),
            (Self::IfPresent | Self::IfMatch(_), None) => Err(ConditionFailed::Absent),
            (Self::IfMatch(etag), Some(head)) if head.etag == *etag => Ok(()),
            (Self::IfNoneMatch(etag), Some(head)) if head.etag != *etag => Ok(()),
            (Self::IfMatch(_), Some(_)) => Err(ConditionFailed::Mismatch(Precondition::IfMatch)),
            (Self::IfNoneMatch(_), Some(_)) => Err(ConditionFailed::Mismatch(Precondition::IfNoneMatch)),
        }
    }
}

/// Conditions on a copy's source.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct ReadConditions {
    /// One of these; any at all if empty.
    #[n(0)]
    pub if_match: Option<Vec<ETag>>,
    /// None of these; none at all if empty.
    #[n(1)]
    pub if_none_match: Option<Vec<ETag>>,
    #[n(2)]
    pub if_modified_since: Option<Timestamp>,
    #[n(3)]
    pub if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// A tag condition outranks the time condition of its kind, as S3 documents for CopyObject: `if-match` that holds lets
    /// `if-unmodified-since` fail, `if-none-match` decides over `if-modified-since`.
    pub fn check(&self, source: &KeyHead) -> Result<(), Precondition> {
        let names = |tags: &Vec<ETag>| tags.is_empty() || tags.contains(&source.etag);
        let is_older = |since: Timestamp| source.modified.seconds() <= since.seconds();
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !names(tags) => return Err(Precondition::IfMatch),
            (None, Some(since)) if !is_older(since) => return Err(Precondition::IfUnmodifiedSince),
            (Some(_), _) | (None, _) => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) if names(tags) => Err(Precondition::IfNoneMatch),
            (None, Some(since)) if is_older(since) => Err(Precondition::IfModifiedSince),
            (Some(_), _) | (None, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Sequence, UserId};
    use types::{Md5, ObjectId, VersionId};

    const TAG: ETag = ETag { md5: Md5([1; 16]), parts: None };
    const OTHER: ETag = ETag { md5: Md5([2; 16]), parts: None };

    fn head() -> KeyHead {
        KeyHead {
            object: ObjectId(1),
            sequence: Sequence(1),
            version: VersionId::NULL,
            size: 1,
            etag: TAG,
            modified: Timestamp(10_500),
            owner: UserId("ada".into()),
            storage_class: None,
            checksum: None,
            noncurrent: None,
            lock: None,
        }
    }

    #[test]
    fn write_conditions_look_at_the_current_version() {
        use WriteCondition::*;
        let (absent, mismatch) = (ConditionFailed::Absent, ConditionFailed::Mismatch);
        let table = [
            (Always, Ok(()), Ok(())),
            (IfAbsent, Ok(()), Err(mismatch(Precondition::IfNoneMatch))),
            (IfPresent, Err(absent), Ok(())),
            (IfMatch(TAG), Err(absent), Ok(())),
            (IfMatch(OTHER), Err(absent), Err(mismatch(Precondition::IfMatch))),
            (IfNoneMatch(TAG), Ok(()), Err(mismatch(Precondition::IfNoneMatch))),
            (IfNoneMatch(OTHER), Ok(()), Ok(())),
        ];
        for (condition, when_absent, when_present) in table {
            assert_eq!(condition.check(None), when_absent, "{condition:?} on nothing");
            assert_eq!(condition.check(Some(&head())), when_present, "{condition:?} on a version");
        }
    }

    #[test]
    fn tags_outrank_times_in_source_conditions() {
        let (before, at, after) = (Some(Timestamp(9_000)), Some(Timestamp(10_000)), Some(Timestamp(11_000)));
        let conditions = |if_match, if_none_match, if_modified_since, if_unmodified_since| ReadConditions {
            if_match,
            if_none_match,
            if_modified_since,
            if_unmodified_since,
        };
        let table = [
            (conditions(None, None, None, None), None),
            (conditions(Some(vec![TAG]), None, None, before), None),
            (conditions(Some(vec![OTHER]), None, None, after), Some(Precondition::IfMatch)),
            (conditions(Some(vec![OTHER]), Some(vec![TAG]), None, None), Some(Precondition::IfMatch)),
            (conditions(Some(vec![]), None, None, None), None),
            (conditions(None, Some(vec![TAG]), before, None), Some(Precondition::IfNoneMatch)),
            (conditions(None, Some(vec![OTHER]), after, None), None),
            (conditions(None, Some(vec![]), None, None), Some(Precondition::IfNoneMatch)),
            (conditions(None, None, before, None), None),
            (conditions(None, None, at, None), Some(Precondition::IfModifiedSince)),
            (conditions(None, None, None, at), None),
            (conditions(None, None, None, before), Some(Precondition::IfUnmodifiedSince)),
        ];
        for (conditions, failed) in table {
            assert_eq!(conditions.check(&head()).err(), failed, "{conditions:?}");
        }
    }
}
