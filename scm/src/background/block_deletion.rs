//! Sees deleted blocks to the end: until every replica has given their space back.

use std::sync::Arc;

use async_trait::async_trait;
use runtime::{Pace, PassError, PassStatus, Reconcile};
use scm_core::command::{AcknowledgeDeletions, Acknowledgement, FinishDeletions};
use scm_core::plan::deletions::{DeletionPlan, plan_deletions};
use scm_core::rows::{DatanodeRow, all};
use serde::Serialize;
use types::Timestamp;

use super::fault;
use crate::service::ScmService;

pub(super) struct BlockDeletion(pub(super) Arc<ScmService>);

#[derive(Debug, Serialize)]
pub(super) struct DeletionReport {
    acknowledged: usize,
    ordered: usize,
    finished: usize,
}

#[async_trait]
impl Reconcile for BlockDeletion {
    const NAME: &'static str = "block-deletion";
    type Report = DeletionReport;

    async fn pass(&mut self, _now: Timestamp) -> Result<PassStatus<DeletionReport>, PassError> {
        let scm = &*self.0;
        let acknowledged = self.note_acknowledgements().await?;
        let plan = self.plan()?;
        let finished = plan.finished.len();
        if finished > 0 {
            scm.log().carry_out(FinishDeletions { transactions: plan.finished }).await?;
            metrics::counter!("scm_deletions_finished_total").increment(finished as u64);
        }
        // A round over all rows goes on only as long as it gets something done; what waits for datanodes waits for a pause too.
        let got_something_done = finished + plan.ordered > 0;
        let pace = if plan.has_more && got_something_done { Pace::Again } else { Pace::Rest };
        Ok(PassStatus { pace, report: DeletionReport { acknowledged, ordered: plan.ordered, finished } })
    }
}

impl BlockDeletion {
    /// What datanodes have told since the last pass, in one entry.
    async fn note_acknowledgements(&self) -> Result<usize, PassError> {
        let taken = self.0.leader().with(|soft| std::mem::take(&mut soft.acknowledged))?;
        if taken.is_empty() {
            return Ok(0);
        }
        let count = taken.values().map(std::collections::BTreeSet::len).sum();
        let acknowledgements = taken
            .into_iter()
            .map(|(datanode, transactions)| Acknowledgement { datanode, transactions: transactions.into_iter().collect() })
            .collect();
        // Lost with a failure here, they are told again: the orders are repeated.
        self.0.log().carry_out(AcknowledgeDeletions { acknowledgements }).await?;
        Ok(count)
    }

    fn plan(&self) -> Result<DeletionPlan, PassError> {
        let scm = &*self.0;
        scm.leader()
            .with(|soft| {
                scm.log().read(|tables| {
                    let nodes = soft.census.nodes(&all::<DatanodeRow>(tables)?);
                    let copying = soft.underway.copying();
                    let policy = scm.config().deletions();
                    let plan = plan_deletions(tables, &soft.census, &nodes, &copying, &mut soft.deleting, policy)?;
                    metrics::gauge!("scm_blocks_to_delete").set(soft.deleting.blocks() as f64);
                    Ok(plan)
                })
            })?
            .map_err(fault)
    }
}
