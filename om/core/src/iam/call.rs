//! A call as it came, read into what is asked or changed. Nothing of the account is looked at here.

use types::{IamError, IamErrorCode};

use super::change::{Holder, IamChange, NewEntity, Renaming, Tagged};
use super::names::{Kind, check_name, check_path, check_tags};
use super::query::Query;
use super::view::{Page, PolicyScope, View};
use crate::policy::{Policy, PolicyKind};
use crate::rows::{AccessKeyId, IamId, InlinePolicy};

/// What a call is about: whoever may do something may do it to this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Everything, or nothing in particular.
    Account,
    Named(Kind, String),
    /// A managed policy or a provider, by its ARN.
    Arn(String),
    /// A thing that is to be, by path and name.
    New(Kind, String, String),
    /// A thing as it will be called: what is not said stays.
    Renamed {
        kind: Kind,
        name: String,
        new: Renaming,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    View(View),
    Change(IamChange),
    /// A key for a user of the account, or for itself: whoever does the work rolls the secret.
    NewKey {
        user: Option<String>,
    },
    Simulate(Simulation),
}

/// What would be decided of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulation {
    /// Whose policies, by ARN; none: the given ones alone.
    pub of: Option<String>,
    pub policies: Vec<String>,
    pub actions: Vec<String>,
    pub resources: Vec<String>,
    pub context: Vec<(String, Vec<String>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub subject: Subject,
    /// What it is about besides.
    pub also: Option<Subject>,
    pub work: Work,
}

/// Whom a call means that names no user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own<'a> {
    /// The account itself.
    Root,
    User(&'a str),
    /// A session of a role is neither: it has to name somebody.
    Nobody,
}

/// Who calls, as far as names that are left out depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    pub own: Own<'a>,
    /// The user that the call names is another account, which the caller administers.
    pub means_account: bool,
}

pub(super) const MOST_SECONDS: u32 = 43_200;
/// Bytes of policies that somebody may well hold.
const LARGEST_HELD: usize = 16 << 10;
/// Of a simulation, in bytes held against bytes: about a tenth of a second.
const MOST_SIMULATED: usize = 100_000_000;

struct Reader<'a, 'i> {
    query: Query<'a>,
    caller: Caller<'a>,
    /// Rolls the rest of an id behind its first four letters.
    new_id: &'i mut dyn FnMut(&'static str) -> IamId,
}

