//! Looking things of IAM up: by name in their account, and by ARN.

use minicbor::Decode;
use tables::{ReadTables, StorageFault, Table, Visit};
use types::{IamError, IamErrorCode};

use super::builtin::{Builtin, builtin};
use super::names::{Kind, split_arn};
use crate::namespace;
use crate::rows::{
    self, AccountNumber, AccountRow, IamGroupRow, IamUserRow, ManagedPolicyRow, OidcProviderRow, RoleRow, UserId, UserRow,
    in_account, named,
};
use crate::tables::{ACCOUNT_NUMBERS, GROUPS, IAM_ACCOUNTS, IAM_USERS, OIDC_PROVIDERS, POLICIES, ROLES};

/// An answer of IAM's, or a fault of the tables.
#[derive(Debug)]
pub enum Trouble {
    Iam(IamError),
    Fault(StorageFault),
}

impl From<IamError> for Trouble {
    fn from(error: IamError) -> Self {
        Self::Iam(error)
    }
}

impl From<StorageFault> for Trouble {
    fn from(fault: StorageFault) -> Self {
        Self::Fault(fault)
    }
}

pub(super) fn missing(kind: &str, name: &str) -> Trouble {
    Trouble::Iam(IamError::new(IamErrorCode::NoSuchEntity, format!("The {kind} with name {name} cannot be found.")))
}

pub fn account_row(tables: &dyn ReadTables, account: &UserId) -> Result<AccountRow, StorageFault> {
    Ok(rows::get(tables, IAM_ACCOUNTS, account.0.as_bytes())?.unwrap_or_default())
}

/// An account as an ARN or a policy names it.
pub fn account_by_id(tables: &dyn ReadTables, id: &str) -> Result<Option<UserRow>, StorageFault> {
    namespace::user(tables, &account_named(tables, id)?)
}

/// The account that is meant, by its number or its id, whether or not it is there.
pub fn account_named(tables: &dyn ReadTables, name: &str) -> Result<UserId, StorageFault> {
    let of_number = match AccountNumber::parse(name) {
        Some(number) => rows::get::<UserId>(tables, ACCOUNT_NUMBERS, &number.0.to_be_bytes())?,
        None => None,
    };
    Ok(of_number.unwrap_or_else(|| UserId(name.to_owned())))
}

macro_rules! by_name {
    ($($(#[$doc:meta])* $function:ident $each:ident $row:ident $table:ident $word:literal;)*) => {$(
        $(#[$doc])*
        pub fn $function(tables: &dyn ReadTables, account: &UserId, name: &str) -> Result<Option<$row>, StorageFault> {
            rows::get(tables, $table, &named(account, name))
        }

        /// All of an account's, in the order of their names.
        pub(super) fn $each(tables: &dyn ReadTables, account: &UserId) -> Result<Vec<$row>, StorageFault> {
            all_of(tables, account, $table)
        }

        impl Named for $row {
            const WORD: &'static str = $word;
            const TABLE: Table = $table;
        }
    )*};
}

/// A row that has a name in its account.
pub(super) trait Named: for<'b> Decode<'b, ()> {
    const WORD: &'static str;
    const TABLE: Table;
}

by_name! {
    user users IamUserRow IAM_USERS "user";
    group groups IamGroupRow GROUPS "group";
    role roles RoleRow ROLES "role";
    policy policies ManagedPolicyRow POLICIES "policy";
    provider providers OidcProviderRow OIDC_PROVIDERS "identity provider";
}

/// One that has to be there.
pub(super) fn existing<R: Named>(tables: &dyn ReadTables, account: &UserId, name: &str) -> Result<R, Trouble> {
    let row: Option<R> = rows::get(tables, R::TABLE, &named(account, name))?;
    row.ok_or_else(|| missing(R::WORD, name))
}

fn all_of<R: for<'b> Decode<'b, ()>>(tables: &dyn ReadTables, account: &UserId, table: Table) -> Result<Vec<R>, StorageFault> {
    let prefix = in_account(account);
    let mut found = Vec::new();
    tables.scan(table, &prefix, &mut |key, value| {
        if !key.starts_with(&prefix) {
            return Ok(Visit::Stop);
        }
        found.push(tables::decode(value, table.name)?);
        Ok(Visit::Next)
    })?;
    Ok(found)
}

/// A managed policy: the account's own, or one that is everybody's.
pub(super) enum Managed {
    Own(ManagedPolicyRow),
    Builtin(&'static Builtin),
}

impl Managed {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Own(row) => &row.name,
            Self::Builtin(policy) => policy.name,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Own(row) => row.text(),
            Self::Builtin(policy) => Some(policy.text),
        }
    }
}

/// None: the ARN names nothing that is there.
pub(super) fn managed(tables: &dyn ReadTables, account: &UserRow, arn: &str) -> Result<Option<Managed>, StorageFault> {
    let Some((of, path, name)) = split_arn(arn, Kind::Policy) else { return Ok(None) };
    if of == "aws" {
        return Ok(builtin(name).filter(|_| path == "/").map(Managed::Builtin));
    }
    if of != account.account_id() {
        return Ok(None);
    }
    Ok(policy(tables, &account.id, name)?.filter(|row| row.path == path).map(Managed::Own))
}

/// The ARN of a managed policy as the policy is written, if it names one.
pub(super) fn policy_arn(tables: &dyn ReadTables, account: &UserRow, arn: &str) -> Result<Option<String>, StorageFault> {
    Ok(managed(tables, account, arn)?.map(|policy| match policy {
        Managed::Own(row) => super::arn(account, Kind::Policy, &row.path, &row.name),
        Managed::Builtin(policy) => format!("arn:aws:iam::aws:policy/{}", policy.name),
    }))
}

/// One of the account's own, which can be changed.
pub(super) fn own_policy(tables: &dyn ReadTables, account: &UserRow, arn: &str) -> Result<ManagedPolicyRow, Trouble> {
    match managed(tables, account, arn)? {
        Some(Managed::Own(row)) => Ok(row),
        Some(Managed::Builtin(_)) => {
            Err(IamError::new(IamErrorCode::AccessDenied, "a policy that every account has cannot be changed").into())
        }
        None => Err(no_policy(arn)),
    }
}

pub(super) fn no_policy(arn: &str) -> Trouble {
    Trouble::Iam(IamError::new(IamErrorCode::NoSuchEntity, format!("Policy {arn} does not exist or is not attachable.")))
}
