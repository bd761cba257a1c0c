//! Deleting objects, one and many.

use om_api as api;
use om_core::authorise::{Action, Target};
use rpc::{CallContext, CallError};
use tables::StorageFault;

use super::OmService;
use super::calls::{Kind, denied, scoped};
use super::versions::granted;
use crate::convert::{IntoApi, IntoCore};

impl OmService {
    pub(super) async fn delete_key(
        &self,
        cx: CallContext,
        request: api::DeleteKey,
    ) -> Result<api::DeletedKey, CallError<api::DeleteKeyRejected>> {
        let mut deletion = request.deletion;
        let (bucket, owner, origin) = self
            .log
            .read(cx.deadline, |tables| {
                let entry = self.open::<api::DeleteKeyRejected>(tables, &request.by, &request.bucket)?;
                if entry.may_delete(tables, action(&deletion), &deletion.key, deletion.version)?.is_err() {
                    entry.allow(action(&deletion), Target::Key(&deletion.key))?;
                }
                if deletion.probes() {
                    entry.may_probe(tables, &deletion.key, deletion.version)?.map_err(denied)?;
                }
                deletion.bypass = granted(deletion.bypass, &entry, &deletion.key);
                Ok((entry.bucket.id, entry.identity.user_id().cloned(), entry.origin(&cx)))
            })
            .await?;
        let command = om_core::DeleteKey { bucket, deletion: deletion.into_core(), now: self.clock.now(), owner, origin };
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
        let mut deletions = request.deletions;
        let (bucket, owner, origin, refused) = self
            .log
            .read(cx.deadline, |tables| {
                let entry = self.open::<api::DeleteKeysRejected>(tables, &request.by, &request.bucket)?;
                let may_delete = |deletion: &mut api::KeyDeletion| {
                    deletion.bypass = granted(deletion.bypass, &entry, &deletion.key);
                    let mut allowed = entry.may_delete(tables, action(deletion), &deletion.key, deletion.version)?;
                    if allowed.is_ok() && deletion.probes() {
                        allowed = entry.may_probe(tables, &deletion.key, deletion.version)?;
                    }
                    Ok::<_, StorageFault>(allowed.err())
                };
                let refused = deletions.iter_mut().map(may_delete).collect::<Result<Vec<_>, _>>()?;
                Ok((entry.bucket.id, entry.identity.user_id().cloned(), entry.origin(&cx), refused))
            })
            .await?;
        let deletions = deletions.into_iter().zip(&refused);
        let allowed: Vec<_> = deletions.filter(|(_, refused)| refused.is_none()).map(|(deletion, _)| deletion).collect();
        let command = om_core::DeleteKeys { bucket, deletions: allowed.into_core(), now: self.clock.now(), owner, origin };
        let deleted = self.log.propose(scoped(&cx, Kind::DeleteMany), command, cx.deadline).await;
        let mut deleted = deleted.map_err(|error| error.map_rejection(IntoApi::into_api))?.into_iter();
        let outcomes = refused.into_iter().map(|refused| match refused {
            Some(denied) => Some(Err(api::DeleteKeyRejected::Denied(denied.into_api()))),
            None => deleted.next().map(|outcome| outcome.map(IntoApi::into_api).map_err(IntoApi::into_api)),
        });
        outcomes.collect::<Option<Vec<_>>>().ok_or_else(|| CallError::Unknown("fewer outcomes than deletions".to_owned()))
    }
}

/// A deletion that names a version takes it away for good.
fn action(deletion: &api::KeyDeletion) -> Action {
    if deletion.version.is_some() { Action::DeleteObjectVersion } else { Action::DeleteObject }
}

/// As S3 limits DeleteObjects; also what one log entry may write.
const MOST_DELETIONS: usize = 1_000;
