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
use types::{BucketId, BucketPath};

use known::Known;
use waiting::Waiting;

pub(crate) use delivery::deliver_until;
pub(crate) use entry::{Arrival, Deletion, Entry, Told};

/// One bucket has at most this part of the memory.
const SHARE_OF_ONE: usize = 8;

#[derive(Debug, Clone)]
pub struct AccessLogConfig {
    /// A record waits no longer than this for others to go with it.
    pub roll_after: Duration,
    /// So many bytes of records do not wait for more.
    pub roll_bytes: usize,
    /// Bytes of records that may wait, or be on their way. Beyond it they are lost, and beyond a part of it those of one bucket.
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

    /// Whether requests about the bucket go into a log.
    pub(crate) fn logs(&self, bucket: &BucketPath) -> bool {
        self.known.has_any() && self.known.of(bucket).is_some()
    }

    fn of(&self, bucket: &BucketPath) -> Option<Arc<LoggedBucket>> {
        self.known.of(bucket)
    }

    /// Takes a record, with its line's end.
    fn record(&self, logged: &LoggedBucket, day: u64, line: &str) {
        metrics::counter!("gateway_access_log_records_total").increment(1);
        let mut waiting = self.waiting.lock();
        let is_full = waiting.bytes() + line.len() > self.config.memory;
        // A target that takes nothing costs its own bucket its records, and no other's.
        if is_full || waiting.bytes_of(logged.id) + line.len() > self.config.memory / SHARE_OF_ONE {
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

/// Records of one bucket and day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Of {
    bucket: BucketId,
    /// Its first millisecond.
    day: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use bucket_config::LoggingConfiguration;
    use bucket_config::logging::LogKeyFormat;
    use om_api::UserId;
    use types::BucketName;

    fn logged(id: u64) -> LoggedBucket {
        let path = BucketPath::of_s3v(BucketName::parse("photos").expect("legal"));
        let logging =
            LoggingConfiguration { target: path.name().clone().into(), prefix: String::new(), key_format: LogKeyFormat::Simple };
        LoggedBucket { id: BucketId(id), path, owner: UserId("ada".into()), location: None, logging }
    }

    #[test]
    fn one_bucket_s_records_leave_room_for_another_s() {
        let logs = AccessLogs::new(AccessLogConfig { memory: 800, ..AccessLogConfig::default() });
        for _ in 0..20 {
            logs.record(&logged(1), 0, "ten bytes\n");
        }
        logs.record(&logged(2), 0, "ten bytes\n");
        let waiting = logs.waiting.lock();
        assert_eq!((waiting.bytes_of(BucketId(1)), waiting.bytes_of(BucketId(2))), (100, 10));
    }
}
