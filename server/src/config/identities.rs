//! `[[iam.user]]`, `[[iam.group]]`, `[[iam.role]]` and `[[iam.policy]]`: identities of accounts that exist after the start.

use std::collections::BTreeMap;
use std::path::PathBuf;

use om_api::{EnsureIdentities, NamedPolicy, UserId, WantedGroup, WantedHolding, WantedRole, WantedUser};
use serde::Deserialize;

use super::units::Span;
use super::wanted::{ROOT, Reading, Secret, WantedError};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IamSection {
    /// Managed policies of the account's own.
    pub(crate) policy: Vec<IamPolicy>,
    pub(crate) group: Vec<IamGroup>,
    pub(crate) user: Vec<IamUser>,
    pub(crate) role: Vec<IamRole>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IamPolicy {
    /// A `[[user]]`'s id; root's if absent. So everywhere below.
    #[serde(default)]
    pub(crate) account: Option<String>,
    pub(crate) name: String,
    /// JSON, or the path of a file that holds it. So with every policy below.
    pub(crate) document: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IamGroup {
    #[serde(default)]
    pub(crate) account: Option<String>,
    pub(crate) name: String,
    /// Managed ones: by name or by ARN.
    #[serde(default)]
    pub(crate) policies: Vec<String>,
    /// By name.
    #[serde(default)]
    pub(crate) inline: BTreeMap<String, String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IamUser {
    #[serde(default)]
    pub(crate) account: Option<String>,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    #[serde(default)]
    pub(crate) policies: Vec<String>,
    #[serde(default)]
    pub(crate) inline: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) boundary: Option<String>,
    #[serde(default)]
    pub(crate) access_key: Option<String>,
    #[serde(default)]
    pub(crate) secret_key: Option<String>,
    #[serde(default)]
    pub(crate) secret_key_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) secret_key_env: Option<String>,
}

impl std::fmt::Debug for IamUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IamUser({}, {:?})", self.name, self.access_key)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IamRole {
    #[serde(default)]
    pub(crate) account: Option<String>,
    pub(crate) name: String,
    /// Who may take it.
    pub(crate) trust: String,
    #[serde(default)]
    pub(crate) policies: Vec<String>,
    #[serde(default)]
    pub(crate) inline: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) boundary: Option<String>,
    /// How long a session may be: an hour if absent.
    #[serde(default)]
    pub(crate) max_session: Option<Span>,
}

#[derive(Default)]
struct Accounts(BTreeMap<String, EnsureIdentities>);

impl Accounts {
    fn of(&mut self, account: &Option<String>) -> &mut EnsureIdentities {
        let id = account.clone().unwrap_or_else(|| ROOT.to_owned());
        self.0.entry(id.clone()).or_insert_with(|| EnsureIdentities {
            account: UserId(id),
            policies: Vec::new(),
            groups: Vec::new(),
            users: Vec::new(),
            roles: Vec::new(),
        })
    }
}

/// What is to be, account by account, in their order.
pub(super) fn wanted(section: &IamSection, reading: Reading) -> Result<Vec<EnsureIdentities>, WantedError> {
    let mut accounts = Accounts::default();
    for policy in &section.policy {
        let what = named("policy", &policy.name);
        let text = reading.text(&format!("{what}: document"), &policy.document)?;
        let known = &mut accounts.of(&policy.account).policies;
        once(&what, known.iter().map(|known| known.name.as_str()), &policy.name)?;
        known.push(NamedPolicy { name: policy.name.clone(), text });
    }
    for group in &section.group {
        let what = named("group", &group.name);
        let holding = holding(&what, &group.policies, &group.inline, reading)?;
        let known = &mut accounts.of(&group.account).groups;
        once(&what, known.iter().map(|known| known.name.as_str()), &group.name)?;
        known.push(WantedGroup { name: group.name.clone(), holding });
    }
    for user in &section.user {
        let what = named("user", &user.name);
        let holding = holding(&what, &user.policies, &user.inline, reading)?;
        let secret = Secret { text: &user.secret_key, file: &user.secret_key_file, variable: &user.secret_key_env };
        let pair = secret.pair(&what, &user.access_key, reading)?;
        let known = &mut accounts.of(&user.account).users;
        once(&what, known.iter().map(|known| known.name.as_str()), &user.name)?;
        let (name, groups, boundary) = (user.name.clone(), user.groups.clone(), user.boundary.clone());
        known.push(WantedUser { name, groups, holding, boundary, pair });
    }
    for role in &section.role {
        let what = named("role", &role.name);
        let holding = holding(&what, &role.policies, &role.inline, reading)?;
        let trust = reading.text(&format!("{what}: trust"), &role.trust)?;
        let max_session = role.max_session.map(|span| u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX));
        let known = &mut accounts.of(&role.account).roles;
        once(&what, known.iter().map(|known| known.name.as_str()), &role.name)?;
        known.push(WantedRole { name: role.name.clone(), trust, holding, boundary: role.boundary.clone(), max_session });
    }
    Ok(accounts.0.into_values().collect())
}

fn named(kind: &str, name: &str) -> String {
    format!("iam.{kind} {name:?}")
}

/// Of two that say different things one would win: neither does.
fn once<'k>(what: &str, mut known: impl Iterator<Item = &'k str>, name: &str) -> Result<(), WantedError> {
    if known.any(|known| known.eq_ignore_ascii_case(name)) {
        return Err(WantedError::Given { what: what.to_owned(), why: "it stands twice".to_owned() });
    }
    Ok(())
}

fn holding(
    what: &str,
    policies: &[String],
    inline: &BTreeMap<String, String>,
    reading: Reading,
) -> Result<WantedHolding, WantedError> {
    let read = |(name, text): (&String, &String)| {
        let text = reading.text(&format!("{what}: inline.{name}"), text)?;
        Ok(NamedPolicy { name: name.clone(), text })
    };
    Ok(WantedHolding { policies: policies.to_vec(), inline: inline.iter().map(read).collect::<Result<_, _>>()? })
}
