//! Temporary credentials.

use std::fmt;

use minicbor::{Decode, Encode};
use types::Timestamp;

use super::{AccessKeyId, IamId, Tags, UserId};

/// SHA-256 of a session token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct TokenDigest(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

/// On whose behalf a temporary credential signs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum CredentialHolder {
    /// The account itself.
    #[n(0)]
    Root,
    /// A user of the account, as long as the name means the same user.
    #[n(1)]
    User {
        #[n(0)]
        name: String,
        #[n(1)]
        id: IamId,
    },
    #[n(2)]
    Role {
        #[n(0)]
        name: String,
        #[n(1)]
        id: IamId,
        #[n(2)]
        session: String,
    },
}

/// ```text
/// SESSIONS            access key                   → CredentialRow
/// SESSIONS_BY_EXPIRY  expiry be64 · access key     → nothing
/// ```
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct CredentialRow {
    #[n(0)]
    pub account: UserId,
    #[n(1)]
    pub holder: CredentialHolder,
    /// The secret, sealed by the role; the core cannot open it.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
    #[n(3)]
    pub secret_version: u64,
    /// Of the token that has to come along with every signature.
    #[n(4)]
    pub token: TokenDigest,
    #[n(5)]
    pub created: Timestamp,
    #[n(6)]
    pub expires: Timestamp,
    /// What the session is narrowed to, each by itself.
    #[n(7)]
    pub policies: Vec<String>,
    /// Of the session, before those of the role.
    #[n(8)]
    pub tags: Tags,
    /// What an identity provider said of whom it vouched for, by condition key.
    #[n(9)]
    pub claims: Vec<(String, Vec<String>)>,
    /// The ARN of that identity provider.
    #[n(10)]
    pub provider: Option<String>,
    /// The access key that asked for it, if it lasts no longer than that.
    #[n(11)]
    pub parent: Option<AccessKeyId>,
}

impl fmt::Debug for CredentialRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialRow(of {:?} in {:?}, until {:?}, sealed)", self.holder, self.account, self.expires)
    }
}

pub(crate) fn expiry_key(expires: Timestamp, access_key: &AccessKeyId) -> Vec<u8> {
    [&expires.0.to_be_bytes()[..], access_key.0.as_bytes()].concat()
}
