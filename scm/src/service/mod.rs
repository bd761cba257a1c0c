//! The service: starts everything, and answers.

mod admin;
mod blocks;
mod datanodes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use raft_node::{Group, TableMachine};
use rpc::{CallContext, CallError, Never};
use runtime::{Clock, Entropy, ReconcileStatus, Reconcilers, Shutdown};
use scm_api::token::TokenKeys;
use scm_api::{
    ContainerLocations, ContainerPage, ContainerPageRequest, DatanodeInfo, DatanodeRegistered, DeleteBlocks, Heartbeat,
    HeartbeatRejected, HeartbeatReply, LeaseBlocks, LeaseRejected, LeasedBlocks, LocateContainers, PipelineInfo,
    RegisterDatanode, RegisterRejected, Scm, ScmOverview, TransferLeadership, TransferRejected,
};
use types::RaftStatus;

use crate::authority::{AuthorityParts, OpenAuthority};
use crate::background;
use crate::config::{Config, ConfigError};
use crate::leader::Leader;
use crate::log::{Log, ScmCore};
use crate::uptime::Uptime;

/// What the SCM is built from; a simulation hands it others.
pub struct Parts {
    /// This process's member of the SCM's group, running on `machine`.
    pub group: Group,
    pub machine: Arc<TableMachine<ScmCore>>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// None in a single process, which has nobody to certify.
    pub authority: Option<AuthorityParts>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("group", &self.group).finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("wrong setting: {0}")]
    Config(#[from] ConfigError),
    #[error("an authority needs a join token")]
    NoJoinToken,
}

/// One member of the SCM.
#[derive(Debug)]
pub struct ScmService {
    config: Config,
    log: Log,
    leader: Arc<Leader>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    reconcilers: Reconcilers,
    authority_parts: Option<AuthorityParts>,
    open_authority: OpenAuthority,
}

impl ScmService {
    /// Starts the background services, which run until `shutdown`.
    pub fn start(config: Config, parts: Parts, shutdown: Shutdown) -> Result<Arc<Self>, StartError> {
        config.validate()?;
        let Parts { group, machine, clock, entropy, authority } = parts;
        if authority.as_ref().is_some_and(|parts| parts.join_tokens.is_empty()) {
            return Err(StartError::NoJoinToken);
        }
        let uptime = Arc::new(Uptime::new(Arc::clone(&clock)));
        let leader = Arc::new(Leader::new(group.leadership(), uptime, config.health()));
        let service = Arc::new(Self {
            log: Log::new(group, machine, Arc::clone(&entropy)),
            reconcilers: Reconcilers::new(Arc::clone(&clock), shutdown.clone()),
            config,
            leader,
            clock,
            entropy,
            authority_parts: authority,
            open_authority: OpenAuthority::default(),
        });
        background::start(&service, &shutdown);
        Ok(service)
    }

    /// How the background services fare.
    pub fn status(&self) -> std::collections::BTreeMap<String, ReconcileStatus> {
        self.reconcilers.status()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn leader(&self) -> &Leader {
        &self.leader
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    pub(crate) fn reconcilers(&self) -> &Reconcilers {
        &self.reconcilers
    }

    pub(crate) fn authority_parts(&self) -> Option<&AuthorityParts> {
        self.authority_parts.as_ref()
    }

    pub(crate) fn open_authority(&self) -> &OpenAuthority {
        &self.open_authority
    }

    async fn ready<R>(&self, cx: &CallContext) -> Result<(), CallError<R>> {
        Ok(self.leader.ready(cx.deadline).await?)
    }
}

/// A change of leader waits for the other member to catch up at most this long.
const TRANSFER_PATIENCE: Duration = Duration::from_secs(10);

#[async_trait]
impl Scm for ScmService {
    async fn register_datanode(
        &self,
        cx: CallContext,
        request: RegisterDatanode,
    ) -> Result<DatanodeRegistered, CallError<RegisterRejected>> {
        self.ready(&cx).await?;
        self.register(cx, request).await
    }

    async fn heartbeat(&self, cx: CallContext, request: Heartbeat) -> Result<HeartbeatReply, CallError<HeartbeatRejected>> {
        self.ready(&cx).await?;
        self.hear(&cx, &request)
    }

    async fn lease_blocks(&self, cx: CallContext, request: LeaseBlocks) -> Result<LeasedBlocks, CallError<LeaseRejected>> {
        self.ready(&cx).await?;
        self.lease(cx, request).await
    }

    async fn locate_containers(
        &self,
        cx: CallContext,
        request: LocateContainers,
    ) -> Result<ContainerLocations, CallError<Never>> {
        self.ready(&cx).await?;
        self.locate(&request)
    }

    async fn token_keys(&self, cx: CallContext, (): ()) -> Result<TokenKeys, CallError<Never>> {
        self.ready(&cx).await?;
        self.sealing_keys()
    }

    async fn delete_blocks(&self, cx: CallContext, request: DeleteBlocks) -> Result<(), CallError<Never>> {
        self.ready(&cx).await?;
        self.delete(cx, request).await
    }

    async fn overview(&self, cx: CallContext, (): ()) -> Result<ScmOverview, CallError<Never>> {
        self.ready(&cx).await?;
        self.overview_now()
    }

    async fn datanodes(&self, cx: CallContext, (): ()) -> Result<Vec<DatanodeInfo>, CallError<Never>> {
        self.ready(&cx).await?;
        self.list_datanodes()
    }

    async fn pipelines(&self, cx: CallContext, (): ()) -> Result<Vec<PipelineInfo>, CallError<Never>> {
        self.ready(&cx).await?;
        self.list_pipelines()
    }

    async fn containers(&self, cx: CallContext, request: ContainerPageRequest) -> Result<ContainerPage, CallError<Never>> {
        self.ready(&cx).await?;
        self.list_containers(&request)
    }

    async fn leave_safe_mode(&self, cx: CallContext, (): ()) -> Result<(), CallError<Never>> {
        self.ready(&cx).await?;
        self.end_safe_mode_by_hand()
    }

    async fn roles(&self, _: CallContext, (): ()) -> Result<RaftStatus, CallError<Never>> {
        Ok(self.log.group().status().to_raft_status(None))
    }

    async fn transfer_leadership(&self, cx: CallContext, request: TransferLeadership) -> Result<(), CallError<TransferRejected>> {
        self.ready(&cx).await?;
        self.transfer(request, cx.deadline.min(Instant::now() + TRANSFER_PATIENCE)).await
    }
}
