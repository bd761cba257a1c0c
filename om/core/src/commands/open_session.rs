//! The beginning of a write.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{BlockId, LogIndex};

use super::{Never, Outcome};
use crate::rows::{self, Session, SessionEncryption, SessionRow, Storage, session_key};
use crate::tables::OPEN_KEYS;

/// Notes which blocks were handed out for a write. A small write does not wait for it: the commit stands behind it in the log.
///
/// A leader that dies may take the entry with it, within the milliseconds before a majority had it. The commit then finds no
/// session and is rejected, and the client writes again. Accepting it on the word of the gateway would need every session's end
/// to be remembered for ever: a session without a row may as well be one that was committed, whose blocks were since freed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OpenSession {
    #[n(0)]
    pub session: Session,
    #[n(1)]
    pub blocks: Vec<BlockId>,
    /// None if the bytes are stored as they are.
    #[n(2)]
    pub encryption: Option<SessionEncryption>,
    /// None: STANDARD, kept as the bucket says.
    #[n(3)]
    pub storage: Option<Storage>,
}

impl OpenSession {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), Never> {
        let Session { object, bucket, opened } = self.session;
        let row = SessionRow { bucket, opened, blocks: self.blocks, encryption: self.encryption, storage: self.storage };
        rows::put(tables, OPEN_KEYS, &session_key(object), &row);
        Ok(Ok(()))
    }
}
