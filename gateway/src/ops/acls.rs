//! What the operations on ACLs share: the question to the OM, and an ACL in the one place of a request where it stands.

use gateway_core::payload::PayloadPlan;
use gateway_core::xml::{AccessControlPolicy, ListedGrantee, access_control_policy};
use gateway_core::{S3Error, S3ErrorCode, acl};
use om_api::{AclOf, AclRejected, AclSet, GetAcl, SetAcl, ShownAcl, ShownGrantee};
use rpc::CallError;
use types::{AclRequest, BucketPath, ObjectKey};

use super::attributes::owner;
use super::object_reading::unreadable_version;
use super::versions::no_such_version;
use crate::context::OpContext;
use crate::operation::S3Request;
use crate::rejections::{call_failed, no_such_bucket, no_such_key};

/// A hundred grants, with names of the usual length.
const MAX_ACL_BODY: usize = 128 << 10;

pub(super) async fn get(cx: &OpContext, bucket: &BucketPath, of: AclOf) -> Result<ShownAcl, S3Error> {
    let request = GetAcl { by: cx.by(), bucket: bucket.clone(), of: of.clone() };
    match cx.om().get_acl(cx.call(), request).await {
        Ok(shown) => Ok(shown),
        Err(CallError::Rejected(rejected)) => Err(refused(cx, bucket, &of, rejected)),
        Err(failure) => Err(call_failed(&failure)),
    }
}

pub(super) fn to_xml(shown: &ShownAcl) -> String {
    let grants = shown.grants.iter().map(|grant| {
        let grantee = match &grant.grantee {
            ShownGrantee::User(user) => ListedGrantee::User(owner(user)),
            ShownGrantee::Group(group) => ListedGrantee::Group(*group),
        };
        (grantee, grant.permission)
    });
    access_control_policy(&owner(&shown.owner), &grants.collect::<Vec<_>>())
}

fn refused(cx: &OpContext, bucket: &BucketPath, of: &AclOf, rejected: AclRejected) -> S3Error {
    let named = match of {
        AclOf::Bucket => None,
        AclOf::Object { key, version } => Some((key, *version)),
    };
    match (rejected, named) {
        (AclRejected::Denied(why), _) => cx.denied(why),
        (AclRejected::NoSuchBucket, _) => no_such_bucket(bucket),
        (AclRejected::NoSuchKey, Some((key, _))) => no_such_key(key),
        (AclRejected::NoSuchVersion, Some((key, _))) => no_such_version(key),
        (AclRejected::DeleteMarker(marker), Some((key, version))) => unreadable_version(key, version, marker),
        (AclRejected::Changed, _) => S3ErrorCode::OperationAborted.into(),
        // A bucket has no versions.
        (AclRejected::NoSuchKey | AclRejected::NoSuchVersion | AclRejected::DeleteMarker(_), None) => {
            S3ErrorCode::InternalError.into()
        }
    }
}

/// An ACL to be set: in headers, which came with the requester's facts, or in the body.
#[derive(Debug)]
pub(super) struct NewAcl {
    plan: PayloadPlan,
    of_headers: Option<AclRequest>,
}

impl NewAcl {
    pub(super) fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { plan: request.bodyless_plan()?, of_headers: acl::parse_headers(request)? })
    }

    pub(super) async fn set(self, cx: &mut OpContext, bucket: BucketPath, of: AclOf) -> Result<AclSet, S3Error> {
        let body = cx.read_document(self.plan, MAX_ACL_BODY).await?;
        let (acl, owner) = match self.of_headers {
            Some(_) if !body.is_empty() => return Err(S3ErrorCode::UnexpectedContent.into()),
            Some(acl) => (acl, None),
            None if body.is_empty() => return Err(acl::none_given()),
            None => {
                let AccessControlPolicy { owner, acl } = AccessControlPolicy::parse(&body)?;
                (acl, owner)
            }
        };
        let request = SetAcl { by: cx.by(), bucket: bucket.clone(), of: of.clone(), acl, owner };
        match cx.om().set_acl(cx.call(), request).await {
            Ok(set) => Ok(set),
            Err(CallError::Rejected(rejected)) => Err(refused(cx, &bucket, &of, rejected)),
            Err(failure) => Err(call_failed(&failure)),
        }
    }
}

/// The object whose ACL a request is about.
pub(super) fn of_object(request: &S3Request) -> Result<AclOf, S3Error> {
    let key: ObjectKey = request.key()?;
    Ok(AclOf::Object { key, version: request.version()? })
}
