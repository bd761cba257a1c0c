//! S3 over HTTP, in front of the namespace and the datanodes. Stateless: a restart misses nothing that it holds.
//!
//! A request's way: `front` accepts the connection under its limits and gives the request an id; `service` takes its head
//! apart once, authenticates it once, chooses one operation and renders what that answers; `ops` has a file for each operation;
//! `data` moves bytes between the connection and the datanodes. The rules of S3 itself are in `gateway-core`, every decision
//! about rights and conditions is the OM's.
//!
//! What always holds: no operation runs before authentication; no byte of a body is read before the OM allowed the write; an
//! object becomes visible only after its body was whole and right; memory is bounded by settings and not by sizes or clients.

mod access_log;
mod audit;
mod authenticator;
mod config;
mod context;
mod data;
mod facts;
mod front;
mod iam;
mod moves;
mod operation;
mod ops;
mod rejections;
mod reply;
mod service;

pub use access_log::AccessLogConfig;
pub use audit::{AuditLog, AuditRecord, AuditSink, NoAudit};
pub use authenticator::{Authenticator, Signer, is_body_of};
pub use config::{Config, InvalidConfig};
pub use front::{Answers, Gateway, Limits, Refusal, serve};
pub use gateway_core::access_log::OperationNames;
pub use gateway_core::auth::Accepts;
pub use gateway_core::proxies::{Client, Peer, TrustedProxies};
pub use gateway_core::{S3Error, S3ErrorCode};
pub use iam::{IamEndpoint, IamIds, IamRecord, MOST_BYTES as MOST_IAM_BYTES, is_call as is_iam_call};
