//! What is about no bucket: an account and its identities, roles to be taken, and the administration of the cluster.

use types::{BucketPath, VolumeName};

use super::identity::{Identity, Member};
use super::native::{ByNative, by_native, gives_native};
use super::{Denied, Facts};
use crate::policy::{
    Action, Caller, Context, Decision, Grants, KeyName, Locality, Meant, Permission, Policies, Policy, PolicyKind, Reason,
    Request, Resource, Source, decide,
};
use crate::rows::{NativeAcl, NativeRights, RoleRow, UserId, UserRow};

/// What is about no bucket, or about buckets as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminAction<'a> {
    /// Of the requester's own.
    ListBuckets,
    CreateBucket(&'a BucketPath),
    /// What is set on a bucket as it is made: with S3, by whoever could set it on the bucket that is there.
    BeginBucket(Permission, &'a BucketPath),
    CreateSecret,
    /// A pair that somebody gives.
    ImportSecret,
    RevokeSecret,
    ListUsers,
    /// Whatever an administrative listener offers besides.
    Administer,
    /// How far all buckets of an account may be public.
    GetAccountBlock,
    PutAccountBlock,
    /// To put a bucket into a volume other than the requester's own, or to give it to somebody.
    PlaceBucket(&'a BucketPath),
}

impl<'a> AdminAction<'a> {
    /// As policies name it, and what it is about.
    fn named(self, home: &VolumeName) -> (Action<'static>, Resource<'a>) {
        match self {
            Self::ListBuckets => (Permission::ListAllMyBuckets.into(), Resource::store()),
            Self::CreateBucket(path) => {
                let at = Locality::of(path.volume(), home);
                (Permission::CreateBucket.into(), Resource::bucket(path.name(), at))
            }
            Self::BeginBucket(permission, path) => {
                (permission.into(), Resource::bucket(path.name(), Locality::of(path.volume(), home)))
            }
            Self::CreateSecret => (Action::Other("trioxide:CreateSecret"), Resource::store()),
            Self::ImportSecret => (Action::Other("trioxide:ImportSecret"), Resource::store()),
            Self::RevokeSecret => (Action::Other("trioxide:RevokeSecret"), Resource::store()),
            Self::ListUsers => (Action::Other("trioxide:ListUsers"), Resource::store()),
            Self::Administer => (Action::Other("trioxide:Administer"), Resource::store()),
            Self::GetAccountBlock => (Permission::GetAccountPublicAccessBlock.into(), Resource::store()),
            Self::PutAccountBlock => (Permission::PutAccountPublicAccessBlock.into(), Resource::store()),
            Self::PlaceBucket(_) => (Action::Other("trioxide:PlaceBucket"), Resource::store()),
        }
    }
}

/// `of` is the user whom it is about, if it is about one.
pub fn administer(identity: &Identity, action: AdminAction<'_>, of: Option<&UserId>, facts: &Facts<'_>) -> Result<(), Denied> {
    let account = match identity {
        Identity::System => return Ok(()),
        // Anybody may ask which buckets are theirs; a nobody has none.
        Identity::Anonymous if action == AdminAction::ListBuckets => return Ok(()),
        Identity::Anonymous | Identity::LogDelivery(_) => return Err(Denied::AccessDenied),
        Identity::User(user) => user,
        Identity::Member(member) => {
            if !may_by_kind(member, action) {
                return Err(Denied::AccessDenied);
            }
            // What S3 lets them is theirs in their own account; in another's it is the cluster's administration.
            let is_of_account = matches!(action, AdminAction::GetAccountBlock | AdminAction::PutAccountBlock);
            if is_of_account && of != Some(&member.account.id) {
                administer(identity, AdminAction::Administer, None, facts)?;
            }
            allow(weigh(identity, member, action, facts, |decision| decision.is_allowed))?;
            &member.account
        }
    };
    let is_allowed = account.is_admin
        || match action {
            AdminAction::ListBuckets | AdminAction::CreateBucket(_) | AdminAction::BeginBucket(..) => true,
            AdminAction::CreateSecret | AdminAction::RevokeSecret => identity.is_root() && of == Some(&account.id),
            // Whom policies let was asked above.
            AdminAction::GetAccountBlock | AdminAction::PutAccountBlock => of == Some(&account.id),
            AdminAction::ImportSecret | AdminAction::ListUsers | AdminAction::Administer | AdminAction::PlaceBucket(_) => false,
        };
    if is_allowed { Ok(()) } else { Err(Denied::AccessDenied) }
}

/// Why [`administer`] refused it. For administrators: whoever is refused learns nothing of policies.
pub fn explain(identity: &Identity, action: AdminAction<'_>, facts: &Facts<'_>) -> String {
    let (name, _) = action.named(identity.home());
    let why = match identity {
        Identity::Member(member) if !may_by_kind(member, action) => "a credential of this kind does not do it".to_owned(),
        Identity::Member(member) => weigh(identity, member, action, facts, |decision| {
            let is_not_theirs = "policies let them, but it is for the account's root or for administrators of the cluster";
            if decision.is_allowed { is_not_theirs.to_owned() } else { decision.reason.to_string() }
        }),
        Identity::User(_) => "it is for administrators of the cluster".to_owned(),
        Identity::Anonymous | Identity::LogDelivery(_) | Identity::System => "it is for those who sign".to_owned(),
    };
    format!("{name}: {why}")
}

/// What the native ACL of the volume gives of it.
fn given_by_volume(acl: &NativeAcl, identity: &Identity, caller: &Caller, action: AdminAction<'_>) -> Option<Meant> {
    let permission = match action {
        AdminAction::ListBuckets => Permission::ListAllMyBuckets,
        AdminAction::CreateBucket(_) => Permission::CreateBucket,
        _ => return None,
    };
    match by_native(permission)? {
        ByNative::OfVolume(rights) => gives_native(std::iter::once(acl), identity, caller, rights, false),
        ByNative::OfBucket(_) | ByNative::Listing | ByNative::OfPlace(_) | ByNative::OfObject(_) => None,
    }
}

/// What is done with the native ACL of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfVolumeAcl {
    Get,
    Put,
}

impl OfVolumeAcl {
    /// As policies name it.
    fn name(self) -> &'static str {
        match self {
            Self::Get => "trioxide:GetVolumeAcl",
            Self::Put => "trioxide:PutVolumeAcl",
        }
    }

    /// Whoever may set it may see it.
    fn given_by(self, acl: &NativeAcl, identity: &Identity, caller: &Caller) -> Option<Meant> {
        let given = |rights| gives_native(std::iter::once(acl), identity, caller, rights, false);
        match self {
            Self::Get => given(NativeRights::READ_ACL).or_else(|| given(NativeRights::WRITE_ACL)),
            Self::Put => given(NativeRights::WRITE_ACL),
        }
    }
}

