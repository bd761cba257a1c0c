//! What the leader does without being asked. Each service makes a plan from rows and census and carries out a bounded piece.

mod block_deletion;
mod containers;
mod office;
mod pipelines;
mod replica_repair;
pub(crate) mod safe_mode;
mod token_keys;

use std::sync::Arc;

use runtime::{PassError, Reconcile, Reconcilers, Shutdown};
use tables::StorageFault;
use tracing::error;

use crate::service::ScmService;

use block_deletion::BlockDeletion;
use containers::Containers;
use pipelines::Pipelines;
use replica_repair::ReplicaRepair;
use token_keys::TokenKeyRotation;

pub(crate) fn start(service: &Arc<ScmService>, shutdown: &Shutdown) {
    let pause = service.config().pass_every;
    let services = service.reconcilers();
    services.start(Pipelines(Arc::clone(service)), pause);
    services.start(Containers(Arc::clone(service)), pause);
    services.start(ReplicaRepair(Arc::clone(service)), pause);
    services.start(BlockDeletion(Arc::clone(service)), pause);
    services.start(TokenKeyRotation(Arc::clone(service)), pause);
    shutdown.spawn_until(office::hold(Arc::clone(service)));
}

/// Datanodes, pipelines or replicas are not as they were.
pub(crate) fn hurry(services: &Reconcilers) {
    for name in [Pipelines::NAME, Containers::NAME, ReplicaRepair::NAME] {
        services.nudge(name);
    }
}

/// There are blocks to delete, or some were deleted.
pub(crate) fn hurry_deletions(services: &Reconcilers) {
    services.nudge(BlockDeletion::NAME);
}

fn fault(fault: StorageFault) -> PassError {
    error!(%fault, "reading the rows failed");
    PassError::Failed(fault.to_string())
}
