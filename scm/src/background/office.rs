//! Takes up the leadership when it falls to this member, and lays it down.

use std::sync::Arc;
use std::time::Duration;

use pki::ClusterCa;
use scm_core::command::Initialise;
use scm_core::rows::ClusterRow;
use tracing::{info, warn};
use types::ClusterId;

use crate::authority;
use crate::background::hurry;
use crate::log::CommandError;
use crate::service::ScmService;

/// Between tries to begin: a barrier fails while the new leader has no majority yet.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn hold(scm: Arc<ScmService>) {
    let mut leadership = scm.leader().leadership();
    let mut begun = None;
    loop {
        let now = leadership.borrow_and_update().clone();
        if !now.is_me {
            if begun.take().is_some() {
                info!(leader = ?now.leader, term = now.term, "no longer leading");
            }
            scm.leader().end();
        } else if begun != Some(now.term) {
            scm.leader().end();
            match take_up(&scm).await {
                Ok(cluster) => {
                    info!(%cluster, term = now.term, "leading");
                    scm.leader().begin(now.term);
                    begun = Some(now.term);
                    hurry(scm.reconcilers());
                }
                Err(why) => {
                    warn!(%why, term = now.term, "cannot begin to lead yet");
                    // The end of the wait is another try; so is a change.
                    let _ = tokio::time::timeout(PAUSE, leadership.changed()).await;
                    continue;
                }
            }
        }
        if leadership.changed().await.is_err() {
            scm.leader().end();
            return;
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum TakeUpError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Storage(#[from] tables::StorageFault),
    #[error("making the cluster's authority: {0}")]
    Authority(String),
}

/// Afterwards the rows here are at the end of the log, and there is a cluster.
async fn take_up(scm: &ScmService) -> Result<ClusterId, TakeUpError> {
    scm.log().barrier().await?;
    if let Some(cluster) = scm.log().read(|tables| ClusterRow::read(tables))? {
        return Ok(cluster.id);
    }
    let first = first_entry(scm)?;
    Ok(scm.log().carry_out(first).await?.cluster.id)
}

/// Everything that is rolled once for the cluster's life.
fn first_entry(scm: &ScmService) -> Result<Initialise, TakeUpError> {
    let now = scm.clock().now();
    let failed = |why: &dyn std::fmt::Display| TakeUpError::Authority(why.to_string());
    let genesis = scm.authority_parts().and_then(|parts| parts.genesis.as_ref());
    let id = genesis.map_or_else(|| ClusterId::from_u128(scm.entropy().u128()), |ca| ca.cluster());
    let authority = match scm.authority_parts() {
        None => None,
        Some(parts) => {
            let sealed = match genesis {
                Some(ca) => authority::seal(ca, &parts.join_tokens, scm.entropy()),
                None => {
                    let ca = ClusterCa::generate(id, now).map_err(|why| failed(&why))?;
                    authority::seal(&ca, &parts.join_tokens, scm.entropy())
                }
            };
            Some(sealed.map_err(|why| failed(&why))?)
        }
    };
    let mut secret = [0; 32];
    scm.entropy().fill(&mut secret);
    // The first key seals at once: nothing can be leased, and so nothing sealed, before datanodes have heard of it.
    Ok(Initialise { id, now, authority, token_key: scm.config().token_keys().key(secret, now) })
}
