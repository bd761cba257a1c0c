//! Who asks, and whom statements name.
//!
//! An account in a policy means the account as a whole: its root may at once, its users where the account's own policies let
//! them. A user, a role or a session is named by its ARN and means itself alone.

use std::fmt;

use super::MalformedPolicy;
use super::json::Json;

/// Whoever makes a request, as policies name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    Anonymous,
    /// An account with its own credentials.
    Root(Account),
    /// A user of an account; the name with its path: `engineering/ada`.
    User {
        account: Account,
        name: String,
    },
    /// A session of a role; the role's name with its path.
    Session {
        account: Account,
        role: String,
        session: String,
    },
    /// A service on its own behalf: `logging.s3.amazonaws.com`.
    Service(String),
    /// Somebody whom an identity provider vouches for, when they ask for a role.
    Federated(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    /// What ACLs name.
    pub canonical: String,
}

impl Caller {
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Root(account) | Self::User { account, .. } | Self::Session { account, .. } => Some(account),
            Self::Anonymous | Self::Service(_) | Self::Federated(_) => None,
        }
    }

    /// As `aws:PrincipalArn` has it: of a session, its role's.
    pub fn principal_arn(&self) -> Option<String> {
        match self {
            Self::Session { account, role, .. } => Some(format!("arn:aws:iam::{}:role/{role}", account.id)),
            other => other.arn(),
        }
    }

    /// None for those who have none.
    pub fn arn(&self) -> Option<String> {
        match self {
            Self::Root(account) => Some(format!("arn:aws:iam::{}:root", account.id)),
            Self::User { account, name } => Some(format!("arn:aws:iam::{}:user/{name}", account.id)),
            // The path of a role is no part of its sessions' names.
            Self::Session { account, role, session } => {
                let name = role.rsplit('/').next().unwrap_or(role);
                Some(format!("arn:aws:sts::{}:assumed-role/{name}/{session}", account.id))
            }
            Self::Anonymous | Self::Service(_) | Self::Federated(_) => None,
        }
    }
}

/// How closely a statement means a caller, the closest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meant {
    /// As somebody of an account that the statement names.
    AsAccount,
    /// As anybody.
    AsAnybody,
    /// As a session of a role that the statement names.
    AsRole,
    /// By name.
    AsItself,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Principal {
    Everybody,
    Account(String),
    User { account: String, name: String },
    Role { account: String, name: String },
    Session { account: String, role: String, session: String },
    Canonical(String),
    Service(String),
    Federated(String),
}

/// The principals of a statement, or with `NotPrincipal` everybody but these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Principals {
    named: Vec<Principal>,
    is_negated: bool,
}

impl Principals {
    pub(super) fn everybody() -> Self {
        Self { named: vec![Principal::Everybody], is_negated: false }
    }

    pub(super) fn parse(value: &Json, is_negated: bool) -> Result<Self, MalformedPolicy> {
        let named = match value {
            Json::Text(text) if text == "*" => vec![Principal::Everybody],
            Json::Object(kinds) if !kinds.is_empty() => {
                let mut named = Vec::new();
                for (kind, values) in kinds {
                    for text in super::parse::texts(values, "Principal")? {
                        let principal = Principal::parse(kind, &text);
                        named.push(principal.ok_or(MalformedPolicy::Principal(text))?);
                    }
                }
                named
            }
            Json::Text(text) => return Err(MalformedPolicy::Principal(text.clone())),
            _ => return Err(MalformedPolicy::Form("Principal")),
        };
        if named.is_empty() {
            return Err(MalformedPolicy::Missing("Principal"));
        }
        Ok(Self { named, is_negated })
    }

    pub(super) fn mean(&self, caller: &Caller) -> Option<Meant> {
        let meant = self.named.iter().filter_map(|principal| principal.means(caller)).max();
        match (meant, self.is_negated) {
            (None, true) => Some(Meant::AsAnybody),
            (Some(_), true) => None,
            (meant, false) => meant,
        }
    }

