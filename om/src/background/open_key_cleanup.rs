//! Writes that nobody will finish end, and their blocks are freed.

use async_trait::async_trait;
use om_core::{ExpireSessions, pending};
use runtime::{Pace, PassError, PassStatus, Reconcile};
use serde::Serialize;
use types::{Millis, ObjectId, Timestamp};

use super::propose;
use crate::Config;
use crate::service::Log;

/// Walks over all open keys, a stretch a pass. The command looks at each session again: a commit that comes first wins.
pub(crate) struct OpenKeyCleanup {
    log: Log,
    lifetime: Millis,
    from: ObjectId,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    expired: u32,
}

/// Rows looked at in one pass: some milliseconds.
const STRETCH: usize = 2_000;

impl OpenKeyCleanup {
    pub(crate) fn new(config: &Config, log: Log) -> Self {
        Self { log, lifetime: config.session_lifetime(), from: ObjectId(0) }
    }
}

#[async_trait]
impl Reconcile for OpenKeyCleanup {
    const NAME: &'static str = "open-key-cleanup";
    type Report = Report;

    async fn pass(&mut self, now: Timestamp) -> Result<PassStatus<Report>, PassError> {
        let opened_before = now - self.lifetime;
        let found = self.log.glance(|tables| pending::old_sessions(tables, self.from, opened_before, STRETCH))?;
        let mut report = Report::default();
        if !found.objects.is_empty() {
            let expire = ExpireSessions { objects: found.objects, opened_before, now };
            report.expired = propose(&self.log, expire).await?;
            metrics::counter!("om_sessions_expired_total").increment(report.expired.into());
        }
        self.from = found.next.unwrap_or(ObjectId(0));
        Ok(PassStatus { pace: if found.next.is_some() { Pace::Again } else { Pace::Rest }, report })
    }
}
