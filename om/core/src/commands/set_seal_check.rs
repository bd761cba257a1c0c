//! The proof that all members seal secrets with one key.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::LogIndex;

use super::{Never, Outcome};
use crate::rows::{self, SEAL_CHECK, SealCheck};
use crate::tables::META;

/// Keeps the first check that is set, and answers with the one that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SetSealCheck {
    #[n(0)]
    pub check: SealCheck,
}

impl SetSealCheck {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<SealCheck, Never> {
        if let Some(kept) = rows::get(tables, META, SEAL_CHECK)? {
            return Ok(Ok(kept));
        }
        rows::put(tables, META, SEAL_CHECK, &self.check);
        Ok(Ok(self.check))
    }
}
