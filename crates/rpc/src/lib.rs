//! Calls between processes: typed methods over multiplexed, mutually authenticated connections.
//!
//! A role's `api` declares its methods once with [`service!`]; that makes the trait, a client that implements the trait
//! over any [`Caller`], and a server that exposes any implementation as a [`Service`]. In one process the trait object is
//! passed around directly and nothing of this crate runs.
//!
//! Between processes, [`serve`] answers on a listener and a [`Pool`] gives the way to each endpoint; [`LeaderCaller`] finds
//! the leader among the members of a replicated service.
//!
//! Every call carries a [`CallContext`]: who asks, under which request id, until when. What is known about a failed call
//! is in [`CallError`].

mod call;
mod connect;
mod connection;
mod leader;
mod liveness;
mod pool;
mod server;
mod service;
mod stream;
mod wire;

pub use async_trait::async_trait;
pub use call::{CallContext, CallError, CallFault, Never, NotApplied, Peer};
pub use connect::Connect;
pub use leader::{LeaderCaller, RETRY_WITHIN};
pub use pki::PeerRole;
pub use pool::{Expecting, Pool, PoolOptions};
pub use server::{Limits, Services, serve};
pub use service::{Caller, MethodId, Reply, Service};
pub use wire::ProtocolVersion;

#[doc(hidden)]
pub mod macro_support {
    pub use crate::service::{decode_reply, decode_request, encode_reply, encode_request};
    pub use bytes::Bytes;
}