/// A volume's ACL is its owner's, an administrator's, and whose it says itself. To a user or a session their policies have to leave
/// that; and what their account is given is theirs where these say so.
pub fn may_with_volume(
    identity: &Identity,
    action: OfVolumeAcl,
    owner: Option<&UserId>,
    acl: &NativeAcl,
    facts: &Facts<'_>,
) -> Result<(), Denied> {
    let given = action.given_by(acl, identity, &identity.principal());
    let is_owner = identity.is_root() && identity.user_id().is_some_and(|id| Some(id) == owner);
    let administers = administer(identity, AdminAction::Administer, None, facts).is_ok();
    allow(match identity {
        Identity::System => true,
        Identity::Anonymous | Identity::LogDelivery(_) => false,
        Identity::User(_) => administers || is_owner || given.is_some(),
        // A token ends, and what it would set does not.
        Identity::Member(member) if member.is_delegated() || !(administers || is_owner || given.is_some()) => false,
        Identity::Member(member) => {
            // An administrator is at home everywhere, and so is everybody in the volume that is nobody's.
            let (owner, granted) = match owner {
                Some(owner) if !administers => (owner, given),
                Some(_) | None => (&member.account.id, given.or_else(|| administers.then_some(Meant::AsItself))),
            };
            let context = facts.context(identity, &member.caller, None, None, None);
            let asked = (Action::Other(action.name()), &Resource::store());
            weigh_of(member, asked, &context, owner, granted, |decision| decision.is_allowed)
        }
    })
}

