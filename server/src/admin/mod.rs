//! The admin listener: health, metrics, S3 secrets, and the administrator's commands with the client that sends them.
//!
//! `/health/live` and `/health/ready` tell nothing but yes or no. `/metrics` answers loopback without a signature. Everything
//! else is signed as S3 requests are, and the OM decides whether the signer may.

mod client;
mod endpoint;
mod iam;
mod routes;
mod show;
mod view;

pub(crate) use client::run;
pub(crate) use routes::{Admin, MembersOf, Operations, Readiness, S3Hosts, serve};
