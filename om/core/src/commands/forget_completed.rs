//! Completions that nobody will send again.

use minicbor::{Decode, Encode};
use tables::{Visit, WriteTables};
use types::{LogIndex, Timestamp};

use super::{Never, Outcome};
use crate::rows::be64;
use crate::tables::{COMPLETED_BY_TIME, COMPLETED_UPLOADS};

/// Forgets up to `limit` of the oldest completions from before a time. Answers how many.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ForgetCompleted {
    #[n(0)]
    pub completed_before: Timestamp,
    #[n(1)]
    pub limit: u32,
}

impl ForgetCompleted {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<u32, Never> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut old = Vec::new();
        tables.scan(COMPLETED_BY_TIME, b"", &mut |key, _| {
            if old.len() == limit || be64(COMPLETED_BY_TIME, key, 0)? >= self.completed_before.0 {
                return Ok(Visit::Stop);
            }
            old.push(key.to_vec());
            Ok(Visit::Next)
        })?;
        for key in &old {
            tables.delete(COMPLETED_BY_TIME, key);
            tables.delete(COMPLETED_UPLOADS, &key[8..]);
        }
        Ok(Ok(u32::try_from(old.len()).unwrap_or(u32::MAX)))
    }
}
