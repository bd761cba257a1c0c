//! What a person may turn.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bucket_config::notification::is_destination;
use types::{Millis, Replication};
use zeroize::Zeroizing;

use crate::notifications::Destination;
use crate::oidc::OidcConfig;

/// The key that seals secrets at rest: the same on every member, kept apart from what it seals.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

const RESERVED_CLASSES: [&str; 3] = ["STANDARD", "GLACIER", "DEEP_ARCHIVE"];

fn is_class_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Below this the lifecycle service would do nothing but look.
const SHORTEST_DAY: Duration = Duration::from_millis(100);

#[derive(Debug, Clone)]
pub struct Config {
    pub master_key: MasterKey,
    /// The key behind SSE-KMS where a request or a bucket names none; without it they must.
    pub default_kms_key: Option<String>,
    pub oidc: OidcConfig,
    /// Administrators name accounts in the place of IAM users to govern them, as Ceph's users without an account are.
    pub accounts_as_users: bool,
    /// How long a delegation token lasts without being renewed, and however often it is.
    pub token_renew_interval: Duration,
    pub token_max_lifetime: Duration,
    /// Of new buckets.
    pub replication: Replication,
    /// Storage classes besides STANDARD, and how what is in them is kept. The same on every member.
    pub storage_classes: BTreeMap<String, Replication>,
    /// The most that one block takes. Large enough for an object of ordinary size to need one, small enough for a failed write
    /// to cost little.
    pub block_size: u64,
    /// Writes up to this size go ahead before the log holds their session: a leader that dies at that moment leaves their few
    /// blocks behind for good. Larger ones wait, together with others, for one sync.
    pub small_write: u64,
    /// The most that one PUT, one part or one copy may have, as S3 limits them.
    pub max_put: u64,
    /// The most that an object may have.
    pub max_object: u64,
    /// The least that a part before the last may have.
    pub min_part: u64,
    pub max_buckets_per_user: u32,
    /// A write not committed by then is given up. A day: the slowest client that S3's limits allow for (5 GiB at 60 KiB/s)
    /// still ends, and what a crash leaves behind takes space for no longer.
    pub session_lifetime: Duration,
    /// How long one block may take to be written. Four hours: a whole block at 10 KiB/s. A token opens one block, which nobody
    /// reads before it is committed, so its age harms nobody.
    pub write_token_lifetime: Duration,
    /// How long a reader may go on without asking again: the longest that access outlives its withdrawal.
    pub read_token_lifetime: Duration,
    /// How long freed blocks stay for readers that are under way.
    pub reclaim_after: Duration,
    /// How long a completed upload answers the same completion again.
    pub remember_completed: Duration,
    /// Block leases asked for at once; doubled while they last less than a second.
    pub lease_batch: u32,
    pub lease_batch_max: u32,
    /// How old a container's replicas may be before they are asked for anew, beside the answer.
    pub locations_fresh: Duration,
    /// The same, before the answer waits for it.
    pub locations_stale: Duration,
    /// Rest between passes of the background services.
    pub reclaim_every: Duration,
    pub cleanup_every: Duration,
    pub lifecycle_every: Duration,
    /// Whether rules move objects below 128 KiB to another storage class where their bucket does not say. S3 leaves them.
    pub move_small_objects: bool,
    /// Where events go, by the names that buckets' configurations use.
    pub notifications: BTreeMap<String, Destination>,
    pub events_every: Duration,
    /// How long a day is to lifecycle rules; the calendar's if absent. For tests, which cannot wait for midnight.
    pub lifecycle_day: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct ConfigError {
    pub field: &'static str,
    pub why: String,
}

impl Config {
    pub fn new(master_key: MasterKey, replication: Replication) -> Self {
        Self {
            master_key,
            default_kms_key: None,
            oidc: OidcConfig::default(),
            accounts_as_users: false,
            // As in Hadoop.
            token_renew_interval: Duration::from_secs(24 * 3600),
            token_max_lifetime: Duration::from_secs(7 * 24 * 3600),
            replication,
            storage_classes: BTreeMap::new(),
            block_size: 128 * MIB,
            small_write: 64 * KIB,
            max_put: 5 * GIB,
            max_object: 5 * TIB,
            min_part: 5 * MIB,
            max_buckets_per_user: 10_000,
            session_lifetime: Duration::from_secs(24 * 3600),
            write_token_lifetime: Duration::from_secs(4 * 3600),
            read_token_lifetime: Duration::from_secs(15 * 60),
            reclaim_after: Duration::from_secs(60),
            remember_completed: Duration::from_secs(24 * 3600),
            lease_batch: 256,
            lease_batch_max: 8192,
            locations_fresh: Duration::from_secs(10),
            locations_stale: Duration::from_secs(60),
            reclaim_every: Duration::from_secs(10),
            cleanup_every: Duration::from_secs(60),
            // What becomes due does so at midnight; the hours in between are for rules that are new.
            lifecycle_every: Duration::from_secs(3600),
            move_small_objects: false,
            notifications: BTreeMap::new(),
            events_every: Duration::from_millis(500),
            lifecycle_day: None,
        }
    }

