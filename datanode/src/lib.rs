//! Containers of blocks on disks.
//!
//! A block's bytes come by `write` (large) or inside its `put` (small); its commit is an entry in its pipeline's log. What a
//! datanode answers is durable: in a container's file that was synced, or in the log. See `datanode-core` for what is true,
//! `docs/formats/container-file.md` for what is on the disk.

mod background;
mod config;
mod container;
mod datanode;
mod disk;
mod http;
mod ops;
mod pipeline;
mod store;
#[cfg(test)]
mod tests;
mod tokens;

pub use config::{Config, InvalidConfig};
pub use datanode::{Datanode, Parts, Peers, StartError};
pub use disk::{Rebuilt, rebuild_index};
pub use http::{Accept, PlainAccept, serve};

/// The name of the service that fetches missing blocks.
const FETCH_SERVICE: &str = "block-fetch";
