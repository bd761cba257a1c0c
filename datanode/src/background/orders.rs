//! Carries out what the SCM orders. Orders come again until a report shows their effect, so one that is under way is not begun
//! twice, and one that failed is simply tried when it comes again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datanode_core::command::PipelineCommand;
use datanode_core::record::ContainerState;
use parking_lot::Mutex;
use scm_api::Order;
use tokio::sync::Semaphore;
use tracing::{debug, warn};
use types::{ContainerId, PipelineId};

use crate::datanode::Inner;
use crate::ops;

/// Container copies at one time: each takes a disk's and a link's full pace.
const COPIES: usize = 2;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Orders {
    under_way: Mutex<BTreeSet<String>>,
    /// Delete orders that are durable and not yet reported.
    deleted: Mutex<BTreeSet<u64>>,
    copies: Semaphore,
}

impl Default for Orders {
    fn default() -> Self {
        Self { under_way: Mutex::default(), deleted: Mutex::default(), copies: Semaphore::new(COPIES) }
    }
}

impl Orders {
    pub(crate) fn deleted(&self) -> Vec<u64> {
        self.deleted.lock().iter().copied().collect()
    }

    /// The SCM knows of these now.
    pub(crate) fn reported(&self, transactions: &[u64]) {
        let mut deleted = self.deleted.lock();
        for transaction in transactions {
            deleted.remove(transaction);
        }
    }
}

/// Begins an order; it runs by itself.
pub(crate) fn begin(datanode: &Arc<Inner>, order: Order) {
    let key = key_of(&order);
    if !datanode.orders.under_way.lock().insert(key.clone()) {
        return;
    }
    let datanode = Arc::clone(datanode);
    let shutdown = datanode.shutdown.clone();
    shutdown.spawn_until(async move {
        let _under_way = UnderWay { datanode: Arc::clone(&datanode), key };
        debug!(?order, "order");
        if let Err(why) = carry_out(&datanode, order.clone()).await {
            warn!(?order, %why, "the order failed");
        }
        datanode.beat.notify_one();
    });
}

/// Lets the order come again, however this one ended.
struct UnderWay {
    datanode: Arc<Inner>,
    key: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.datanode.orders.under_way.lock().remove(&self.key);
    }
}

fn key_of(order: &Order) -> String {
    match order {
        Order::CreatePipeline { pipeline, .. } | Order::DestroyPipeline { pipeline } => pipeline.to_string(),
        Order::CloseContainer { container, .. } => format!("close {container}"),
        Order::ReplicateContainer { container, .. } | Order::DeleteContainer { container } => container.to_string(),
        Order::DeleteBlocks { transaction, .. } => format!("delete {transaction}"),
        Order::ReportInFull => "report".to_owned(),
    }
}

async fn carry_out(datanode: &Arc<Inner>, order: Order) -> Result<(), String> {
    match order {
        Order::CreatePipeline { pipeline, members } => {
            let Some((_, me)) = datanode.store.owner().map_err(|error| error.to_string())? else {
                return Err("not registered yet".to_owned());
            };
            datanode.pipelines.create(pipeline, members, me).await.map_err(|error| error.to_string())
        }
        Order::DestroyPipeline { pipeline } => datanode.pipelines.destroy(pipeline).await.map_err(|error| error.to_string()),
        Order::CloseContainer { container, pipeline } => close(datanode, container, pipeline).await,
        Order::ReplicateContainer { container, sources } => {
            let _turn = datanode.orders.copies.acquire().await.map_err(|error| error.to_string())?;
            ops::replicate::run(datanode, container, sources).await.map_err(|error| error.to_string())
        }
        Order::DeleteContainer { container } => {
            let store = Arc::clone(&datanode.store);
            blocking(move || store.delete(container).map_err(|error| error.to_string())).await
        }
        Order::DeleteBlocks { transaction, blocks } => {
            let deleting = Arc::clone(datanode);
            blocking(move || ops::delete::run(&deleting, &blocks).map_err(|error| error.to_string())).await?;
            datanode.orders.deleted.lock().insert(transaction);
            Ok(())
        }
        Order::ReportInFull => {
            datanode.report_in_full.store(true, std::sync::atomic::Ordering::Release);
            Ok(())
        }
    }
}

async fn close(datanode: &Arc<Inner>, id: ContainerId, pipeline: Option<PipelineId>) -> Result<(), String> {
    let container = datanode.store.get(id);
    if container.as_ref().is_some_and(|container| container.row().state != ContainerState::Open) {
        return Ok(());
    }
    let pipeline = pipeline.or_else(|| container.as_ref().map(|container| container.pipeline()));
    if let Some(running) = pipeline.and_then(|pipeline| datanode.pipelines.get(pipeline)) {
        // Every member gets the order; the leader's entry reaches the others.
        if running.group.is_leader() {
            let command = tables::encode(&PipelineCommand::CloseContainer(id));
            running.group.propose(None, command, Instant::now() + CLOSE_TIMEOUT).await.map_err(|error| error.to_string())?;
        }
        return Ok(());
    }
    if let Some(pipeline) = pipeline {
        datanode.pipelines.check_stopped(pipeline).map_err(|error| error.to_string())?;
    }
    let Some(container) = container else { return Ok(()) };
    let store = Arc::clone(&datanode.store);
    blocking(move || {
        let row = container.row();
        let closed = container.turn().change_state(ContainerState::QuasiClosed, row.is_damaged);
        closed.and_then(|()| store.flush(&container.disk, None)).map(|_| ()).map_err(|error| error.to_string())
    })
    .await
}

async fn blocking(work: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}
