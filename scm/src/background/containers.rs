//! Takes containers from open to closed as their replicas report, and drops emptied ones.

use std::sync::Arc;

use async_trait::async_trait;
use runtime::{Pace, PassError, PassStatus, Reconcile};
use scm_core::command::{CloseContainers, DropContainers, FinishContainers, NoteContainers};
use scm_core::plan::containers::{ContainerPlan, plan_containers};
use scm_core::rows::{DatanodeRow, all};
use serde::Serialize;
use tracing::info;
use types::Timestamp;

use super::fault;
use crate::leader::SafeMode;
use crate::service::ScmService;

pub(super) struct Containers(pub(super) Arc<ScmService>);

#[derive(Debug, Serialize)]
pub(super) struct ContainersReport {
    closed: usize,
    finished: usize,
    noted: usize,
    dropped: usize,
}

#[async_trait]
impl Reconcile for Containers {
    const NAME: &'static str = "containers";
    type Report = ContainersReport;

    async fn pass(&mut self, _now: Timestamp) -> Result<PassStatus<ContainersReport>, PassError> {
        let scm = &*self.0;
        let plan = self.plan()?;
        let is_full = plan.len() >= scm.config().containers().per_pass;
        let ContainerPlan { close, finish, note, drop } = plan;
        let report = ContainersReport { closed: close.len(), finished: finish.len(), noted: note.len(), dropped: drop.len() };
        if !note.is_empty() {
            scm.log().carry_out(NoteContainers { notes: note }).await?;
        }
        if !close.is_empty() {
            info!(containers = ?close, "closing containers");
            scm.log().carry_out(CloseContainers { containers: close }).await?;
        }
        if !finish.is_empty() {
            info!(containers = ?finish.iter().map(|f| f.container).collect::<Vec<_>>(), "containers closed");
            scm.log().carry_out(FinishContainers { containers: finish }).await?;
        }
        if !drop.is_empty() {
            info!(containers = ?drop, "dropping empty containers");
            scm.log().carry_out(DropContainers { containers: drop }).await?;
        }
        if report.finished + report.dropped > 0 {
            super::hurry(scm.reconcilers());
        }
        Ok(PassStatus { pace: if is_full { Pace::Again } else { Pace::Rest }, report })
    }
}

impl Containers {
    fn plan(&self) -> Result<ContainerPlan, PassError> {
        let scm = &*self.0;
        scm.leader()
            .with(|soft| {
                scm.log().read(|tables| {
                    let nodes = soft.census.nodes(&all::<DatanodeRow>(tables)?);
                    let mut plan = plan_containers(tables, &soft.census, &nodes, &mut soft.full, scm.config().containers())?;
                    if soft.safe_mode != SafeMode::Off || !nodes.is_complete() {
                        // Nothing is given up on the word of some.
                        plan.drop.clear();
                    }
                    Ok(plan)
                })
            })?
            .map_err(fault)
    }
}
