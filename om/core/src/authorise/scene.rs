//! A request and the bucket it is about, with all that decides what it may do there.

use bucket_config::PublicAccessBlock;
use bucket_config::access::ObjectOwnership;
use tables::{ReadTables, StorageFault};
use types::{Acl, AclRequest, CannedAcl, ObjectKey};

use super::acl::{gives, object_acl, says_what_is_enforced};
use super::actions::{ByAcl, by_acl};
use super::guard::KeptPolicy;
use super::native::{ByNative, by_native, gives_native};
use super::{Denied, Facts, Guard, Identity, LogSource, Member};
use crate::policy::{
    Answer, Caller, Grants, Layer, Locality, Meant, Permission, Policies, Reason, Request, Resource, Source, decide,
};
use crate::rows::{BucketRow, KeyRow, NativeRights, UploadRow, UserId};

/// What in the bucket an action is about.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    Bucket,
    /// A key, whatever lies under it: to write and to delete are rights in the bucket.
    Key(&'a ObjectKey),
    /// The same, with what lies under it now: its own ACL of Ozone's may give what nothing in the bucket does.
    Replaced(&'a ObjectKey, &'a KeyRow),
    /// Keys that begin so, as whoever names them in a policy may have named them: without a wildcard behind it.
    KeysUnder(&'a str),
    /// An object that is there: what is done to it is its owner's to allow.
    Object(&'a ObjectKey, &'a KeyRow),
    Upload(&'a ObjectKey, &'a UploadRow),
    /// As [`Target::Bucket`], when all that is asked of a listing is whether it would show this key.
    ListingOf(&'a ObjectKey),
}

impl<'a> Target<'a> {
    fn key(self) -> Option<&'a ObjectKey> {
        match self {
            Self::Bucket | Self::ListingOf(_) | Self::KeysUnder(_) => None,
            Self::Key(key) | Self::Replaced(key, _) | Self::Object(key, _) | Self::Upload(key, _) => Some(key),
        }
    }

    fn object(self) -> Option<&'a KeyRow> {
        match self {
            Self::Object(_, row) => Some(row),
            Self::Bucket | Self::ListingOf(_) | Self::Key(_) | Self::Replaced(..) | Self::KeysUnder(_) | Self::Upload(..) => None,
        }
    }
}

/// Whose what is written becomes, and with which ACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub owner: UserId,
    /// None: the one that every object has.
    pub acl: Option<Acl>,
}

#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    pub identity: &'a Identity,
    pub facts: &'a Facts<'a>,
    pub bucket: &'a BucketRow,
    pub guard: &'a Guard,
    /// The one on all buckets of the bucket's owner.
    pub account_block: PublicAccessBlock,
}

