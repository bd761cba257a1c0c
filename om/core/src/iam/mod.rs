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

pub use call::{Call, Caller, Simulation, Subject, Work, read};
pub use change::{ChangeIam, Holder, IamChange, NewEntity, Renaming, Tagged};
pub use find::{Trouble, account_by_id, account_row, group, policy, provider, role, user};
pub(crate) use names::preferred_number;
pub use names::{Kind, arn, split_arn};
pub use powers::{HolderRef, Powers};
pub use query::Query;
pub use show::date;
pub use simulate::simulate;
pub use view::{Page, PolicyScope, View};

use change::provider_url;
use tables::{ReadTables, StorageFault};

use crate::rows::UserRow;

/// The text in force of a managed policy, if there is one of that ARN.
pub fn managed_text(tables: &dyn ReadTables, account: &UserRow, arn: &str) -> Result<Option<String>, StorageFault> {
    Ok(find::managed(tables, account, arn)?.and_then(|policy| policy.text().map(str::to_owned)))
}

impl Subject {
    /// As policies name it. What is not there is named as if it lay at the root of the paths.
    pub fn arn(&self, tables: &dyn ReadTables, account: &UserRow) -> Result<String, StorageFault> {
        let id = &account.id;
        Ok(match self {
            Self::Account => format!("arn:aws:iam::{}:*", account.account_id()),
            Self::Arn(arn) => arn.clone(),
            Self::New(kind, path, name) => arn(account, *kind, path, name),
            Self::Named(kind, name) => {
                let path = match kind {
                    Kind::User => user(tables, id, name)?.map(|row| row.path),
                    Kind::Group => group(tables, id, name)?.map(|row| row.path),
                    Kind::Role => role(tables, id, name)?.map(|row| row.path),
                    Kind::Policy | Kind::OidcProvider => None,
                };
                arn(account, *kind, path.as_deref().unwrap_or("/"), name)
            }
        })
    }
}
