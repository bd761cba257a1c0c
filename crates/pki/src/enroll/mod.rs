//! How a process becomes a member with nothing but the join token, and how a member stays one.
//!
//! The newcomer connects by TLS to an SCM without knowing whether it is one, and shows no certificate. Both ends then take
//! the connection's exporter, a secret that only the two ends of this very connection share, and prove under the token that
//! they know it together with what they say. Someone in between has another exporter on each side, so no proof passes
//! through; and the token itself never travels.
//!
//! The order is: the client proves first; a server that finds the proof wrong says so in one uniform word; a right proof is
//! answered by a proof; the client trusts the authority in the answer only after checking that proof.

mod client;
mod limit;
mod message;
mod server;

pub use client::{EnrollError, client, renew};
pub use server::{Refused, Server, Signer};

#[cfg(test)]
mod tests;
