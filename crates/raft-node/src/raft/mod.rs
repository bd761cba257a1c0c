//! All that touches openraft, instantiated once: opaque commands in, opaque answers out.

mod codec;
mod log_store;
mod machine;
mod network;
mod service;
#[cfg(test)]
mod tests;
mod turns;
mod types;
mod wire;

pub(crate) use log_store::LogStore;
pub(crate) use machine::MachineAdapter;
pub(crate) use network::Network;
pub(crate) use service::{GroupEntry, RaftService};
pub(crate) use types::{Node, Payload, Raft, TypeConfig};
