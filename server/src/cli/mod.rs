//! The command line.

mod iam;

pub(crate) use iam::{HolderCommand, KeyCommand, PolicyCommand};

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "trioxide", version, about = "An S3-compatible object store")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Every role in this one process: a durable S3 endpoint on one machine
    Server(ServerArgs),
    /// One member of the namespace's Raft group
    Om(RoleArgs),
    /// One member of the group that manages datanodes
    Scm(RoleArgs),
    /// Blocks on this machine's disks
    Datanode(RoleArgs),
    /// An S3 endpoint of a cluster
    Gateway(RoleArgs),
    /// What an administrator asks of a running cluster
    Admin(AdminArgs),
    /// Makes a join token, the one secret that a cluster's processes are given
    Token,
    /// Checks and shows the configuration as it takes effect, without its secrets
    Config(ConfigArgs),
    /// Offline repair; each tool tells what it would do unless told to do it
    Repair(RepairArgs),
    /// Shell completion, to be sourced
    Completion { shell: clap_complete::Shell },
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "TRIOXIDE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// The folder to keep everything in
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where S3 answers [default: 127.0.0.1:9878]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) s3_addr: Option<SocketAddr>,
    /// Where health, metrics and administration answer [default: 127.0.0.1:19878]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) admin_addr: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct RoleArgs {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// The folder to keep everything in
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// This process's name in the cluster
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// Where this process's health and metrics answer
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) admin_addr: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    #[command(subcommand)]
    pub(crate) tool: RepairTool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RepairTool {
    /// Ends a damaged write-ahead log where the damage begins. What stood behind is lost to this member: only for one whose group
    /// has a healthy majority without it, or for a single node whose owner accepts the loss
    Wal {
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// Makes a disk's block index anew from its container files
    Index {
        #[arg(long, value_name = "DIR")]
        disk: PathBuf,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    /// The admin listener of a server or gateway
    #[arg(long, value_name = "URL", env = "TRIOXIDE_ENDPOINT", default_value = "http://127.0.0.1:19878", global = true)]
    pub(crate) endpoint: String,
    /// PEM certificates of authorities to trust beside the machine's, where the endpoint is https://
    #[arg(long, value_name = "FILE", env = "TRIOXIDE_CA_FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// An access key, better given by the environment
    #[arg(long, value_name = "KEY", env = "AWS_ACCESS_KEY_ID", global = true)]
    pub(crate) access_key: Option<String>,
    /// Its secret, better given by the environment
    #[arg(long, value_name = "SECRET", env = "AWS_SECRET_ACCESS_KEY", hide_env_values = true, global = true)]
    pub(crate) secret_key: Option<String>,
    /// Act in another account: for administrators of the cluster
    #[arg(long, value_name = "ID", global = true)]
    pub(crate) account: Option<String>,
    /// The answer as one JSON document
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: AdminCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// The state of the whole: roles, safe mode, replication, what is wrong
    Status,
    /// The namespace's Raft group
    #[command(subcommand)]
    Om(GroupCommand),
    /// Datanode management
    #[command(subcommand)]
    Scm(ScmCommand),
    /// The machines that hold blocks
    #[command(subcommand)]
    Datanode(DatanodeCommand),
    /// S3 secrets
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Accounts: whoever owns buckets
    #[command(subcommand)]
    Account(AccountCommand),
    /// The account's users
    #[command(subcommand)]
    User(HolderCommand),
    /// The account's groups
    #[command(subcommand)]
    Group(HolderCommand),
    /// The account's roles
    #[command(subcommand)]
    Role(HolderCommand),
    /// Managed policies
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Access keys of the account and of its users
    #[command(subcommand)]
    Key(KeyCommand),
    /// Delegation tokens: credentials for a job that acts for you
    #[command(subcommand)]
    Token(TokenCommand),
    /// Ozone's ACLs on VOLUME[/BUCKET[/KEY or PREFIX/]]
    #[command(subcommand)]
    Acl(AclCommand),
    /// Why a request was refused, by the id that its answer carries
    Explain { request_id: String },
    /// The keys behind SSE-KMS
    #[command(subcommand)]
    Kms(KmsCommand),
    /// Events that have not arrived at their destinations
    Notifications {
        /// All if absent
        #[arg(long)]
        destination: Option<String>,
        /// Let those that were put aside for it wait once more
        #[arg(long, requires = "destination")]
        revive: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Who leads, who follows, how far
    Roles,
    /// Hand leadership to another member
    Transfer {
        /// A member's id; whoever is furthest if absent
        #[arg(long)]
        to: Option<u64>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ScmCommand {
    /// Who leads, who follows, how far
    Roles,
    /// Hand leadership to another member
    Transfer {
        /// A member's id; whoever is furthest if absent
        #[arg(long)]
        to: Option<u64>,
    },
    /// Whether writes are held back after a start, and why
    SafeMode {
        /// End it by hand
        #[arg(long)]
        leave: bool,
    },
    /// The sets of datanodes that take writes together
    Pipelines,
    /// Containers and their replicas
    Containers {
        /// Only those with fewer good replicas than they should have
        #[arg(long)]
        unhealthy: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DatanodeCommand {
    /// Every datanode with its state and disks
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Makes a secret and shows it this once
    Create {
        /// Whose; your own if absent
        user: Option<String>,
        /// Beside the one that there is, which works until it is revoked
        #[arg(long)]
        rotate: bool,
    },
    /// Gives a user a pair that there is already
    Import {
        user: String,
        /// The pair's access key
        key: String,
        /// The file that holds its secret; standard input if absent
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// Beside the one that there is, which works until it is revoked
        #[arg(long)]
        rotate: bool,
    },
    /// Ends secrets: the next request signed with one fails
    Revoke {
        /// Whose; your own if absent
        user: Option<String>,
        /// This access key's alone
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AclCommand {
    /// Every entry
    Get { object: String },
    /// Gives more rights
    Add {
        object: String,
        /// user|group|world|anonymous:NAME:RIGHTS[ACCESS|DEFAULT], the rights of rwcldxy, a for all or n for none
        #[arg(required = true)]
        entries: Vec<String>,
    },
    /// Takes rights away
    Remove {
        object: String,
        #[arg(required = true)]
        entries: Vec<String>,
    },
    /// Gives these rights and no others
    Set { object: String, entries: Vec<String> },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Gets a token and shows it this once
    Get {
        /// Who may renew it: a user's name, an account's number, or an ARN
        #[arg(long, value_name = "NAME")]
        renewer: Option<String>,
        /// How long it may be renewed; as long as the cluster lets it if absent
        #[arg(long, value_name = "SECONDS")]
        max_lifetime: Option<u32>,
    },
    /// Lets a token last on, as its renewer
    Renew { id: String },
    /// Ends a token: the next request signed with it fails
    Cancel { id: String },
    /// Your tokens; of an account's root, those of the account
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KmsCommand {
    /// Every key, and whether it is enabled
    List,
    /// Makes a key. It is never deleted, since objects may lie under it
    Create { name: String },
    /// Gives a key new material. What it sealed before still opens
    Rotate { name: String },
    /// Lets a disabled key serve again
    Enable { name: String },
    /// Keeps a key from sealing and opening: objects under it can be neither written nor read
    Disable { name: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Every account with its keys
    List,
    /// Makes an account, and a key pair of its own, which is shown this once
    Create {
        /// S3's canonical id of it
        id: String,
        /// What S3 shows of it; the id if absent
        #[arg(long)]
        name: Option<String>,
        /// By which ACLs may name it, too
        #[arg(long)]
        email: Option<String>,
        /// Where its buckets lie, for good; s3v, which accounts share, if absent
        #[arg(long)]
        volume: Option<String>,
        /// It administers the cluster
        #[arg(long)]
        admin: bool,
        /// No key pair: `secret import` gives one
        #[arg(long)]
        without_key: bool,
    },
    /// Changes what is named
    #[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["name", "email", "admin"])))]
    Update {
        /// By id or number
        id: String,
        /// What S3 shows of it
        #[arg(long)]
        name: Option<String>,
        /// An empty one takes it away
        #[arg(long)]
        email: Option<String>,
        /// Whether it administers the cluster
        #[arg(long)]
        admin: Option<bool>,
    },
    /// Ends an account that has neither buckets nor identities any more, its keys with it
    Delete {
        /// By id or number
        id: String,
    },
}