/// What ends by itself gives nobody a secret that does not; and a delegation token is for buckets alone.
fn may_by_kind(member: &Member, action: AdminAction<'_>) -> bool {
    match action {
        AdminAction::ListBuckets | AdminAction::CreateBucket(_) | AdminAction::BeginBucket(..) | AdminAction::GetAccountBlock => {
            true
        }
        // As with IAM: a role's session may, where its policies say so.
        AdminAction::CreateSecret | AdminAction::ImportSecret | AdminAction::RevokeSecret => {
            !member.is_temporary() || member.has_role()
        }
        AdminAction::ListUsers | AdminAction::Administer | AdminAction::PlaceBucket(_) | AdminAction::PutAccountBlock => {
            !member.is_delegated()
        }
    }
}

/// An action of IAM's in the requester's own account: its root may, and whom its policies let.
/// `more` are condition keys of the call itself.
pub fn may_iam(
    identity: &Identity,
    action: &str,
    arn: &str,
    more: &[(String, Vec<String>)],
    facts: &Facts<'_>,
) -> Result<(), Denied> {
    match identity {
        Identity::System | Identity::User(_) => Ok(()),
        Identity::Member(member) => allow(weigh_iam(identity, member, action, arn, more, facts, |decision| decision.is_allowed)),
        Identity::Anonymous | Identity::LogDelivery(_) => Err(Denied::AccessDenied),
    }
}

/// Why [`may_iam`] refused it.
pub fn explain_iam(identity: &Identity, action: &str, arn: &str, more: &[(String, Vec<String>)], facts: &Facts<'_>) -> String {
    let why = match identity {
        Identity::Member(member) => weigh_iam(identity, member, action, arn, more, facts, |decision| decision.reason.to_string()),
        Identity::System | Identity::User(_) | Identity::Anonymous | Identity::LogDelivery(_) => {
            "it is for those who have an account".to_owned()
        }
    };
    format!("{action} on {arn}: {why}")
}

