//! Fetches the bytes of committed blocks that did not arrive here, from the pipeline's other members.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datanode_api::ReadBlock;
use datanode_core::rows::{BlockRow, BlockState};
use futures_util::StreamExt;
use rpc::CallContext;
use runtime::{Pace, PassError, PassStatus, Reconcile};
use scm_api::token::Target;
use serde::Serialize;
use tracing::{debug, warn};
use types::{BlockId, Replica, RequestId, Timestamp};

use crate::container::{Accepted, Container, Incoming};
use crate::datanode::Inner;

/// Blocks tried in one pass.
const PER_PASS: usize = 256;
const PAGE: usize = 1024;
const STALL: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) datanode: Arc<Inner>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct FetchReport {
    fetched: u64,
    /// Not to be had at the moment.
    failed: u64,
}

#[async_trait]
impl Reconcile for Fetch {
    const NAME: &'static str = crate::FETCH_SERVICE;
    type Report = FetchReport;

    async fn pass(&mut self, _now: Timestamp) -> Result<PassStatus<FetchReport>, PassError> {
        let mut report = FetchReport::default();
        let mut budget = PER_PASS;
        for container in self.datanode.store.containers() {
            let row = container.row();
            if row.missing == 0 || container.disk.failure().is_some() {
                continue;
            }
            let Some(pipeline) = self.datanode.pipelines.get(row.pipeline) else { continue };
            let peers = pipeline.peers();
            let missing = missing(&container, budget).map_err(|fault| PassError::Failed(fault.to_string()))?;
            budget = budget.saturating_sub(missing.len());
            for (local, block) in missing {
                match self.fetch(&container, local, &block, &peers).await {
                    true => report.fetched += 1,
                    false => report.failed += 1,
                }
            }
            if budget == 0 {
                break;
            }
        }
        metrics::counter!("datanode_blocks_fetched").increment(report.fetched);
        // What failed is tried again after a rest; what is left over at once.
        let pace = if budget == 0 && report.fetched > 0 { Pace::Again } else { Pace::Rest };
        Ok(PassStatus { pace, report })
    }
}

fn missing(container: &Container, at_most: usize) -> Result<Vec<(u64, Arc<BlockRow>)>, tables::StorageFault> {
    let mut found = Vec::new();
    let mut from = Some(0);
    while let Some(first) = from.filter(|_| found.len() < at_most) {
        let (rows, next) = container.blocks(first, PAGE)?;
        found.extend(rows.into_iter().filter(|(_, row)| row.state == BlockState::Missing));
        from = next;
    }
    found.truncate(at_most);
    Ok(found)
}

impl Fetch {
    async fn fetch(&self, container: &Arc<Container>, local: u64, row: &Arc<BlockRow>, peers: &[Replica]) -> bool {
        let block = BlockId { container: container.id, local };
        for peer in peers {
            match self.fetch_from(container, block, row, peer).await {
                Ok(()) => {
                    debug!(%block, from = %peer.endpoint, "fetched");
                    return true;
                }
                Err(why) => warn!(%block, from = %peer.endpoint, %why, "could not fetch"),
            }
        }
        false
    }

    async fn fetch_from(&self, container: &Arc<Container>, block: BlockId, row: &BlockRow, peer: &Replica) -> Result<(), String> {
        let datanode = &self.datanode;
        let token = datanode.tokens.seal_read(Target::Block(block), row.length, &datanode.config.name);
        let token = token.ok_or("no token keys yet")?;
        let cx = CallContext::local(RequestId::from_u128(datanode.entropy.u128()), STALL);
        let read = ReadBlock { block, token, offset: 0, length: row.length };
        let mut data = datanode.peers.read(peer, cx, read).await.map_err(|error| error.to_string())?;
        let mut incoming = Incoming::begin(container, block.local, row.length);
        while incoming.length() < row.length {
            let next = tokio::time::timeout(STALL, data.stream.next()).await.map_err(|_| "stalled".to_owned())?;
            let bytes = next.ok_or("it ended early")?.map_err(|error| error.to_string())?;
            if incoming.length() + bytes.len() as u64 > row.length {
                return Err("it sent too much".to_owned());
            }
            let written = tokio::task::spawn_blocking(move || incoming.write(vec![bytes]).map(|()| incoming)).await;
            incoming = written.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        }
        match incoming.finish().await.map_err(|error| error.to_string())? {
            (_, Accepted::Stored) => Ok(()),
            (_, Accepted::Written | Accepted::Unwanted) => Err("it sent other bytes than were committed".to_owned()),
        }
    }
}
