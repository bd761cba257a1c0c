//! What may be asked of identities.

use std::collections::BTreeMap;

use tables::{ReadTables, StorageFault};
use types::{IamError, IamErrorCode, IamValue, Timestamp};

use super::builtin::BUILTIN;
use super::change::{Holder, find_version};
use super::find::{self, Managed, Trouble, account_row, existing, managed, missing, no_policy, own_policy};
use super::names::{Kind, split_arn};
use super::{provider_url, show};
use crate::commands::access_keys;
use crate::namespace;
use crate::rows::{
    self, AccessKeyId, Holding, IamGroupRow, IamUserRow, KeyUseRow, RoleRow, UserRow, iam_access_key_prefix, keys_under,
};
use crate::tables::{IAM_ACCESS_KEYS, KEY_USES};

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The name after which it begins.
    pub marker: Option<String>,
    pub most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyScope {
    All,
    /// Of the account.
    Local,
    Aws,
}

/// A question, all of its names checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// The account's own self, if no user is named.
    User(Option<String>),
    Users {
        prefix: String,
        page: Page,
    },
    UserTags(String),
    GroupsOf {
        user: String,
        page: Page,
    },
    Group {
        name: String,
        page: Page,
    },
    Groups {
        prefix: String,
        page: Page,
    },
    Role(String),
    Roles {
        prefix: String,
        page: Page,
    },
    RoleTags(String),
    InstanceProfiles,
    Inline {
        holder: Holder,
        name: String,
    },
    Inlines {
        holder: Holder,
        page: Page,
    },
    Attached {
        holder: Holder,
        prefix: String,
        page: Page,
    },
    Policy(String),
    Policies {
        scope: PolicyScope,
        prefix: String,
        only_attached: bool,
        page: Page,
    },
    PolicyTags(String),
    Version {
        arn: String,
        version: String,
    },
    Versions {
        arn: String,
        page: Page,
    },
    Entities {
        arn: String,
    },
    Keys {
        user: Option<String>,
        page: Page,
    },
    KeyLastUsed(AccessKeyId),
    Providers,
    Provider(String),
    Summary,
    Aliases,
}

/// Who holds a managed policy.
pub(super) struct Use {
    kind: Kind,
    name: String,
    id: String,
    is_boundary: bool,
}

pub(super) fn uses_of(tables: &dyn ReadTables, account: &UserRow, arn: &str) -> Result<Vec<Use>, StorageFault> {
    let mut uses = Vec::new();
    let mut note = |kind, name: &str, id: &str, holding: &Holding, boundary: Option<&str>| {
        let of = |is_boundary| Use { kind, name: name.to_owned(), id: id.to_owned(), is_boundary };
        uses.extend(holding.attached.iter().any(|held| held == arn).then(|| of(false)));
        uses.extend((boundary == Some(arn)).then(|| of(true)));
    };
    for row in find::users(tables, &account.id)? {
        note(Kind::User, &row.name, &row.id.0, &row.holding, row.boundary.as_deref());
    }
    for row in find::groups(tables, &account.id)? {
        note(Kind::Group, &row.name, &row.id.0, &row.holding, None);
    }
    for row in find::roles(tables, &account.id)? {
        note(Kind::Role, &row.name, &row.id.0, &row.holding, row.boundary.as_deref());
    }
    Ok(uses)
}

/// One page of named things in their order, as IAM answers lists.
fn paged<T>(name: &str, all: Vec<T>, page: &Page, name_of: impl Fn(&T) -> String, shown: impl Fn(&T) -> IamValue) -> IamValue {
    let begin = page.marker.as_ref().map_or(0, |marker| all.partition_point(|one| name_of(one) <= *marker));
    let rest = &all[begin.min(all.len())..];
    let is_truncated = rest.len() > page.most;
    let here = &rest[..rest.len().min(page.most)];
    let answer = IamValue::field(name, IamValue::List(here.iter().map(shown).collect())).with("IsTruncated", is_truncated);
    let marker = here.last().filter(|_| is_truncated).map(name_of);
    answer.with_some("Marker", marker)
}

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn holding(tables: &dyn ReadTables, account: &UserRow, holder: &Holder) -> Result<Holding, Trouble> {
    Ok(match holder {
        Holder::User(name) => existing::<IamUserRow>(tables, &account.id, name)?.holding,
        Holder::Group(name) => existing::<IamGroupRow>(tables, &account.id, name)?.holding,
        Holder::Role(name) => existing::<RoleRow>(tables, &account.id, name)?.holding,
        Holder::Account => account_row(tables, &account.id)?.holding,
    })
}