fn weigh_iam<T>(
    identity: &Identity,
    member: &Member,
    action: &str,
    arn: &str,
    more: &[(String, Vec<String>)],
    facts: &Facts<'_>,
    tell: impl FnOnce(Decision<'_>) -> T,
) -> T {
    let resource = Resource::arn(arn).unwrap_or_else(Resource::store);
    let tags = facts.tags;
    let mut context = facts.context(identity, &member.caller, None, None, None);
    for (key, values) in more {
        context.set_foreign(key, values.iter().map(String::as_str));
    }
    if !tags.is_empty() {
        context.set_tags(KeyName::RequestTag, tags);
        context.set_many(KeyName::TagKeys, tags.iter().map(|(key, _)| key.as_str()));
    }
    weigh_in(member, Action::Other(action), &resource, &context, None, tell)
}

fn allow(is_allowed: bool) -> Result<(), Denied> {
    if is_allowed { Ok(()) } else { Err(Denied::AccessDenied) }
}

/// In the member's own account, where no resource has a say.
fn weigh<T>(
    identity: &Identity,
    member: &Member,
    action: AdminAction<'_>,
    facts: &Facts<'_>,
    tell: impl FnOnce(Decision<'_>) -> T,
) -> T {
    let (name, resource) = action.named(member.account.home());
    let granted = facts.volume.and_then(|acl| given_by_volume(acl, identity, &member.caller, action));
    weigh_in(member, name, &resource, &facts.context(identity, &member.caller, None, None, None), granted, tell)
}

fn weigh_in<T>(
    member: &Member,
    action: Action<'_>,
    resource: &Resource<'_>,
    context: &Context<'_>,
    granted: Option<Meant>,
    tell: impl FnOnce(Decision<'_>) -> T,
) -> T {
    weigh_of(member, (action, resource), context, &member.account.id, granted, tell)
}

/// What is `owner`'s, and as whom they let the member in.
fn weigh_of<T>(
    member: &Member,
    (action, resource): (Action<'_>, &Resource<'_>),
    context: &Context<'_>,
    owner: &UserId,
    granted: Option<Meant>,
    tell: impl FnOnce(Decision<'_>) -> T,
) -> T {
    let request = Request { caller: &member.caller, action, resource, context };
    let own = member.powers.own();
    let (session, administration) = (member.session_sources(), member.powers.administration());
    tell(decide(
        &request,
        &Policies {
            resource: None,
            resource_only_denies: false,
            grants: member.grants(&own),
            boundary: member.powers.boundary(),
            session: &session,
            administration: &administration,
            owner: &owner.0,
            granted_otherwise: granted,
        },
    ))
}

/// How a role is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Sts<'a> {
    Assume(&'a Identity),
    /// Somebody whom a provider vouches for, by its ARN, with what it says of them by condition key.
    WebIdentity {
        provider: &'a str,
        claims: &'a [(String, Vec<String>)],
    },
}

/// Whether the role's trust policy, and within their own account the requester's policies, let them take it. `more` are
/// condition keys of the call itself.
pub fn may_assume(
    role: &RoleRow,
    account: &UserRow,
    arn: &str,
    how: Sts<'_>,
    tags: &[(String, String)],
    more: &[(String, Vec<String>)],
    facts: &Facts<'_>,
) -> Result<(), Denied> {
    let nobody = Identity::Anonymous;
    let (identity, caller, action) = match how {
        Sts::Assume(identity) => (identity, identity.principal(), "sts:AssumeRole"),
        Sts::WebIdentity { provider, .. } => (&nobody, Caller::Federated(provider.to_owned()), "sts:AssumeRoleWithWebIdentity"),
    };
    let Some(resource) = Resource::arn(arn) else { return Err(Denied::AccessDenied) };
    let Ok(trust) = Policy::parse(&role.trust, PolicyKind::Trust) else { return Err(Denied::AccessDenied) };
    let mut context = facts.context(identity, &caller, None, None, None);
    if let Sts::WebIdentity { provider, claims } = how {
        context.set(KeyName::FederatedProvider, provider);
        for (key, values) in claims {
            context.set_foreign(key, values.iter().map(String::as_str));
        }
    }
    for (key, values) in more {
        context.set_foreign(key, values.iter().map(String::as_str));
    }
    if !tags.is_empty() {
        context.set_tags(KeyName::RequestTag, tags);
        context.set_many(KeyName::TagKeys, tags.iter().map(|(key, _)| key.as_str()));
    }
    if !role.tags.is_empty() {
        context.set_tags(KeyName::ResourceTag, &role.tags);
    }
    let member = match identity {
        Identity::Member(member) => Some(member.as_ref()),
        Identity::User(_) | Identity::Anonymous | Identity::System | Identity::LogDelivery(_) => None,
    };
    let own = member.map(|member| member.powers.own()).unwrap_or_default();
    let session = member.map(Member::session_sources).unwrap_or_default();
    let administration = member.map(|member| member.powers.administration()).unwrap_or_default();
    let ask = |action| {
        let request = Request { caller: &caller, action: Action::Other(action), resource: &resource, context: &context };
        let policies = Policies {
            resource: Some(Source { name: &role.name, policy: &trust }),
            resource_only_denies: false,
            grants: match identity {
                // A root has everything in its own account; but a role is taken by those whom its trust policy names.
                Identity::User(_) => Grants::None,
                Identity::Member(member) if member.is_root() => Grants::None,
                Identity::Member(_) => Grants::Policies(&own),
                Identity::Anonymous | Identity::System | Identity::LogDelivery(_) => Grants::None,
            },
            boundary: member.and_then(|member| member.powers.boundary()),
            session: &session,
            administration: &administration,
            owner: &account.id.0,
            granted_otherwise: None,
        };
        let Decision { is_allowed, reason } = decide(&request, &policies);
        // Its own policies alone let nobody into a role that does not trust them.
        let by_trust = |reason| matches!(reason, Reason::Allowed(_)) && trusts(&trust, &request);
        is_allowed && by_trust(reason)
    };
    // To bring tags along is a right of its own.
    allow(ask(action) && (tags.is_empty() || ask("sts:TagSession")))
}

fn trusts(trust: &Policy, request: &Request<'_>) -> bool {
    matches!(trust.ask(request), crate::policy::Answer::Allowed { .. })
}
