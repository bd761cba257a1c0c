//! `trioxide admin user|group|role|policy|key`: identities of an account, as calls of IAM's.

use std::path::PathBuf;

use clap::Subcommand;

/// What users, groups and roles have in common: they hold policies.
#[derive(Debug, Subcommand)]
pub(crate) enum HolderCommand {
    /// Every one, by name
    List,
    /// One, with what is set on it
    Show { name: String },
    Create {
        name: String,
        /// Where it is filed: begins and ends with /
        #[arg(long)]
        path: Option<String>,
        /// Of a role: the file of the policy that says who may take it
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
    },
    /// Only one that nothing hangs on any more
    Delete { name: String },
    /// The policies that it holds, inline and managed
    Policies { name: String },
    /// Gives it a managed policy
    Attach { name: String, policy_arn: String },
    /// Takes a managed policy from it
    Detach { name: String, policy_arn: String },
    /// Gives it a policy of its own, or replaces that
    PutPolicy {
        name: String,
        policy: String,
        #[arg(value_name = "FILE")]
        document: PathBuf,
    },
    /// Takes away a policy of its own
    DeletePolicy { name: String, policy: String },
    /// Of a group: who is in it
    Members { name: String },
    /// Of a group: takes a user in
    Add { name: String, user: String },
    /// Of a group: puts a user out
    Remove { name: String, user: String },
    /// Of a role: who may take it from now on
    Trust {
        name: String,
        #[arg(value_name = "FILE")]
        document: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// The account's managed policies, and those that every account has
    List,
    /// The policy's text in force
    Show {
        arn: String,
    },
    Create {
        name: String,
        #[arg(value_name = "FILE")]
        document: PathBuf,
    },
    /// A new version, in force at once
    Update {
        arn: String,
        #[arg(value_name = "FILE")]
        document: PathBuf,
    },
    Delete {
        arn: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    List {
        /// Whose; the account's own if absent
        user: Option<String>,
    },
    /// Makes a key pair and shows it this once
    Create {
        /// For whom; for the account itself if absent
        user: Option<String>,
    },
    /// It signs nothing from the next request on
    Disable {
        key: String,
        #[arg(long)]
        user: Option<String>,
    },
    Enable {
        key: String,
        #[arg(long)]
        user: Option<String>,
    },
    /// For good
    Delete {
        key: String,
        #[arg(long)]
        user: Option<String>,
    },
    /// When it was last used
    LastUsed { key: String },
}
