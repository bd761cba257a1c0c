//! What changes identities: one entry a call, answered as IAM answers.

mod entities;
mod keys;
mod policies;
mod providers;

pub(super) use policies::{MOST_VERSIONS, find_version};
pub(super) use providers::provider_url;

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, WriteTables};
use types::{IamError, IamErrorCode, IamValue, LogIndex, Timestamp};

use super::find::{Trouble, account_row, existing};
use crate::commands::SealedPair;
use crate::namespace;
use crate::rows::{
    self, AccessKeyId, Holding, IamGroupRow, IamId, IamUserRow, InlinePolicy, RoleRow, Tags, UserId, UserRow, named,
};
use crate::tables::{GROUPS, IAM_ACCOUNTS, IAM_USERS, ROLES, USERS};

/// Who holds policies.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Holder {
    #[n(0)]
    User(#[n(0)] String),
    #[n(1)]
    Group(#[n(0)] String),
    #[n(2)]
    Role(#[n(0)] String),
    /// The account itself: what an administrator of the cluster lets it do or forbids it, beyond its own.
    #[n(3)]
    Account,
}

/// Something that has tags.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Tagged {
    #[n(0)]
    User(#[n(0)] String),
    #[n(1)]
    Role(#[n(0)] String),
    /// By ARN.
    #[n(2)]
    Policy(#[n(0)] String),
}

/// How something is named anew.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Renaming {
    #[n(0)]
    pub name: Option<String>,
    #[n(1)]
    pub path: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NewEntity {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub path: String,
    #[n(2)]
    pub id: IamId,
    #[n(3)]
    pub tags: Tags,
    #[n(4)]
    pub boundary: Option<String>,
    #[n(5)]
    pub description: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum IamChange {
    #[n(0)]
    CreateUser(#[n(0)] NewEntity),
    #[n(1)]
    UpdateUser(#[n(0)] String, #[n(1)] Renaming),
    #[n(2)]
    DeleteUser(#[n(0)] String),
    #[n(3)]
    CreateGroup(#[n(0)] NewEntity),
    #[n(4)]
    UpdateGroup(#[n(0)] String, #[n(1)] Renaming),
    #[n(5)]
    DeleteGroup(#[n(0)] String),
    #[n(6)]
    AddToGroup {
        #[n(0)]
        group: String,
        #[n(1)]
        user: String,
    },
    #[n(7)]
    RemoveFromGroup {
        #[n(0)]
        group: String,
        #[n(1)]
        user: String,
    },
    #[n(8)]
    CreateRole {
        #[n(0)]
        new: NewEntity,
        #[n(1)]
        trust: String,
        /// In seconds.
        #[n(2)]
        max_session: u32,
    },
    #[n(9)]
    UpdateRole {
        #[n(0)]
        name: String,
        #[n(1)]
        description: Option<String>,
        #[n(2)]
        max_session: Option<u32>,
    },
    #[n(10)]
    SetTrust {
        #[n(0)]
        name: String,
        #[n(1)]
        trust: String,
    },
    #[n(11)]
    DeleteRole(#[n(0)] String),
    #[n(12)]
    PutInline(#[n(0)] Holder, #[n(1)] InlinePolicy),
    #[n(13)]
    DeleteInline(#[n(0)] Holder, #[n(1)] String),
    #[n(14)]
    Attach(#[n(0)] Holder, #[n(1)] String),
    #[n(15)]
    Detach(#[n(0)] Holder, #[n(1)] String),
    /// A user's or a role's; `None` takes it away.
    #[n(16)]
    SetBoundary(#[n(0)] Holder, #[n(1)] Option<String>),
    #[n(17)]
    CreatePolicy {
        #[n(0)]
        new: NewEntity,
        #[n(1)]
        text: String,
    },
    #[n(18)]
    CreatePolicyVersion {
        #[n(0)]
        arn: String,
        #[n(1)]
        text: String,
        #[n(2)]
        is_default: bool,
    },
    #[n(19)]
    DeletePolicyVersion {
        #[n(0)]
        arn: String,
        #[n(1)]
        version: String,
    },
    #[n(20)]
    SetDefaultVersion {
        #[n(0)]
        arn: String,
        #[n(1)]
        version: String,
    },
    #[n(21)]
    DeletePolicy(#[n(0)] String),
    #[n(22)]
    SetTags {
        #[n(0)]
        on: Tagged,
        #[n(1)]
        set: Tags,
        #[n(2)]
        removed: Vec<String>,
    },
    /// `user` of the account, or the account itself.
    #[n(23)]
    CreateKey {
        #[n(0)]
        user: Option<String>,
        #[n(1)]
        pair: SealedPair,
    },
    #[n(24)]
    SetKeyStatus {
        #[n(0)]
        user: Option<String>,
        #[n(1)]
        key: AccessKeyId,
        #[n(2)]
        is_active: bool,
    },
    #[n(25)]
    DeleteKey {
        #[n(0)]
        user: Option<String>,
        #[n(1)]
        key: AccessKeyId,
    },
    #[n(26)]
    CreateProvider {
        #[n(0)]
        url: String,
        #[n(1)]
        clients: Vec<String>,
        #[n(2)]
        thumbprints: Vec<String>,
    },
    #[n(27)]
    DeleteProvider(#[n(0)] String),
    #[n(28)]
    SetClient {
        #[n(0)]
        arn: String,
        #[n(1)]
        client: String,
        #[n(2)]
        is_there: bool,
    },
    #[n(29)]
    SetThumbprints {
        #[n(0)]
        arn: String,
        #[n(1)]
        thumbprints: Vec<String>,
    },
    /// As a configuration gives it: it takes the place of the one that it gave the user before, and does not bring back what was revoked.
    #[n(30)]
    EnsureKey {
        #[n(0)]
        user: String,
        #[n(1)]
        pair: SealedPair,
    },
}

/// A change within one account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChangeIam {
    #[n(0)]
    pub account: UserId,
    #[n(1)]
    pub change: IamChange,
    #[n(2)]
    pub now: Timestamp,
}

/// What a change needs besides itself.
struct Ground<'t> {
    tables: &'t mut dyn WriteTables,
    account: UserRow,
    now: Timestamp,
}

impl ChangeIam {
    pub(crate) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Result<Result<IamValue, IamError>, StorageFault> {
        let Self { account, change, now } = self;
        let Some(row) = namespace::user(tables, &account)? else {
            return Ok(Err(IamError::new(IamErrorCode::NoSuchEntity, "there is no such account")));
        };
        let mut ground = Ground { tables: &mut *tables, account: row, now };
        match ground.change(change) {
            Ok(answer) => {
                let mut settings = account_row(tables, &account)?;
                settings.changed = Some(log);
                rows::put(tables, IAM_ACCOUNTS, account.0.as_bytes(), &settings);
                Ok(Ok(answer))
            }
            Err(Trouble::Iam(error)) => Ok(Err(error)),
            Err(Trouble::Fault(fault)) => Err(fault),
        }
    }
}

fn conflict(message: &str) -> Trouble {
    Trouble::Iam(IamError::new(IamErrorCode::DeleteConflict, message))
}

fn limit(message: impl Into<String>) -> Trouble {
    Trouble::Iam(IamError::new(IamErrorCode::LimitExceeded, message))
}

fn taken(kind: &str, name: &str) -> Trouble {
    Trouble::Iam(IamError::new(IamErrorCode::EntityAlreadyExists, format!("{kind} with name {name} already exists.")))
}

impl Ground<'_> {
    /// Every check of one change stands before its first write.
    fn change(&mut self, change: IamChange) -> Result<IamValue, Trouble> {
        match change {
            IamChange::CreateUser(new) => self.create_user(new),
            IamChange::UpdateUser(name, renaming) => self.update_user(&name, renaming),
            IamChange::DeleteUser(name) => self.delete_user(&name),
            IamChange::CreateGroup(new) => self.create_group(new),
            IamChange::UpdateGroup(name, renaming) => self.update_group(&name, renaming),
            IamChange::DeleteGroup(name) => self.delete_group(&name),
            IamChange::AddToGroup { group, user } => self.add_to_group(&group, &user),
            IamChange::RemoveFromGroup { group, user } => self.remove_from_group(&group, &user),
            IamChange::CreateRole { new, trust, max_session } => self.create_role(new, trust, max_session),
            IamChange::UpdateRole { name, description, max_session } => self.update_role(&name, description, max_session),
            IamChange::SetTrust { name, trust } => self.set_trust(&name, trust),
            IamChange::DeleteRole(name) => self.delete_role(&name),
            IamChange::PutInline(holder, policy) => self.put_inline(&holder, policy),
            IamChange::DeleteInline(holder, name) => self.delete_inline(&holder, &name),
            IamChange::Attach(holder, arn) => self.attach(&holder, arn),
            IamChange::Detach(holder, arn) => self.detach(&holder, &arn),
            IamChange::SetBoundary(holder, arn) => self.set_boundary(&holder, arn),
            IamChange::CreatePolicy { new, text } => self.create_policy(new, text),
            IamChange::CreatePolicyVersion { arn, text, is_default } => self.create_policy_version(&arn, text, is_default),
            IamChange::DeletePolicyVersion { arn, version } => self.delete_policy_version(&arn, &version),
            IamChange::SetDefaultVersion { arn, version } => self.set_default_version(&arn, &version),
            IamChange::DeletePolicy(arn) => self.delete_policy(&arn),
            IamChange::SetTags { on, set, removed } => self.set_tags(&on, set, &removed),
            IamChange::CreateKey { user, pair } => self.create_key(user, pair),
            IamChange::SetKeyStatus { user, key, is_active } => self.set_key_status(user.as_deref(), &key, is_active),
            IamChange::DeleteKey { user, key } => self.delete_key(user.as_deref(), &key),
            IamChange::EnsureKey { user, pair } => self.ensure_key(&user, pair),
            IamChange::CreateProvider { url, clients, thumbprints } => self.create_provider(url, clients, thumbprints),
            IamChange::DeleteProvider(arn) => self.delete_provider(&arn),
            IamChange::SetClient { arn, client, is_there } => self.set_client(&arn, client, is_there),
            IamChange::SetThumbprints { arn, thumbprints } => self.set_thumbprints(&arn, thumbprints),
        }
    }

    fn tables(&self) -> &dyn ReadTables {
        &*self.tables
    }

    fn put_user(&mut self, row: &IamUserRow) {
        rows::put(self.tables, IAM_USERS, &named(&self.account.id, &row.name), row);
    }

    fn put_group(&mut self, row: &IamGroupRow) {
        rows::put(self.tables, GROUPS, &named(&self.account.id, &row.name), row);
    }

    fn put_role(&mut self, row: &RoleRow) {
        rows::put(self.tables, ROLES, &named(&self.account.id, &row.name), row);
    }

    /// Changes what a holder holds, if the change is to be.
    fn with_holding(
        &mut self,
        holder: &Holder,
        change: impl FnOnce(&Self, &mut Holding) -> Result<(), Trouble>,
    ) -> Result<IamValue, Trouble> {
        let account = self.account.id.clone();
        match holder {
            Holder::User(name) => {
                let mut row: IamUserRow = existing(self.tables(), &account, name)?;
                change(self, &mut row.holding)?;
                self.put_user(&row);
            }
            Holder::Group(name) => {
                let mut row: IamGroupRow = existing(self.tables(), &account, name)?;
                change(self, &mut row.holding)?;
                self.put_group(&row);
            }
            Holder::Role(name) => {
                let mut row: RoleRow = existing(self.tables(), &account, name)?;
                change(self, &mut row.holding)?;
                self.put_role(&row);
            }
            Holder::Account => {
                let mut row = account_row(self.tables(), &account)?;
                change(self, &mut row.holding)?;
                rows::put(self.tables, IAM_ACCOUNTS, account.0.as_bytes(), &row);
                // So that a request of an account that nobody governs looks at nothing of this.
                self.account.is_governed = (row.holding != Holding::default()).then_some(true);
                rows::put(self.tables, USERS, account.0.as_bytes(), &self.account);
            }
        }
        Ok(IamValue::empty())
    }
}
