//! Calls between processes: typed methods over multiplexed, mutually authenticated connections.
//!
//! A role's `api` declares its methods once with [`service!`]; that makes the trait, a client that implements the trait
//! over any [`Caller`], and a server that exposes any implementation as a [`Service`]. In one process the trait object is
//! passed around directly and nothing of this crate runs.
//!
//! Every call carries a [`CallContext`]: who asks, under which request id, until when. What is known about a failed call
//! is in [`CallError`].

mod call;
mod connect;
mod service;

pub use async_trait::async_trait;
pub use call::{CallContext, CallError, CallFault, Never, NotApplied, Peer};
pub use connect::Connect;
pub use pki::PeerRole;
pub use service::{Caller, MethodId, Reply, Service};

#[doc(hidden)]
pub mod macro_support {
    pub use crate::service::{decode_reply, decode_request, encode_reply, encode_request};
    pub use bytes::Bytes;
}
