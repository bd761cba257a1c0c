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

/// What could not be as it is wanted: `user "carol"`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Unmade {
    #[n(0)]
    pub what: String,
    #[n(1)]
    pub why: IamError,
}

impl EnsureIdentities {
    /// With these alone.
    pub fn only(mut self, unmade: &[Unmade]) -> Self {
        let is_one = |kind: &str, name: &str| unmade.iter().any(|unmade| unmade.what == format!("{kind} {name:?}"));
        self.policies.retain(|policy| is_one("policy", &policy.name));
        self.groups.retain(|group| is_one("group", &group.name));
        self.users.retain(|user| is_one("user", &user.name));
        self.roles.retain(|role| is_one("role", &role.name));
        self
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum EnsureIdentitiesRejected {
    #[n(0)]
    #[error("there is no such account")]
    NoSuchAccount,
    /// What can never be as it is wanted, `user "carol"`: nothing was done.
    #[n(1)]
    #[error("{what}: {}", why.message)]
    Unfit {
        #[n(0)]
        what: String,
        #[n(1)]
        why: IamError,
    },
    /// The account as it is now hinders some of it; all else was done.
    #[n(2)]
    #[error("{} of them could not be made", unmade.len())]
    Incomplete {
        #[n(0)]
        unmade: Vec<Unmade>,
        #[n(1)]
        made: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::IamErrorCode;

    #[test]
    fn what_is_left_is_what_was_not_made() {
        let user = |name: &str| WantedUser {
            name: name.into(),
            groups: Vec::new(),
            holding: WantedHolding::default(),
            boundary: None,
            pair: None,
        };
        let group = WantedGroup { name: "carol".into(), holding: WantedHolding::default() };
        let wanted = EnsureIdentities {
            account: UserId("ada".into()),
            policies: Vec::new(),
            groups: vec![group],
            users: vec![user("carol"), user("dora")],
            roles: Vec::new(),
        };
        let why = IamError::new(IamErrorCode::LimitExceeded, "full");
        let left = wanted.clone().only(&[Unmade { what: "user \"carol\"".into(), why }]);
        assert_eq!(left, EnsureIdentities { groups: Vec::new(), users: vec![user("carol")], ..wanted });
    }
}