    pub fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |field, why: &str| Err(ConfigError { field, why: why.to_owned() });
        if self.block_size < 64 * KIB {
            return wrong("block_size", "must be 64 KiB or more");
        }
        if let Some(class) = self.storage_classes.keys().find(|class| !is_class_name(class)) {
            return wrong("storage_classes", &format!("{class:?} is no name for one: 1 to 64 letters, digits, - and _"));
        }
        if let Some(class) = self.storage_classes.keys().find(|class| RESERVED_CLASSES.contains(&class.as_str())) {
            let why =
                "STANDARD is there by itself, and what is in GLACIER or DEEP_ARCHIVE has to be restored, which is not built";
            return wrong("storage_classes", &format!("{class} cannot be set: {why}"));
        }
        if self.max_put > self.max_object {
            return wrong("max_put", "must not be above max_object");
        }
        if self.write_token_lifetime > self.session_lifetime {
            return wrong(
                "write_token_lifetime",
                "must not be above session_lifetime: a block could be written after it was freed",
            );
        }
        if self.lease_batch == 0 || self.lease_batch > self.lease_batch_max {
            return wrong("lease_batch", "must be between 1 and lease_batch_max");
        }
        if self.token_renew_interval.is_zero() || self.token_renew_interval > self.token_max_lifetime {
            return wrong("token_renew_interval", "must be above zero and not above token_max_lifetime");
        }
        if self.lifecycle_day.is_some_and(|day| day < SHORTEST_DAY) {
            return wrong("lifecycle_day", "must be 100 ms or more");
        }
        if let Some(name) = self.notifications.keys().find(|name| !is_destination(name)) {
            return wrong("notifications", &format!("{name:?} is no name: 1 to 64 letters, digits, hyphens and underscores"));
        }
        if self.locations_fresh > self.locations_stale {
            return wrong("locations_fresh", "must not be above locations_stale");
        }
        Ok(())
    }

    pub(crate) fn session_lifetime(&self) -> Millis {
        self.session_lifetime.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_setting_is_named() {
        let good = Config::new(MasterKey::new([1; 32]), Replication::One);
        assert_eq!(good.validate(), Ok(()));
        let bad = Config { write_token_lifetime: Duration::from_secs(48 * 3600), ..good.clone() };
        assert_eq!(bad.validate().expect_err("too long").field, "write_token_lifetime");
        let bad = Config { lifecycle_day: Some(Duration::ZERO), ..good.clone() };
        assert_eq!(bad.validate().expect_err("no day").field, "lifecycle_day");
        let bad = Config { token_max_lifetime: Duration::from_secs(60), ..good.clone() };
        assert_eq!(bad.validate().expect_err("renewed for longer than it lasts").field, "token_renew_interval");
        for class in ["STANDARD", "GLACIER", "", "COLD STORE"] {
            let storage_classes = [(class.to_owned(), Replication::One)].into();
            let bad = Config { storage_classes, ..good.clone() };
            assert_eq!(bad.validate().expect_err("no such name").field, "storage_classes", "{class:?}");
        }
        let bad = Config { block_size: 1, ..good };
        assert_eq!(bad.validate().expect_err("too small").field, "block_size");
    }
}
