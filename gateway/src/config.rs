//! The gateway's settings.

use std::time::Duration;

use datanode_api::ClientConfig;
use gateway_core::auth::Accepts;
use gateway_core::proxies::TrustedProxies;

use crate::access_log::AccessLogConfig;

#[derive(Debug, Clone)]
pub struct Config {
    /// The one region whose signatures are accepted, and the default of new buckets.
    pub region: String,
    /// Signature Version 2 is taken only if it is said here: SHA-1 over a part of the request.
    pub accepts: Accepts,
    /// Names under which a label in front is a bucket: `bucket.DOMAIN`.
    pub domains: Vec<String>,
    /// The same for websites. There, a host under none of them is a bucket by its whole name.
    pub website_domains: Vec<String>,
    /// Whose word on where a request comes from is taken.
    pub trusted_proxies: TrustedProxies,
    /// Connections beyond this wait unaccepted.
    pub max_connections: usize,
    /// A request's head must have arrived by then; an idle connection is closed after as long.
    pub header_timeout: Duration,
    /// How long a body may stand still, in either direction.
    pub idle_timeout: Duration,
    /// How long requests under way may take to end once shutdown has begun.
    pub drain_timeout: Duration,
    /// For one call of the OM.
    pub om_timeout: Duration,
    /// Bytes that all uploads together may hold. One that would exceed it waits, and is told to slow down in the end.
    pub upload_memory: usize,
    pub blocks: ClientConfig,
    pub access_logs: AccessLogConfig,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gateway.{field}: {why}")]
pub struct InvalidConfig {
    pub field: &'static str,
    pub why: &'static str,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            accepts: Accepts::V4,
            domains: Vec::new(),
            website_domains: Vec::new(),
            trusted_proxies: TrustedProxies::default(),
            max_connections: 10_000,
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
            om_timeout: Duration::from_secs(15),
            upload_memory: 128 << 20,
            // Half of what the client would take by itself: many uploads share the memory here.
            access_logs: AccessLogConfig::default(),
            blocks: ClientConfig { lane_bytes: 2 << 20, replay_bytes: 4 << 20, ..ClientConfig::default() },
        }
    }
}

impl Config {
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let refuse = |field, why| Err(InvalidConfig { field, why });
        if self.region.is_empty() || !self.region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return refuse("region", "must be letters, digits and hyphens");
        }
        let is_wrong = |domain: &String| domain.is_empty() || domain.contains([':', '/', ' ']);
        for (field, domains) in [("domains", &self.domains), ("website_domains", &self.website_domains)] {
            if domains.iter().any(is_wrong) {
                return refuse(field, "must be host names without a port");
            }
        }
        if self.max_connections == 0 {
            return refuse("max_connections", "must be at least 1");
        }
        if self.upload_memory < self.one_upload() {
            return refuse("upload_memory", "must hold one upload at least: blocks.lane_bytes and blocks.replay_bytes");
        }
        for (field, span) in [
            ("header_timeout", self.header_timeout),
            ("idle_timeout", self.idle_timeout),
            ("om_timeout", self.om_timeout),
            ("access_log_roll", self.access_logs.roll_after),
            ("access_log_refresh", self.access_logs.refresh_every),
        ] {
            if span.is_zero() {
                return refuse(field, "must be longer than nothing");
            }
        }
        Ok(())
    }

    /// The most that one upload holds.
    pub(crate) fn one_upload(&self) -> usize {
        self.blocks.lane_bytes + self.blocks.replay_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_setting_is_refused_by_its_name() {
        assert_eq!(Config::default().validate(), Ok(()));
        let field = |config: Config| config.validate().expect_err("refused").field;
        assert_eq!(field(Config { region: String::new(), ..Config::default() }), "region");
        assert_eq!(field(Config { domains: vec!["a:80".into()], ..Config::default() }), "domains");
        assert_eq!(field(Config { max_connections: 0, ..Config::default() }), "max_connections");
        assert_eq!(field(Config { upload_memory: 1, ..Config::default() }), "upload_memory");
        assert_eq!(field(Config { idle_timeout: Duration::ZERO, ..Config::default() }), "idle_timeout");
    }
}
