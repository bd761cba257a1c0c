//! What is set on a bucket.

use bucket_config::BucketDocument;
use om_api as api;
use om_core::authorise::Action;
use om_core::namespace;
use rpc::{CallContext, CallError};

use super::OmService;
use super::calls::{Kind, Stop, enter, find_bucket, scoped};
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
                let (_, bucket) = enter(tables, &request.by, &request.bucket, None, action)?;
                let row = namespace::bucket_config(tables, bucket.id, request.kind)?;
                Ok(api::BucketConfig { document: row.map(|row| row.document) })
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
                let (_, bucket) = enter(tables, &request.by, &request.bucket, None, action)?;
                if let api::ConfigChange::Put(document) = &request.change {
                    check(document)?;
                }
                Ok(bucket.id)
            })
            .await?;
        let command = om_core::SetBucketConfig { bucket, change: request.change.into_core(), now: self.clock.now() };
        let set = self.log.propose(scoped(&cx, Kind::SetConfig), command, cx.deadline).await;
        set.map_err(|error| error.map_rejection(IntoApi::into_api))
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

/// A gateway has looked already; what is stored is ours to answer for.
fn check(document: &BucketDocument) -> Result<(), Stop<api::SetBucketConfigRejected>> {
    document.validate().map_err(|why| Stop::Rejected(api::SetBucketConfigRejected::Invalid(why)))
}
