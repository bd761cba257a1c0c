//! Renaming an object within its bucket.

use om_api as api;
use om_core::authorise::{Action, Target};
use rpc::{CallContext, CallError};
use sha2::{Digest, Sha256};
use types::{BucketId, RequestId};

use super::OmService;
use super::calls::{Kind, denied, scoped};
use crate::convert::{IntoApi, IntoCore};

impl OmService {
    pub(super) async fn rename_key(
        &self,
        cx: CallContext,
        request: api::RenameKey,
    ) -> Result<api::KeyCommitted, CallError<api::RenameRejected>> {
        let (bucket, owner, origin) = self
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
                let _ = entry.object::<Rejected>(tables, Action::GetObject, &request.source, None)?;
                Ok((entry.bucket.id, entry.identity.user_id().cloned(), entry.origin(&cx)))
            })
            .await?;
        let id = match &request.token {
            Some(token) => Some(token_id(token, bucket, &request)),
            None => scoped(&cx, Kind::Rename),
        };
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
        };
        let renamed = self.log.propose(id, command, cx.deadline).await;
        renamed.map(IntoApi::into_api).map_err(|error| error.map_rejection(IntoApi::into_api))
    }
}

/// A client's token names what it asks for, in this bucket: the same again gets the first answer.
fn token_id(token: &str, bucket: BucketId, request: &api::RenameKey) -> RequestId {
    let mut hasher = Sha256::new();
    for part in [token.as_bytes(), &bucket.0.to_be_bytes(), request.source.as_bytes(), request.key.as_bytes()] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    RequestId::from_u128(u128::from_be_bytes(id))
}
