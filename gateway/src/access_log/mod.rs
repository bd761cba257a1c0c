//! Server access logs: records of requests on their way into the buckets that take them.
//!
//! Which buckets are logged the gateway knows from the OM, which it asks every few seconds ([`known`]), so that a request to any other
//! bucket costs a look at a map. Records wait in memory ([`waiting`]) until there are enough of them or they have waited long enough;
//! then they become an object in the target ([`delivery`]), written as S3's own service would write it: the target's policy is asked.
//!
//! Best effort, as in S3: what waits when the process is killed is lost, and so is what finds no room. What is lost is counted
//! (`gateway_access_log_records_lost_total`).

mod delivery;
mod entry;
mod known;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use gateway_core::access_log::OperationNames;
use om_api::LoggedBucket;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use types::{BucketId, BucketName};

use known::Known;
use waiting::Waiting;

pub(crate) use delivery::deliver_until;
pub(crate) use entry::{Deletion, Entry, Told};

#[derive(Debug, Clone)]
pub struct AccessLogConfig {
    /// A record waits no longer than this for others to go with it.
    pub roll_after: Duration,
    /// So many bytes of records do not wait for more.
    pub roll_bytes: usize,
    /// Bytes of records that may wait, or be on their way. Beyond it they are lost.
    pub memory: usize,
    /// How soon a change that another gateway was told of is known here.
    pub refresh_every: Duration,
    pub names: OperationNames,
}

impl Default for AccessLogConfig {
    fn default() -> Self {
        Self {
            roll_after: Duration::from_secs(300),
            roll_bytes: 4 << 20,
            memory: 64 << 20,
            refresh_every: Duration::from_secs(5),
            names: OperationNames::S3,
        }
    }
}

#[derive(Debug)]
pub(crate) struct AccessLogs {
    config: AccessLogConfig,
    known: Known,
    waiting: Mutex<Waiting>,
    /// Something waits that did not, or more of it than needs to.
    changed: Notify,
}

impl AccessLogs {
    pub(crate) fn new(config: AccessLogConfig) -> Self {
        Self { config, known: Known::default(), waiting: Mutex::default(), changed: Notify::new() }
    }

    fn of(&self, bucket: &BucketName) -> Option<Arc<LoggedBucket>> {
        self.known.of(bucket)
    }

    /// Takes a record, with its line's end.
    fn record(&self, logged: &LoggedBucket, day: u64, line: &str) {
        metrics::counter!("gateway_access_log_records_total").increment(1);
        let mut waiting = self.waiting.lock();
        if waiting.bytes() + line.len() > self.config.memory {
            drop(waiting);
            return lost(1, "no room");
        }
        let now = Instant::now();
        let is_first = waiting.is_empty();
        let bytes = waiting.add(logged.id, day, line, now + self.config.roll_after);
        drop(waiting);
        if is_first || bytes >= self.config.roll_bytes {
            self.changed.notify_one();
        }
    }
}

/// Tells that records will be in no log.
fn lost(records: u64, why: &'static str) {
    metrics::counter!("gateway_access_log_records_lost_total", "reason" => why).increment(records);
}

/// Records of one bucket; where the log's names tell the day, of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Of {
    bucket: BucketId,
    /// The first millisecond of the day, or nothing where it does not matter.
    day: u64,
}
