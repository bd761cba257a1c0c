//! Users with their access keys, and the check of the key that seals their secrets.

use tables::{ReadTables, StorageFault};

use crate::commands::{self, UserAccount};
use crate::namespace;
use crate::rows::{self, AccessKeyId, CredentialRow, SEAL_CHECK, SealCheck, UserId, access_key_prefix};
use crate::tables::{DELEGATION_TOKENS, META, USERS};

/// The proof that secrets are sealed with the key that this member has.
pub fn seal_check(tables: &dyn ReadTables) -> Result<Option<SealCheck>, StorageFault> {
    rows::get(tables, META, SEAL_CHECK)
}

/// Every user with their access keys.
pub fn accounts(tables: &dyn ReadTables) -> Result<Vec<UserAccount>, StorageFault> {
    let (ids, _) = rows::keys_under(tables, USERS, b"", usize::MAX)?;
    let mut accounts = Vec::with_capacity(ids.len());
    for id in ids {
        let id = UserId(String::from_utf8(id).map_err(|_| rows::malformed(USERS, "a key is not text"))?);
        accounts.extend(account(tables, &id)?);
    }
    Ok(accounts)
}

pub fn account(tables: &dyn ReadTables, id: &UserId) -> Result<Option<UserAccount>, StorageFault> {
    let Some(user) = namespace::user(tables, id)? else { return Ok(None) };
    Ok(Some(UserAccount { user, access_keys: access_keys(tables, id)? }))
}

pub fn access_keys(tables: &dyn ReadTables, user: &UserId) -> Result<Vec<AccessKeyId>, StorageFault> {
    commands::access_keys(tables, user)
}

/// An account's delegation tokens, in the order in which they were issued.
pub fn delegation_tokens(tables: &dyn ReadTables, account: &UserId) -> Result<Vec<(AccessKeyId, CredentialRow)>, StorageFault> {
    let (keys, _) = rows::keys_under(tables, DELEGATION_TOKENS, &access_key_prefix(account), usize::MAX)?;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(access_key) = rows::get::<AccessKeyId>(tables, DELEGATION_TOKENS, &key)? else { continue };
        if let Some(row) = namespace::credential(tables, &access_key)? {
            found.push((access_key, row));
        }
    }
    Ok(found)
}
