//! ACLs: from what a client asks for to what is kept, and what a kept one gives.

use tables::{ReadTables, StorageFault};
use types::{Acl, AclGroup, AclPermission, AclRequest, CannedAcl, Grant, Grantee, GranteeName};

use super::Denied;
use crate::namespace;
use crate::policy::Caller;
use crate::rows::{self, UserId, email_key};
use crate::tables::EMAILS;

/// Who delivers access logs.
pub(super) const LOG_DELIVERY: &str = "logging.s3.amazonaws.com";

/// The ACL of a bucket of `owner`'s, its grantees found. None: the one that every bucket has.
pub fn bucket_acl(
    tables: &dyn ReadTables,
    request: Option<&AclRequest>,
    owner: &UserId,
) -> Result<Result<Option<Acl>, Denied>, StorageFault> {
    resolve(tables, request, owner, owner)
}

/// The ACL of an object of `owner`'s in a bucket of `bucket_owner`'s.
pub fn object_acl(
    tables: &dyn ReadTables,
    request: Option<&AclRequest>,
    owner: &UserId,
    bucket_owner: &UserId,
) -> Result<Result<Option<Acl>, Denied>, StorageFault> {
    resolve(tables, request, owner, bucket_owner)
}

fn resolve(
    tables: &dyn ReadTables,
    request: Option<&AclRequest>,
    owner: &UserId,
    bucket_owner: &UserId,
) -> Result<Result<Option<Acl>, Denied>, StorageFault> {
    let acl = match request {
        None => return Ok(Ok(None)),
        Some(AclRequest::Canned(canned)) => canned_acl(*canned, owner, bucket_owner),
        Some(AclRequest::Grants(requests)) => {
            let mut grants = Vec::with_capacity(requests.len());
            for request in requests {
                match grantee(tables, &request.grantee)? {
                    Ok(grantee) => grants.push(Grant { grantee, permission: request.permission }),
                    Err(denied) => return Ok(Err(denied)),
                }
            }
            // As S3's own ACLs stand; else in the order in which they were asked for.
            grants.sort_by_key(|grant: &Grant| matches!(grant.grantee, Grantee::User(_)));
            Acl { grants }
        }
    };
    Ok(Ok((acl != Acl::private(&owner.0)).then_some(acl)))
}

fn canned_acl(canned: CannedAcl, owner: &UserId, bucket_owner: &UserId) -> Acl {
    let of_user = |user: &UserId, permission| Grant { grantee: Grantee::User(user.0.clone()), permission };
    let groups = canned.groups().iter();
    let mut grants: Vec<Grant> =
        groups.map(|(group, permission)| Grant { grantee: Grantee::Group(*group), permission: *permission }).collect();
    grants.push(of_user(owner, AclPermission::FullControl));
    let to_bucket_owner = match canned {
        CannedAcl::BucketOwnerRead => Some(AclPermission::Read),
        CannedAcl::BucketOwnerFullControl => Some(AclPermission::FullControl),
        CannedAcl::Private
        | CannedAcl::PublicRead
        | CannedAcl::PublicReadWrite
        | CannedAcl::AuthenticatedRead
        | CannedAcl::LogDeliveryWrite => None,
    };
    grants.extend(to_bucket_owner.filter(|_| owner != bucket_owner).map(|permission| of_user(bucket_owner, permission)));
    Acl { grants }
}

fn grantee(tables: &dyn ReadTables, name: &GranteeName) -> Result<Result<Grantee, Denied>, StorageFault> {
    Ok(match name {
        GranteeName::Group(group) => Ok(Grantee::Group(*group)),
        GranteeName::Id(id) => {
            let is_known = namespace::user(tables, &UserId(id.clone()))?.is_some();
            if is_known { Ok(Grantee::User(id.clone())) } else { Err(Denied::UnknownGrantee) }
        }
        GranteeName::Email(address) => {
            let found: Option<UserId> = rows::get(tables, EMAILS, &email_key(address))?;
            found.map(|id| Grantee::User(id.0)).ok_or(Denied::UnknownEmail)
        }
    })
}

/// It says nothing but that the bucket's owner has full control, which is so where there are no ACLs.
pub(super) fn says_what_is_enforced(request: &AclRequest, bucket_owner: &UserId) -> bool {
    match request {
        AclRequest::Canned(canned) => *canned == CannedAcl::BucketOwnerFullControl,
        AclRequest::Grants(grants) => match grants.as_slice() {
            [only] => only.grantee == GranteeName::Id(bucket_owner.0.clone()) && only.permission == AclPermission::FullControl,
            _ => false,
        },
    }
}

/// Whether an ACL gives somebody a permission. Where public ACLs are ignored, its grants to everybody are as if they were not there.
pub(super) fn gives(acl: &Acl, caller: &Caller, permission: AclPermission, ignores_public: bool) -> bool {
    acl.grants.iter().any(|grant| {
        let is_meant = match &grant.grantee {
            Grantee::User(id) => caller.account().is_some_and(|account| account.canonical == *id),
            Grantee::Group(group) if ignores_public && group.is_public() => false,
            Grantee::Group(AclGroup::AllUsers) => true,
            Grantee::Group(AclGroup::AuthenticatedUsers) => caller.account().is_some(),
            Grantee::Group(AclGroup::LogDelivery) => *caller == Caller::Service(LOG_DELIVERY.to_owned()),
        };
        is_meant && grant.permission.includes(permission)
    })
}
