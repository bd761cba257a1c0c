//! Users and their access keys.

use std::fmt;

use bucket_config::PublicAccessBlock;
use minicbor::{Decode, Encode};
use types::{Timestamp, VolumeName};

use super::AccountNumber;

/// A user's identity: S3's canonical id. Without NUL, so that it ends where a key says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct UserId(pub String);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct AccessKeyId(pub String);

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// ```text
/// USERS   user                        → UserRow
/// EMAILS  address in lower case       → UserId
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UserRow {
    #[n(0)]
    pub id: UserId,
    #[n(1)]
    pub display_name: String,
    #[n(2)]
    pub email: Option<String>,
    #[n(3)]
    pub is_admin: bool,
    #[n(4)]
    pub created: Timestamp,
    /// As ARNs name the account. `None` in rows of releases that gave none.
    #[n(5)]
    pub number: Option<AccountNumber>,
    /// An administrator of the cluster has set policies on the account. `None` is no.
    #[n(6)]
    pub is_governed: Option<bool>,
    /// On public access to all buckets of the account, beside their own.
    #[n(7)]
    pub block: Option<PublicAccessBlock>,
    /// Where its bucket names lie: set when the account is made, and never changed, since others keep it. `None` is `s3v`.
    #[n(8)]
    pub volume: Option<VolumeName>,
}

impl UserRow {
    pub fn home(&self) -> &VolumeName {
        self.volume.as_ref().unwrap_or(VolumeName::s3v_ref())
    }

    /// What ARNs name the account by.
    pub fn account_id(&self) -> String {
        self.number.map_or_else(|| self.id.0.clone(), |number| number.to_string())
    }
}

/// ```text
/// ACCESS_KEYS       access key            → AccessKeyRow
/// USER_ACCESS_KEYS  user \0 access key    → nothing
/// ```
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct AccessKeyRow {
    #[n(0)]
    pub user: UserId,
    /// The secret, sealed by the role; the core cannot open it.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
    /// Another with every secret, so that a signature verified with an earlier one is known for stale.
    #[n(2)]
    pub secret_version: u64,
    #[n(3)]
    pub created: Timestamp,
    /// `None` also in rows of releases that did not keep it.
    #[n(4)]
    pub origin: Option<PairOrigin>,
    /// The account's user whose key it is, by name in lower case; `None` for the account's own.
    #[n(5)]
    pub holder: Option<String>,
    /// It signs nothing until it is active again. `None` is no.
    #[n(6)]
    pub is_inactive: Option<bool>,
}

impl AccessKeyRow {
    pub fn is_active(&self) -> bool {
        self.is_inactive != Some(true)
    }
}

/// Who gave a pair, if not the namespace itself at a user's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum PairOrigin {
    /// What starts the processes. Its next pair for the user takes this one's place.
    #[n(0)]
    Configuration,
}

/// ```text
/// REVOKED_KEYS  access key  → RevokedKeyRow
/// ```
///
/// Kept for good: a configuration that names the pair outlives every revocation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RevokedKeyRow {
    #[n(0)]
    pub user: UserId,
    #[n(1)]
    pub revoked: Timestamp,
}

impl fmt::Debug for AccessKeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessKeyRow(of {:?}, version {}, sealed)", self.user, self.secret_version)
    }
}

pub(crate) fn access_key_prefix(user: &UserId) -> Vec<u8> {
    [user.0.as_bytes(), b"\0"].concat()
}

pub(crate) fn access_key_of_user(user: &UserId, access_key: &AccessKeyId) -> Vec<u8> {
    [user.0.as_bytes(), b"\0", access_key.0.as_bytes()].concat()
}

pub(crate) fn email_key(email: &str) -> Vec<u8> {
    email.to_lowercase().into_bytes()
}
