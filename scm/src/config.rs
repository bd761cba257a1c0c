//! What a person may turn.

use std::collections::BTreeSet;
use std::time::Duration;

use scm_core::census::HealthPolicy;
use scm_core::plan::containers::ContainerPolicy;
use scm_core::plan::deletions::DeletionPolicy;
use scm_core::plan::leases::LeasePolicy;
use scm_core::plan::pipelines::PipelinePolicy;
use scm_core::plan::repairs::RepairPolicy;
use scm_core::plan::safe_mode::SafeModePolicy;
use scm_core::plan::token_keys::KeyPolicy;
use types::Replication;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The kind of pipelines that are made.
    pub replication: Replication,
    /// How else storage classes are kept: pipelines of these kinds are made, too.
    pub replications_of_classes: BTreeSet<Replication>,
    pub heartbeat_every: Duration,
    /// A datanode that is silent for this long is not chosen for anything new.
    pub stale_after: Duration,
    /// A datanode that is silent for this long has its replicas replaced.
    pub dead_after: Duration,
    /// A container that holds this much gets no more blocks, and is closed some time later.
    pub container_size: u64,
    /// How long a full container waits for those who are still writing to it: longer than `lease_for` by the time that a block
    /// takes to be written.
    pub close_full_after: Duration,
    /// Containers that each pipeline fills at once.
    pub open_containers_per_pipeline: u32,
    /// Pipelines of three that each datanode is in.
    pub pipelines_per_datanode: u32,
    /// The most block ids in one lease.
    pub lease_blocks_max: u32,
    /// How long the OM may hand out blocks of a lease.
    pub lease_for: Duration,
    /// A datanode with less room than this takes no new blocks.
    pub datanode_room: u64,
    /// A pipeline that its members have not brought up by then is given up.
    pub pipeline_create_within: Duration,
    /// A living member that does not serve an open pipeline for this long has lost it.
    pub pipeline_lost_after: Duration,
    /// How long the dead members of a pipeline without a majority are waited for, before the others close its containers at what
    /// they have.
    pub quasi_close_after: Duration,
    /// Replicas that a datanode receives at once.
    pub copies_per_datanode: u32,
    /// A repair without effect for this long is ordered anew.
    pub repair_within: Duration,
    /// Safe mode ends when of ten thousand containers so many have a reported replica.
    pub safe_mode_containers_per_10_000: u32,
    /// And so many datanodes have reported.
    pub safe_mode_datanodes: u32,
    pub token_keys: TokenKeySettings,
    /// Pause between passes of a background service that nothing hurries along.
    pub pass_every: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKeySettings {
    pub seal_for: Duration,
    /// Since it began to seal; longer than `seal_for` by more than any token lives.
    pub expire_after: Duration,
    /// A new key is known for this long before anybody seals with it.
    pub settle: Duration,
}

impl Default for Config {
    /// A cluster. A datanode that is gone is avoided within seconds; it takes longer to call it dead, because replacing what it
    /// held costs its disks' worth of traffic.
    fn default() -> Self {
        Self {
            replication: Replication::Three,
            replications_of_classes: BTreeSet::new(),
            heartbeat_every: Duration::from_secs(1),
            stale_after: Duration::from_secs(5),
            dead_after: Duration::from_secs(30),
            container_size: 5 << 30,
            close_full_after: Duration::from_secs(360),
            open_containers_per_pipeline: 2,
            pipelines_per_datanode: 2,
            lease_blocks_max: 10_000,
            lease_for: Duration::from_secs(300),
            datanode_room: 256 << 20,
            pipeline_create_within: Duration::from_secs(60),
            pipeline_lost_after: Duration::from_secs(30),
            quasi_close_after: Duration::from_secs(600),
            copies_per_datanode: 4,
            repair_within: Duration::from_secs(1800),
            safe_mode_containers_per_10_000: 9990,
            safe_mode_datanodes: 1,
            token_keys: TokenKeySettings::default(),
            pass_every: Duration::from_secs(1),
        }
    }
}

