//! Work that follows from rows: each service looks at what there is, does a bounded piece, and comes again.
//!
//! A pass reads this member's own state while it leads, and proposes commands that look again when they are applied; so a pass
//! of a leader that has just been replaced changes nothing that is not true.

mod credentials;
mod key_deletion;
mod lifecycle;
mod notifications;
mod open_key_cleanup;
mod upload_cleanup;

pub(crate) use credentials::CredentialCleanup;
pub(crate) use key_deletion::KeyDeletion;
pub(crate) use lifecycle::Lifecycle;
pub(crate) use notifications::{EventDelivery, EventLimits};
pub(crate) use open_key_cleanup::OpenKeyCleanup;
pub(crate) use upload_cleanup::{NAME as UPLOAD_CLEANUP, UploadCleanup};

use std::time::{Duration, Instant};

use om_core::{Never, Proposal};
use rpc::{CallError, NotApplied};
use runtime::PassError;

use crate::service::Log;

/// A command of a pass is applied within this or the pass has failed; the next one sees what became of it.
const PATIENCE: Duration = Duration::from_secs(10);

async fn propose<C: Proposal<Rejected = Never>>(log: &Log, command: C) -> Result<C::Reply, PassError> {
    propose_or_reject(log, command).await.map(|outcome| outcome.unwrap_or_else(|never| match never {}))
}

async fn propose_or_reject<C: Proposal>(log: &Log, command: C) -> Result<Result<C::Reply, C::Rejected>, PassError> {
    match log.propose(None, command, Instant::now() + PATIENCE).await {
        Ok(reply) => Ok(Ok(reply)),
        Err(CallError::Rejected(rejected)) => Ok(Err(rejected)),
        Err(CallError::NotApplied(NotApplied::NotLeader(_))) => Err(PassError::NotLeader),
        Err(CallError::NotApplied(why)) => Err(PassError::Failed(why.to_string())),
        Err(CallError::Unknown(why)) => Err(PassError::Failed(why)),
    }
}