impl View {
    pub fn answer(&self, tables: &dyn ReadTables, account: &UserRow) -> Result<IamValue, Trouble> {
        let id = &account.id;
        Ok(match self {
            Self::User(None) => IamValue::field("User", show::root(account)),
            Self::User(Some(name)) => IamValue::field("User", show::user(account, &existing(tables, id, name)?)),
            Self::Users { prefix, page } => {
                let mut all = find::users(tables, id)?;
                all.retain(|row| row.path.starts_with(prefix));
                paged("Users", all, page, |row| lower(&row.name), |row| show::user(account, row))
            }
            Self::UserTags(name) => tagged(&existing::<IamUserRow>(tables, id, name)?.tags),
            Self::GroupsOf { user, page } => {
                let row: IamUserRow = existing(tables, id, user)?;
                let mut all = Vec::new();
                for name in &row.groups {
                    all.extend(find::group(tables, id, name)?);
                }
                all.sort_by_key(|group| lower(&group.name));
                paged("Groups", all, page, |row| lower(&row.name), |row| show::group(account, row))
            }
            Self::Group { name, page } => {
                let row: IamGroupRow = existing(tables, id, name)?;
                let mut members = find::users(tables, id)?;
                members.retain(|user| user.groups.iter().any(|group| group.eq_ignore_ascii_case(name)));
                paged("Users", members, page, |row| lower(&row.name), |row| show::user(account, row))
                    .with("Group", show::group(account, &row))
            }
            Self::Groups { prefix, page } => {
                let mut all = find::groups(tables, id)?;
                all.retain(|row| row.path.starts_with(prefix));
                paged("Groups", all, page, |row| lower(&row.name), |row| show::group(account, row))
            }
            Self::Role(name) => IamValue::field("Role", show::role(account, &existing(tables, id, name)?)),
            Self::Roles { prefix, page } => {
                let mut all = find::roles(tables, id)?;
                all.retain(|row| row.path.starts_with(prefix));
                paged("Roles", all, page, |row| lower(&row.name), |row| show::role(account, row))
            }
            Self::RoleTags(name) => tagged(&existing::<RoleRow>(tables, id, name)?.tags),
            Self::InstanceProfiles => IamValue::field("InstanceProfiles", Vec::new()).with("IsTruncated", false),
            Self::Inline { holder, name } => inline(tables, account, holder, name)?,
            Self::Inlines { holder, page } => {
                let all = holding(tables, account, holder)?.inline;
                paged("PolicyNames", all, page, |policy| policy.name.clone(), |policy| policy.name.as_str().into())
            }
            Self::Attached { holder, prefix, page } => attached(tables, account, holder, prefix, page)?,
            Self::Policy(arn) => one_policy(tables, account, arn)?,
            Self::Policies { scope, prefix, only_attached, page } => {
                policies(tables, account, *scope, prefix, *only_attached, page)?
            }
            Self::PolicyTags(arn) => tagged(&own_policy(tables, account, arn)?.tags),
            Self::Version { arn, version } => match managed(tables, account, arn)? {
                Some(Managed::Own(row)) => {
                    let found = find_version(&row, version)?;
                    IamValue::field("PolicyVersion", show::version(found, found.number == row.default, true))
                }
                Some(Managed::Builtin(policy)) if version == "v1" => {
                    let shown = IamValue::field("Document", show::document(policy.text)).with("VersionId", "v1");
                    IamValue::field("PolicyVersion", shown.with("IsDefaultVersion", true))
                }
                Some(Managed::Builtin(_)) => return Err(missing("policy version", version)),
                None => return Err(no_policy(arn)),
            },
            Self::Versions { arn, page } => versions(tables, account, arn, page)?,
            Self::Entities { arn } => entities(tables, account, arn)?,
            Self::Keys { user, page } => keys(tables, account, user.as_deref(), page)?,
            Self::KeyLastUsed(key) => last_used(tables, account, key)?,
            Self::Providers => {
                let all = find::providers(tables, id)?;
                let arn = |url: &str| super::arn(account, Kind::OidcProvider, "/", url);
                let shown = all.iter().map(|row| IamValue::field("Arn", arn(&row.url)));
                IamValue::field("OpenIDConnectProviderList", shown.collect::<Vec<_>>())
            }
            Self::Provider(arn) => {
                let url = provider_url(&account.account_id(), arn);
                let row = url.map(|url| find::provider(tables, id, &url)).transpose()?.flatten();
                let row = row.ok_or_else(|| missing("identity provider", arn))?;
                let list = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect::<Vec<IamValue>>();
                IamValue::field("Url", row.url.as_str())
                    .with("ClientIDList", list(&row.clients))
                    .with("ThumbprintList", list(&row.thumbprints))
                    .with("CreateDate", show::date(row.created))
            }
            Self::Summary => summary(tables, account)?,
            Self::Aliases => IamValue::field("AccountAliases", Vec::new()).with("IsTruncated", false),
        })
    }
}

