//! Introduces this datanode to the SCM, and from then on tells what it holds and takes orders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use datanode_core::record::ContainerState;
use datanode_core::report::ReportBook;
use rpc::{CallContext, CallError};
use scm_api::{ContainerReport, DiskReport, Heartbeat, HeartbeatRejected, RegisterDatanode, RegisterRejected, ReplicaState};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};
use types::{ClusterId, ContainerId, DatanodeId, RequestId};

use super::orders;
use crate::datanode::Inner;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Everything is told again this often, should the two ever have come to differ.
const FULL_EVERY: u32 = 600;

pub(crate) struct Beat {
    datanode: Arc<Inner>,
    book: ReportBook<ContainerId, ContainerReport>,
    every: Duration,
    id: Option<DatanodeId>,
    since_full: u32,
    /// One at a time, however long it takes.
    tending: Option<JoinHandle<Option<()>>>,
}

impl Beat {
    pub(crate) fn new(datanode: Arc<Inner>) -> Self {
        let every = datanode.config.heartbeat_every;
        Self { datanode, book: ReportBook::default(), every, id: None, since_full: 0, tending: None }
    }

    pub(crate) async fn run(mut self) {
        loop {
            match self.id {
                None => self.register().await,
                Some(id) => self.beat(id).await,
            }
            if self.id.is_some() && !self.datanode.is_registered.load(Ordering::Acquire) {
                // The first heartbeat follows at once: it brings the token keys.
                self.datanode.is_registered.store(true, Ordering::Release);
                continue;
            }
            let _ = tokio::time::timeout(self.every, self.datanode.beat.notified()).await;
        }
    }

    fn cx(&self) -> CallContext {
        CallContext::local(RequestId::from_u128(self.datanode.entropy.u128()), TIMEOUT)
    }

    async fn register(&mut self) {
        let datanode = &self.datanode;
        let known = match datanode.store.owner() {
            Ok(owner) => owner,
            Err(error) => return error!(%error, "cannot register"),
        };
        let request = RegisterDatanode {
            id: known.map(|(_, id)| id),
            name: datanode.config.name.clone(),
            data_endpoint: datanode.config.data_endpoint.clone(),
            rpc_endpoint: datanode.config.rpc_endpoint.clone(),
            disks: disks(datanode),
            rack: datanode.config.rack.clone(),
        };
        match datanode.scm.register_datanode(self.cx(), request).await {
            Ok(registered) => {
                let Some(cluster) = ClusterId::parse(&registered.cluster_id) else {
                    return error!(cluster = %registered.cluster_id, "the SCM names its cluster in a way we do not know");
                };
                if let Some((other, id)) = known
                    && (other, id) != (cluster, registered.id)
                {
                    return error!(%cluster, id = %registered.id, ours = %other, "these disks belong to another cluster or datanode");
                }
                let store = Arc::clone(&datanode.store);
                let owned = tokio::task::spawn_blocking(move || store.set_owner(cluster, registered.id)).await;
                match owned.map_err(|error| error.to_string()).and_then(|owned| owned.map_err(|error| error.to_string())) {
                    Ok(()) => {}
                    Err(why) => return error!(%why, "cannot write the identity down"),
                }
                info!(id = %registered.id, %cluster, "registered");
                if registered.heartbeat_every_ms > 0 {
                    self.every = Duration::from_millis(registered.heartbeat_every_ms);
                }
                self.id = Some(registered.id);
                self.book.tell_everything();
            }
            Err(CallError::Rejected(rejection @ (RegisterRejected::UnknownId | RegisterRejected::IdInUse))) => {
                error!(%rejection, "the SCM refuses this datanode");
            }
            Err(failure) => warn!(%failure, "cannot reach the SCM"),
        }
    }

