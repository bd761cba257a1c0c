//! An SCM in memory: it leases, locates, and notes what is deleted.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use rpc::{CallContext, CallError, Never, async_trait};
use scm_api::token::{TokenKey, TokenKeys};
use scm_api::*;
use types::*;

#[derive(Debug, Default)]
pub(crate) struct FakeScm {
    leased: AtomicU64,
    pub(crate) leases: AtomicU64,
    pub(crate) is_away: AtomicBool,
    pub(crate) cannot_locate: AtomicBool,
    /// Blocks are leased of other containers than before.
    pub(crate) new_containers: AtomicBool,
    /// In the order of their arrival.
    pub(crate) deleted: Mutex<Vec<BlockId>>,
}

impl FakeScm {
    pub(crate) fn token_keys() -> TokenKeys {
        let far = Timestamp(u64::MAX);
        TokenKeys { keys: vec![TokenKey { id: 1, secret: [3; 32], seals_until: far, expires: far }] }
    }

    pub(crate) fn deleted_blocks(&self) -> BTreeSet<BlockId> {
        self.deleted.lock().iter().copied().collect()
    }

    fn here<R>(&self) -> Result<(), CallError<R>> {
        if self.is_away.load(Ordering::SeqCst) { Err(CallError::unavailable("away")) } else { Ok(()) }
    }
}

fn replica(pipeline: PipelineId) -> Replica {
    Replica { datanode: DatanodeId(pipeline.0), endpoint: Endpoint(format!("datanode-{}:9859", pipeline.0)) }
}

/// Two pipelines with a container each.
const PIPELINES: [PipelineId; 2] = [PipelineId(1), PipelineId(2)];

#[async_trait]
impl Scm for FakeScm {
    async fn lease_blocks(&self, _: CallContext, request: LeaseBlocks) -> Result<LeasedBlocks, CallError<LeaseRejected>> {
        self.here()?;
        self.leases.fetch_add(1, Ordering::SeqCst);
        let open: Vec<PipelineId> = PIPELINES.into_iter().filter(|id| !request.exclude.contains(id)).collect();
        if open.is_empty() {
            return Err(CallError::Rejected(LeaseRejected::NoPipeline));
        }
        let count = request.count.div_ceil(open.len() as u32);
        let from = if self.new_containers.load(Ordering::SeqCst) { 100 } else { 0 };
        let range = |pipeline: PipelineId| BlockRange {
            container: ContainerId(from + pipeline.0),
            first: self.leased.fetch_add(u64::from(count), Ordering::SeqCst),
            count,
            pipeline,
            replicas: vec![replica(pipeline)],
        };
        let ranges = open.into_iter().map(range).collect();
        Ok(LeasedBlocks { ranges, expires: Timestamp(u64::MAX) })
    }

    async fn locate_containers(&self, _: CallContext, request: LocateContainers) -> Result<ContainerLocations, CallError<Never>> {
        self.here()?;
        if self.cannot_locate.load(Ordering::SeqCst) {
            return Err(CallError::unavailable("nobody knows"));
        }
        let locate = |container: ContainerId| ContainerLocation {
            container,
            pipeline: Some(PipelineId(container.0)),
            replicas: vec![replica(PipelineId(container.0))],
        };
        Ok(ContainerLocations { locations: request.containers.into_iter().map(locate).collect() })
    }

    async fn token_keys(&self, _: CallContext, (): ()) -> Result<TokenKeys, CallError<Never>> {
        self.here()?;
        Ok(Self::token_keys())
    }

    async fn delete_blocks(&self, _: CallContext, request: DeleteBlocks) -> Result<(), CallError<Never>> {
        self.here()?;
        self.deleted.lock().extend(request.blocks);
        Ok(())
    }

    async fn register_datanode(
        &self,
        _: CallContext,
        _: RegisterDatanode,
    ) -> Result<DatanodeRegistered, CallError<RegisterRejected>> {
        Err(CallError::unavailable("no datanodes here"))
    }

    async fn heartbeat(&self, _: CallContext, _: Heartbeat) -> Result<HeartbeatReply, CallError<HeartbeatRejected>> {
        Err(CallError::unavailable("no datanodes here"))
    }

    async fn overview(&self, _: CallContext, (): ()) -> Result<ScmOverview, CallError<Never>> {
        Err(CallError::unavailable("not asked by an OM"))
    }

    async fn datanodes(&self, _: CallContext, (): ()) -> Result<Vec<DatanodeInfo>, CallError<Never>> {
        Err(CallError::unavailable("not asked by an OM"))
    }

    async fn pipelines(&self, _: CallContext, (): ()) -> Result<Vec<PipelineInfo>, CallError<Never>> {
        Err(CallError::unavailable("not asked by an OM"))
    }

    async fn containers(&self, _: CallContext, _: ContainerPageRequest) -> Result<ContainerPage, CallError<Never>> {
        Err(CallError::unavailable("not asked by an OM"))
    }

    async fn leave_safe_mode(&self, _: CallContext, (): ()) -> Result<(), CallError<Never>> {
        Err(CallError::unavailable("not asked by an OM"))
    }

    async fn roles(&self, _: CallContext, (): ()) -> Result<RaftStatus, CallError<Never>> {
        Err(CallError::unavailable("not asked by an OM"))
    }

    async fn transfer_leadership(&self, _: CallContext, _: TransferLeadership) -> Result<(), CallError<TransferRejected>> {
        Err(CallError::unavailable("not asked by an OM"))
    }
}