/// `new_id` rolls the ids of what is made.
pub fn read(
    action: &str,
    query: Query<'_>,
    caller: Caller<'_>,
    new_id: &mut dyn FnMut(&'static str) -> IamId,
) -> Result<Call, IamError> {
    Reader { query, caller, new_id }.read(action)
}

fn view(subject: Subject, view: View) -> Call {
    Call { subject, also: None, work: Work::View(view) }
}

fn change(subject: Subject, change: IamChange) -> Call {
    let also = match &change {
        IamChange::UpdateUser(name, new) => Some((Kind::User, name, new)),
        IamChange::UpdateGroup(name, new) => Some((Kind::Group, name, new)),
        _ => None,
    };
    let also = also.map(|(kind, name, new)| Subject::Renamed { kind, name: name.clone(), new: new.clone() });
    Call { subject, also, work: Work::Change(change) }
}

fn malformed(why: impl std::fmt::Display) -> IamError {
    IamError::new(IamErrorCode::MalformedPolicyDocument, why.to_string())
}

impl Reader<'_, '_> {
    fn read(&mut self, action: &str) -> Result<Call, IamError> {
        let user = |name: &str| Subject::Named(Kind::User, name.to_owned());
        let group = |name: &str| Subject::Named(Kind::Group, name.to_owned());
        let role = |name: &str| Subject::Named(Kind::Role, name.to_owned());
        Ok(match action {
            "CreateUser" => {
                let new = self.entity("UserName", 64, "AIDA")?;
                change(Subject::New(Kind::User, new.path.clone(), new.name.clone()), IamChange::CreateUser(new))
            }
            "GetUser" => {
                let name = self.user_or_self()?;
                view(self.of_user(name.as_deref()), View::User(name))
            }
            "ListUsers" => view(Subject::Account, View::Users { prefix: self.prefix()?, page: self.page()? }),
            "UpdateUser" => {
                let name = self.name("UserName", 64)?;
                let renaming = self.renaming("NewUserName", 64)?;
                change(user(&name), IamChange::UpdateUser(name, renaming))
            }
            "DeleteUser" => {
                let name = self.name("UserName", 64)?;
                change(user(&name), IamChange::DeleteUser(name))
            }
            "ListUserTags" => {
                let name = self.name("UserName", 64)?;
                view(user(&name), View::UserTags(name))
            }
            "TagUser" | "UntagUser" => {
                let name = self.name("UserName", 64)?;
                self.tagging(user(&name), Tagged::User(name))?
            }
            "ListGroupsForUser" => {
                let name = self.name("UserName", 64)?;
                view(user(&name), View::GroupsOf { user: name, page: self.page()? })
            }
            "CreateAccessKey" => {
                let name = self.user_or_self()?;
                Call { subject: self.of_user(name.as_deref()), also: None, work: Work::NewKey { user: name } }
            }
            "ListAccessKeys" => {
                let name = self.user_or_self()?;
                view(self.of_user(name.as_deref()), View::Keys { user: name, page: self.page()? })
            }
            "UpdateAccessKey" => {
                let (name, key) = (self.user_or_self()?, self.access_key()?);
                let is_active = match self.query.required("Status")? {
                    "Active" => true,
                    "Inactive" => false,
                    _ => return Err(self.invalid("Status", "Active or Inactive")),
                };
                change(self.of_user(name.as_deref()), IamChange::SetKeyStatus { user: name, key, is_active })
            }
            "DeleteAccessKey" => {
                let (name, key) = (self.user_or_self()?, self.access_key()?);
                change(self.of_user(name.as_deref()), IamChange::DeleteKey { user: name, key })
            }
            "GetAccessKeyLastUsed" => view(Subject::Account, View::KeyLastUsed(self.access_key()?)),

            "CreateGroup" => {
                let new = self.entity("GroupName", 128, "AGPA")?;
                change(Subject::New(Kind::Group, new.path.clone(), new.name.clone()), IamChange::CreateGroup(new))
            }
            "GetGroup" => {
                let name = self.name("GroupName", 128)?;
                view(group(&name), View::Group { name, page: self.page()? })
            }
            "ListGroups" => view(Subject::Account, View::Groups { prefix: self.prefix()?, page: self.page()? }),
            "UpdateGroup" => {
                let name = self.name("GroupName", 128)?;
                let renaming = self.renaming("NewGroupName", 128)?;
                change(group(&name), IamChange::UpdateGroup(name, renaming))
            }
            "DeleteGroup" => {
                let name = self.name("GroupName", 128)?;
                change(group(&name), IamChange::DeleteGroup(name))
            }
            "AddUserToGroup" => {
                let (name, user) = (self.name("GroupName", 128)?, self.name("UserName", 64)?);
                change(group(&name), IamChange::AddToGroup { group: name, user })
            }
            "RemoveUserFromGroup" => {
                let (name, user) = (self.name("GroupName", 128)?, self.name("UserName", 64)?);
                change(group(&name), IamChange::RemoveFromGroup { group: name, user })
            }

            "CreateRole" => {
                let new = self.entity("RoleName", 64, "AROA")?;
                let trust = self.policy("AssumeRolePolicyDocument", PolicyKind::Trust)?;
                let max_session = self.seconds("MaxSessionDuration")?.unwrap_or(3600);
                let subject = Subject::New(Kind::Role, new.path.clone(), new.name.clone());
                change(subject, IamChange::CreateRole { new, trust, max_session })
            }
            "GetRole" => {
                let name = self.name("RoleName", 64)?;
                view(role(&name), View::Role(name))
            }
            "ListRoles" => view(Subject::Account, View::Roles { prefix: self.prefix()?, page: self.page()? }),
            "UpdateRole" | "UpdateRoleDescription" => {
                let name = self.name("RoleName", 64)?;
                let max_session = self.seconds("MaxSessionDuration")?;
                let description = self.description()?;
                change(role(&name), IamChange::UpdateRole { name, description, max_session })
            }
            "UpdateAssumeRolePolicy" => {
                let name = self.name("RoleName", 64)?;
                let trust = self.policy("PolicyDocument", PolicyKind::Trust)?;
                change(role(&name), IamChange::SetTrust { name, trust })
            }
            "DeleteRole" => {
                let name = self.name("RoleName", 64)?;
                change(role(&name), IamChange::DeleteRole(name))
            }
            "ListRoleTags" => {
                let name = self.name("RoleName", 64)?;
                view(role(&name), View::RoleTags(name))
            }
            "TagRole" | "UntagRole" => {
                let name = self.name("RoleName", 64)?;
                self.tagging(role(&name), Tagged::Role(name))?
            }
            "ListInstanceProfilesForRole" => view(role(&self.name("RoleName", 64)?), View::InstanceProfiles),

            "GetAccountSummary" => view(Subject::Account, View::Summary),
            "ListAccountAliases" => view(Subject::Account, View::Aliases),
            "SimulatePrincipalPolicy" => {
                let of = self.query.required("PolicySourceArn")?.to_owned();
                self.simulation(Subject::Arn(of.clone()), Some(of))?
            }
            "SimulateCustomPolicy" => self.simulation(Subject::Account, None)?,
            _ => match self.of_holders(action)? {
                Some(call) => call,
                None => match self.of_policies(action)? {
                    Some(call) => call,
                    None => self.of_providers(action)?,
                },
            },
        })
    }

    /// What users, groups and roles have in common: they hold policies.
    fn of_holders(&mut self, action: &str) -> Result<Option<Call>, IamError> {
        let (kind, general) = match action {
            _ if action.contains("UserPolic") || action.contains("UserPermissionsBoundary") => {
                ("User", action.replacen("User", "", 1))
            }
            _ if action.contains("GroupPolic") => ("Group", action.replacen("Group", "", 1)),
            _ if action.contains("RolePolic") || action.contains("RolePermissionsBoundary") => {
                ("Role", action.replacen("Role", "", 1))
            }
            _ => return Ok(None),
        };
        let (holder, subject) = match kind {
            "User" => {
                let name = self.name("UserName", 64)?;
                let subject = self.of_user(Some(&name));
                (if self.caller.means_account { Holder::Account } else { Holder::User(name) }, subject)
            }
            "Group" => {
                let name = self.name("GroupName", 128)?;
                (Holder::Group(name.clone()), Subject::Named(Kind::Group, name))
            }
            _ => {
                let name = self.name("RoleName", 64)?;
                (Holder::Role(name.clone()), Subject::Named(Kind::Role, name))
            }
        };
        Ok(Some(match general.as_str() {
            "PutPolicy" => {
                let (name, text) = (self.name("PolicyName", 128)?, self.policy("PolicyDocument", PolicyKind::Identity)?);
                change(subject, IamChange::PutInline(holder, InlinePolicy { name, text }))
            }
            "GetPolicy" => view(subject, View::Inline { holder, name: self.name("PolicyName", 128)? }),
            "DeletePolicy" => change(subject, IamChange::DeleteInline(holder, self.name("PolicyName", 128)?)),
            "ListPolicies" => view(subject, View::Inlines { holder, page: self.page()? }),
            "AttachPolicy" => change(subject, IamChange::Attach(holder, self.arn("PolicyArn")?)),
            "DetachPolicy" => change(subject, IamChange::Detach(holder, self.arn("PolicyArn")?)),
            "ListAttachedPolicies" => view(subject, View::Attached { holder, prefix: self.prefix()?, page: self.page()? }),
            "PutPermissionsBoundary" => change(subject, IamChange::SetBoundary(holder, Some(self.arn("PermissionsBoundary")?))),
            "DeletePermissionsBoundary" => change(subject, IamChange::SetBoundary(holder, None)),
            _ => return Ok(None),
        }))
    }

    fn of_policies(&mut self, action: &str) -> Result<Option<Call>, IamError> {
        Ok(Some(match action {
            "CreatePolicy" => {
                let new = self.entity("PolicyName", 128, "ANPA")?;
                let text = self.managed_text()?;
                let subject = Subject::New(Kind::Policy, new.path.clone(), new.name.clone());
                change(subject, IamChange::CreatePolicy { new, text })
            }
            "ListPolicies" => {
                let scope = match self.query.text("Scope") {
                    None | Some("All") => PolicyScope::All,
                    Some("Local") => PolicyScope::Local,
                    Some("AWS") => PolicyScope::Aws,
                    Some(_) => return Err(self.invalid("Scope", "All, AWS or Local")),
                };
                let (prefix, page) = (self.prefix()?, self.page()?);
                let only_attached = self.query.is_true("OnlyAttached");
                view(Subject::Account, View::Policies { scope, prefix, only_attached, page })
            }
            "GetPolicy"
            | "DeletePolicy"
            | "CreatePolicyVersion"
            | "GetPolicyVersion"
            | "ListPolicyVersions"
            | "DeletePolicyVersion"
            | "SetDefaultPolicyVersion"
            | "ListEntitiesForPolicy"
            | "TagPolicy"
            | "UntagPolicy"
            | "ListPolicyTags" => {
                let arn = self.arn("PolicyArn")?;
                let subject = Subject::Arn(arn.clone());
                match action {
                    "GetPolicy" => view(subject, View::Policy(arn)),
                    "DeletePolicy" => change(subject, IamChange::DeletePolicy(arn)),
                    "CreatePolicyVersion" => {
                        let (text, is_default) = (self.managed_text()?, self.query.is_true("SetAsDefault"));
                        change(subject, IamChange::CreatePolicyVersion { arn, text, is_default })
                    }
                    "GetPolicyVersion" => view(subject, View::Version { arn, version: self.version()? }),
                    "ListPolicyVersions" => view(subject, View::Versions { arn, page: self.page()? }),
                    "DeletePolicyVersion" => change(subject, IamChange::DeletePolicyVersion { arn, version: self.version()? }),
                    "SetDefaultPolicyVersion" => change(subject, IamChange::SetDefaultVersion { arn, version: self.version()? }),
                    "ListEntitiesForPolicy" => view(subject, View::Entities { arn }),
                    "ListPolicyTags" => view(subject, View::PolicyTags(arn)),
                    _ => self.tagging(subject, Tagged::Policy(arn))?,
                }
            }
            _ => return Ok(None),
        }))
    }

    fn of_providers(&mut self, action: &str) -> Result<Call, IamError> {
        Ok(match action {
            "CreateOpenIDConnectProvider" => {
                let url = self.query.required("Url")?;
                let host =
                    url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(url).trim_end_matches('/');
                if host.is_empty() || host.len() > 255 || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(self.invalid("Url", "the issuer's, at most 255 visible ASCII characters"));
                }
                let clients = self.texts("ClientIDList", 100)?;
                let thumbprints = self.texts("ThumbprintList", 5)?;
                let subject = Subject::New(Kind::OidcProvider, "/".into(), host.to_owned());
                change(subject, IamChange::CreateProvider { url: host.to_owned(), clients, thumbprints })
            }
            "ListOpenIDConnectProviders" => view(Subject::Account, View::Providers),
            "GetOpenIDConnectProvider"
            | "DeleteOpenIDConnectProvider"
            | "AddClientIDToOpenIDConnectProvider"
            | "RemoveClientIDFromOpenIDConnectProvider"
            | "UpdateOpenIDConnectProviderThumbprint" => {
                let arn = self.arn("OpenIDConnectProviderArn")?;
                let subject = Subject::Arn(arn.clone());
                match action {
                    "GetOpenIDConnectProvider" => view(subject, View::Provider(arn)),
                    "DeleteOpenIDConnectProvider" => change(subject, IamChange::DeleteProvider(arn)),
                    "UpdateOpenIDConnectProviderThumbprint" => {
                        change(subject, IamChange::SetThumbprints { arn, thumbprints: self.texts("ThumbprintList", 5)? })
                    }
                    _ => {
                        let client = self.query.required("ClientID")?.to_owned();
                        change(subject, IamChange::SetClient { arn, client, is_there: action.starts_with("Add") })
                    }
                }
            }
            _ => return Err(IamError::new(IamErrorCode::InvalidAction, format!("{action} is not built"))),
        })
    }

    fn invalid(&self, what: &str, rule: &str) -> IamError {
        IamError::new(IamErrorCode::ValidationError, format!("{what}: {rule}"))
    }

    fn name(&self, field: &str, most: usize) -> Result<String, IamError> {
        let name = self.query.required(field)?;
        // Accounts have names of their own rules.
        if !(field == "UserName" && self.caller.means_account) {
            check_name(field, name, most)?;
        }
        Ok(name.to_owned())
    }

    /// None: an account's root, which is its caller.
    fn user_or_self(&self) -> Result<Option<String>, IamError> {
        match self.query.text("UserName") {
            Some(_) => self.name("UserName", 64).map(Some),
            None => match self.caller.own {
                Own::Root => Ok(None),
                Own::User(name) => Ok(Some(name.to_owned())),
                Own::Nobody => Err(self.invalid("UserName", "must be given when calling with non-User credentials")),
            },
        }
    }

    fn of_user(&self, name: Option<&str>) -> Subject {
        match name {
            Some(name) if !self.caller.means_account => Subject::Named(Kind::User, name.to_owned()),
            Some(_) | None => Subject::Account,
        }
    }

    fn path(&self) -> Result<String, IamError> {
        let path = self.query.text("Path").unwrap_or("/");
        check_path(path)?;
        Ok(path.to_owned())
    }

    fn prefix(&self) -> Result<String, IamError> {
        let prefix = self.query.text("PathPrefix").unwrap_or("/");
        if !prefix.starts_with('/') || prefix.len() > 512 {
            return Err(self.invalid("PathPrefix", "begins with /"));
        }
        Ok(prefix.to_owned())
    }

    fn page(&self) -> Result<Page, IamError> {
        let most = self.query.number("MaxItems")?.unwrap_or(100);
        if !(1..=1000).contains(&most) {
            return Err(self.invalid("MaxItems", "1 to 1000"));
        }
        let most = usize::try_from(most).unwrap_or(1000);
        Ok(Page { marker: self.query.text("Marker").map(str::to_owned), most })
    }

    fn entity(&mut self, field: &str, most: usize, prefix: &'static str) -> Result<NewEntity, IamError> {
        Ok(NewEntity {
            name: self.name(field, most)?,
            path: self.path()?,
            tags: self.query.tags()?,
            boundary: self.query.unless_empty("PermissionsBoundary")?.map(str::to_owned),
            description: self.description()?,
            id: (self.new_id)(prefix),
        })
    }

    fn description(&self) -> Result<Option<String>, IamError> {
        let text = self.query.text("Description");
        if text.is_some_and(|text| text.len() > 1000) {
            return Err(self.invalid("Description", "at most 1000 bytes"));
        }
        Ok(text.map(str::to_owned))
    }

    fn renaming(&self, field: &str, most: usize) -> Result<Renaming, IamError> {
        let name = self.query.text(field);
        let path = self.query.text("NewPath");
        name.map(|name| check_name(field, name, most)).transpose()?;
        path.map(check_path).transpose()?;
        Ok(Renaming { name: name.map(str::to_owned), path: path.map(str::to_owned) })
    }

    fn access_key(&self) -> Result<AccessKeyId, IamError> {
        let key = self.query.required("AccessKeyId")?;
        if key.len() > 128 || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self.invalid("AccessKeyId", "at most 128 visible characters"));
        }
        Ok(AccessKeyId(key.to_owned()))
    }

    fn arn(&self, field: &str) -> Result<String, IamError> {
        let arn = self.query.required(field)?;
        if arn.len() > 2048 || !arn.starts_with("arn:") {
            return Err(IamError::new(IamErrorCode::InvalidInput, format!("ARN {arn} is not valid.")));
        }
        Ok(arn.to_owned())
    }

    fn version(&self) -> Result<String, IamError> {
        Ok(self.query.required("VersionId")?.to_owned())
    }

    fn policy(&self, field: &str, kind: PolicyKind) -> Result<String, IamError> {
        let text = self.query.required(field)?;
        Policy::parse(text, kind).map_err(malformed)?;
        Ok(text.to_owned())
    }

    /// Managed policies may be longer than inline ones, up to a limit that does not count white space.
    fn managed_text(&self) -> Result<String, IamError> {
        let text = self.policy("PolicyDocument", PolicyKind::Identity)?;
        if text.bytes().filter(|byte| !byte.is_ascii_whitespace()).count() > 6144 {
            return Err(IamError::new(IamErrorCode::LimitExceeded, "Cannot exceed quota for PolicySize: 6144"));
        }
        Ok(text)
    }

    fn seconds(&self, field: &str) -> Result<Option<u32>, IamError> {
        let seconds = self.query.number(field)?;
        if seconds.is_some_and(|seconds| !(3600..=MOST_SECONDS).contains(&seconds)) {
            return Err(self.invalid(field, "3600 to 43200 seconds"));
        }
        Ok(seconds)
    }

    fn texts(&self, field: &str, most: usize) -> Result<Vec<String>, IamError> {
        let texts = self.query.list(field);
        if texts.len() > most || texts.iter().any(|text| text.len() > 255) {
            return Err(self.invalid(field, &format!("at most {most} of at most 255 bytes")));
        }
        Ok(texts.into_iter().map(str::to_owned).collect())
    }

    fn tagging(&self, subject: Subject, on: Tagged) -> Result<Call, IamError> {
        let set = self.query.tags()?;
        check_tags(&set, 50)?;
        let removed: Vec<String> = self.query.list("TagKeys").into_iter().map(str::to_owned).collect();
        Ok(change(subject, IamChange::SetTags { on, set, removed }))
    }

    fn simulation(&self, subject: Subject, of: Option<String>) -> Result<Call, IamError> {
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let policies = owned(self.query.list("PolicyInputList"));
        for text in &policies {
            Policy::parse(text, PolicyKind::Identity).map_err(malformed)?;
        }
        let actions = owned(self.query.list("ActionNames"));
        if actions.is_empty() {
            return Err(self.invalid("ActionNames", "at least one"));
        }
        let mut resources = owned(self.query.list("ResourceArns"));
        if resources.is_empty() {
            resources.push("*".to_owned());
        }
        if resources.iter().any(|arn| arn.len() > 2048) {
            return Err(self.invalid("ResourceArns", "at most 2048 bytes each"));
        }
        // A decision costs its policies' length times that of what they are held against.
        let text: usize = policies.iter().map(String::len).sum::<usize>() + LARGEST_HELD;
        let longest = resources.iter().map(String::len).max().unwrap_or(1).max(32);
        let cost = actions.len().saturating_mul(resources.len()).saturating_mul(text).saturating_mul(longest);
        if cost > MOST_SIMULATED {
            return Err(self.invalid("ActionNames", "too much to decide at once: ask about fewer actions, resources or policies"));
        }
        let entry = |number: usize| {
            let at = format!("ContextEntries.member.{number}");
            let key = self.query.text(&format!("{at}.ContextKeyName"))?.to_owned();
            Some((key, owned(self.query.list(&format!("{at}.ContextKeyValues")))))
        };
        let context = (1..).map_while(entry).collect();
        Ok(Call { subject, also: None, work: Work::Simulate(Simulation { of, policies, actions, resources, context }) })
    }
}
