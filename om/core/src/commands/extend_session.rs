//! More blocks for a write.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{BlockId, LogIndex, Timestamp};

use super::{Never, Outcome};
use crate::blocks::Freed;
use crate::rows::{self, Session, SessionRow, session_key};
use crate::tables::OPEN_KEYS;

/// Only a large write needs more, so it waits for this to be in the log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ExtendSession {
    #[n(0)]
    pub session: Session,
    #[n(1)]
    pub blocks: Vec<BlockId>,
    #[n(2)]
    pub now: Timestamp,
}

impl ExtendSession {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), Never> {
        let key = session_key(self.session.object);
        match rows::get::<SessionRow>(tables, OPEN_KEYS, &key)? {
            Some(mut row) => {
                row.blocks.extend(self.blocks);
                rows::put(tables, OPEN_KEYS, &key, &row);
            }
            // It ended meanwhile: nobody will name these blocks.
            None => {
                let mut freed = Freed::default();
                freed.drop_handed_out(self.blocks);
                freed.write(tables, log, self.now);
            }
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Namespace;

    #[test]
    fn blocks_for_a_session_that_has_ended_are_freed_at_once() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let session = om.open(bucket, [1]);
        om.extend(session, [2]);
        om.close(session);
        assert_eq!(om.deleted_blocks(), [1, 2]);
        om.extend(session, [3]);
        assert_eq!(om.deleted_blocks(), [1, 2, 3]);
        om.check();
    }
}
