//! What an account is called, and whether it administers the cluster.

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, WriteTables};
use types::LogIndex;

use super::{Outcome, UserAccount};
use crate::accounts;
use crate::namespace;
use crate::rows::{self, AccessKeyRow, UserId, email_key};
use crate::tables::{EMAILS, USERS};

/// What is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UpdateAccount {
    #[n(0)]
    pub account: UserId,
    #[n(1)]
    pub display_name: Option<String>,
    /// An empty one takes it away.
    #[n(2)]
    pub email: Option<String>,
    #[n(3)]
    pub is_admin: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum UpdateAccountRejected {
    #[n(0)]
    NoSuchAccount,
    #[n(1)]
    EmailTaken,
    #[n(2)]
    LastAdministrator,
}

impl UpdateAccount {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<UserAccount, UpdateAccountRejected> {
        let Some(mut user) = namespace::user(tables, &self.account)? else {
            return Ok(Err(UpdateAccountRejected::NoSuchAccount));
        };
        if user.is_admin && self.is_admin == Some(false) && !has_other_administrator(tables, &user.id)? {
            return Ok(Err(UpdateAccountRejected::LastAdministrator));
        }
        if let Some(email) = self.email {
            let email = Some(email).filter(|email| !email.is_empty());
            if !move_email(tables, &user.id, user.email.as_deref(), email.as_deref())? {
                return Ok(Err(UpdateAccountRejected::EmailTaken));
            }
            user.email = email;
        }
        user.display_name = self.display_name.unwrap_or(user.display_name);
        user.is_admin = self.is_admin.unwrap_or(user.is_admin);
        rows::put(tables, USERS, user.id.0.as_bytes(), &user);
        let access_keys = accounts::access_keys(tables, &user.id)?;
        Ok(Ok(UserAccount { user, access_keys }))
    }
}

/// The account has this address from now on, in the place of the one before. False: another account has it, and nothing has changed.
pub(super) fn move_email(
    tables: &mut dyn WriteTables,
    account: &UserId,
    before: Option<&str>,
    email: Option<&str>,
) -> Result<bool, StorageFault> {
    if let Some(email) = email
        && rows::get::<UserId>(tables, EMAILS, &email_key(email))?.is_some_and(|owner| owner != *account)
    {
        return Ok(false);
    }
    if let Some(before) = before {
        tables.delete(EMAILS, &email_key(before));
    }
    if let Some(email) = email {
        rows::put(tables, EMAILS, &email_key(email), account);
    }
    Ok(true)
}

/// Somebody else administers the cluster with a key that signs.
pub(super) fn has_other_administrator(tables: &dyn ReadTables, but: &UserId) -> Result<bool, StorageFault> {
    for UserAccount { user, access_keys } in accounts::accounts(tables)? {
        if !user.is_admin || user.id == *but {
            continue;
        }
        for access_key in access_keys {
            if namespace::access_key(tables, &access_key)?.is_some_and(|row| AccessKeyRow::is_active(&row)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EnsureUser;
    use crate::rows::AccessKeyId;
    use crate::testing::Namespace;
    use crate::{RevokeSecret, SealedPair};
    use types::Timestamp;

    fn update(account: &str) -> UpdateAccount {
        UpdateAccount { account: UserId(account.into()), display_name: None, email: None, is_admin: None }
    }

    fn administrator(om: &mut Namespace, id: &str) {
        let pair = SealedPair { access_key: AccessKeyId(format!("AK{id}")), sealed: vec![1], secret_version: 7 };
        om.apply(EnsureUser { is_admin: true, pair: Some(pair), ..om.account(id) }).expect("free names");
    }

    #[test]
    fn what_is_absent_stays_and_an_empty_address_goes() {
        let mut om = Namespace::with_users(["ada", "bob"]);
        let named = UpdateAccount { display_name: Some("Ada L.".into()), email: Some("ada@example.com".into()), ..update("ada") };
        let user = om.apply(named).expect("there is one").user;
        assert_eq!((user.display_name.as_str(), user.email.as_deref()), ("Ada L.", Some("ada@example.com")));
        let taken = UpdateAccount { email: Some("Ada@Example.com".into()), display_name: Some("B".into()), ..update("bob") };
        let rows = om.tables.clone();
        assert_eq!(om.apply(taken.clone()), Err(UpdateAccountRejected::EmailTaken));
        assert!(om.tables == rows, "a refusal changes nothing");
        om.check();
        assert_eq!(om.apply(update("ada")).expect("there is one").user, user);
        assert_eq!(om.apply(UpdateAccount { email: Some(String::new()), ..update("ada") }).expect("there").user.email, None);
        om.apply(taken).expect("the address is free");
        assert_eq!(om.apply(update("eve")), Err(UpdateAccountRejected::NoSuchAccount));
        om.check();
    }

    #[test]
    fn somebody_who_can_sign_goes_on_administering() {
        let mut om = Namespace::with_users(["ada"]);
        administrator(&mut om, "root");
        let demoted = |id: &str| UpdateAccount { is_admin: Some(false), ..update(id) };
        assert_eq!(om.apply(demoted("root")), Err(UpdateAccountRejected::LastAdministrator));
        administrator(&mut om, "admin");
        om.apply(RevokeSecret { user: UserId("admin".into()), now: Some(Timestamp(3)), access_key: None }).expect("there is one");
        assert_eq!(om.apply(demoted("root")), Err(UpdateAccountRejected::LastAdministrator), "the other one cannot sign");
        administrator(&mut om, "chief");
        assert!(!om.apply(demoted("root")).expect("chief stays").user.is_admin);
        om.apply(demoted("ada")).expect("she is none");
        om.check();
    }
}
