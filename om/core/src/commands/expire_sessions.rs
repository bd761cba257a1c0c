//! Writes that nobody will finish.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{LogIndex, ObjectId, Timestamp};

use super::{Never, Outcome};
use crate::blocks::Freed;
use crate::rows::{self, SessionRow, session_key};
use crate::tables::OPEN_KEYS;

/// Ends the sessions named that are as old as the leader thought. Whether a late commit or the expiry wins is decided here, by
/// their order in the log: the first takes the row, the second finds none. Answers how many it ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ExpireSessions {
    #[n(0)]
    pub objects: Vec<ObjectId>,
    #[n(1)]
    pub opened_before: Timestamp,
    #[n(2)]
    pub now: Timestamp,
}

impl ExpireSessions {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<u32, Never> {
        let mut freed = Freed::default();
        let mut ended = 0;
        for object in self.objects {
            let key = session_key(object);
            let Some(row) = rows::get::<SessionRow>(tables, OPEN_KEYS, &key)? else { continue };
            if row.opened < self.opened_before {
                tables.delete(OPEN_KEYS, &key);
                freed.drop_handed_out(row.blocks);
                ended += 1;
            }
        }
        freed.write(tables, log, self.now);
        Ok(Ok(ended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CommitKeyRejected;
    use crate::testing::Namespace;

    #[test]
    fn a_commit_behind_the_expiry_is_refused_and_one_before_it_stands() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let (early, late) = (om.open(bucket, [1]), om.open(bucket, [2]));
        om.commit(early, "early", [(1, 10)]).expect("in time");
        let expire =
            ExpireSessions { objects: vec![early.object, late.object], opened_before: Timestamp(u64::MAX), now: Timestamp(9) };
        assert_eq!(om.apply(expire), Ok(1));
        assert_eq!(om.commit(late, "late", [(2, 10)]), Err(CommitKeyRejected::NoSuchSession));
        assert_eq!(om.deleted_blocks(), [2]);
        om.check();
    }

    #[test]
    fn a_session_younger_than_the_bound_stays() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let session = om.open(bucket, [1]);
        let expire = ExpireSessions { objects: vec![session.object], opened_before: session.opened, now: Timestamp(9) };
        assert_eq!(om.apply(expire), Ok(0));
        om.commit(session, "cat.jpg", [(1, 10)]).expect("still open");
    }
}
