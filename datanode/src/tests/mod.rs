//! Datanodes over real files, real logs and real sockets, an SCM that only hands out ids, keys and orders, and the clients that
//! gateways use.

mod crash;
mod damage;
mod deletes;
mod files;
mod full;
mod model;
mod pipelines;
mod rig;
mod serving;
mod snapshots;
mod tokens;
