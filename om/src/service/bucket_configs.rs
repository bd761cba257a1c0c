//! What is set on a bucket.

use bucket_config::access::ObjectOwnership;
use bucket_config::{BucketDocument, ConfigKind, Invalid};
use om_api as api;
use om_core::authorise::{Action, Denied};
use om_core::namespace;
use om_core::policy::Policy;
use rpc::{CallContext, CallError};

use super::OmService;
use super::access_logs::only_the_owner;
use super::calls::{Kind, Stop, denied, find_bucket, scoped};
use super::entry::Entry;
use crate::convert::{IntoApi, IntoCore};

impl OmService {
    pub(super) async fn get_bucket_config(
        &self,
        cx: CallContext,
        request: api::GetBucketConfig,
    ) -> Result<api::BucketConfig, CallError<api::BucketRejected>> {
        self.log
            .read(cx.deadline, |tables| {
                let action = Action::of_getting(request.kind);
                let entry = self.enter(tables, &request.by, &request.bucket, None, action)?;
                let row = namespace::bucket_config(tables, entry.bucket.id, request.kind)?;
                let is_public = (request.kind == ConfigKind::PolicyStatus).then(|| entry.scene().is_public());
                let (document, changed) = row.map(|row| (row.document, row.changed)).unzip();
                Ok(api::BucketConfig { document, is_public, changed })
            })
            .await
    }

    pub(super) async fn set_bucket_config(
        &self,
        cx: CallContext,
        request: api::SetBucketConfig,
    ) -> Result<(), CallError<api::SetBucketConfigRejected>> {
        let action = match &request.change {
            api::ConfigChange::Put(document) => Action::of_putting(document.kind()),
            api::ConfigChange::Delete(kind) => Action::of_deleting(*kind),
        };
        let bucket = self
            .log
            .read(cx.deadline, |tables| {
                let entry = self.enter(tables, &request.by, &request.bucket, None, action)?;
                let kind = match &request.change {
                    api::ConfigChange::Put(document) => document.kind(),
                    api::ConfigChange::Delete(kind) => *kind,
                };
                if kind == ConfigKind::Logging {
                    only_the_owner(&entry)?;
                }
                match &request.change {
                    api::ConfigChange::Put(document) => {
                        check(document, &entry)?;
                        if let BucketDocument::Logging(logging) = document.as_ref() {
                            self.check_log_target(tables, &entry, logging)?;
                        }
                        self.check_classes(document)?;
                        if let BucketDocument::Notification(configuration) = document.as_ref() {
                            self.check_destinations(configuration)?;
                        }
                    }
                    api::ConfigChange::Delete(ConfigKind::Acl) => return Err(invalid(Invalid::Schema)),
                    api::ConfigChange::Delete(_) => {}
                }
                Ok(entry.bucket.id)
            })
            .await?;
        let command = om_core::SetBucketConfig { bucket, change: request.change.into_core(), now: self.clock.now() };
        let set = self.log.propose(scoped(&cx, Kind::SetConfig), command, cx.deadline).await;
        set.map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    /// Objects are moved to classes that there are. STANDARD is where they come from.
    fn check_classes(&self, document: &BucketDocument) -> Result<(), Stop<api::SetBucketConfigRejected>> {
        let BucketDocument::Lifecycle(lifecycle) = document else { return Ok(()) };
        match lifecycle.storage_classes().find(|class| !self.config.storage_classes.contains_key(*class)) {
            Some(class) => Err(Stop::Rejected(api::SetBucketConfigRejected::NoSuchStorageClass(class.to_owned()))),
            None => Ok(()),
        }
    }

    pub(super) async fn bucket_conduct(
        &self,
        cx: CallContext,
        request: api::GetBucketConduct,
    ) -> Result<api::BucketConduct, CallError<api::BucketConductRejected>> {
        self.log
            .read(cx.deadline, |tables| {
                let Some(bucket) = find_bucket(tables, &request.bucket)? else {
                    return Err(Stop::Rejected(api::BucketConductRejected::NoSuchBucket));
                };
                let mut documents = Vec::new();
                for kind in &request.kinds {
                    documents.extend(namespace::bucket_config(tables, bucket.id, *kind)?.map(|row| row.document));
                }
                Ok(api::BucketConduct { id: bucket.id, owner: bucket.owner.into_api(), documents })
            })
            .await
    }
}

fn invalid(why: Invalid) -> Stop<api::SetBucketConfigRejected> {
    Stop::Rejected(api::SetBucketConfigRejected::Invalid(why))
}

/// A gateway has looked already; what is stored is ours to answer for.
fn check(document: &BucketDocument, entry: &Entry<'_>) -> Result<(), Stop<api::SetBucketConfigRejected>> {
    document.validate().map_err(invalid)?;
    match document {
        BucketDocument::Policy(policy) => {
            let policy = Policy::of_bucket(&policy.text, &entry.bucket.path())
                .map_err(|error| invalid(Invalid::Policy(sentence(&error.to_string()))))?;
            if entry.scene().block().block_public_policy && policy.is_public() {
                return Err(denied(Denied::AccessDenied));
            }
        }
        BucketDocument::OwnershipControls(controls) => {
            let ends_acls = controls.ownership == ObjectOwnership::BucketOwnerEnforced;
            if ends_acls && !entry.guard.acl(&entry.bucket).is_private_to(&entry.bucket.owner.0) {
                return Err(Stop::Rejected(api::SetBucketConfigRejected::AclIsNotPrivate));
            }
        }
        // Its grantees have to be found first: it has a call of its own.
        BucketDocument::Acl(_) => return Err(invalid(Invalid::Schema)),
        _ => {}
    }
    Ok(())
}

/// As S3 begins its messages.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
