//! Identity and access management within accounts, in the terms of AWS's IAM: users, groups, roles, their policies and keys.
//!
//! A call is read ([`read`]) into what it asks ([`View`]) or changes ([`ChangeIam`]), all of it checked that does not depend on
//! what is there. Who may do it is for `authorise` to say, about the [`Subject`] by its ARN.
//!
//! What always holds:
//! - A name means one thing of its kind in an account, whatever its case.
//! - An access key belongs to one user or account for good; deleted, it never comes back.
//! - A change stamps its account ([`crate::rows::AccountRow::changed`]), so that nothing derived before is taken for true after it.

mod builtin;
mod call;
mod change;
mod find;
mod names;
mod powers;
mod query;
mod show;
mod simulate;
#[cfg(test)]
mod tests;
mod view;
mod wanted;

pub use call::{Call, Caller, Own, Simulation, Subject, Work, read};
pub use change::{ChangeIam, Holder, IamChange, NewEntity, Renaming, Tagged};
pub use find::{Trouble, account_by_id, account_named, account_row, group, policy, provider, role, user};
pub(crate) use names::preferred_number;
pub use names::{Kind, arn, split_arn};
pub use powers::{HolderRef, Powers};
pub use query::Query;
pub use show::date;
pub use simulate::simulate;
pub use view::{Page, PolicyScope, View};
pub use wanted::{NoPlan, Plan, Planned, Unmade, Wanted, WantedGroup, WantedHolding, WantedRole, WantedUser, plan};

use change::provider_url;
use tables::{ReadTables, StorageFault};
use types::IamError;

use crate::rows::{UserId, UserRow};

/// Whether a session may have these tags.
pub fn check_session_tags(tags: &[(String, String)]) -> Result<(), IamError> {
    names::check_tags(tags, 50)
}

/// The text in force of a managed policy, if there is one of that ARN.
pub fn managed_text(tables: &dyn ReadTables, account: &UserRow, arn: &str) -> Result<Option<String>, StorageFault> {
    Ok(find::managed(tables, account, arn)?.and_then(|policy| policy.text().map(str::to_owned)))
}

/// Path and name as they are written, whatever the case in which they are asked for: policies tell cases apart.
fn place(tables: &dyn ReadTables, account: &UserId, kind: Kind, name: &str) -> Result<Option<(String, String)>, StorageFault> {
    Ok(match kind {
        Kind::User => user(tables, account, name)?.map(|row| (row.path, row.name)),
        Kind::Group => group(tables, account, name)?.map(|row| (row.path, row.name)),
        Kind::Role => role(tables, account, name)?.map(|row| (row.path, row.name)),
        Kind::Policy => policy(tables, account, name)?.map(|row| (row.path, row.name)),
        Kind::OidcProvider => provider(tables, account, name)?.map(|row| ("/".to_owned(), row.url)),
    })
}

/// An ARN as what it names is written.
fn known_arn(tables: &dyn ReadTables, account: &UserRow, text: &str) -> Result<String, StorageFault> {
    if let Some(known) = find::policy_arn(tables, account, text)? {
        return Ok(known);
    }
    if let Some(url) = provider_url(&account.account_id(), text) {
        let known = provider(tables, &account.id, &url)?;
        return Ok(known.map_or_else(|| text.to_owned(), |row| arn(account, Kind::OidcProvider, "/", &row.url)));
    }
    for kind in [Kind::User, Kind::Role] {
        if let Some((of, _, name)) = split_arn(text, kind)
            && of == account.account_id()
            && let Some((path, name)) = place(tables, &account.id, kind, name)?
        {
            return Ok(arn(account, kind, &path, &name));
        }
    }
    Ok(text.to_owned())
}

impl Subject {
    /// As policies name it. What is not there is named as if it lay at the root of the paths.
    pub fn arn(&self, tables: &dyn ReadTables, account: &UserRow) -> Result<String, StorageFault> {
        let id = &account.id;
        Ok(match self {
            Self::Account => format!("arn:aws:iam::{}:*", account.account_id()),
            Self::Arn(text) => known_arn(tables, account, text)?,
            Self::New(kind, path, name) => arn(account, *kind, path, name),
            Self::Named(kind, name) => {
                let known = place(tables, id, *kind, name)?;
                let (path, name) = known.unwrap_or_else(|| ("/".to_owned(), name.clone()));
                arn(account, *kind, &path, &name)
            }
            Self::Renamed { kind, name, new } => {
                let known = place(tables, id, *kind, name)?;
                let (path, name) = known.unwrap_or_else(|| ("/".to_owned(), name.clone()));
                arn(account, *kind, new.path.as_deref().unwrap_or(&path), new.name.as_deref().unwrap_or(&name))
            }
        })
    }
}
