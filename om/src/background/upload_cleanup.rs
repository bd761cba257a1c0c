//! Uploads that ended with their bucket are freed; completions of long ago are forgotten.

use async_trait::async_trait;
use om_core::{ForgetCompleted, PurgeBucket, pending};
use runtime::{Pace, PassError, PassStatus, Reconcile};
use serde::Serialize;
use types::{Millis, Timestamp};

use super::propose;
use crate::Config;
use crate::service::Log;

pub(crate) const NAME: &str = "upload-cleanup";

pub(crate) struct UploadCleanup {
    log: Log,
    remember: Millis,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    forgotten: u32,
    purged_of: Option<u64>,
}

/// Rows that one command removes.
const BATCH: u32 = 1_000;

impl UploadCleanup {
    pub(crate) fn new(config: &Config, log: Log) -> Self {
        Self { log, remember: config.remember_completed.into() }
    }
}

#[async_trait]
impl Reconcile for UploadCleanup {
    const NAME: &'static str = NAME;
    type Report = Report;

    async fn pass(&mut self, now: Timestamp) -> Result<PassStatus<Report>, PassError> {
        let completed_before = now - self.remember;
        let (ending, oldest) =
            self.log.glance(|tables| Ok((pending::ending_bucket(tables)?, pending::oldest_completion(tables)?)))?;
        let mut report = Report::default();
        let mut pace = Pace::Rest;
        if let Some(bucket) = ending {
            propose(&self.log, PurgeBucket { bucket, limit: BATCH, now }).await?;
            report.purged_of = Some(bucket.0);
            // More rows of this bucket, or another bucket.
            pace = Pace::Again;
        }
        if oldest.is_some_and(|oldest| oldest < completed_before) {
            report.forgotten = propose(&self.log, ForgetCompleted { completed_before, limit: BATCH }).await?;
            if report.forgotten == BATCH {
                pace = Pace::Again;
            }
        }
        Ok(PassStatus { pace, report })
    }
}