impl Default for TokenKeySettings {
    fn default() -> Self {
        Self {
            seal_for: Duration::from_secs(24 * 3600),
            expire_after: Duration::from_secs(48 * 3600),
            settle: Duration::from_secs(60),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct ConfigError {
    pub field: &'static str,
    pub why: &'static str,
}

impl Config {
    /// One process with one datanode: a call is a function call, so heartbeats cost nothing and a start need not wait for them.
    pub fn single_node() -> Self {
        Self {
            replication: Replication::One,
            heartbeat_every: Duration::from_millis(200),
            pass_every: Duration::from_millis(500),
            ..Self::default()
        }
    }

    pub fn validate(&self) -> Result<(), ConfigError> {
        let keys = &self.token_keys;
        let checks = [
            ("heartbeat_every", self.heartbeat_every >= Duration::from_millis(10), "shorter than 10 ms"),
            ("stale_after", self.stale_after >= self.heartbeat_every * 2, "shorter than two heartbeats"),
            ("dead_after", self.dead_after > self.stale_after, "not longer than stale_after"),
            ("container_size", self.container_size >= 1 << 20, "smaller than 1 MiB"),
            ("open_containers_per_pipeline", (1..=64).contains(&self.open_containers_per_pipeline), "not 1 to 64"),
            ("pipelines_per_datanode", (1..=64).contains(&self.pipelines_per_datanode), "not 1 to 64"),
            ("lease_blocks_max", (1..=1_000_000).contains(&self.lease_blocks_max), "not 1 to 1,000,000"),
            ("lease_for", self.lease_for >= Duration::from_secs(1), "shorter than a second"),
            ("copies_per_datanode", self.copies_per_datanode > 0, "zero"),
            ("safe_mode_containers_per_10_000", self.safe_mode_containers_per_10_000 <= 10_000, "more than 10,000"),
            ("pass_every", self.pass_every >= Duration::from_millis(10), "shorter than 10 ms"),
            ("token_keys.settle", keys.settle >= self.heartbeat_every * 3, "shorter than three heartbeats"),
            ("token_keys.seal_for", keys.seal_for > keys.settle * 2, "not longer than twice token_keys.settle"),
            ("token_keys.expire_after", keys.expire_after > keys.seal_for, "not longer than token_keys.seal_for"),
        ];
        match checks.into_iter().find(|(_, holds, _)| !holds) {
            None => Ok(()),
            Some((field, _, why)) => Err(ConfigError { field, why }),
        }
    }

    pub(crate) fn health(&self) -> HealthPolicy {
        HealthPolicy { stale_after: self.stale_after.into(), dead_after: self.dead_after.into() }
    }

    pub(crate) fn safe_mode(&self) -> SafeModePolicy {
        SafeModePolicy { containers_per_10_000: self.safe_mode_containers_per_10_000, datanodes: self.safe_mode_datanodes }
    }

    pub(crate) fn leases(&self) -> LeasePolicy {
        LeasePolicy {
            open_per_pipeline: self.open_containers_per_pipeline,
            full_at: self.full_at(),
            room: self.datanode_room,
            spread: LEASE_SPREAD,
        }
    }

    pub(crate) fn pipelines(&self) -> PipelinePolicy {
        PipelinePolicy {
            replications: self.replications_of_classes.iter().copied().chain([self.replication]).collect(),
            per_datanode: self.pipelines_per_datanode,
            create_within: self.pipeline_create_within.into(),
            lost_after: self.pipeline_lost_after.into(),
            quasi_close_after: self.quasi_close_after.into(),
        }
    }

    pub(crate) fn containers(&self) -> ContainerPolicy {
        ContainerPolicy {
            full_at: self.full_at(),
            close_full_after: self.close_full_after.into(),
            overfull_at: self.container_size.saturating_mul(OVERFULL),
            note_every: self.container_size / 16,
            per_pass: ROWS_PER_PASS,
        }
    }

    pub(crate) fn repairs(&self) -> RepairPolicy {
        RepairPolicy {
            copies_per_datanode: self.copies_per_datanode as usize,
            per_pass: ROWS_PER_PASS,
            give_up_after: self.repair_within.into(),
            room: self.datanode_room,
        }
    }

    pub(crate) fn deletions(&self) -> DeletionPolicy {
        DeletionPolicy {
            rows_per_pass: ROWS_PER_PASS,
            per_datanode: DELETIONS_PER_DATANODE,
            repeat_after: (self.stale_after * 6).into(),
        }
    }

    pub(crate) fn token_keys(&self) -> KeyPolicy {
        let TokenKeySettings { seal_for, expire_after, settle } = self.token_keys;
        KeyPolicy { seal_for: seal_for.into(), expire_after: expire_after.into(), settle: settle.into() }
    }

    /// Short of the size, because blocks that are leased already will still come.
    fn full_at(&self) -> u64 {
        self.container_size / 10 * 9
    }
}

/// Sizes of a container at which writers to it are broken off: what is still written to full ones stays below it by far.
const OVERFULL: u64 = 4;
/// One entry of the log changes this many rows at most: some tens of kilobytes.
const ROWS_PER_PASS: usize = 1000;
/// Of a thousand blocks each: what a datanode deletes in some seconds.
const DELETIONS_PER_DATANODE: usize = 32;
/// Wide enough for all writers of one OM to be spread; narrow enough for a lease's answer to stay small.
const LEASE_SPREAD: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_a_wrong_field_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(Config::single_node().validate(), Ok(()));
        let hasty = Config { stale_after: Duration::from_secs(1), ..Config::default() };
        assert_eq!(hasty.validate().expect_err("refused").field, "stale_after");
        let keys = TokenKeySettings { expire_after: Duration::from_secs(60), ..TokenKeySettings::default() };
        let forgetful = Config { token_keys: keys, ..Config::default() };
        assert_eq!(forgetful.validate().expect_err("refused").field, "token_keys.expire_after");
    }
}
