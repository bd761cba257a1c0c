//! Policies as AWS writes them: who may do what to which, under which conditions.
//!
//! A policy is read once, strictly ([`Policy::parse`]), and asked many times ([`Policy::ask`]): no text of it is looked at again. Which
//! policies there are about a request, and how their answers make one, is [`decide`]'s. Everything here is a function of the policy and
//! of the request's facts; nothing knows of buckets, rows or ACLs.
//!
//! What always holds:
//! - An explicit denial wins, wherever it stands.
//! - A policy that could be read in two ways is refused when it is given, not misread when it is asked.
//! - No policy, however it is made, takes more time than its length times that of what it is held against.

mod action;
mod condition;
mod context;
mod dates;
mod decide;
mod glob;
mod json;
mod key;
mod parse;
mod permission;
mod principal;
mod resource;
mod template;

pub use action::Action;
pub use context::{Context, Fact, Facts};
pub(crate) use dates::{format as format_date, parse as parse_date};
pub use decide::{Decision, Grants, Layer, Place, Policies, Reason, Source, decide};
pub use json::NotJson;
pub use key::{Key, KeyName};
pub use permission::{Permission, Scope};
pub use principal::{Account, Caller, Meant};
pub use resource::{Locality, Resource};

use types::BucketPath;

use action::Actions;
use condition::Condition;
use principal::Principals;
use resource::{Owner, Resources};

/// What a policy hangs on, which decides what it may and must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    /// On a bucket: names principals.
    Bucket,
    /// On a role, saying who may take it: names principals, and no resource.
    Trust,
    /// On a user, a group or a role; a boundary; or passed along with a session.
    Identity,
}

impl PolicyKind {
    /// The most bytes it may have.
    fn limit(self) -> usize {
        match self {
            Self::Bucket => 20 * 1024,
            // The largest that IAM takes; quotas of a user or a group are counted where policies are attached.
            Self::Trust | Self::Identity => 10 * 1024,
        }
    }

    fn names_principals(self) -> bool {
        matches!(self, Self::Bucket | Self::Trust)
    }

    fn hangs_on_a_resource(self) -> bool {
        matches!(self, Self::Bucket | Self::Trust)
    }

    /// A bucket's policy is asked by S3 alone, which has no keys of others.
    fn knows(self, key: &Key) -> bool {
        self != Self::Bucket || !matches!(key, Key::Foreign(_))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Allow,
    Deny,
}

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedPolicy {
    #[error("the policy is longer than {limit} bytes")]
    TooLong { limit: usize },
    #[error("policies must be valid JSON and the first byte must be '{{'")]
    NoObject,
    #[error("policies must be valid JSON: {0}")]
    Json(#[from] NotJson),
    #[error("missing required field {0}")]
    Missing(&'static str),
    #[error("unknown field {0}")]
    Unknown(String),
    #[error("policy has an invalid {0}")]
    Form(&'static str),
    #[error("the policy must contain a valid version string")]
    Version,
    #[error("statement ids (Sid) in a policy must be unique: {0}")]
    Sid(String),
    #[error("a statement cannot have both {0} and Not{0}")]
    Both(&'static str),
    #[error("allow with NotPrincipal is not allowed")]
    AllowedNotPrincipal,
    #[error("invalid principal in policy: {0}")]
    Principal(String),
    #[error("policy has invalid action: {0}")]
    Action(String),
    #[error("policy has invalid resource: {0}")]
    Resource(String),
    #[error("policy has an invalid condition key: {0}")]
    ConditionKey(String),
    #[error("policy has an invalid condition operator: {0}")]
    Operator(String),
    #[error("policy has an invalid condition value: {0}")]
    Value(String),
    #[error("policy has an invalid variable: {0}")]
    Variable(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    sid: Option<String>,
    effect: Effect,
    /// None in an identity's policy, which is about its identity.
    principals: Option<Principals>,
    actions: Actions,
    resources: Resources,
    conditions: Vec<Condition>,
}

/// A policy that can be asked. Its text is kept by whoever keeps policies: what was given is what is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    id: Option<String>,
    statements: Vec<Statement>,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub caller: &'a Caller,
    pub action: Action<'a>,
    pub resource: &'a Resource<'a>,
    pub context: &'a Context<'a>,
}

/// What a policy says of a request: the statements that decided, by their number from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Denied { statement: usize },
    Allowed { statement: usize, meant: Meant },
    Silent,
}

impl Policy {
    pub fn parse(text: &str, kind: PolicyKind) -> Result<Self, MalformedPolicy> {
        parse::policy(text, kind)
    }

    /// Of a bucket: every statement has to be about it.
    pub fn of_bucket(text: &str, bucket: &BucketPath) -> Result<Self, MalformedPolicy> {
        let policy = Self::parse(text, PolicyKind::Bucket)?;
        if policy.statements.iter().all(|statement| statement.resources.may_concern(bucket)) {
            Ok(policy)
        } else {
            Err(MalformedPolicy::Resource(format!("not of the bucket {bucket}")))
        }
    }

    /// Denies everything to everybody.
    pub fn shut() -> Self {
        let everything = Statement {
            sid: None,
            effect: Effect::Deny,
            principals: Some(Principals::everybody()),
            actions: Actions::all(),
            resources: Resources::all(),
            conditions: Vec::new(),
        };
        Self { id: None, statements: vec![everything] }
    }

    /// The same, of somebody's own policies.
    pub fn shut_for_holder() -> Self {
        let mut shut = Self::shut();
        shut.statements.iter_mut().for_each(|statement| statement.principals = None);
        shut
    }

    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub fn sid(&self, statement: usize) -> Option<&str> {
        self.statements.get(statement).and_then(|statement| statement.sid.as_deref())
    }

    /// All statements are looked at: a denial behind an allowance counts, and of allowances the one that means the caller most.
    pub fn ask(&self, request: &Request<'_>) -> Answer {
        let mut answer = Answer::Silent;
        for (number, statement) in self.statements.iter().enumerate() {
            let Some(meant) = statement.applies(request) else { continue };
            match (statement.effect, answer) {
                (Effect::Deny, _) => return Answer::Denied { statement: number },
                (Effect::Allow, Answer::Allowed { meant: known, .. }) if known >= meant => {}
                (Effect::Allow, _) => answer = Answer::Allowed { statement: number, meant },
            }
        }
        answer
    }

    /// Whether some condition looks at this key, so that its value has to be found out.
    pub fn looks_at(&self, name: KeyName) -> bool {
        self.statements.iter().flat_map(|statement| &statement.conditions).any(|condition| condition.looks_at(name))
    }

    /// Public as S3 means it: something is allowed to everybody, and no condition ties it to a fixed set of callers.
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(|statement| {
            statement.effect == Effect::Allow
                && statement.principals.as_ref().is_some_and(Principals::include_everybody)
                && !statement.conditions.iter().any(Condition::narrows_to_a_fixed_set)
        })
    }
}

impl Statement {
    fn applies(&self, request: &Request<'_>) -> Option<Meant> {
        // The cheapest first: most statements are passed over by their actions.
        if !self.actions.include(request.action) {
            return None;
        }
        let (meant, owner) = match &self.principals {
            Some(principals) => (principals.mean(request.caller)?, Owner::Bucket),
            None => (Meant::AsItself, Owner::Identity),
        };
        let applies = self.resources.include(request.resource, request.context, self.effect, owner)
            && self.conditions.iter().all(|condition| condition.holds(request.context));
        applies.then_some(meant)
    }
}