impl Scene<'_> {
    /// The bucket's own and its account's: what either blocks is blocked.
    pub fn block(&self) -> PublicAccessBlock {
        self.guard.block.and(self.account_block)
    }

    /// Public as S3 tells it: by its policy, or by its ACL.
    pub fn is_public(&self) -> bool {
        self.guard.is_public(self.block())
    }

    /// The requester knows whose the bucket is, or does not say.
    pub fn is_expected(&self) -> bool {
        self.facts.expected_owner.is_none_or(|expected| expected == self.bucket.owner.0)
    }

    /// The bucket's owner pays for the request, or the requester is ready to. Nobody in particular cannot be charged.
    pub fn is_paid_for(&self) -> bool {
        !self.guard.requester_pays
            || match (self.identity, self.identity.account()) {
                (Identity::System | Identity::LogDelivery(_), _) => true,
                (_, Some(account)) => account.is_admin || account.id == self.bucket.owner || self.facts.pays,
                (_, None) => false,
            }
    }

    pub fn allow(&self, action: Permission, target: Target<'_>) -> Result<(), Denied> {
        let is_allowed = match self.identity {
            Identity::System => true,
            // Most requests are an owner's own, to a bucket without a policy: there is nothing to weigh.
            Identity::User(user) if self.guard.policy.is_none() && (user.is_admin || user.id == *self.owner_of(target)) => true,
            Identity::User(_) | Identity::Member(_) | Identity::Anonymous => {
                self.weigh(action, target, |is_allowed, _| is_allowed)
            }
            Identity::LogDelivery(_) => match target {
                Target::Key(key) => {
                    action == Permission::PutObject && self.each_log(|scene, source| scene.takes_log(source, key))
                }
                _ => false,
            },
        };
        if is_allowed { Ok(()) } else { Err(Denied::AccessDenied) }
    }

    /// Whether access logs may be delivered here: asked when that is set up, when there is no key yet.
    pub fn takes_logs(&self) -> bool {
        self.each_log(|scene, source| scene.takes_log_of(source))
    }

    /// Asks for each log as if it came alone: what is let in for one bucket is not let in for another beside it.
    fn each_log(&self, takes: impl Fn(&Scene<'_>, &LogSource) -> bool) -> bool {
        let Identity::LogDelivery(sources) = self.identity else { return false };
        !sources.is_empty()
            && sources.iter().all(|source| {
                let identity = Identity::LogDelivery(vec![source.clone()]);
                takes(&Scene { identity: &identity, ..*self }, source)
            })
    }

    fn takes_log_of(&self, source: &LogSource) -> bool {
        self.is_meant_by(source) && self.lets_log_in(source, Target::KeysUnder(&source.prefix)) == Some(true)
    }

    /// What a policy says of that very key comes first.
    fn takes_log(&self, source: &LogSource, key: &ObjectKey) -> bool {
        self.is_meant_by(source)
            && key.as_str().starts_with(&source.prefix)
            && self.lets_log_in(source, Target::Key(key)).unwrap_or_else(|| self.takes_log_of(source))
    }

    /// Whoever makes a bucket anew under a name that was a log's target is not told what the log tells, unless it is the same owner.
    fn is_meant_by(&self, source: &LogSource) -> bool {
        self.bucket.path() == source.target && (self.bucket.owner == source.owner || source.meant == Some(self.bucket.id))
    }

    /// None: nothing is said of it. Another account's log comes in only by a statement that speaks of it: one that would let in
    /// anybody's, or an ACL, is meant for the owner's own logs.
    fn lets_log_in(&self, source: &LogSource, target: Target<'_>) -> Option<bool> {
        let weigh = |scene: &Scene<'_>| {
            scene.weigh(Permission::PutObject, target, |is_allowed, reason| match reason {
                Reason::Denied(_) => Some(false),
                _ => is_allowed.then_some(true),
            })
        };
        let verdict = weigh(self);
        if verdict != Some(true) || self.bucket.owner == source.owner {
            return verdict;
        }
        let lets_anybody_in = source.strangers().into_iter().any(|stranger| {
            let stranger = Identity::LogDelivery(vec![stranger]);
            weigh(&Scene { identity: &stranger, ..*self }) == Some(true)
        });
        (!lets_anybody_in).then_some(true)
    }

    /// Whether nothing but an ACL lets the requester do it: what an access log tells, so that its readers can do without ACLs.
    pub fn needs_acl(&self, action: Permission, target: Target<'_>) -> bool {
        match self.identity {
            Identity::System | Identity::LogDelivery(_) => false,
            Identity::User(user) if user.is_admin || user.id == *self.owner_of(target) => false,
            Identity::User(_) | Identity::Member(_) | Identity::Anonymous => {
                self.weigh(action, target, |is_allowed, reason| is_allowed && reason == Reason::Granted)
            }
        }
    }

    /// Who asks, in words for an administrator.
    pub fn caller(&self) -> String {
        self.identity.principal().to_string()
    }

    /// What decided, in words for an administrator.
    pub fn explain(&self, action: Permission, target: Target<'_>) -> String {
        self.weigh(action, target, |_, reason| format!("{action}: {reason}"))
    }

    fn is_explicitly_denied(&self, action: Permission, target: Target<'_>) -> bool {
        self.has_policies() && self.weigh(action, target, |_, reason| matches!(reason, Reason::Denied(_)))
    }

    /// Of the bucket's, or of the requester's own, their session's, their boundary's or their account's.
    fn has_policies(&self) -> bool {
        self.guard.policy.is_some() || matches!(self.identity, Identity::Member(_))
    }

    /// Into the key, with all that the request says of what it writes. Refused: for want of which permission.
    pub fn allow_write(&self, key: &ObjectKey) -> Result<(), Permission> {
        let target = Target::Key(key);
        let may = |action| self.allow(action, target).is_ok();
        let header = |name| self.facts.header(name).is_some();
        let wanted = [
            (Permission::PutObject, may(Permission::PutObject)),
            (Permission::PutObjectTagging, self.facts.tags.is_empty() || self.may_tag(target)),
            (Permission::PutObjectRetention, !header("x-amz-object-lock-mode") || may(Permission::PutObjectRetention)),
            (Permission::PutObjectLegalHold, !header("x-amz-object-lock-legal-hold") || may(Permission::PutObjectLegalHold)),
            (Permission::PutObjectAcl, self.facts.acl.is_none_or(|acl| self.may_bring(acl, target))),
        ];
        wanted.into_iter().find(|(_, is_allowed)| !is_allowed).map_or(Ok(()), |(action, _)| Err(action))
    }

    /// The ACL of what is written. A bucket that lets somebody write lets them say who else may read: so S3's own examples have it. Of a
    /// user or a session their own policies want more; and what any policy forbids is forbidden.
    fn may_bring(&self, acl: &AclRequest, target: Target<'_>) -> bool {
        if opens_nothing(acl) {
            return !self.is_explicitly_denied(Permission::PutObjectAcl, target);
        }
        self.may_along(Permission::PutObjectAcl, target)
    }

    /// Tags of what is written. An ACL that lets somebody write knows no tags: it lets them come along.
    fn may_tag(&self, target: Target<'_>) -> bool {
        if self.is_given_by_acl(Permission::PutObject, target, &self.identity.principal()) {
            self.may_along(Permission::PutObjectTagging, target)
        } else {
            self.allow(Permission::PutObjectTagging, target).is_ok()
        }
    }

    /// What comes along with a write that the bucket lets be: the rest is for the requester's own account to say.
    fn may_along(&self, action: Permission, target: Target<'_>) -> bool {
        !self.has_policies() || self.weigh_granted(action, target, Some(Meant::AsAccount), |is_allowed, _| is_allowed)
    }

    /// Whether to say that a key is not there: only to those who could see it in a listing, if it were.
    pub fn may_know_absence(&self, action: Permission, key: &ObjectKey) -> bool {
        !self.is_explicitly_denied(action, Target::Key(key)) && self.allow(Permission::ListBucket, Target::ListingOf(key)).is_ok()
    }

    fn owner_of<'t>(&'t self, target: Target<'t>) -> &'t UserId {
        match target {
            Target::Object(_, row) if !self.guard.is_owner_enforced() => &row.head.owner,
            _ => &self.bucket.owner,
        }
    }

    /// Asks everything that has a say, and tells what decided.
    fn weigh<T>(&self, action: Permission, target: Target<'_>, tell: impl FnOnce(bool, Reason<'_>) -> T) -> T {
        self.weigh_granted(action, target, None, tell)
    }

    /// The same, where the bucket lets it be by more than its policy and ACLs.
    fn weigh_granted<T>(
        &self,
        action: Permission,
        target: Target<'_>,
        granted: Option<Meant>,
        tell: impl FnOnce(bool, Reason<'_>) -> T,
    ) -> T {
        let caller = self.identity.principal();
        let is_of_owners = self.identity.user_id() == Some(&self.bucket.owner) || self.identity.is_admin();
        let is_owner = is_of_owners && self.identity.is_root();
        let policy = self.guard.policy.as_ref().filter(|kept| !(is_owner && frees_owner(kept, action)));
        let is_service = matches!(caller, Caller::Service(_));
        if self.block().restrict_public_buckets && policy.is_some_and(|kept| kept.is_public) && !is_of_owners && !is_service {
            return tell(false, Reason::NotAllowed(Layer::Resource));
        }
        let listed = match target {
            Target::ListingOf(key) => Some(key),
            _ => None,
        };
        let context = self.facts.context(self.identity, &caller, Some(self.bucket), target.object(), listed);
        let at = Locality::of(&self.bucket.volume, self.identity.home());
        let resource = match (target.key(), target) {
            (Some(key), _) => Resource::object(&self.bucket.name, at, key),
            (None, Target::KeysUnder(prefix)) => Resource::objects_under(&self.bucket.name, at, prefix),
            (None, _) => Resource::bucket(&self.bucket.name, at),
        };
        let owner = self.owner_of(target);
        let source = policy.map(|kept| Source { name: self.bucket.name.as_str(), policy: &kept.policy });
        let member = match self.identity {
            Identity::Member(member) => Some(member.as_ref()),
            Identity::User(_) | Identity::Anonymous | Identity::System | Identity::LogDelivery(_) => None,
        };
        let own = member.map(|member| member.powers.own()).unwrap_or_default();
        let session = member.map(Member::session_sources).unwrap_or_default();
        let administration = member.map(|member| member.powers.administration()).unwrap_or_default();
        let policies = Policies {
            resource: source,
            // A bucket's policy gives what is the bucket owner's to give.
            resource_only_denies: *owner != self.bucket.owner,
            grants: match self.identity {
                Identity::User(_) => Grants::Everything,
                Identity::Member(member) => member.grants(&own),
                Identity::Anonymous | Identity::System | Identity::LogDelivery(_) => Grants::None,
            },
            boundary: member.and_then(|member| member.powers.boundary()),
            session: &session,
            administration: &administration,
            // An administrator is at home everywhere.
            owner: match caller.account() {
                Some(account) if self.identity.is_admin() => &account.canonical,
                _ => &owner.0,
            },
            // A native one may name the caller; one of S3's names accounts.
            granted_otherwise: self
                .given_by_native(action, target, &caller)
                .or_else(|| self.is_given_by_acl(action, target, &caller).then_some(Meant::AsAccount))
                .or(granted),
        };
        let request = Request { caller: &caller, action: action.into(), resource: &resource, context: &context };
        let decision = decide(&request, &policies);
        // A service acts for whoever asks it to: what everybody may is meant for clients, and it is let in by its name.
        let is_meant =
            || policy.is_some_and(|kept| matches!(kept.policy.ask(&request), Answer::Allowed { meant: Meant::AsItself, .. }));
        let is_allowed = decision.is_allowed && (!is_service || decision.reason == Reason::Granted || is_meant());
        tell(is_allowed, decision.reason)
    }

    fn is_given_by_acl(&self, action: Permission, target: Target<'_>, caller: &Caller) -> bool {
        let is_initiator = match target {
            Target::Upload(_, upload) => caller.account().is_some_and(|account| account.canonical == upload.initiator.0),
            _ => false,
        };
        // What somebody has begun they may look at, and give up.
        if is_initiator && matches!(action, Permission::ListMultipartUploadParts | Permission::AbortMultipartUpload) {
            return true;
        }
        if self.guard.is_owner_enforced() {
            return false;
        }
        let (acl, permission) = match by_acl(action) {
            Some(ByAcl::OfBucket(permission)) => (self.guard.acl.as_ref(), permission),
            Some(ByAcl::OfObject(permission)) => (target.object().and_then(|row| row.body.acl.as_ref()), permission),
            None => return false,
        };
        acl.is_some_and(|acl| gives(acl, caller, permission, self.block().ignore_public_acls))
    }

    /// What Ozone's ACLs of the bucket, of the longest prefix and of the object give.
    fn given_by_native(&self, action: Permission, target: Target<'_>, caller: &Caller) -> Option<Meant> {
        self.bucket.native_acls?;
        let (rights, of_bucket, of_prefix, of_object) = match by_native(action)? {
            ByNative::OfVolume(_) => return None,
            ByNative::OfBucket(rights) => (rights, true, None, None),
            ByNative::Listing => {
                let prefix = match target {
                    Target::ListingOf(key) => Some(key.as_str()),
                    _ => self.facts.prefix(),
                };
                (NativeRights::LIST, true, prefix, None)
            }
            ByNative::OfPlace(rights) => (rights, true, target.key().map(ObjectKey::as_str), None),
            ByNative::OfObject(rights) => {
                let object = match target {
                    Target::Object(_, row) | Target::Replaced(_, row) => Some(row),
                    _ => None,
                };
                // What comes along with a write is a right where that is.
                let is_along = rights == NativeRights::WRITE && matches!(target, Target::Key(_));
                (rights, is_along, target.key().map(ObjectKey::as_str), object)
            }
        };
        // What is another's in the bucket is not the bucket's to give.
        let is_bucket_s = of_object.is_none_or(|row| self.is_of_bucket(row));
        let native = self.guard.native.as_ref().filter(|_| is_bucket_s);
        let of_bucket = native.filter(|_| of_bucket).map(|native| &native.bucket);
        let of_prefix = native.zip(of_prefix).and_then(|(native, key)| native.above(key));
        let of_object = of_object.and_then(|row| row.body.native_acl.as_ref());
        let acls = [of_bucket, of_prefix, of_object].into_iter().flatten();
        gives_native(acls, self.identity, caller, rights, self.block().ignore_public_acls)
    }

    /// Whether a right on a prefix or an object lets the requester see or set its native ACL: one of their account's does where their
    /// own policies let them, as everywhere. That they may by policies alone is not enough, for a native ACL gives more than S3's.
    pub fn has_native_right(&self, action: Permission, target: Target<'_>) -> bool {
        let caller = self.identity.principal();
        self.given_by_native(action, target, &caller).is_some() && self.allow(action, target).is_ok()
    }

    /// Whether keys of the bucket may have native ACLs of their own.
    pub fn has_native_acls(&self) -> bool {
        self.bucket.native_acls.is_some()
    }

    /// The bucket's owner has a say about the object, too.
    pub fn is_of_bucket(&self, row: &KeyRow) -> bool {
        self.guard.is_owner_enforced() || row.head.owner == self.bucket.owner
    }

    /// Whose a new object is, and its ACL, by what the request asks for and the bucket lets be.
    pub fn written(&self, tables: &dyn ReadTables) -> Result<Result<Written, Denied>, StorageFault> {
        let bucket_owner = &self.bucket.owner;
        // What nobody in particular wrote is the bucket's; an administrator writes for whoever the bucket belongs to.
        let writer = self.identity.user_id().filter(|_| !self.identity.is_admin()).unwrap_or(bucket_owner);
        if self.guard.is_owner_enforced() {
            let is_right = self.facts.acl.is_none_or(|acl| says_what_is_enforced(acl, bucket_owner));
            let written = Written { owner: bucket_owner.clone(), acl: None };
            return Ok(if is_right { Ok(written) } else { Err(Denied::AclNotSupported) });
        }
        let gives_up = self.facts.acl == Some(&AclRequest::Canned(CannedAcl::BucketOwnerFullControl));
        let is_given_up = gives_up && self.guard.ownership == Some(ObjectOwnership::BucketOwnerPreferred);
        let owner = if is_given_up { bucket_owner } else { writer };
        Ok(object_acl(tables, self.facts.acl, owner, bucket_owner)?
            .and_then(|acl| self.unless_blocked(acl))
            .map(|acl| Written { owner: owner.clone(), acl }))
    }

    /// The ACL to be set on the bucket, or on an object of `owner`'s in it.
    pub fn new_acl(
        &self,
        tables: &dyn ReadTables,
        request: &AclRequest,
        owner: &UserId,
    ) -> Result<Result<Option<Acl>, Denied>, StorageFault> {
        if self.guard.is_owner_enforced() {
            let is_right = says_what_is_enforced(request, &self.bucket.owner);
            return Ok(if is_right { Ok(None) } else { Err(Denied::AclNotSupported) });
        }
        let acl = object_acl(tables, Some(request), owner, &self.bucket.owner)?;
        Ok(acl.and_then(|acl| self.unless_blocked(acl)))
    }

    fn unless_blocked(&self, acl: Option<Acl>) -> Result<Option<Acl>, Denied> {
        let is_blocked = self.block().block_public_acls && acl.as_ref().is_some_and(Acl::is_public);
        if is_blocked { Err(Denied::AccessDenied) } else { Ok(acl) }
    }

    /// The ACL of an object as it is in force, and whose the object is.
    pub fn acl_of(&self, row: &KeyRow) -> (UserId, Acl) {
        if self.guard.is_owner_enforced() {
            return (self.bucket.owner.clone(), Acl::private(&self.bucket.owner.0));
        }
        let owner = row.head.owner.clone();
        let acl = row.body.acl.clone().unwrap_or_else(|| Acl::private(&owner.0));
        (owner, acl)
    }
}

/// Nobody gets anything by it who has not the object or its bucket: as if it were not said.
fn opens_nothing(acl: &AclRequest) -> bool {
    use CannedAcl::{BucketOwnerFullControl, BucketOwnerRead, Private};
    matches!(acl, AclRequest::Canned(Private | BucketOwnerRead | BucketOwnerFullControl))
}

/// A bucket's owner can change a policy back that keeps everybody out, unless they gave that up.
fn frees_owner(kept: &KeptPolicy, action: Permission) -> bool {
    let is_about_policy =
        matches!(action, Permission::GetBucketPolicy | Permission::PutBucketPolicy | Permission::DeleteBucketPolicy);
    is_about_policy && !kept.binds_owner
}
