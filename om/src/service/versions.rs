//! Versions: whether a bucket keeps them, what locks them, what is said about one of them.

use om_api as api;
use om_core::VersioningStatus;
use om_core::authorise::{Action, Identity, Resource, authorise};
use om_core::rows::BucketRow;
use rpc::{CallContext, CallError};
use types::{Bypass, ObjectKey};

use super::OmService;
use super::calls::{Kind, enter, scoped};
use crate::convert::IntoApi;

/// Whoever asks to bypass governance and may not is served as if they had not asked: what is locked then refuses them.
pub(super) fn granted(asked: Bypass, identity: &Identity, bucket: &BucketRow, key: &ObjectKey) -> Bypass {
    let may = || authorise(identity, Action::BypassGovernanceRetention, Resource::Object(bucket, key)).is_ok();
    match asked {
        Bypass::Governance if may() => Bypass::Governance,
        Bypass::Governance | Bypass::No => Bypass::No,
    }
}

impl OmService {
    pub(super) async fn set_versioning(
        &self,
        cx: CallContext,
        request: api::SetVersioning,
    ) -> Result<(), CallError<api::SetVersioningRejected>> {
        let bucket = self
            .log
            .read(cx.deadline, |tables| {
                let (_, bucket) = enter(tables, &request.by, &request.bucket, None, Action::PutBucketVersioning)?;
                Ok(bucket.id)
            })
            .await?;
        let status = if request.enabled { VersioningStatus::Enabled } else { VersioningStatus::Suspended };
        let set =
            self.log.propose(scoped(&cx, Kind::SetVersioning), om_core::SetVersioning { bucket, status }, cx.deadline).await;
        set.map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    pub(super) async fn set_bucket_lock(
        &self,
        cx: CallContext,
        request: api::SetBucketLock,
    ) -> Result<(), CallError<api::SetBucketLockRejected>> {
        let bucket = self
            .log
            .read(cx.deadline, |tables| {
                let action = Action::PutBucketObjectLockConfiguration;
                let (_, bucket) = enter(tables, &request.by, &request.bucket, None, action)?;
                Ok(bucket.id)
            })
            .await?;
        let command = om_core::SetBucketLock { bucket, default: request.default };
        let set = self.log.propose(scoped(&cx, Kind::SetBucketLock), command, cx.deadline).await;
        set.map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    pub(super) async fn update_version(
        &self,
        cx: CallContext,
        request: api::UpdateVersion,
    ) -> Result<api::VersionUpdated, CallError<api::UpdateVersionRejected>> {
        let action = match &request.change {
            api::VersionChange::Tags(Some(_)) => Action::PutObjectTagging,
            api::VersionChange::Tags(None) => Action::DeleteObjectTagging,
            api::VersionChange::Retention { .. } => Action::PutObjectRetention,
            api::VersionChange::LegalHold(_) => Action::PutObjectLegalHold,
        };
        let (bucket, change) = self
            .log
            .read(cx.deadline, |tables| {
                let (identity, bucket) = enter(tables, &request.by, &request.bucket, Some(&request.key), action)?;
                let change = match request.change {
                    api::VersionChange::Tags(tags) => om_core::VersionChange::Tags(tags.unwrap_or_default()),
                    api::VersionChange::Retention { retention, bypass } => {
                        let bypass = granted(bypass, &identity, &bucket, &request.key);
                        om_core::VersionChange::Retention(retention, bypass)
                    }
                    api::VersionChange::LegalHold(hold) => om_core::VersionChange::LegalHold(hold),
                };
                Ok((bucket.id, change))
            })
            .await?;
        let command =
            om_core::UpdateVersion { bucket, key: request.key, version: request.version, change, now: self.clock.now() };
        let updated = self.log.propose(scoped(&cx, Kind::UpdateVersion), command, cx.deadline).await;
        let version = updated.map_err(|error| error.map_rejection(IntoApi::into_api))?;
        Ok(api::VersionUpdated { version })
    }
}
