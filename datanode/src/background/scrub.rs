//! Reads what is stored and compares it with its checksums, slowly and for ever: damage that nobody reads is found while other
//! replicas are still whole.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datanode_core::rows::BlockState;
use runtime::{Pace, PassError, PassStatus, Reconcile};
use serde::Serialize;
use tables::StorageFault;
use types::{ContainerId, Timestamp};

use crate::container::Container;
use crate::datanode::Inner;
use crate::ops::read::{ReadFault, Reading};

#[derive(Debug)]
pub(crate) struct Scrub {
    pub(crate) datanode: Arc<Inner>,
    /// Where the next pass goes on: a container and a block in it.
    cursor: Option<(ContainerId, u64)>,
    /// No round begins before this.
    rests_until: Timestamp,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct ScrubReport {
    verified_bytes: u64,
    damaged_blocks: u64,
    is_resting: bool,
}

/// Between two passes; a pass verifies the bytes of this long.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);
const PAGE: usize = 256;

impl Scrub {
    pub(crate) fn new(datanode: Arc<Inner>) -> Self {
        Self { datanode, cursor: None, rests_until: Timestamp::default() }
    }

    fn next_container(&self) -> Option<Arc<Container>> {
        let from = self.cursor.map_or(ContainerId(0), |(container, _)| container);
        let mut containers = self.datanode.store.containers().into_iter().filter(|container| container.id >= from);
        containers.find(|container| container.disk.failure().is_none() && !container.is_gone() && !container.row().is_damaged)
    }

    /// Verifies from the cursor on until the budget is spent or the container ends.
    async fn verify(&mut self, container: &Arc<Container>, report: &mut ScrubReport, budget: u64) -> Result<(), StorageFault> {
        let mut from = self.cursor.filter(|(id, _)| *id == container.id).map_or(Some(0), |(_, local)| Some(local));
        while let Some(first) = from {
            let (rows, next) = container.blocks(first, PAGE)?;
            for (local, row) in rows.into_iter().filter(|(_, row)| row.state == BlockState::Stored) {
                if report.verified_bytes >= budget {
                    self.cursor = Some((container.id, local));
                    return Ok(());
                }
                let (end, reads) = (row.length, Arc::clone(&self.datanode.disk_reads));
                let Ok(mut reading) = Reading::new(Arc::clone(container), local, row, 0, end, reads) else { break };
                loop {
                    match reading.next().await {
                        Ok(Some(bytes)) => report.verified_bytes += bytes.len() as u64,
                        Ok(None) | Err(ReadFault::Gone | ReadFault::Ended(_)) => break,
                        Err(ReadFault::Damaged(_)) => {
                            report.damaged_blocks += 1;
                            break;
                        }
                    }
                }
            }
            from = next;
        }
        self.cursor = container.id.0.checked_add(1).map(|next| (ContainerId(next), 0));
        Ok(())
    }
}

#[async_trait]
impl Reconcile for Scrub {
    const NAME: &'static str = "scrub";
    type Report = ScrubReport;

    async fn pass(&mut self, now: Timestamp) -> Result<PassStatus<ScrubReport>, PassError> {
        let mut report = ScrubReport::default();
        let budget = self.datanode.config.scrub_bytes_per_second;
        while now >= self.rests_until && report.verified_bytes < budget {
            let Some(container) = self.next_container() else {
                self.cursor = None;
                self.rests_until = now + self.datanode.config.scrub_rest.into();
                break;
            };
            self.verify(&container, &mut report, budget).await.map_err(|fault| PassError::Failed(fault.to_string()))?;
        }
        report.is_resting = now < self.rests_until;
        metrics::counter!("datanode_bytes_scrubbed").increment(report.verified_bytes);
        Ok(PassStatus { pace: Pace::Rest, report })
    }
}