fn tagged(tags: &[(String, String)]) -> IamValue {
    IamValue::field("Tags", show::tags(tags)).with("IsTruncated", false)
}

fn inline(tables: &dyn ReadTables, account: &UserRow, holder: &Holder, name: &str) -> Result<IamValue, Trouble> {
    let held = holding(tables, account, holder)?;
    let policy = held.inline.iter().find(|policy| policy.name == name).ok_or_else(|| missing("policy", name))?;
    let answer = match holder {
        Holder::User(user) => IamValue::field("UserName", user.as_str()),
        Holder::Group(group) => IamValue::field("GroupName", group.as_str()),
        Holder::Role(role) => IamValue::field("RoleName", role.as_str()),
        Holder::Account => IamValue::field("UserName", account.id.0.as_str()),
    };
    Ok(answer.with("PolicyName", name).with("PolicyDocument", show::document(&policy.text)))
}

fn attached(tables: &dyn ReadTables, account: &UserRow, holder: &Holder, prefix: &str, page: &Page) -> Result<IamValue, Trouble> {
    let mut all = Vec::new();
    for arn in holding(tables, account, holder)?.attached {
        let is_there = split_arn(&arn, Kind::Policy).is_some_and(|(_, path, _)| path.starts_with(prefix));
        if let Some(policy) = managed(tables, account, &arn)?.filter(|_| is_there) {
            all.push((policy.name().to_owned(), arn));
        }
    }
    all.sort_by(|a, b| a.1.cmp(&b.1));
    let shown = |(name, arn): &(String, String)| IamValue::field("PolicyName", name.as_str()).with("PolicyArn", arn.as_str());
    Ok(paged("AttachedPolicies", all, page, |(_, arn)| arn.clone(), shown))
}

fn show_builtin(name: &str, uses: usize) -> IamValue {
    IamValue::field("PolicyName", name)
        .with("PolicyId", format!("ANPA{}", name.to_uppercase()))
        .with("Arn", format!("arn:aws:iam::aws:policy/{name}"))
        .with("Path", "/")
        .with("DefaultVersionId", "v1")
        .with("AttachmentCount", uses)
        .with("IsAttachable", true)
        .with("CreateDate", show::date(Timestamp(0)))
        .with("UpdateDate", show::date(Timestamp(0)))
}

