//! Temporary credentials.

use std::fmt;

use minicbor::{Decode, Encode};
use types::{LogIndex, Timestamp};

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

/// What makes a credential a delegation token: until its last day it is renewed by whom it names.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Delegation {
    /// The entry that issued it.
    #[n(0)]
    pub sequence: LogIndex,
    #[n(1)]
    pub renewer: Option<Principal>,
    /// The administrator who got it for its owner, if not the owner.
    #[n(2)]
    pub real_user: Option<UserId>,
    /// It is never renewed beyond this.
    #[n(3)]
    pub ends: Timestamp,
}

/// Somebody of an account, as long as the name means the same.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Principal {
    #[n(0)]
    pub account: UserId,
    #[n(1)]
    pub holder: CredentialHolder,
}

/// ```text
/// SESSIONS            access key                   → CredentialRow
/// SESSIONS_BY_EXPIRY  expiry be64 · access key     → nothing
/// DELEGATION_TOKENS   account \0 sequence be64     → access key
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
    #[n(12)]
    pub delegation: Option<Delegation>,
    /// The parent's secret as it was then: with another it is another key.
    #[n(13)]
    pub parent_version: Option<u64>,
}

impl fmt::Debug for CredentialRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialRow(of {:?} in {:?}, until {:?}, sealed)", self.holder, self.account, self.expires)
    }
}

pub(crate) fn expiry_key(expires: Timestamp, access_key: &AccessKeyId) -> Vec<u8> {
    [&expires.0.to_be_bytes()[..], access_key.0.as_bytes()].concat()
}

pub(crate) fn delegation_key(account: &UserId, sequence: LogIndex) -> Vec<u8> {
    [account.0.as_bytes(), b"\0", &sequence.0.to_be_bytes()[..]].concat()
}
