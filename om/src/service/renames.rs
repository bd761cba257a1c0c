//! Renaming an object within its bucket.

use om_api as api;
use om_core::Judged;
use om_core::authorise::{Action, Target};
use rpc::{CallContext, CallError};
use sha2::{Digest, Sha256};
use types::{BucketId, RequestId};

use super::OmService;
use super::calls::{Kind, attempted, denied, settle};
use crate::convert::{IntoApi, IntoCore};

impl OmService {
    pub(super) async fn rename_key(
        &self,
        cx: CallContext,
        request: api::RenameKey,
    ) -> Result<api::KeyCommitted, CallError<api::RenameRejected>> {
        settle(api::RenameRejected::Changed, |attempt| self.try_to_rename_key(&cx, request.clone(), attempt)).await
    }

    async fn try_to_rename_key(
        &self,
        cx: &CallContext,
        request: api::RenameKey,
        attempt: u8,
    ) -> Result<api::KeyCommitted, CallError<api::RenameRejected>> {
        let (bucket, owner, account, judged, origin) = self
            .log
            .read(cx.deadline, |tables| {
                type Rejected = api::RenameRejected;
                let entry =
                    self.enter::<Rejected>(tables, &request.by, &request.bucket, Some(&request.key), Action::PutObject)?;
                entry.allow::<Rejected>(Action::DeleteObject, Target::Key(&request.source))?;
                if request.condition.probes() || request.conditions != api::ReadConditions::default() {
                    entry.may_probe(tables, &request.key, None)?.map_err(denied)?;
                }
                // That it is not there the command finds out, and says.
                let source = entry.object::<Rejected>(tables, Action::GetObject, &request.source, None)?;
                let judged = Judged::of(source.as_ref().ok());
                let account = entry.identity.account().map(|account| account.id.0.clone()).unwrap_or_default();
                Ok((entry.bucket.id, entry.identity.user_id().cloned(), account, judged, entry.origin(cx)))
            })
            .await?;
        let named = request.token.as_deref().map(|token| (token_id(token, &account, bucket, attempt), parameters(&request)));
        let command = om_core::RenameKey {
            bucket,
            source: request.source,
            source_conditions: request.source_conditions.into_core(),
            key: request.key,
            condition: request.condition.into_core(),
            conditions: request.conditions.into_core(),
            owner,
            now: self.clock.now(),
            origin,
            judged: Some(Box::new(judged)),
        };
        let renamed = match named {
            None => self.log.propose(attempted(cx, Kind::Rename, attempt), command, cx.deadline).await,
            Some((id, parameters)) => {
                let once = om_core::RenameOnce { rename: command, parameters };
                let answered = self.log.propose(Some(id), once, cx.deadline).await;
                let answered = answered.map_err(|error| error.map_rejection(|never| match never {}))?;
                if answered.parameters != parameters {
                    return Err(CallError::Rejected(api::RenameRejected::TokenOfAnother));
                }
                answered.outcome.map_err(CallError::Rejected)
            }
        };
        renamed.map(IntoApi::into_api).map_err(|error| error.map_rejection(IntoApi::into_api))
    }
}

/// A client's token is one of its account, in this bucket. The first attempt's id is the one that earlier releases gave it.
fn token_id(token: &str, account: &str, bucket: BucketId, attempt: u8) -> RequestId {
    let mut hasher = Sha256::new_with_prefix(&[attempt][..usize::from(attempt > 0)]);
    for part in [b"rename".as_slice(), token.as_bytes(), account.as_bytes(), &bucket.0.to_be_bytes()] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    RequestId::from_u128(u128::from_be_bytes(half(hasher)))
}

/// All that a request with the same token must ask for again.
fn parameters(request: &api::RenameKey) -> [u8; 16] {
    let api::RenameKey { by: _, bucket: _, source, source_conditions, key, condition, conditions, token: _ } = request;
    half(Sha256::new_with_prefix(tables::encode(&(source, source_conditions, key, condition, conditions))))
}

fn half(hasher: Sha256) -> [u8; 16] {
    let digest: [u8; 32] = hasher.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}
