//! The Ozone Manager: serves the namespace of `om-core`, replicated by `raft-node`.
//!
//! What always holds:
//! - Only the leader answers (but for `roles`), and every answer shows everything acknowledged before the call.
//! - A call is authorised here, from the rows, at the moment it is made; conditions are decided in `apply`.
//! - No call to the SCM stands between a client and its commit: blocks come from a pool, locations from a cache.
//! - A write's blocks are noted in the log before its commit, so whatever dies, they are linked or freed.
//! - Secrets are opened here and nowhere else; they leave as derived keys, or once, when they are made.

mod background;
mod blocks;
mod config;
mod convert;
mod guards;
mod ids;
mod key_uses;
mod keys;
mod lifecycles;
mod machine;
mod moves;
mod notifications;
mod oidc;
mod powers;
mod secrets;
mod service;

pub use config::{Config, ConfigError, MasterKey};
pub use machine::{OmCore, OmMachine, open_machine};
pub use notifications::{BadDestination, Destination};
pub use oidc::OidcConfig;
pub use service::{OmService, StartError};
