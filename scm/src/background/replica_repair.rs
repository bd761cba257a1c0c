//! Restores replicas that are missing and removes those that are too many. The orders ride on heartbeat replies.

use std::sync::Arc;

use async_trait::async_trait;
use runtime::{Pace, PassError, PassStatus, Reconcile};
use scm_core::census::{Health, Nodes};
use scm_core::plan::repairs::{ContainerCensus, Repair, RepairPlan, plan_repairs};
use scm_core::rows::{DatanodeRow, PipelinePhase, PipelineRow, all};
use serde::Serialize;
use tracing::info;
use types::Timestamp;

use super::fault;
use crate::leader::SafeMode;
use crate::service::ScmService;

pub(super) struct ReplicaRepair(pub(super) Arc<ScmService>);

#[derive(Debug, Serialize)]
pub(super) struct RepairReport {
    containers: u64,
    under_replicated: u64,
    over_replicated: u64,
    missing: u64,
    unhealthy_replicas: u64,
    begun: usize,
    underway: usize,
}

#[async_trait]
impl Reconcile for ReplicaRepair {
    const NAME: &'static str = "replica-repair";
    type Report = RepairReport;

    async fn pass(&mut self, _now: Timestamp) -> Result<PassStatus<RepairReport>, PassError> {
        let scm = &*self.0;
        // A leader that has lost its office without noticing must not have replicas removed beside the new one.
        scm.leader().with(|_| ())?;
        scm.log().barrier().await?;
        let (plan, underway) = self.plan()?;
        for (container, datanode, repair) in &plan.begun {
            match repair {
                Repair::Copy => info!(%container, %datanode, "copying a replica"),
                Repair::Delete => info!(%container, %datanode, "removing a replica"),
            }
        }
        let ContainerCensus { containers, under_replicated, over_replicated, missing, unhealthy_replicas } = plan.census;
        let begun = plan.begun.len();
        count_begun(&plan);
        let pace = if begun >= scm.config().repairs().per_pass { Pace::Again } else { Pace::Rest };
        let report = RepairReport { containers, under_replicated, over_replicated, missing, unhealthy_replicas, begun, underway };
        Ok(PassStatus { pace, report })
    }
}

impl ReplicaRepair {
    fn plan(&self) -> Result<(RepairPlan, usize), PassError> {
        let scm = &*self.0;
        scm.leader()
            .with(|soft| {
                scm.log().read(|tables| {
                    let nodes = soft.census.nodes(&all::<DatanodeRow>(tables)?);
                    show(&nodes, &all::<PipelineRow>(tables)?);
                    if soft.safe_mode != SafeMode::Off {
                        return Ok((RepairPlan::default(), soft.underway.len()));
                    }
                    let plan = plan_repairs(tables, &soft.census, &nodes, &mut soft.underway, scm.config().repairs())?;
                    show_containers(plan.census);
                    Ok((plan, soft.underway.len()))
                })
            })?
            .map_err(fault)
    }
}

fn show(nodes: &Nodes, pipelines: &[(types::PipelineId, PipelineRow)]) {
    for (health, name) in [(Health::Healthy, "healthy"), (Health::Stale, "stale"), (Health::Dead, "dead")] {
        metrics::gauge!("scm_datanodes", "state" => name).set(nodes.count(health) as f64);
    }
    let open = pipelines.iter().filter(|(_, row)| row.phase == PipelinePhase::Open).count();
    metrics::gauge!("scm_pipelines_open").set(open as f64);
}

fn show_containers(census: ContainerCensus) {
    metrics::gauge!("scm_containers").set(census.containers as f64);
    metrics::gauge!("scm_containers_under_replicated").set(census.under_replicated as f64);
    metrics::gauge!("scm_containers_over_replicated").set(census.over_replicated as f64);
    metrics::gauge!("scm_containers_missing").set(census.missing as f64);
    metrics::gauge!("scm_replicas_unhealthy").set(census.unhealthy_replicas as f64);
}

fn count_begun(plan: &RepairPlan) {
    for (_, _, repair) in &plan.begun {
        let kind = match repair {
            Repair::Copy => "copy",
            Repair::Delete => "delete",
        };
        metrics::counter!("scm_repairs_begun_total", "kind" => kind).increment(1);
    }
}
