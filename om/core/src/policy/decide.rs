//! One answer from all policies about a request, in the order that AWS documents.
//!
//! A denial anywhere decides. Otherwise the request needs an allowance from where it is asked for and, across accounts, from where
//! the resource is: within one account the bucket's policy or the caller's own will do, across two both must. A boundary and a session
//! never allow; they narrow what the caller's own policies allow, and also what a bucket allows to a role or to anybody, but not
//! what it allows to a user or a session by name.

use std::fmt;

use super::principal::{Caller, Meant};
use super::{Answer, Policy, Request};

/// Which of the policies about a request one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    Resource,
    Identity,
    Boundary,
    Session,
    /// What an administrator of the cluster set on an account.
    Administration,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resource => "resource policy",
            Self::Identity => "identity policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Administration => "policy set on the account",
        })
    }
}

/// A policy and what it is called where it hangs.
#[derive(Debug, Clone, Copy)]
pub struct Source<'p> {
    pub name: &'p str,
    pub policy: &'p Policy,
}

/// What the caller may by being who they are.
#[derive(Debug, Clone, Copy)]
pub enum Grants<'p> {
    /// Nothing: nobody in particular, or a service.
    None,
    /// Everything in its own account, and to ask for anything elsewhere: an account's root.
    Everything,
    /// What the policies of a user with their groups, or of a role, say.
    Policies(&'p [Source<'p>]),
}

/// Everything that there is about a request.
#[derive(Debug, Clone, Copy)]
pub struct Policies<'p> {
    pub resource: Option<Source<'p>>,
    /// What it allows is not its own to allow: the resource lies in it, and is somebody else's.
    pub resource_only_denies: bool,
    pub grants: Grants<'p>,
    pub boundary: Option<Source<'p>>,
    /// One of several has to allow. Empty: none were passed along with the session.
    pub session: &'p [Source<'p>],
    /// What the cluster's administrators set on the caller's account: it forbids everybody there, and gives its root what is
    /// not the account's.
    pub administration: &'p [Source<'p>],
    /// Of whom the resource is, by the account's canonical id.
    pub owner: &'p str,
    /// As whom the resource lets the caller in by other means than its policy: an ACL.
    pub granted_otherwise: Option<Meant>,
}

