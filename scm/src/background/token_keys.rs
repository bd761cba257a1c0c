//! Turns the token keys over before the newest one ends.

use std::sync::Arc;

use async_trait::async_trait;
use runtime::{Pace, PassError, PassStatus, Reconcile};
use scm_core::command::{AddTokenKey, KeyAdded};
use scm_core::rows::{TokenKeyRow, all};
use serde::Serialize;
use tracing::info;
use types::Timestamp;

use super::fault;
use crate::service::ScmService;

pub(super) struct TokenKeyRotation(pub(super) Arc<ScmService>);

#[derive(Debug, Serialize)]
pub(super) struct KeyReport {
    keys: usize,
    newest: Option<u32>,
}

#[async_trait]
impl Reconcile for TokenKeyRotation {
    const NAME: &'static str = "token-keys";
    type Report = KeyReport;

    async fn pass(&mut self, now: Timestamp) -> Result<PassStatus<KeyReport>, PassError> {
        let scm = &*self.0;
        scm.leader().with(|_| ())?;
        let keys = scm.log().read(|tables| all::<TokenKeyRow>(tables)).map_err(fault)?;
        let newest = keys.last();
        let report = KeyReport { keys: keys.len(), newest: newest.map(|(id, _)| *id) };
        let policy = scm.config().token_keys();
        if let Some(from) = policy.rotation_due(newest.map(|(_, key)| key), now) {
            let mut secret = [0; 32];
            scm.entropy().fill(&mut secret);
            let change = AddTokenKey { after: report.newest, key: policy.key(secret, from), now };
            if scm.log().carry_out(change).await? == KeyAdded::Added {
                info!(seals_from = %from, "new token key");
            }
        }
        Ok(PassStatus { pace: Pace::Rest, report })
    }
}
