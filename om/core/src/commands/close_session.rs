//! The end of a write that will not be committed.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{LogIndex, Timestamp};

use super::shared::take_session;
use super::{Never, Outcome};
use crate::blocks::Freed;
use crate::rows::Session;

/// Frees the session's blocks; a session that has ended stays as it ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CloseSession {
    #[n(0)]
    pub session: Session,
    #[n(1)]
    pub now: Timestamp,
}

impl CloseSession {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), Never> {
        if let Some(row) = take_session(tables, &self.session)? {
            let mut freed = Freed::default();
            freed.drop_handed_out(row.blocks);
            freed.write(tables, log, self.now);
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Namespace;

    #[test]
    fn closing_after_the_commit_frees_nothing() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let session = om.open(bucket, [1]);
        om.commit(session, "cat.jpg", [(1, 10)]).expect("a good commit");
        om.close(session);
        assert_eq!(om.deleted_blocks(), []);
        om.check();
    }
}
