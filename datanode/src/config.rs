//! The numbers a person may turn.

use std::path::PathBuf;
use std::time::Duration;

use types::Endpoint;

#[derive(Debug, Clone)]
pub struct Config {
    /// For people; ids come from the SCM.
    pub name: String,
    /// A directory on each disk.
    pub disks: Vec<PathBuf>,
    /// Where others reach the data listener.
    pub data_endpoint: Endpoint,
    /// Where others reach this process's Raft members.
    pub rpc_endpoint: Endpoint,
    /// Where it stands, from the root down, as `/rack`.
    pub rack: Option<String>,
    /// Kept free on each disk, so that deletes stay possible; a twentieth of the disk and at most 1 GiB if not set.
    pub reserve_bytes: Option<u64>,
    /// Held on each disk for the moment when it is full all the same; a thousandth of the disk, but 64 MiB to 1 GiB, if not
    /// set. None if zero.
    pub ballast_bytes: Option<u64>,
    /// Memory for each disk's index.
    pub index_cache_bytes: usize,
    /// Container files that are open at one time, and no more than a quarter of what the process may open.
    pub open_files: usize,
    /// Blocks being streamed in at one time; each holds about two megabytes.
    pub write_streams: usize,
    /// Reads waiting for a disk at one time; each holds about a megabyte.
    pub disk_reads: usize,
    /// A sender that is silent for this long has gone.
    pub stream_idle: Duration,
    /// The pace at which stored bytes are verified in the background; none if zero.
    pub scrub_bytes_per_second: u64,
    /// Rest between two rounds over everything.
    pub scrub_rest: Duration,
    /// Until the SCM says otherwise.
    pub heartbeat_every: Duration,
    /// Connections to the data listener.
    pub connections: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct InvalidConfig {
    pub field: &'static str,
    pub what: String,
}

impl Config {
    pub fn new(name: impl Into<String>, disks: Vec<PathBuf>, data_endpoint: Endpoint, rpc_endpoint: Endpoint) -> Self {
        Self {
            name: name.into(),
            disks,
            data_endpoint,
            rpc_endpoint,
            rack: None,
            reserve_bytes: None,
            ballast_bytes: None,
            index_cache_bytes: 32 << 20,
            open_files: 1024,
            write_streams: 64,
            disk_reads: 32,
            stream_idle: Duration::from_secs(120),
            scrub_bytes_per_second: 8 << 20,
            scrub_rest: Duration::from_secs(24 * 3600),
            heartbeat_every: Duration::from_secs(1),
            connections: 4096,
        }
    }

    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let invalid = |field, what: &str| Err(InvalidConfig { field, what: what.to_owned() });
        if self.disks.is_empty() {
            return invalid("disks", "at least one is needed");
        }
        let mut disks = self.disks.clone();
        disks.sort();
        if disks.windows(2).any(|pair| pair[0] == pair[1]) {
            return invalid("disks", "the same directory twice");
        }
        for (field, number) in [
            ("open_files", self.open_files),
            ("write_streams", self.write_streams),
            ("disk_reads", self.disk_reads),
            ("connections", self.connections),
        ] {
            if number == 0 {
                return invalid(field, "must not be zero");
            }
        }
        if self.rack.as_deref().is_some_and(|rack| !rack.starts_with('/')) {
            return invalid("rack", "begins with a slash");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_setting_is_named() {
        let endpoint = || Endpoint("h:1".into());
        let good = Config::new("dn1", vec!["/a".into(), "/b".into()], endpoint(), endpoint());
        assert_eq!(good.validate(), Ok(()));
        let field = |config: Config| config.validate().expect_err("refused").field;
        assert_eq!(field(Config { disks: vec![], ..good.clone() }), "disks");
        assert_eq!(field(Config { disks: vec!["/a".into(), "/a".into()], ..good.clone() }), "disks");
        assert_eq!(field(Config { rack: Some("r1".into()), ..good.clone() }), "rack");
        assert_eq!(field(Config { disk_reads: 0, ..good }), "disk_reads");
    }
}
