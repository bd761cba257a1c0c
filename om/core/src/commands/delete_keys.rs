//! Many objects go, each by itself.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{BucketId, LogIndex, Timestamp};

use super::Outcome;
use super::delete_key::{DeleteKeyRejected, DeletedKey, Entry, KeyDeletion, delete_one};
use crate::blocks::Freed;
use crate::namespace;
use crate::rows::{Origin, Sequence, UserId};

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeleteKeys {
    #[n(0)]
    pub bucket: BucketId,
    #[n(1)]
    pub deletions: Vec<KeyDeletion>,
    #[n(2)]
    pub now: Timestamp,
    /// Of delete markers; the bucket's if absent.
    #[n(3)]
    pub owner: Option<UserId>,
    /// Noted if the bucket has somebody told.
    #[n(4)]
    pub origin: Option<Origin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum DeleteKeysRejected {
    #[n(0)]
    NoSuchBucket,
}

impl DeleteKeys {
    pub(super) fn apply(
        self,
        log: LogIndex,
        tables: &mut dyn WriteTables,
    ) -> Outcome<Vec<Result<DeletedKey, DeleteKeyRejected>>, DeleteKeysRejected> {
        let Some(bucket) = namespace::bucket(tables, self.bucket)? else {
            return Ok(Err(DeleteKeysRejected::NoSuchBucket));
        };
        let mut freed = Freed::default();
        let mut outcomes = Vec::with_capacity(self.deletions.len());
        let (owner, origin) = (self.owner.as_ref().unwrap_or(&bucket.owner), self.origin.as_ref());
        let entry = Entry { bucket: &bucket, now: self.now, owner, origin };
        for (ordinal, deletion) in (0..).zip(&self.deletions) {
            outcomes.push(delete_one(tables, &entry, Sequence::new(log, ordinal), deletion, &mut freed)?);
        }
        freed.write(tables, log, self.now);
        Ok(Ok(outcomes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WriteCondition;
    use crate::testing::{self, Namespace, etag};
    use types::Precondition;

    #[test]
    fn one_refusal_does_not_keep_the_others() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        for (name, block) in [("a", 1), ("b", 2)] {
            om.write(bucket, name, [(block, 10)]);
        }
        let deletion = |name, condition| KeyDeletion { condition, ..testing::deletion(name, None) };
        let deletions = vec![
            deletion("a", WriteCondition::IfMatch(etag(9))),
            deletion("b", WriteCondition::Always),
            deletion("b", WriteCondition::Always),
            deletion("absent", WriteCondition::Always),
        ];
        let outcomes =
            om.apply(DeleteKeys { origin: None, bucket, deletions, now: Timestamp(5), owner: None }).expect("the bucket exists");
        let gone = Ok(DeletedKey::default());
        let refused = Err(DeleteKeyRejected::PreconditionFailed(Some(Precondition::IfMatch)));
        assert_eq!(outcomes, [refused, gone.clone(), gone.clone(), gone]);
        assert_eq!(om.deleted_blocks(), [2]);
        om.check();
    }
}