/// Where a deciding statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'p> {
    pub layer: Layer,
    pub policy: &'p str,
    /// From zero.
    pub statement: usize,
    pub sid: Option<&'p str>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layer, policy, statement, sid } = self;
        write!(f, "statement {}", statement + 1)?;
        if let Some(sid) = sid {
            write!(f, " ({sid})")?;
        }
        write!(f, " of the {layer} {policy}")
    }
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason<'p> {
    Denied(Place<'p>),
    Allowed(Place<'p>),
    /// An ACL of the resource.
    Granted,
    /// The resource is the caller's own account's, and the caller is its root.
    Owner,
    /// Nothing in this layer allows it, and it would have to.
    NotAllowed(Layer),
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(place) => write!(f, "explicitly denied by {place}"),
            Self::Allowed(place) => write!(f, "allowed by {place}"),
            Self::Granted => f.write_str("granted by an ACL"),
            Self::Owner => f.write_str("the owner's"),
            Self::NotAllowed(layer) => write!(f, "no {layer} allows it"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'p> {
    pub is_allowed: bool,
    pub reason: Reason<'p>,
}

impl<'p> Decision<'p> {
    fn yes(reason: Reason<'p>) -> Self {
        Self { is_allowed: true, reason }
    }

    fn no(reason: Reason<'p>) -> Self {
        Self { is_allowed: false, reason }
    }
}

/// What one layer says, all its policies together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said<'p> {
    Denied(Place<'p>),
    Allowed(Place<'p>, Meant),
    Silent,
}

fn say<'p>(layer: Layer, sources: &[Source<'p>], request: &Request<'_>) -> Said<'p> {
    let mut said = Said::Silent;
    for source in sources {
        let place = |statement| Place { layer, policy: source.name, statement, sid: source.policy.sid(statement) };
        match source.policy.ask(request) {
            Answer::Denied { statement } => return Said::Denied(place(statement)),
            Answer::Allowed { statement, meant } if said == Said::Silent => said = Said::Allowed(place(statement), meant),
            Answer::Allowed { .. } | Answer::Silent => {}
        }
    }
    said
}

pub fn decide<'p>(request: &Request<'_>, policies: &Policies<'p>) -> Decision<'p> {
    let resource = match say(Layer::Resource, policies.resource.as_slice(), request) {
        Said::Allowed(..) if policies.resource_only_denies => Said::Silent,
        said => said,
    };
    let identity = match policies.grants {
        Grants::Policies(sources) => say(Layer::Identity, sources, request),
        Grants::None | Grants::Everything => Said::Silent,
    };
    let boundary = say(Layer::Boundary, policies.boundary.as_slice(), request);
    let session = say(Layer::Session, policies.session, request);
    let administration = say(Layer::Administration, policies.administration, request);
    let denial = [administration, resource, identity, boundary, session].into_iter().find_map(|said| match said {
        Said::Denied(place) => Some(place),
        Said::Allowed(..) | Said::Silent => None,
    });
    if let Some(place) = denial {
        return Decision::no(Reason::Denied(place));
    }

    // What narrows, if anything does.
    let narrow = if policies.boundary.is_some() && boundary == Said::Silent {
        Some(Layer::Boundary)
    } else if !policies.session.is_empty() && session == Said::Silent {
        Some(Layer::Session)
    } else {
        None
    };
    let own = match (policies.grants, identity) {
        (Grants::Everything, _) => Ok(Reason::Owner),
        (_, Said::Allowed(place, _)) => Ok(Reason::Allowed(place)),
        (_, Said::Denied(_) | Said::Silent) => Err(Layer::Identity),
    };
    let own = own.and_then(|reason| narrow.map_or(Ok(reason), Err));

    let is_own_account = request.caller.account().is_some_and(|account| account.canonical == policies.owner);
    let by_administration = match administration {
        Said::Allowed(place, _) if matches!(request.caller, Caller::Root(_)) => Some((Reason::Allowed(place), Meant::AsItself)),
        Said::Allowed(..) | Said::Denied(_) | Said::Silent => None,
    };
    let by_resource = match resource {
        Said::Allowed(place, meant) => Some((Reason::Allowed(place), meant)),
        _ if by_administration.is_some() => by_administration,
        Said::Denied(_) | Said::Silent => policies.granted_otherwise.map(|meant| (Reason::Granted, meant)),
    };
    match (by_resource, own) {
        // Nobody and services have nothing of their own that would have to allow it.
        (Some((reason, _)), _) if request.caller.account().is_none() => Decision::yes(reason),
        (Some((reason, meant)), _) if is_own_account && suffices(request.caller, meant, narrow) => Decision::yes(reason),
        (_, Ok(reason)) if is_own_account => Decision::yes(reason),
        (Some((reason, _)), Ok(_)) => Decision::yes(reason),
        (Some(_), Err(layer)) => Decision::no(Reason::NotAllowed(layer)),
        (None, Err(layer)) if is_own_account => Decision::no(Reason::NotAllowed(layer)),
        (None, _) => Decision::no(Reason::NotAllowed(Layer::Resource)),
    }
}

/// Whether what the resource allows needs nothing more within its own account.
fn suffices(caller: &Caller, meant: Meant, narrow: Option<Layer>) -> bool {
    match meant {
        Meant::AsItself => true,
        Meant::AsRole | Meant::AsAnybody => narrow.is_none(),
        // The account is told that it may let its own in.
        Meant::AsAccount => matches!(caller, Caller::Root(_)),
    }
}
