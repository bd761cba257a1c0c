//! Fetches the bytes of committed blocks that did not arrive here, from the pipeline's other members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datanode_api::ReadBlock;
use datanode_core::rows::{BlockRow, BlockState};
use futures_util::StreamExt;
use rpc::{CallContext, CallError};
use runtime::{Pace, PassError, PassStatus, Reconcile};
use scm_api::token::Target;
use serde::Serialize;
use tables::StorageFault;
use tracing::{debug, warn};
use types::{BlockId, ContainerId, Endpoint, Replica, RequestId, Timestamp};

use crate::container::{Accepted, Container, Incoming};
use crate::datanode::Inner;

/// Blocks tried in one pass.
const PER_PASS: usize = 256;
/// Blocks of one container that may fail in one pass: what nobody can give must not keep others from being asked for.
const FAILURES: usize = 64;
const PAGE: usize = 1024;
const STALL: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Fetch {
    datanode: Arc<Inner>,
    /// The container that the next pass begins with.
    next: ContainerId,
    /// Where the next pass goes on in a container of which this one left some out.
    places: BTreeMap<ContainerId, u64>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct FetchReport {
    fetched: u64,
    /// Not to be had at the moment.
    failed: u64,
}

/// What a pass may still do.
struct Pass {
    report: FetchReport,
    budget: usize,
    /// Members that gave no answer. They are asked again in the next pass.
    silent: BTreeSet<Endpoint>,
}

/// Why a block could not be had from a member.
enum FetchError {
    /// Other blocks may be.
    Block(String),
    /// It would be the same with other blocks.
    Member(String),
}

#[async_trait]
impl Reconcile for Fetch {
    const NAME: &'static str = crate::FETCH_SERVICE;
    type Report = FetchReport;

    async fn pass(&mut self, _now: Timestamp) -> Result<PassStatus<FetchReport>, PassError> {
        let mut pass = Pass { report: FetchReport::default(), budget: PER_PASS, silent: BTreeSet::new() };
        let mut containers = self.datanode.store.containers();
        containers.retain(|container| container.row().missing > 0 && container.disk.failure().is_none());
        self.places.retain(|id, _| containers.iter().any(|container| container.id == *id));
        let first = containers.partition_point(|container| container.id < self.next);
        containers.rotate_left(first);
        for container in containers {
            if pass.budget == 0 {
                self.next = container.id;
                break;
            }
            self.fetch_some(&container, &mut pass).await.map_err(|fault| PassError::Failed(fault.to_string()))?;
        }
        metrics::counter!("datanode_blocks_fetched").increment(pass.report.fetched);
        // What failed is tried again after a rest; what is left over at once.
        let pace = if pass.budget == 0 && pass.report.fetched > 0 { Pace::Again } else { Pace::Rest };
        Ok(PassStatus { pace, report: pass.report })
    }
}

/// Missing blocks in order, from the first at or after `from`.
fn missing(container: &Container, from: u64, at_most: usize) -> Result<Vec<(u64, Arc<BlockRow>)>, StorageFault> {
    let mut found = Vec::new();
    let mut from = Some(from);
    while let Some(first) = from.filter(|_| found.len() < at_most) {
        let (rows, next) = container.blocks(first, PAGE)?;
        found.extend(rows.into_iter().filter(|(_, row)| row.state == BlockState::Missing));
        from = next;
    }
    found.truncate(at_most);
    Ok(found)
}

impl Fetch {
    pub(crate) fn new(datanode: Arc<Inner>) -> Self {
        Self { datanode, next: ContainerId(0), places: BTreeMap::new() }
    }

    /// Goes on where the last pass left the container, until it ends or too much has failed.
    async fn fetch_some(&mut self, container: &Arc<Container>, pass: &mut Pass) -> Result<(), StorageFault> {
        let Some(pipeline) = self.datanode.pipelines.get(container.pipeline()) else { return Ok(()) };
        let peers = pipeline.peers();
        let from = self.places.remove(&container.id).unwrap_or(0);
        let missing = missing(container, from, pass.budget)?;
        let is_cut_short = missing.len() == pass.budget;
        let mut failures = FAILURES;
        let mut place = missing.last().and_then(|(last, _)| last.checked_add(1)).filter(|_| is_cut_short);
        for (local, row) in missing {
            if failures == 0 {
                place = Some(local);
                break;
            }
            pass.budget -= 1;
            if self.fetch(container, local, &row, &peers, &mut pass.silent).await {
                pass.report.fetched += 1;
            } else {
                pass.report.failed += 1;
                failures -= 1;
            }
        }
        if let Some(place) = place {
            self.places.insert(container.id, place);
        }
        Ok(())
    }

    async fn fetch(
        &self,
        container: &Arc<Container>,
        local: u64,
        row: &Arc<BlockRow>,
        peers: &[Replica],
        silent: &mut BTreeSet<Endpoint>,
    ) -> bool {
        let block = BlockId { container: container.id, local };
        for peer in peers {
            if silent.contains(&peer.endpoint) {
                continue;
            }
            let why = match self.fetch_from(container, block, row, peer).await {
                Ok(()) => {
                    debug!(%block, from = %peer.endpoint, "fetched");
                    return true;
                }
                Err(FetchError::Block(why)) => why,
                Err(FetchError::Member(why)) => {
                    silent.insert(peer.endpoint.clone());
                    why
                }
            };
            warn!(%block, from = %peer.endpoint, %why, "could not fetch");
        }
        false
    }

    async fn fetch_from(
        &self,
        container: &Arc<Container>,
        block: BlockId,
        row: &BlockRow,
        peer: &Replica,
    ) -> Result<(), FetchError> {
        let member = |why: &str| FetchError::Member(why.to_owned());
        let own = |error: &dyn std::fmt::Display| FetchError::Block(error.to_string());
        let datanode = &self.datanode;
        let token = datanode.tokens.seal_read(Target::Block(block), row.length, &datanode.config.name);
        let token = token.ok_or_else(|| member("no token keys yet"))?;
        let cx = CallContext::local(RequestId::from_u128(datanode.entropy.u128()), STALL);
        let read = ReadBlock { block, token, offset: 0, length: row.length };
        let mut data = datanode.peers.read(peer, cx, read).await.map_err(|error| match error {
            CallError::Rejected(rejection) => FetchError::Block(rejection.to_string()),
            failure => FetchError::Member(failure.to_string()),
        })?;
        let mut incoming = Incoming::begin(container, block.local, row.length);
        while incoming.length() < row.length {
            let next = tokio::time::timeout(STALL, data.stream.next()).await.map_err(|_| member("stalled"))?;
            let bytes = next.ok_or_else(|| own(&"it ended early"))?.map_err(|error| own(&error))?;
            if incoming.length() + bytes.len() as u64 > row.length {
                return Err(own(&"it sent too much"));
            }
            let written = tokio::task::spawn_blocking(move || incoming.write(vec![bytes]).map(|()| incoming)).await;
            incoming = written.map_err(|error| own(&error))?.map_err(|error| own(&error))?;
        }
        match incoming.finish().await.map_err(|error| own(&error))? {
            (_, Accepted::Stored) => Ok(()),
            (_, Accepted::Written | Accepted::Unwanted) => Err(own(&"it sent other bytes than were committed")),
        }
    }
}
