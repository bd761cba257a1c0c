//! Temporary credentials that are over are forgotten; uses of keys are written down.

use std::sync::Arc;

use async_trait::async_trait;
use om_core::{EndCredentials, RecordKeyUses, pending};
use runtime::{Pace, PassError, PassStatus, Reconcile};
use serde::Serialize;
use types::Timestamp;

use super::propose;
use crate::convert::IntoCore;
use crate::key_uses::KeyUses;
use crate::service::Log;

pub(crate) struct CredentialCleanup {
    log: Log,
    uses: Arc<KeyUses>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    ended: u32,
    uses_written: usize,
}

/// Rows that one command removes or writes.
const BATCH: u32 = 1_000;

impl CredentialCleanup {
    pub(crate) fn new(log: Log, uses: Arc<KeyUses>) -> Self {
        Self { log, uses }
    }
}

#[async_trait]
impl Reconcile for CredentialCleanup {
    const NAME: &'static str = "credential-cleanup";
    type Report = Report;

    async fn pass(&mut self, now: Timestamp) -> Result<PassStatus<Report>, PassError> {
        let oldest = self.log.glance(pending::first_credential_to_end)?;
        let mut report = Report::default();
        let mut pace = Pace::Rest;
        if oldest.is_some_and(|oldest| oldest <= now) {
            report.ended = propose(&self.log, EndCredentials { until: now, most: BATCH }).await?;
            if report.ended == BATCH {
                pace = Pace::Again;
            }
        }
        let due = self.uses.due(usize::try_from(BATCH).unwrap_or(usize::MAX));
        if !due.is_empty() {
            let uses = due.iter().map(|(key, at)| (key.clone().into_core(), *at)).collect();
            propose(&self.log, RecordKeyUses { uses }).await?;
            self.uses.written(&due);
            report.uses_written = due.len();
        }
        Ok(PassStatus { pace, report })
    }
}
