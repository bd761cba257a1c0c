//! Work that follows from rows: each service looks at what there is, does a bounded piece, and comes again.
//!
//! A pass reads this member's own state while it leads, and proposes commands that look again when they are applied; so a pass
//! of a leader that has just been replaced changes nothing that is not true.

mod key_deletion;
mod open_key_cleanup;
mod upload_cleanup;

pub(crate) use key_deletion::KeyDeletion;
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
    log.propose(None, command, Instant::now() + PATIENCE).await.map_err(|error| match error {
        CallError::NotApplied(NotApplied::NotLeader(_)) => PassError::NotLeader,
        CallError::NotApplied(why) => PassError::Failed(why.to_string()),
        CallError::Unknown(why) => PassError::Failed(why),
        CallError::Rejected(never) => match never {},
    })
}