fn one_policy(tables: &dyn ReadTables, account: &UserRow, arn: &str) -> Result<IamValue, Trouble> {
    let uses = attachments(&uses_of(tables, account, arn)?);
    let shown = match managed(tables, account, arn)?.ok_or_else(|| no_policy(arn))? {
        Managed::Own(row) => show::policy(account, &row, uses),
        Managed::Builtin(policy) => show_builtin(policy.name, uses),
    };
    Ok(IamValue::field("Policy", shown))
}

/// How often each managed policy is held, in one look at all who may hold one.
fn attachments_by_arn(tables: &dyn ReadTables, account: &UserRow) -> Result<BTreeMap<String, usize>, StorageFault> {
    let mut counted = BTreeMap::new();
    let mut count = |holding: Holding| holding.attached.into_iter().for_each(|arn| *counted.entry(arn).or_default() += 1);
    find::users(tables, &account.id)?.into_iter().for_each(|row| count(row.holding));
    find::groups(tables, &account.id)?.into_iter().for_each(|row| count(row.holding));
    find::roles(tables, &account.id)?.into_iter().for_each(|row| count(row.holding));
    Ok(counted)
}

fn attachments(uses: &[Use]) -> usize {
    uses.iter().filter(|held| !held.is_boundary).count()
}

fn policies(
    tables: &dyn ReadTables,
    account: &UserRow,
    scope: PolicyScope,
    prefix: &str,
    only_attached: bool,
    page: &Page,
) -> Result<IamValue, Trouble> {
    let mut all: Vec<(String, usize, IamValue)> = Vec::new();
    let counted = attachments_by_arn(tables, account)?;
    let count = |arn: &str| counted.get(arn).copied().unwrap_or(0);
    if scope != PolicyScope::Aws {
        for row in find::policies(tables, &account.id)?.iter().filter(|row| row.path.starts_with(prefix)) {
            let arn = super::arn(account, Kind::Policy, &row.path, &row.name);
            let uses = count(&arn);
            all.push((lower(&row.name), uses, show::policy(account, row, uses)));
        }
    }
    if scope != PolicyScope::Local && "/".starts_with(prefix) {
        for policy in BUILTIN {
            let uses = count(&format!("arn:aws:iam::aws:policy/{}", policy.name));
            all.push((lower(policy.name), uses, show_builtin(policy.name, uses)));
        }
    }
    all.retain(|(_, uses, _)| !only_attached || *uses > 0);
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(paged("Policies", all, page, |(name, _, _)| name.clone(), |(_, _, shown)| shown.clone()))
}

fn versions(tables: &dyn ReadTables, account: &UserRow, arn: &str, page: &Page) -> Result<IamValue, Trouble> {
    let all = match managed(tables, account, arn)?.ok_or_else(|| no_policy(arn))? {
        Managed::Own(row) => {
            let mut shown = Vec::new();
            for version in row.versions.iter().rev() {
                shown.push((version.number, show::version(version, version.number == row.default, false)));
            }
            shown
        }
        Managed::Builtin(_) => vec![(1, IamValue::field("VersionId", "v1").with("IsDefaultVersion", true))],
    };
    // Newest first; at most five, so that a page holds them all unless the caller wants fewer.
    let name_of = |(number, _): &(u32, IamValue)| format!("{:010}", u32::MAX - number);
    Ok(paged("Versions", all, page, name_of, |(_, shown)| shown.clone()))
}

fn entities(tables: &dyn ReadTables, account: &UserRow, arn: &str) -> Result<IamValue, Trouble> {
    if managed(tables, account, arn)?.is_none() {
        return Err(no_policy(arn));
    }
    let uses = uses_of(tables, account, arn)?;
    let of = |kind: Kind, name: &str, id: &str| {
        let held = uses.iter().filter(|held| held.kind == kind);
        let shown = held.map(|held| IamValue::field(name, held.name.as_str()).with(id, held.id.as_str()));
        shown.collect::<Vec<_>>()
    };
    Ok(IamValue::field("PolicyGroups", of(Kind::Group, "GroupName", "GroupId"))
        .with("PolicyUsers", of(Kind::User, "UserName", "UserId"))
        .with("PolicyRoles", of(Kind::Role, "RoleName", "RoleId"))
        .with("IsTruncated", false))
}

