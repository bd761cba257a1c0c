//! Between the words of the API and the words of the core: this year's peers read the one, our own future the other.

use std::collections::BTreeMap;

use scm_api::token::{TokenKey, TokenKeys};
use scm_api::{ContainerReport, ContainerState, DatanodeState, DiskReport, Heartbeat, PipelineState, ReplicaState};
use scm_core::census::{Health, Hearing, Replica, ReplicaPhase, Scope, Service, Space};
use scm_core::rows::{ContainerPhase, DatanodeRow, PipelinePhase, TokenKeyRow};
use types::{ContainerId, DatanodeId};

pub(crate) fn hearing(heartbeat: &Heartbeat) -> Hearing {
    let service = |report: &scm_api::PipelineReport| {
        let service = Service { is_leader: report.is_leader, term: report.term, is_lagging: report.is_lagging };
        (report.pipeline, service)
    };
    Hearing {
        incarnation: heartbeat.incarnation,
        space: space(&heartbeat.disks),
        pipelines: heartbeat.pipelines.iter().map(service).collect(),
        scope: if heartbeat.is_full_report { Scope::Everything } else { Scope::Changes },
        replicas: heartbeat.containers.iter().map(replica).collect(),
    }
}

/// What can be used: a disk that is out of service has no room.
fn space(disks: &[DiskReport]) -> Space {
    disks.iter().filter(|disk| disk.failed.is_none()).fold(Space::default(), |sum, disk| Space {
        capacity: sum.capacity.saturating_add(disk.capacity),
        used: sum.used.saturating_add(disk.used),
        remaining: sum.remaining.saturating_add(disk.remaining),
    })
}

fn replica(report: &ContainerReport) -> (ContainerId, Option<Replica>) {
    let ContainerReport { container, state, commit_index, blocks, used, missing_blocks, is_deleted } = *report;
    let phase = match state {
        ReplicaState::Open => ReplicaPhase::Open,
        ReplicaState::Closed => ReplicaPhase::Closed,
        ReplicaState::QuasiClosed => ReplicaPhase::QuasiClosed,
        ReplicaState::Unhealthy => ReplicaPhase::Unhealthy,
    };
    (container, (!is_deleted).then_some(Replica { phase, commit_index, blocks, used, missing_blocks }))
}

pub(crate) fn replica_state(phase: ReplicaPhase) -> ReplicaState {
    match phase {
        ReplicaPhase::Open => ReplicaState::Open,
        ReplicaPhase::Closed => ReplicaState::Closed,
        ReplicaPhase::QuasiClosed => ReplicaState::QuasiClosed,
        ReplicaPhase::Unhealthy => ReplicaState::Unhealthy,
    }
}

pub(crate) fn datanode_state(health: Health) -> DatanodeState {
    match health {
        Health::Healthy => DatanodeState::Healthy,
        Health::Stale => DatanodeState::Stale,
        Health::Dead => DatanodeState::Dead,
    }
}

pub(crate) fn pipeline_state(phase: PipelinePhase) -> PipelineState {
    match phase {
        PipelinePhase::Allocated => PipelineState::Allocated,
        PipelinePhase::Open => PipelineState::Open,
        PipelinePhase::Closing => PipelineState::Closing,
    }
}

pub(crate) fn container_state(phase: ContainerPhase) -> ContainerState {
    match phase {
        ContainerPhase::Open => ContainerState::Open,
        ContainerPhase::Closing => ContainerState::Closing,
        ContainerPhase::Closed => ContainerState::Closed,
        ContainerPhase::QuasiClosed => ContainerState::QuasiClosed,
        ContainerPhase::Deleted => ContainerState::Deleted,
    }
}

pub(crate) fn token_keys<'a>(rows: impl IntoIterator<Item = &'a (u32, TokenKeyRow)>) -> TokenKeys {
    let key = |(id, row): &(u32, TokenKeyRow)| TokenKey {
        id: *id,
        secret: row.secret,
        seals_until: row.seals_until,
        expires: row.expires,
    };
    TokenKeys { keys: rows.into_iter().map(key).collect() }
}

/// Where datanodes answer.
pub(crate) struct Addresses(BTreeMap<DatanodeId, DatanodeRow>);

impl Addresses {
    pub(crate) fn new(rows: &[(DatanodeId, DatanodeRow)]) -> Self {
        Self(rows.iter().cloned().collect())
    }

    pub(crate) fn row(&self, datanode: DatanodeId) -> Option<&DatanodeRow> {
        self.0.get(&datanode)
    }

    pub(crate) fn replica(&self, datanode: DatanodeId) -> Option<types::Replica> {
        self.row(datanode).map(|row| types::Replica { datanode, endpoint: row.data_endpoint.clone() })
    }

    pub(crate) fn replicas(&self, datanodes: impl IntoIterator<Item = DatanodeId>) -> Vec<types::Replica> {
        datanodes.into_iter().filter_map(|datanode| self.replica(datanode)).collect()
    }
}