    pub(super) fn include_everybody(&self) -> bool {
        self.is_negated || self.named.contains(&Principal::Everybody)
    }
}

impl Principal {
    fn parse(kind: &str, text: &str) -> Option<Self> {
        if text == "*" && matches!(kind, "AWS" | "Federated") {
            return Some(Self::Everybody);
        }
        // Everybody may be named, a pattern of names may not.
        if text.is_empty() || text.contains(['*', '?']) {
            return None;
        }
        match kind {
            "AWS" => Self::of_aws(text),
            "CanonicalUser" => Some(Self::Canonical(text.to_owned())),
            "Service" if text.contains('.') => Some(Self::Service(text.to_owned())),
            "Federated" => Some(Self::Federated(text.to_owned())),
            _ => None,
        }
    }

    fn of_aws(text: &str) -> Option<Self> {
        if !text.contains([':', '/']) {
            return Some(Self::Account(text.to_owned()));
        }
        let fields: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", "aws", service, "", account, resource] = fields.as_slice() else { return None };
        let account = (*account).to_owned();
        let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
        match (*service, kind) {
            ("iam", "root") if name.is_empty() && !account.is_empty() => Some(Self::Account(account)),
            _ if name.is_empty() || name.ends_with('/') => None,
            ("iam", "user") => Some(Self::User { account, name: name.to_owned() }),
            ("iam", "role") if !account.is_empty() => Some(Self::Role { account, name: name.to_owned() }),
            ("sts", "assumed-role") if !account.is_empty() => {
                let (role, session) = name.split_once('/')?;
                Some(Self::Session { account, role: role.to_owned(), session: session.to_owned() })
            }
            _ => None,
        }
    }

    fn means(&self, caller: &Caller) -> Option<Meant> {
        let as_itself = |is_so: bool| is_so.then_some(Meant::AsItself);
        let of_account = |is_so: bool| match caller {
            Caller::Root(_) => as_itself(is_so),
            _ => is_so.then_some(Meant::AsAccount),
        };
        match (self, caller) {
            (Self::Everybody, _) => Some(Meant::AsAnybody),
            (Self::Service(named), Caller::Service(service)) => as_itself(named == service),
            (Self::Federated(named), Caller::Federated(provider)) => as_itself(named == provider),
            // Where an account has no number, or a policy was written before it had one, its own id is meant.
            (Self::Account(id), _) => {
                of_account(caller.account().is_some_and(|account| account.id == *id || account.canonical == *id))
            }
            (Self::Canonical(id), _) => of_account(caller.account().is_some_and(|account| account.canonical == *id)),
            // Some stores know users without an account, and name them so: the account is the user.
            (Self::User { account, name }, Caller::Root(root)) => {
                as_itself(account.is_empty() && (root.canonical == *name || root.id == *name))
            }
            (Self::User { account, name }, Caller::User { account: of, name: is }) => as_itself(of.id == *account && is == name),
            (Self::Role { account, name }, Caller::Session { account: of, role, .. }) => {
                (of.id == *account && role == name).then_some(Meant::AsRole)
            }
            (Self::Session { account, role, session }, Caller::Session { account: of, role: of_role, session: is }) => {
                let name = of_role.rsplit('/').next().unwrap_or(of_role);
                as_itself(of.id == *account && name == role && is == session)
            }
            (
                Self::User { .. } | Self::Role { .. } | Self::Session { .. } | Self::Service(_) | Self::Federated(_),
                Caller::Anonymous
                | Caller::Root(_)
                | Caller::User { .. }
                | Caller::Session { .. }
                | Caller::Service(_)
                | Caller::Federated(_),
            ) => None,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Service(name) | Self::Federated(name) => f.write_str(name),
            Self::Root(_) | Self::User { .. } | Self::Session { .. } => f.write_str(&self.arn().unwrap_or_default()),
        }
    }
}
