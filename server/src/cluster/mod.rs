//! One role of a cluster in this process.
//!
//! Every role starts the same way: a certificate (enrolling if it has none), its listeners, its connections to the roles below
//! it. An OM or SCM then finds its Raft group; a datanode registers; a gateway begins to serve. All have an admin listener for
//! health and metrics; a gateway's also answers administrators.

pub(crate) mod compose;
#[expect(unreachable_pub, reason = "declared by a macro that makes what an api package would export")]
mod formation;
mod identity;
mod renewal;
mod role;

pub(crate) use role::{datanode, gateway, om, scm};
