//! Certificates are renewed long before they end, without a restart.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pki::{Tls, enroll};
use runtime::{Clock, Shutdown};
use tracing::{error, info, warn};
use types::Endpoint;

const LOOK_EVERY: Duration = Duration::from_secs(600);

pub(super) fn start(tls: Tls, folder: PathBuf, scms: Vec<Endpoint>, clock: Arc<dyn Clock>, shutdown: &Shutdown) {
    shutdown.spawn_until(async move {
        loop {
            if tls.identity().wants_renewal(clock.now()) {
                renew(&tls, &folder, &scms).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
}

/// Stored first: a process that restarts must not find the old one.
async fn renew(tls: &Tls, folder: &std::path::Path, scms: &[Endpoint]) {
    let identity = match enroll::renew(scms, tls).await {
        Ok(identity) => identity,
        Err(error) => return warn!(%error, "renewing the certificate; trying again later"),
    };
    if let Err(error) = identity.store(folder) {
        return error!(%error, "keeping the renewed certificate");
    }
    match tls.replace(identity) {
        Ok(()) => info!("renewed the certificate"),
        Err(error) => error!(%error, "using the renewed certificate"),
    }
}
