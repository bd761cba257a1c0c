//! Freed blocks go to the SCM, and then out of the deleted table.

use std::time::Instant;

use async_trait::async_trait;
use om_core::{RemoveReclaimed, pending};
use runtime::{Pace, PassError, PassStatus, Reconcile};
use scm_api::DeleteBlocks;
use serde::Serialize;
use types::{Millis, Timestamp};

use super::{PATIENCE, propose};
use crate::Config;
use crate::blocks::ScmSide;
use crate::service::Log;

/// The SCM first, durably, and only then the row: a crash between hands the blocks over twice, which the SCM bears; the other
/// order would lose them.
pub(crate) struct KeyDeletion {
    log: Log,
    side: ScmSide,
    grace: Millis,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    rows: usize,
    blocks: usize,
}

/// Blocks handed over in one call: tens of kilobytes.
const BATCH: usize = 1_000;

impl KeyDeletion {
    pub(crate) fn new(config: &Config, log: Log, side: ScmSide) -> Self {
        Self { log, side, grace: config.reclaim_after.into() }
    }
}

#[async_trait]
impl Reconcile for KeyDeletion {
    const NAME: &'static str = "key-deletion";
    type Report = Report;

    async fn pass(&mut self, now: Timestamp) -> Result<PassStatus<Report>, PassError> {
        let freed_before = now - self.grace;
        let found = self.log.glance(|tables| pending::reclaim(tables, freed_before, BATCH))?;
        if found.rows.is_empty() {
            return Ok(PassStatus { pace: Pace::Rest, report: Report::default() });
        }
        let report = Report { rows: found.rows.len(), blocks: found.blocks.len() };
        let cx = self.side.call(Instant::now() + PATIENCE);
        let handed_over = self.side.scm.delete_blocks(cx, DeleteBlocks { blocks: found.blocks }).await;
        handed_over.map_err(|error| PassError::Failed(format!("handing blocks to the SCM: {error}")))?;
        propose(&self.log, RemoveReclaimed { rows: found.rows }).await?;
        metrics::counter!("om_blocks_reclaimed_total").increment(report.blocks as u64);
        Ok(PassStatus { pace: if found.more { Pace::Again } else { Pace::Rest }, report })
    }
}
