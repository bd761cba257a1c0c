//! How far all buckets of an account may be public.

use bucket_config::PublicAccessBlock;
use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::LogIndex;

use super::Outcome;
use crate::namespace;
use crate::rows::{self, UserId};
use crate::tables::USERS;

/// It stands in the account's row, which every request that it may stop looks at anyway: it counts in the next one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SetAccountBlock {
    #[n(0)]
    pub account: UserId,
    #[n(1)]
    pub block: Option<PublicAccessBlock>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum SetAccountBlockRejected {
    #[n(0)]
    NoSuchAccount,
}

impl SetAccountBlock {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), SetAccountBlockRejected> {
        let Some(mut account) = namespace::user(tables, &self.account)? else {
            return Ok(Err(SetAccountBlockRejected::NoSuchAccount));
        };
        account.block = self.block;
        rows::put(tables, USERS, account.id.0.as_bytes(), &account);
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Namespace;

    #[test]
    fn a_block_stays_when_a_start_ensures_its_account() {
        let mut om = Namespace::with_users(["ada"]);
        let ada = UserId("ada".into());
        let block = Some(PublicAccessBlock { ignore_public_acls: true, ..PublicAccessBlock::default() });
        om.apply(SetAccountBlock { account: ada.clone(), block }).expect("there is one");
        om.apply(om.account("ada")).expect("good");
        assert_eq!(namespace::user(&om.tables, &ada).expect("memory").and_then(|row| row.block), block);
        let nobody = SetAccountBlock { account: UserId("eve".into()), block };
        assert_eq!(om.apply(nobody), Err(SetAccountBlockRejected::NoSuchAccount));
    }
}
