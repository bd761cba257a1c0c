//! Makes, opens, closes and removes pipelines.

use std::sync::Arc;

use async_trait::async_trait;
use runtime::{Pace, PassError, PassStatus, Reconcile};
use scm_core::command::{ClosePipeline, CreatePipeline, OpenPipeline, RemovePipeline};
use scm_core::plan::pipelines::{PipelineAction, plan_pipelines};
use scm_core::rows::{DatanodeRow, all};
use serde::Serialize;
use tracing::{info, warn};
use types::Timestamp;

use super::fault;
use super::safe_mode::look;
use crate::service::ScmService;

pub(super) struct Pipelines(pub(super) Arc<ScmService>);

#[derive(Debug, Serialize)]
pub(super) struct PipelinesReport {
    actions: usize,
}

#[async_trait]
impl Reconcile for Pipelines {
    const NAME: &'static str = "pipelines";
    type Report = PipelinesReport;

    async fn pass(&mut self, _now: Timestamp) -> Result<PassStatus<PipelinesReport>, PassError> {
        // Time is looked at on every member, leading or not, so that a new leader's first step is a short one.
        self.0.leader().tick();
        let actions = self.plan()?;
        let count = actions.len();
        for action in actions {
            self.carry_out(action).await?;
        }
        // The rows have changed: what follows from that needs no heartbeat to be seen.
        let pace = if count > 0 { Pace::Again } else { Pace::Rest };
        Ok(PassStatus { pace, report: PipelinesReport { actions: count } })
    }
}

impl Pipelines {
    fn plan(&self) -> Result<Vec<PipelineAction>, PassError> {
        let scm = &*self.0;
        scm.leader()
            .with(|soft| {
                scm.log().read(|tables| {
                    let nodes = soft.census.nodes(&all::<DatanodeRow>(tables)?);
                    look(tables, soft, &nodes, scm.config().safe_mode())?;
                    plan_pipelines(tables, &soft.census, &nodes, &mut soft.waiting, &scm.config().pipelines())
                })
            })?
            .map_err(fault)
    }

    async fn carry_out(&self, action: PipelineAction) -> Result<(), PassError> {
        let log = self.0.log();
        match action {
            PipelineAction::Create { replication, members } => {
                match log.carry_out(CreatePipeline { replication, members: members.clone() }).await? {
                    Ok(pipeline) => info!(%pipeline, ?members, "pipeline allocated"),
                    Err(why) => return Err(PassError::Failed(format!("creating a pipeline of {members:?}: {why}"))),
                }
            }
            PipelineAction::Open(pipeline) => {
                if log.carry_out(OpenPipeline { pipeline }).await? {
                    info!(%pipeline, "pipeline open");
                }
            }
            PipelineAction::Close(pipeline) => {
                if log.carry_out(ClosePipeline { pipeline }).await? {
                    warn!(%pipeline, "closing pipeline");
                }
            }
            PipelineAction::Remove(pipeline) => {
                if log.carry_out(RemovePipeline { pipeline }).await? {
                    info!(%pipeline, "pipeline removed");
                }
            }
        }
        Ok(())
    }
}
