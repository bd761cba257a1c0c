//! Versions: whether a bucket keeps them, what locks them, what is said about one of them.

use om_api as api;
use om_core::authorise::{Action, Target};
use om_core::namespace::Missing;
use om_core::policy::KeyName;
use om_core::{Judged, VersioningStatus};
use rpc::{CallContext, CallError};
use types::{Bypass, ObjectKey, RetentionMode};

use super::OmService;
use super::calls::{Kind, Stop, attempted, scoped, settle};
use super::entry::Entry;
use crate::convert::IntoApi;

/// Whoever asks to bypass governance and may not is served as if they had not asked: what is locked then refuses them.
pub(super) fn granted(asked: Bypass, entry: &Entry<'_>, key: &ObjectKey) -> Bypass {
    let may = || entry.scene().allow(Action::BypassGovernanceRetention, Target::Key(key)).is_ok();
    match asked {
        Bypass::Governance if may() => Bypass::Governance,
        Bypass::Governance | Bypass::No => Bypass::No,
    }
}

/// What the request's body says, as facts that policies may ask for.
fn describe<'r>(change: &'r api::VersionChange, entry: &mut Entry<'r>) {
    match change {
        api::VersionChange::Tags(tags) => entry.facts.tags = tags.as_deref().unwrap_or_default(),
        api::VersionChange::Retention { retention: Some(retention), .. } => {
            let mode = match retention.mode {
                RetentionMode::Governance => "GOVERNANCE",
                RetentionMode::Compliance => "COMPLIANCE",
            };
            entry.facts.more.push((KeyName::ObjectLockMode, mode.into()));
            entry.facts.more.push((KeyName::ObjectLockRetainUntilDate, retention.until.into()));
        }
        api::VersionChange::Retention { retention: None, .. } => {}
        api::VersionChange::LegalHold(hold) => {
            entry.facts.more.push((KeyName::ObjectLockLegalHold, if *hold { "ON" } else { "OFF" }.into()));
        }
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
                let bucket = self.enter(tables, &request.by, &request.bucket, None, Action::PutBucketVersioning)?.bucket;
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
                let bucket = self.enter(tables, &request.by, &request.bucket, None, action)?.bucket;
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
        settle(api::UpdateVersionRejected::Changed, |attempt| self.try_to_update_version(&cx, request.clone(), attempt)).await
    }

    async fn try_to_update_version(
        &self,
        cx: &CallContext,
        request: api::UpdateVersion,
        attempt: u8,
    ) -> Result<api::VersionUpdated, CallError<api::UpdateVersionRejected>> {
        type Rejected = api::UpdateVersionRejected;
        let action = match (&request.change, request.version) {
            (api::VersionChange::Tags(Some(_)), None) => Action::PutObjectTagging,
            (api::VersionChange::Tags(Some(_)), Some(_)) => Action::PutObjectVersionTagging,
            (api::VersionChange::Tags(None), None) => Action::DeleteObjectTagging,
            (api::VersionChange::Tags(None), Some(_)) => Action::DeleteObjectVersionTagging,
            (api::VersionChange::Retention { .. }, _) => Action::PutObjectRetention,
            (api::VersionChange::LegalHold(_), _) => Action::PutObjectLegalHold,
        };
        let (bucket, change, judged, origin) = self
            .log
            .read(cx.deadline, |tables| {
                let mut entry = self.open::<Rejected>(tables, &request.by, &request.bucket)?;
                describe(&request.change, &mut entry);
                let row = entry.object(tables, action, &request.key, request.version)?;
                let row = row.map_err(|missing| {
                    Stop::Rejected(match missing {
                        Missing::Key => Rejected::NoSuchKey,
                        Missing::Version => Rejected::NoSuchVersion,
                        Missing::DeleteMarker(version) => Rejected::DeleteMarker(version),
                    })
                })?;
                let change = match &request.change {
                    api::VersionChange::Tags(tags) => om_core::VersionChange::Tags(tags.clone().unwrap_or_default()),
                    api::VersionChange::Retention { retention, bypass } => {
                        let bypass = granted(*bypass, &entry, &request.key);
                        om_core::VersionChange::Retention(*retention, bypass)
                    }
                    api::VersionChange::LegalHold(hold) => om_core::VersionChange::LegalHold(*hold),
                };
                Ok((entry.bucket.id, change, Judged::of(Some(&row)), entry.origin(cx)))
            })
            .await?;
        let command = om_core::UpdateVersion {
            bucket,
            key: request.key,
            version: request.version,
            change,
            now: self.clock.now(),
            origin,
            judged: Some(Box::new(judged)),
        };
        let updated = self.log.propose(attempted(cx, Kind::UpdateVersion, attempt), command, cx.deadline).await;
        let version = updated.map_err(|error| error.map_rejection(IntoApi::into_api))?;
        Ok(api::VersionUpdated { version })
    }
}
