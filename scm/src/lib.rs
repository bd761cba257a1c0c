//! The Storage Container Manager: knows the datanodes, joins them into pipelines, leases blocks on their containers, and sees to
//! it that every container keeps its replicas.
//!
//! What is agreed on is in `scm-core` rows, replicated by `raft-node`. The leader alone answers (but for `roles`): it hears the
//! heartbeats, keeps their census in memory, and gives orders with the answers. Its background services join rows and census
//! into plans (`scm_core::plan`) and carry them out: as commands through the log, or as orders to datanodes.
//!
//! What always holds:
//! - A new leadership begins with an empty census and in safe mode. Datanodes are asked to report in full; until they have, no
//!   block is leased and no replica is removed.
//! - A call that changes rows answers once its entry is committed and applied. Orders are never remembered anywhere but here:
//!   they follow from rows and reports, so they survive the leader.

mod authority;
mod background;
mod config;
mod convert;
mod leader;
mod log;
mod service;
mod uptime;

pub use authority::AuthorityParts;
pub use config::{Config, ConfigError, TokenKeySettings};
pub use log::ScmCore;
pub use service::{Parts, ScmService, StartError};
