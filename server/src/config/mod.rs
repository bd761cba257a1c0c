//! The one configuration file, `trioxide.toml`, and what overrides it.
//!
//! Order: built-in defaults, the file, `TRIOXIDE_…` environment variables, flags. A key that does not exist is refused with the
//! nearest right name: a misspelt setting must not silently leave its default in force. Only this module reads the
//! environment.

mod identities;
mod layers;
mod units;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use raft_node::CompactionPolicy;
use serde::Deserialize;

pub(crate) use identities::IamSection;
pub(crate) use layers::LoadError;
pub(crate) use units::{Size, Span};
pub(crate) use wanted::{ROOT, Reading, Wanted, WantedError};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct Config {
    /// Where this process keeps everything.
    pub(crate) data: Option<PathBuf>,
    /// This process's name in the cluster: a key of `om.nodes` or `scm.nodes`, or any name for a datanode or gateway.
    pub(crate) node: Option<String>,
    /// The secret with which a new process asks the cluster's authority for a certificate.
    pub(crate) join_token: Option<String>,
    pub(crate) join_token_file: Option<PathBuf>,
    /// The first administrator's key pair; made and shown once if absent.
    pub(crate) root: Root,
    pub(crate) gateway: GatewaySection,
    pub(crate) admin: AdminSection,
    pub(crate) om: OmSection,
    pub(crate) scm: ScmSection,
    pub(crate) datanode: DatanodeSection,
    pub(crate) raft: RaftSection,
    pub(crate) log: LogSection,
    pub(crate) kms: KmsSection,
    pub(crate) oidc: OidcSection,
    /// Storage classes besides STANDARD, and how what is in them is kept. The same for the OMs and the SCMs.
    pub(crate) storage_classes: BTreeMap<String, Kept>,
    /// Webhooks that buckets' notifications may name.
    pub(crate) notifications: BTreeMap<String, NotificationSection>,
    /// Users that exist after the start.
    pub(crate) user: Vec<User>,
    /// Buckets that exist after the start.
    pub(crate) bucket: Vec<Bucket>,
    /// Identities of accounts that exist after the start.
    pub(crate) iam: IamSection,
    /// The settings that the environment gave, so that a mistake is told by the name it was made under.
    #[serde(skip)]
    from_environment: BTreeSet<&'static str>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Root {
    pub(crate) access_key: Option<String>,
    pub(crate) secret_key: Option<String>,
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Root({:?}, secret {})", self.access_key, if self.secret_key.is_some() { "given" } else { "not given" })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GatewaySection {
    pub(crate) s3_addr: SocketAddr,
    /// With a certificate S3's listener speaks TLS alone.
    pub(crate) tls: TlsSection,
    /// Names under which buckets are virtual hosts: `bucket.DOMAIN`.
    pub(crate) domains: Vec<String>,
    pub(crate) region: String,
    /// Where buckets are served as websites; nowhere if absent.
    pub(crate) website_addr: Option<SocketAddr>,
    /// Names under which websites are: `bucket.DOMAIN`. Any other host there is a bucket by its whole name.
    pub(crate) website_domains: Vec<String>,
    /// Proxies in front, as addresses or networks: what they say of where a request comes from is believed.
    pub(crate) trusted_proxies: Vec<String>,
    /// Takes Signature Version 2 beside Version 4, for clients that know nothing else.
    pub(crate) sigv2: bool,
    pub(crate) max_connections: usize,
    /// How long an upload or download may stand still.
    pub(crate) idle_timeout: Span,
    /// How long records of access logs wait for others to go with them.
    pub(crate) access_log_roll: Span,
    /// What access logs call operations.
    pub(crate) access_log_names: AccessLogNames,
}

/// Whose names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccessLogNames {
    S3,
    Rgw,
}

