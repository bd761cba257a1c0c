//! ACLs: shown with the names of their grantees, set with their ids.

use bucket_config::BucketAcl;
use om_api as api;
use om_core::authorise::{Action, Denied, Target};
use om_core::namespace::Missing;
use om_core::rows::{Origin, UserId};
use om_core::{ConfigChange, Judged, SetBucketConfig, UpdateVersion, UpdateVersionRejected, VersionChange};
use rpc::{CallContext, CallError};
use tables::StorageFault;
use types::{Acl, BucketId, Grantee, VersionId};

use super::OmService;
use super::buckets::Names;
use super::calls::{Kind, Stop, attempted, denied, scoped, settle};

type Rejected = api::AclRejected;

fn missing(missing: Missing) -> Stop<Rejected> {
    Stop::Rejected(match missing {
        Missing::Key => Rejected::NoSuchKey,
        Missing::Version => Rejected::NoSuchVersion,
        Missing::DeleteMarker(version) => Rejected::DeleteMarker(version),
    })
}

fn show(owner: &UserId, acl: Acl, version: Option<VersionId>, names: &mut Names<'_>) -> Result<api::ShownAcl, StorageFault> {
    let grants = acl.grants.into_iter().map(|grant| {
        let grantee = match grant.grantee {
            Grantee::User(id) => api::ShownGrantee::User(names.show(&UserId(id))?),
            Grantee::Group(group) => api::ShownGrantee::Group(group),
        };
        Ok(api::ShownGrant { grantee, permission: grant.permission })
    });
    Ok(api::ShownAcl { grants: grants.collect::<Result<_, StorageFault>>()?, owner: names.show(owner)?, version })
}

impl OmService {
    pub(super) async fn get_acl(&self, cx: CallContext, request: api::GetAcl) -> Result<api::ShownAcl, CallError<Rejected>> {
        self.log
            .read(cx.deadline, |tables| {
                let entry = self.open::<Rejected>(tables, &request.by, &request.bucket)?;
                let mut names = Names::new(tables);
                match &request.of {
                    api::AclOf::Bucket => {
                        entry.allow(Action::GetBucketAcl, Target::Bucket)?;
                        Ok(show(&entry.bucket.owner, entry.guard.acl(&entry.bucket), None, &mut names)?)
                    }
                    api::AclOf::Object { key, version } => {
                        let action = if version.is_some() { Action::GetObjectVersionAcl } else { Action::GetObjectAcl };
                        let row = entry.object(tables, action, key, *version)?.map_err(missing)?;
                        let (owner, acl) = entry.scene().acl_of(&row);
                        Ok(show(&owner, acl, row.head.shown_version(), &mut names)?)
                    }
                }
            })
            .await
    }

    pub(super) async fn set_acl(&self, cx: CallContext, request: api::SetAcl) -> Result<api::AclSet, CallError<Rejected>> {
        settle(Rejected::Changed, |attempt| self.try_to_set_acl(&cx, &request, attempt)).await
    }

    async fn try_to_set_acl(
        &self,
        cx: &CallContext,
        request: &api::SetAcl,
        attempt: u8,
    ) -> Result<api::AclSet, CallError<Rejected>> {
        let (bucket, acl, judged, origin) = self.acl_to_set(cx, request).await?;
        match &request.of {
            api::AclOf::Bucket => {
                let change = match acl {
                    Some(acl) => ConfigChange::Put(Box::new(BucketAcl { acl }.into())),
                    None => ConfigChange::Delete(bucket_config::ConfigKind::Acl),
                };
                let command = SetBucketConfig { bucket, change, now: self.clock.now() };
                let set = self.log.propose(scoped(cx, Kind::SetAcl), command, cx.deadline).await;
                // Of all that setting a document can be refused for, an ACL can be refused for this alone.
                set.map_err(|error| error.map_rejection(|_| Rejected::NoSuchBucket))?;
                Ok(api::AclSet { version: None })
            }
            api::AclOf::Object { key, version } => {
                let (key, version, change) = (key.clone(), *version, VersionChange::Acl(acl));
                let command = UpdateVersion { bucket, key, version, change, now: self.clock.now(), origin, judged };
                let set = self.log.propose(attempted(cx, Kind::SetAcl, attempt), command, cx.deadline).await;
                let version = set.map_err(|error| {
                    error.map_rejection(|rejected| match rejected {
                        UpdateVersionRejected::NoSuchBucket => Rejected::NoSuchBucket,
                        UpdateVersionRejected::NoSuchKey => Rejected::NoSuchKey,
                        UpdateVersionRejected::NoSuchVersion => Rejected::NoSuchVersion,
                        UpdateVersionRejected::DeleteMarker(version) => Rejected::DeleteMarker(version),
                        UpdateVersionRejected::Changed => Rejected::Changed,
                        // These are about locks.
                        UpdateVersionRejected::NoObjectLock | UpdateVersionRejected::Locked => {
                            Rejected::Denied(api::Denied::AccessDenied)
                        }
                    })
                })?;
                Ok(api::AclSet { version })
            }
        }
    }

    /// The ACL to keep, if the requester may set it, and the object that this was judged by.
    async fn acl_to_set(
        &self,
        cx: &CallContext,
        request: &api::SetAcl,
    ) -> Result<(BucketId, Option<Acl>, Option<Box<Judged>>, Option<Origin>), CallError<Rejected>> {
        self.log
            .read(cx.deadline, |tables| {
                let entry = self.open::<Rejected>(tables, &request.by, &request.bucket)?;
                let (owner, judged) = match &request.of {
                    api::AclOf::Bucket => {
                        entry.allow(Action::PutBucketAcl, Target::Bucket)?;
                        (entry.bucket.owner.clone(), None)
                    }
                    api::AclOf::Object { key, version } => {
                        let action = if version.is_some() { Action::PutObjectVersionAcl } else { Action::PutObjectAcl };
                        let row = entry.object(tables, action, key, *version)?.map_err(missing)?;
                        (entry.scene().acl_of(&row).0, Some(Box::new(Judged::of(Some(&row)))))
                    }
                };
                if request.owner.as_ref().is_some_and(|named| *named != owner.0) {
                    return Err(denied(Denied::AccessDenied));
                }
                let acl = entry.scene().new_acl(tables, &request.acl, &owner)?.map_err(denied)?;
                Ok((entry.bucket.id, acl, judged, entry.origin(cx)))
            })
            .await
    }
}
