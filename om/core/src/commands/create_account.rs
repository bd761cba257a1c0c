//! An account that is not there yet.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::LogIndex;

use super::{EnsureUser, EnsureUserRejected, Outcome, UserAccount};
use crate::namespace;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CreateAccount {
    #[n(0)]
    pub account: EnsureUser,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum CreateAccountRejected {
    #[n(0)]
    Exists,
    #[n(1)]
    Unfit(#[n(0)] EnsureUserRejected),
}

impl CreateAccount {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<UserAccount, CreateAccountRejected> {
        if namespace::user(tables, &self.account.user)?.is_some() {
            return Ok(Err(CreateAccountRejected::Exists));
        }
        Ok(self.account.apply(log, tables)?.map_err(CreateAccountRejected::Unfit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Namespace;

    #[test]
    fn a_new_account_is_nobody_who_is_there() {
        let mut om = Namespace::with_users(["ada"]);
        let rows = om.tables.clone();
        let email = |email: &str| Some(email.to_owned());
        let new = |om: &Namespace, id: &str| CreateAccount { account: om.account(id) };
        assert_eq!(om.apply(new(&om, "ada")), Err(CreateAccountRejected::Exists));
        assert!(om.tables == rows);
        let bob = CreateAccount { account: EnsureUser { email: email("b@example.com"), ..om.account("bob") } };
        om.apply(bob).expect("a free name");
        let eve = CreateAccount { account: EnsureUser { email: email("B@example.com"), ..om.account("eve") } };
        assert_eq!(om.apply(eve), Err(CreateAccountRejected::Unfit(EnsureUserRejected::EmailTaken)));
        om.check();
    }
}
