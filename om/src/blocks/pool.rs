//! Blocks to hand out, leased from the SCM in batches ahead of need.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use rpc::CallError;
use scm_api::LeaseBlocks;
use types::{BlockId, ContainerId, Millis, PipelineId, Replica, Replication, Timestamp};

use super::{Locations, SCM_PATIENCE, ScmSide};
use crate::Config;

/// A block that nobody else was or will be given.
#[derive(Debug, Clone)]
pub(crate) struct HandedOut {
    pub(crate) block: BlockId,
    pub(crate) pipeline: PipelineId,
    pub(crate) replicas: Arc<[Replica]>,
}

/// Why there are none, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoBlocks(pub(crate) String);

/// Leases live in memory alone: those that a crash takes are ids that the SCM never gives out again.
#[derive(Clone)]
pub(crate) struct BlockPool(Arc<Inner>);

struct Inner {
    side: ScmSide,
    locations: Locations,
    lease_batch: u32,
    lease_batch_max: u32,
    stocks: Mutex<BTreeMap<Replication, Stock>>,
    /// One call at a time: a crowd before an empty pool wants one batch, not one each.
    refilling: tokio::sync::Mutex<()>,
}

struct Stock {
    /// Taken from in turn, so that consecutive blocks lie on different pipelines.
    leases: VecDeque<Lease>,
    batch: u32,
    refilled: Timestamp,
    is_refilling: bool,
}

struct Lease {
    container: ContainerId,
    next: u64,
    left: u32,
    pipeline: PipelineId,
    replicas: Arc<[Replica]>,
    expires: Timestamp,
}

impl fmt::Debug for BlockPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockPool")
    }
}

impl Stock {
    fn left(&self) -> u64 {
        self.leases.iter().map(|lease| u64::from(lease.left)).sum()
    }

    fn forget(&mut self, now: Timestamp, exclude: &[PipelineId]) {
        self.leases.retain(|lease| now < lease.expires && !exclude.contains(&lease.pipeline));
    }

    fn take(&mut self) -> Option<HandedOut> {
        let mut lease = self.leases.pop_front()?;
        let block = BlockId { container: lease.container, local: lease.next };
        let taken = HandedOut { block, pipeline: lease.pipeline, replicas: Arc::clone(&lease.replicas) };
        lease.next += 1;
        lease.left -= 1;
        if lease.left > 0 {
            self.leases.push_back(lease);
        }
        Some(taken)
    }
}

impl BlockPool {
    pub(crate) fn new(config: &Config, side: ScmSide, locations: Locations) -> Self {
        Self(Arc::new(Inner {
            side,
            locations,
            lease_batch: config.lease_batch,
            lease_batch_max: config.lease_batch_max,
            stocks: Mutex::default(),
            refilling: tokio::sync::Mutex::default(),
        }))
    }

    /// Leases on pipelines that failed a writer are dropped for everybody: the SCM knows better what to give instead.
    pub(crate) async fn take(
        &self,
        replication: Replication,
        count: u32,
        exclude: &[PipelineId],
        deadline: Instant,
    ) -> Result<Vec<HandedOut>, NoBlocks> {
        if count == 0 {
            return Ok(Vec::new());
        }
        if let Some(taken) = self.take_now(replication, count, exclude) {
            return Ok(taken);
        }
        let _one_at_a_time = self.0.refilling.lock().await;
        if let Some(taken) = self.take_now(replication, count, exclude) {
            return Ok(taken);
        }
        self.refill(replication, count, exclude, deadline).await?;
        self.take_now(replication, count, exclude).ok_or_else(|| NoBlocks("the SCM gave too few blocks".to_owned()))
    }

    /// Whether a write would find blocks.
    pub(crate) async fn check(&self, replication: Replication, deadline: Instant) -> Result<(), NoBlocks> {
        let has_some = |pool: &Self| {
            pool.with_stock(replication, |stock, now| {
                stock.forget(now, &[]);
                stock.left() > 0
            })
        };
        if has_some(self) {
            return Ok(());
        }
        let _one_at_a_time = self.0.refilling.lock().await;
        if has_some(self) { Ok(()) } else { self.refill(replication, 1, &[], deadline).await }
    }

    fn with_stock<R>(&self, replication: Replication, work: impl FnOnce(&mut Stock, Timestamp) -> R) -> R {
        let now = self.0.side.clock.now();
        let mut stocks = self.0.stocks.lock();
        let stock = stocks.entry(replication).or_insert_with(|| Stock {
            leases: VecDeque::new(),
            batch: self.0.lease_batch,
            refilled: Timestamp(0),
            is_refilling: false,
        });
        work(stock, now)
    }

    fn take_now(&self, replication: Replication, count: u32, exclude: &[PipelineId]) -> Option<Vec<HandedOut>> {
        let (taken, is_low) = self.with_stock(replication, |stock, now| {
            stock.forget(now, exclude);
            if stock.left() < u64::from(count) {
                return (None, false);
            }
            let taken: Vec<HandedOut> = (0..count).map_while(|_| stock.take()).collect();
            let is_low = stock.left() < u64::from(stock.batch / 2) && !stock.is_refilling;
            stock.is_refilling |= is_low;
            (Some(taken), is_low)
        });
        if is_low {
            let pool = self.clone();
            self.0.side.shutdown.spawn_until(async move {
                let _one_at_a_time = pool.0.refilling.lock().await;
                if let Err(error) = pool.refill(replication, 0, &[], Instant::now() + SCM_PATIENCE).await {
                    tracing::warn!(%error, "leasing blocks ahead of need");
                }
                pool.with_stock(replication, |stock, _| stock.is_refilling = false);
            });
        }
        taken
    }

    /// `refilling` is held by the caller.
    async fn refill(
        &self,
        replication: Replication,
        needed: u32,
        exclude: &[PipelineId],
        deadline: Instant,
    ) -> Result<(), NoBlocks> {
        let batch = self.with_stock(replication, |stock, now| {
            // A batch should last for about a second: long enough for one call to be little, short enough to follow the load.
            if now.since(stock.refilled) < Millis(1_000) {
                stock.batch = (stock.batch * 2).min(self.0.lease_batch_max);
            } else if now.since(stock.refilled) > Millis(60_000) {
                stock.batch = (stock.batch / 2).max(self.0.lease_batch);
            }
            stock.refilled = now;
            stock.batch
        });
        let request = LeaseBlocks { replication, count: batch.max(needed), exclude: exclude.to_vec() };
        let leased = self.0.side.scm.lease_blocks(self.0.side.call(deadline), request).await;
        let leased = leased.map_err(|error| match error {
            CallError::Rejected(rejected) => NoBlocks(rejected.to_string()),
            other => NoBlocks(other.to_string()),
        })?;
        let mut blocks = 0;
        let leases: Vec<Lease> = leased
            .ranges
            .into_iter()
            .filter(|range| range.count > 0)
            .map(|range| {
                blocks += u64::from(range.count);
                let replicas: Arc<[Replica]> = range.replicas.into();
                self.0.locations.learn(range.container, range.pipeline, Arc::clone(&replicas));
                Lease {
                    container: range.container,
                    next: range.first,
                    left: range.count,
                    pipeline: range.pipeline,
                    replicas,
                    expires: leased.expires,
                }
            })
            .collect();
        metrics::counter!("om_blocks_leased_total").increment(blocks);
        self.with_stock(replication, |stock, _| stock.leases.extend(leases));
        Ok(())
    }
}