impl Default for GatewaySection {
    fn default() -> Self {
        Self {
            s3_addr: SocketAddr::from(([127, 0, 0, 1], 9878)),
            tls: TlsSection::default(),
            domains: Vec::new(),
            region: "us-east-1".to_owned(),
            website_addr: None,
            website_domains: Vec::new(),
            trusted_proxies: Vec::new(),
            sigv2: false,
            max_connections: 10_000,
            idle_timeout: Span(std::time::Duration::from_secs(60)),
            access_log_roll: Span(std::time::Duration::from_secs(300)),
            access_log_names: AccessLogNames::S3,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminSection {
    /// Health, metrics, S3 secrets and the administrator's commands. Each process of a cluster has one.
    pub(crate) addr: SocketAddr,
    pub(crate) tls: TlsSection,
}

impl Default for AdminSection {
    fn default() -> Self {
        Self { addr: SocketAddr::from(([127, 0, 0, 1], 19878)), tls: TlsSection::default() }
    }
}

/// What a listener's clients are shown. Both files or none; they may be replaced at any time.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TlsSection {
    /// PEM: the listener's own certificate, then those between it and an authority that clients know.
    pub(crate) cert_file: Option<PathBuf>,
    /// PEM, for its owner's eyes alone.
    pub(crate) key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OmSection {
    /// The members of the OM's Raft group: name to `host:port`.
    pub(crate) nodes: BTreeMap<String, String>,
    /// An upload that has not been committed for so long is dropped.
    pub(crate) session_lifetime: Span,
    /// How long deleted objects keep their blocks, so that reads under way can end.
    pub(crate) delete_grace: Span,
    pub(crate) block_size: Size,
    /// How often the buckets with lifecycle rules are gone round.
    pub(crate) lifecycle_every: Span,
    /// Whether lifecycle rules move objects below 128 KiB where their bucket does not say.
    pub(crate) move_small_objects: bool,
    /// How long a day is to lifecycle rules, for tests of them; the calendar's if absent.
    pub(crate) lifecycle_day: Option<Span>,
    /// Administrators govern accounts by IAM's calls about policies of users, naming an account in a user's place, as in Ceph.
    pub(crate) accounts_as_users: bool,
    /// How long a delegation token lasts from one renewal to the next.
    pub(crate) token_renew_interval: Span,
    /// How long it may be renewed.
    pub(crate) token_max_lifetime: Span,
}

impl Default for OmSection {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::new(),
            session_lifetime: Span(std::time::Duration::from_secs(24 * 3600)),
            delete_grace: Span(std::time::Duration::from_secs(60)),
            block_size: Size(128 << 20),
            lifecycle_every: Span(std::time::Duration::from_secs(3600)),
            move_small_objects: false,
            lifecycle_day: None,
            accounts_as_users: false,
            token_renew_interval: Span(std::time::Duration::from_secs(24 * 3600)),
            token_max_lifetime: Span(std::time::Duration::from_secs(7 * 24 * 3600)),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScmSection {
    pub(crate) nodes: BTreeMap<String, String>,
    pub(crate) container_size: Size,
    pub(crate) heartbeat: Span,
    pub(crate) stale_after: Span,
    pub(crate) dead_after: Span,
}

impl Default for ScmSection {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::new(),
            container_size: Size(5 << 30),
            heartbeat: Span(std::time::Duration::from_secs(1)),
            stale_after: Span(std::time::Duration::from_secs(5)),
            dead_after: Span(std::time::Duration::from_secs(30)),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DatanodeSection {
    /// Where its pipelines' Raft members answer.
    pub(crate) rpc_addr: SocketAddr,
    /// Where blocks are read and written.
    pub(crate) data_addr: SocketAddr,
    /// One folder a disk; `DATA/blocks` if none is named.
    pub(crate) disks: Vec<PathBuf>,
    pub(crate) rack: Option<String>,
    /// Free space that writes leave alone, so that deletes stay possible on a full disk.
    pub(crate) reserve: Option<Size>,
}

impl Default for DatanodeSection {
    fn default() -> Self {
        Self {
            rpc_addr: SocketAddr::from(([127, 0, 0, 1], 9859)),
            data_addr: SocketAddr::from(([127, 0, 0, 1], 9882)),
            disks: Vec::new(),
            rack: None,
            reserve: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// The built-in key service behind SSE-KMS.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KmsSection {
    /// Keys that exist after the start. One that is not named any more stays.
    pub(crate) keys: Vec<String>,
    /// Behind SSE-KMS where neither the request nor its bucket names a key; without it they must.
    pub(crate) default_key: Option<String>,
}

/// Identity providers whose tokens AssumeRoleWithWebIdentity takes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OidcSection {
    /// By their URL, as their tokens name themselves. The OM asks these for their keys, and nobody else.
    pub(crate) issuers: Vec<String>,
    /// Certificates of authorities that the machine does not trust.
    pub(crate) ca_files: Vec<PathBuf>,
}

/// How objects of a storage class are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kept {
    /// As all that has no class of its own.
    Default,
    /// In one copy, on one datanode: lost with its disk.
    One,
    /// In three copies, by a Raft pipeline.
    Three,
}

/// A webhook that is told what happens in buckets: `arn:trioxide:sqs::NAME:webhook`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotificationSection {
    pub(crate) url: String,
    /// Holds what is sent as `Authorization: Bearer …`.
    #[serde(default)]
    pub(crate) token_file: Option<PathBuf>,
    /// Authorities that vouch for it beside those of the machine, in PEM.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) timeout: Option<Span>,
    /// An event that could not be delivered for so long is put aside.
    #[serde(default)]
    pub(crate) give_up_after: Option<Span>,
    /// With more waiting the oldest are put aside.
    #[serde(default)]
    pub(crate) max_waiting: Option<u64>,
}

/// How much of its log a replicated role keeps. A member that misses what is not kept any more is sent a snapshot.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RaftSection {
    /// The log is shortened when it holds more entries than this.
    pub(crate) log_entries: u64,
    /// Entries that stay then, for members that are a little behind.
    pub(crate) keep_entries: u64,
}

impl Default for RaftSection {
    fn default() -> Self {
        let policy = CompactionPolicy::default();
        Self { log_entries: policy.log_entries, keep_entries: policy.keep_entries }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogSection {
    pub(crate) format: LogFormat,
    /// As in `info` or `info,om=debug`.
    pub(crate) level: String,
    /// One JSON line a request; standard output if absent, `off` for none.
    pub(crate) audit: Option<String>,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info,openraft=warn".to_owned(), audit: None }
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) display_name: Option<String>,
    #[serde(default)]
    pub(crate) email: Option<String>,
    #[serde(default)]
    pub(crate) access_key: Option<String>,
    #[serde(default)]
    pub(crate) secret_key: Option<String>,
    /// Holds the secret, readable by this process alone.
    #[serde(default)]
    pub(crate) secret_key_file: Option<PathBuf>,
    /// Names the variable of the environment that holds it.
    #[serde(default)]
    pub(crate) secret_key_env: Option<String>,
    #[serde(default)]
    pub(crate) admin: bool,
    /// Where its buckets lie, for good: S3's own volume if absent.
    #[serde(default)]
    pub(crate) volume: Option<String>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "User({}, {:?})", self.id, self.access_key)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    /// A user's id; root's if absent.
    #[serde(default)]
    pub(crate) owner: Option<String>,
}

impl Config {
    /// The file, if one is named, under the environment.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, LoadError> {
        layers::load(file, std::env::vars())
    }

    /// Users, identities and buckets that exist after the start. Loading has found the mistakes in it that need no other file to be seen.
    pub(crate) fn wanted(&self) -> Result<Wanted, WantedError> {
        Wanted::of(self, Reading::Now)
    }

    /// Two settings that go together, as the person knows them who gave the first: variables, if the environment gave it.
    fn names_of(&self, given: &'static str, beside: &'static str) -> [String; 2] {
        let name = |key: &str| if self.from_environment.contains(given) { layers::variable_of(key) } else { key.to_owned() };
        [name(given), name(beside)]
    }

    pub(crate) fn data(&self) -> Result<&Path, LoadError> {
        self.data.as_deref().ok_or(LoadError::Missing("data", "the folder to keep everything in (--data)"))
    }

    pub(crate) fn node(&self) -> Result<&str, LoadError> {
        self.node.as_deref().ok_or(LoadError::Missing("node", "this process's name in the cluster (--node)"))
    }

    /// The join token's text, from the file it is kept in or from the configuration itself.
    pub(crate) fn join_token(&self) -> Result<String, LoadError> {
        if let Some(token) = &self.join_token {
            return Ok(token.clone());
        }
        let path = self
            .join_token_file
            .as_deref()
            .ok_or(LoadError::Missing("join_token", "the cluster's secret, made by `trioxide token` (or join_token_file)"))?;
        let failed = |source| LoadError::Read { path: path.to_owned(), source };
        let text = String::from_utf8(crate::files::read_secret(path).map_err(failed)?);
        text.map(|text| text.trim().to_owned()).map_err(|error| failed(std::io::Error::other(error)))
    }

    /// For showing: whether a secret is set, never the secret.
    pub(crate) fn without_secrets(mut self) -> Self {
        let hide = |secret: &mut Option<String>| {
            if let Some(secret) = secret {
                *secret = "(set)".to_owned();
            }
        };
        hide(&mut self.join_token);
        hide(&mut self.root.secret_key);
        self.user.iter_mut().for_each(|user| hide(&mut user.secret_key));
        self.iam.user.iter_mut().for_each(|user| hide(&mut user.secret_key));
        self
    }
}