    /// What a disk's state asks for, beside the heartbeats: a disk that hangs must not keep the SCM from hearing of the others.
    fn tend(&mut self) {
        if self.tending.as_ref().is_some_and(|tending| !tending.is_finished()) {
            return;
        }
        let datanode = Arc::clone(&self.datanode);
        self.tending = Some(self.datanode.shutdown.spawn_until(async move {
            let store = Arc::clone(&datanode.store);
            let freeing = tokio::task::spawn_blocking(move || {
                if store.lacks_ballast() {
                    store.restore_ballast();
                }
                store.finish_removals();
            });
            // Without ballast the disk is reported as full; nothing more hangs on it.
            let _ = freeing.await;
            datanode.pipelines.tend().await;
        }));
    }

    async fn beat(&mut self, id: DatanodeId) {
        let datanode = Arc::clone(&self.datanode);
        self.tend();
        self.since_full += 1;
        if datanode.report_in_full.swap(false, Ordering::AcqRel) || self.since_full >= FULL_EVERY {
            self.book.tell_everything();
        }
        let held = held(&datanode);
        let report = self.book.report(&held);
        let deleted = datanode.orders.deleted();
        let gone = |container: &ContainerId| ContainerReport {
            container: *container,
            state: ReplicaState::Unhealthy,
            commit_index: 0,
            blocks: 0,
            used: 0,
            missing_blocks: 0,
            is_deleted: true,
        };
        let containers = report.changed.iter().map(|(_, one)| one.clone()).chain(report.gone.iter().map(gone)).collect();
        let heartbeat = Heartbeat {
            id,
            incarnation: datanode.incarnation,
            disks: disks(&datanode),
            pipelines: datanode.pipelines.reports(),
            containers,
            is_full_report: report.is_full,
            deleted: deleted.clone(),
        };
        let answer = datanode.scm.heartbeat(self.cx(), heartbeat).await;
        datanode.is_heard.store(answer.is_ok(), Ordering::Release);
        match answer {
            Ok(reply) => {
                if report.is_full {
                    self.since_full = 0;
                }
                self.book.accept(report);
                datanode.orders.reported(&deleted);
                if let Some(keys) = reply.token_keys {
                    datanode.tokens.set_keys(keys);
                    datanode.ready.send_replace(true);
                }
                for order in reply.orders {
                    orders::begin(&datanode, order);
                }
            }
            Err(CallError::Rejected(HeartbeatRejected::NotRegistered)) => self.id = None,
            Err(CallError::Rejected(HeartbeatRejected::Retired)) => {
                error!(%id, "this datanode was retired; its disks must be wiped before it can join again");
            }
            // Nothing was accepted for all we know; the next one tells it again.
            Err(failure) => warn!(%failure, "heartbeat failed"),
        }
    }
}

fn disks(datanode: &Inner) -> Vec<DiskReport> {
    let report = |disk: &Arc<crate::disk::Disk>| {
        let space = disk.space();
        DiskReport {
            path: disk.root.display().to_string(),
            capacity: space.capacity,
            used: space.used,
            remaining: space.remaining,
            failed: disk.failure(),
        }
    };
    datanode.store.disks.iter().map(report).collect()
}

/// Every replica here, as the SCM should see it. Those of a failed disk are gone.
fn held(datanode: &Inner) -> BTreeMap<ContainerId, ContainerReport> {
    let containers = datanode.store.containers().into_iter();
    let serving = containers.filter(|container| container.disk.failure().is_none() && !container.is_gone());
    serving
        .map(|container| {
            let row = container.row();
            let state = match row.state {
                _ if row.is_damaged => ReplicaState::Unhealthy,
                ContainerState::Open => ReplicaState::Open,
                ContainerState::Closed => ReplicaState::Closed,
                ContainerState::QuasiClosed => ReplicaState::QuasiClosed,
            };
            let report = ContainerReport {
                container: container.id,
                state,
                commit_index: row.commit_index,
                blocks: row.blocks,
                used: row.used,
                missing_blocks: row.missing,
                is_deleted: false,
            };
            (container.id, report)
        })
        .collect()
}
