//! Identities of an account that a configuration names: they exist after the start as it says.

use minicbor::{Decode, Encode};
use types::IamError;

use crate::{KeyPair, UserId};

/// A policy's name and text.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NamedPolicy {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub text: String,
}

/// The policies of a user, a group or a role. Those that it holds besides stay.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct WantedHolding {
    /// Managed ones: by ARN, or by the name of one of the account's or of AWS's.
    #[n(0)]
    pub policies: Vec<String>,
    #[n(1)]
    pub inline: Vec<NamedPolicy>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct WantedGroup {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub holding: WantedHolding,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct WantedUser {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub groups: Vec<String>,
    #[n(2)]
    pub holding: WantedHolding,
    #[n(3)]
    pub boundary: Option<String>,
    /// It takes the place of the one that was given so before.
    #[n(4)]
    pub pair: Option<KeyPair>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct WantedRole {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub trust: String,
    #[n(2)]
    pub holding: WantedHolding,
    #[n(3)]
    pub boundary: Option<String>,
    /// In seconds.
    #[n(4)]
    pub max_session: Option<u32>,
}

/// Declarative bootstrap. What is not named is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EnsureIdentities {
    #[n(0)]
    pub account: UserId,
    #[n(1)]
    pub policies: Vec<NamedPolicy>,
    #[n(2)]
    pub groups: Vec<WantedGroup>,
    #[n(3)]
    pub users: Vec<WantedUser>,
    #[n(4)]
    pub roles: Vec<WantedRole>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum EnsureIdentitiesRejected {
    #[n(0)]
    #[error("there is no such account")]
    NoSuchAccount,
    /// What cannot be as it is wanted: `user "carol"`.
    #[n(1)]
    #[error("{what}: {}", why.message)]
    Unfit {
        #[n(0)]
        what: String,
        #[n(1)]
        why: IamError,
    },
}
