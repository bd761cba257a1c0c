//! Deleting objects, one and many.

use om_api as api;
use om_core::authorise::{Action, Resource, authorise};
use rpc::{CallContext, CallError};

use super::OmService;
use super::calls::{Kind, Stop, allow, enter, find_bucket, identity, scoped};
use crate::convert::{IntoApi, IntoCore};

impl OmService {
    pub(super) async fn delete_key(
        &self,
        cx: CallContext,
        request: api::DeleteKey,
    ) -> Result<api::DeletedKey, CallError<api::DeleteKeyRejected>> {
        let key = &request.deletion.key;
        let bucket = self
            .log
            .read(cx.deadline, |tables| {
                let (_, bucket) = enter(tables, &request.by, &request.bucket, Some(key), Action::DeleteObject)?;
                Ok(bucket.id)
            })
            .await?;
        let command = om_core::DeleteKey { bucket, deletion: request.deletion.into_core(), now: self.clock.now() };
        let deleted = self.log.propose(scoped(&cx, Kind::Delete), command, cx.deadline).await;
        deleted.map(IntoApi::into_api).map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    /// Keys that may not be deleted are refused one by one; the others go in one entry.
    pub(super) async fn delete_keys(
        &self,
        cx: CallContext,
        request: api::DeleteKeys,
    ) -> Result<Vec<Result<api::DeletedKey, api::DeleteKeyRejected>>, CallError<api::DeleteKeysRejected>> {
        if request.deletions.len() > MOST_DELETIONS {
            return Err(CallError::NotApplied(rpc::NotApplied::Refused(format!(
                "{} deletions in one call, the most is {MOST_DELETIONS}",
                request.deletions.len()
            ))));
        }
        let (bucket, refused) = self
            .log
            .read(cx.deadline, |tables| {
                let identity = identity::<api::DeleteKeysRejected>(tables, &request.by)?;
                let Some(bucket) = find_bucket(tables, &request.bucket)? else {
                    return Err(Stop::Rejected(api::DeleteKeysRejected::NoSuchBucket));
                };
                let may_delete = |deletion: &api::KeyDeletion| {
                    let resource = Resource::Object(&bucket, &deletion.key);
                    authorise(&identity, Action::DeleteObject, resource).err()
                };
                let refused: Vec<_> = request.deletions.iter().map(may_delete).collect();
                // Whoever may delete none of them learns no more than that.
                if !refused.is_empty() && refused.iter().all(Option::is_some) {
                    allow(&identity, Action::DeleteObject, Resource::Bucket(&bucket))?;
                }
                Ok((bucket.id, refused))
            })
            .await?;
        let deletions = request.deletions.into_iter().zip(&refused);
        let allowed: Vec<_> = deletions.filter(|(_, refused)| refused.is_none()).map(|(deletion, _)| deletion).collect();
        let command = om_core::DeleteKeys { bucket, deletions: allowed.into_core(), now: self.clock.now() };
        let deleted = self.log.propose(scoped(&cx, Kind::DeleteMany), command, cx.deadline).await;
        let mut deleted = deleted.map_err(|error| error.map_rejection(IntoApi::into_api))?.into_iter();
        let outcomes = refused.into_iter().map(|refused| match refused {
            Some(denied) => Some(Err(api::DeleteKeyRejected::Denied(denied.into_api()))),
            None => deleted.next().map(|outcome| outcome.map(IntoApi::into_api).map_err(IntoApi::into_api)),
        });
        outcomes.collect::<Option<Vec<_>>>().ok_or_else(|| CallError::Unknown("fewer outcomes than deletions".to_owned()))
    }
}

/// As S3 limits DeleteObjects; also what one log entry may write.
const MOST_DELETIONS: usize = 1_000;