fn keys(tables: &dyn ReadTables, account: &UserRow, user: Option<&str>, page: &Page) -> Result<IamValue, Trouble> {
    let (name, keys) = match user {
        Some(user) => {
            let row: IamUserRow = existing(tables, &account.id, user)?;
            let prefix = iam_access_key_prefix(&account.id, user);
            let (keys, _) = keys_under(tables, IAM_ACCESS_KEYS, &prefix, usize::MAX)?;
            let id = |key: &Vec<u8>| AccessKeyId(String::from_utf8_lossy(&key[prefix.len()..]).into_owned());
            (Some(row.name), keys.iter().map(id).collect())
        }
        None => (None, access_keys(tables, &account.id)?),
    };
    let mut all = Vec::new();
    for key in keys {
        if let Some(row) = namespace::access_key(tables, &key)? {
            let shown = show::access_key(name.as_deref(), &key, &row);
            all.push((key.0, shown));
        }
    }
    Ok(paged("AccessKeyMetadata", all, page, |(id, _)| id.clone(), |(_, shown)| shown.clone()))
}

fn last_used(tables: &dyn ReadTables, account: &UserRow, key: &AccessKeyId) -> Result<IamValue, Trouble> {
    let row = namespace::access_key(tables, key)?.filter(|row| row.user == account.id);
    let Some(row) = row else {
        return Err(IamError::new(IamErrorCode::AccessDenied, "the access key is not of this account").into());
    };
    let name = row.holder.map(|name| find::user(tables, &account.id, &name)).transpose()?.flatten().map(|user| user.name);
    let used: Option<KeyUseRow> = rows::get(tables, KEY_USES, key.0.as_bytes())?;
    let last = match used {
        Some(used) => IamValue::field("LastUsedDate", show::date(used.last)).with("ServiceName", "s3").with("Region", "N/A"),
        None => IamValue::field("ServiceName", "N/A").with("Region", "N/A"),
    };
    Ok(IamValue::empty().with_some("UserName", name).with("AccessKeyLastUsed", last))
}

fn summary(tables: &dyn ReadTables, account: &UserRow) -> Result<IamValue, Trouble> {
    let id = &account.id;
    let own = access_keys(tables, id)?.len();
    let counted = [
        ("Users", find::users(tables, id)?.len()),
        ("UsersQuota", 5000),
        ("Groups", find::groups(tables, id)?.len()),
        ("GroupsQuota", 300),
        ("Roles", find::roles(tables, id)?.len()),
        ("RolesQuota", 1000),
        ("Policies", find::policies(tables, id)?.len()),
        ("PoliciesQuota", 1500),
        ("Providers", find::providers(tables, id)?.len()),
        ("AccessKeysPerUserQuota", 2),
        ("AccountAccessKeysPresent", usize::from(own > 0)),
        ("AccountMFAEnabled", 0),
        ("GroupsPerUserQuota", 10),
        ("AttachedPoliciesPerUserQuota", 20),
        ("AttachedPoliciesPerGroupQuota", 20),
        ("AttachedPoliciesPerRoleQuota", 20),
        ("VersionsPerPolicyQuota", 5),
        ("PolicySizeQuota", 6144),
        ("UserPolicySizeQuota", 2048),
        ("GroupPolicySizeQuota", 5120),
        ("AssumeRolePolicySizeQuota", 2048),
        ("MFADevices", 0),
        ("ServerCertificates", 0),
        ("InstanceProfiles", 0),
    ];
    let entry = |(name, count): (&str, usize)| IamValue::field("key", name).with("value", count);
    Ok(IamValue::field("SummaryMap", IamValue::Map(counted.into_iter().map(entry).collect())))
}
