//! What an account has of IAM: users, groups, roles, policies, identity providers.

use std::fmt;

use minicbor::{Decode, Encode};
use types::{LogIndex, Timestamp};

use super::{AccessKeyId, UserId};

/// Of an account, as ARNs have it: twelve digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct AccountNumber(pub u64);

impl AccountNumber {
    pub const FIRST: u64 = 100_000_000_000;
    pub const COUNT: u64 = 900_000_000_000;

    pub fn parse(text: &str) -> Option<Self> {
        let is_number = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten().map(Self)
    }
}

impl fmt::Display for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

/// As IAM gives to everything that has a name: it stays when the name changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct IamId(pub String);

pub type Tags = Vec<(String, String)>;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct InlinePolicy {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub text: String,
}

/// The policies that somebody holds, both lists in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Holding {
    #[n(0)]
    pub inline: Vec<InlinePolicy>,
    /// Managed ones, by ARN.
    #[n(1)]
    pub attached: Vec<String>,
}

/// ```text
/// IAM_USERS  account \0 name in lower case  → IamUserRow
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct IamUserRow {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub path: String,
    #[n(2)]
    pub id: IamId,
    #[n(3)]
    pub created: Timestamp,
    #[n(4)]
    pub tags: Tags,
    /// By name in lower case.
    #[n(5)]
    pub groups: Vec<String>,
    #[n(6)]
    pub holding: Holding,
    /// The ARN of a managed policy.
    #[n(7)]
    pub boundary: Option<String>,
}

/// ```text
/// GROUPS  account \0 name in lower case  → IamGroupRow
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct IamGroupRow {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub path: String,
    #[n(2)]
    pub id: IamId,
    #[n(3)]
    pub created: Timestamp,
    #[n(4)]
    pub holding: Holding,
}

/// ```text
/// ROLES  account \0 name in lower case  → RoleRow
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RoleRow {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub path: String,
    #[n(2)]
    pub id: IamId,
    #[n(3)]
    pub created: Timestamp,
    #[n(4)]
    pub tags: Tags,
    #[n(5)]
    pub holding: Holding,
    #[n(6)]
    pub boundary: Option<String>,
    /// Who may take the role.
    #[n(7)]
    pub trust: String,
    #[n(8)]
    pub description: Option<String>,
    /// How long a session may be, in seconds.
    #[n(9)]
    pub max_session: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PolicyVersion {
    /// 1 is `v1`. Never used again in one policy.
    #[n(0)]
    pub number: u32,
    #[n(1)]
    pub text: String,
    #[n(2)]
    pub created: Timestamp,
}

/// ```text
/// POLICIES  account \0 name in lower case  → ManagedPolicyRow
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ManagedPolicyRow {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub path: String,
    #[n(2)]
    pub id: IamId,
    #[n(3)]
    pub created: Timestamp,
    #[n(4)]
    pub updated: Timestamp,
    #[n(5)]
    pub description: Option<String>,
    #[n(6)]
    pub tags: Tags,
    #[n(7)]
    pub versions: Vec<PolicyVersion>,
    /// The number of the one in force.
    #[n(8)]
    pub default: u32,
    /// The highest number given so far.
    #[n(9)]
    pub last: u32,
}

impl ManagedPolicyRow {
    /// The text in force.
    pub fn text(&self) -> Option<&str> {
        self.versions.iter().find(|version| version.number == self.default).map(|version| version.text.as_str())
    }
}

/// ```text
/// IAM_ACCOUNTS  account  → AccountRow
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct AccountRow {
    /// The last entry that changed what somebody of the account may do: what was derived before it is stale.
    #[n(0)]
    pub changed: Option<LogIndex>,
    /// What an administrator of the cluster set on the account itself.
    #[n(1)]
    pub holding: Holding,
}

/// ```text
/// OIDC_PROVIDERS  account \0 host and path  → OidcProviderRow
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OidcProviderRow {
    /// Without the scheme, which is always `https` in an issuer unless the configuration says otherwise.
    #[n(0)]
    pub url: String,
    #[n(1)]
    pub clients: Vec<String>,
    #[n(2)]
    pub thumbprints: Vec<String>,
    #[n(3)]
    pub created: Timestamp,
}

/// ```text
/// KEY_USES  access key  → KeyUseRow
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyUseRow {
    /// As of the last time that it was written down, which is not at every use.
    #[n(0)]
    pub last: Timestamp,
}

pub(crate) fn in_account(account: &UserId) -> Vec<u8> {
    [account.0.as_bytes(), b"\0"].concat()
}

/// Names are told apart without their case.
pub(crate) fn named(account: &UserId, name: &str) -> Vec<u8> {
    [account.0.as_bytes(), b"\0", name.to_ascii_lowercase().as_bytes()].concat()
}

pub(crate) fn iam_access_key_prefix(account: &UserId, user: &str) -> Vec<u8> {
    [account.0.as_bytes(), b"\0", user.to_ascii_lowercase().as_bytes(), b"\0"].concat()
}

pub(crate) fn iam_access_key(account: &UserId, user: &str, access_key: &AccessKeyId) -> Vec<u8> {
    [iam_access_key_prefix(account, user).as_slice(), access_key.0.as_bytes()].concat()
}
