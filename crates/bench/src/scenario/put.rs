//! What does writing an object cost, and how many writers share one sync?
//!
//! Estimate for 4 KiB from 32 clients on one node: the object rides in the datanode's log entry, then one entry in the
//! OM's: two syncs in a row for each, shared by all that wait. With 1 ms syncs about 10 writers meet in each, so some 200
//! syncs for 1,000 requests, 0.3 s of CPU (HTTP 0.05, signature 0.02, MD5 and SHA-256 0.03, two Raft entries 0.15), and a
//! p50 of 3 ms. For 1 MiB the digests dominate: 5 ms of CPU each, so about 200 MB/s a core.

use super::objects::{Objects, WriteObject};
use super::{Bench, sized};
use crate::cli::LoadArgs;
use crate::client::Payload;
use crate::drive::drive;
use crate::error::BenchError;
use crate::report::{Report, Row};

pub(crate) async fn run(bench: &Bench, args: LoadArgs, report: &mut Report) -> Result<Objects, BenchError> {
    let objects = Objects { prefix: format!("put-{}/", args.size), count: args.requests, size: args.size };
    let write = WriteObject { objects: objects.clone(), payload: Payload::noise(args.size) };
    let outcome = drive(&bench.target, &bench.server, args.clients, args.requests, write).await?;
    report.add(Row::new(format!("PUT {}", sized(args.size)), args.clients, &outcome));
    Ok(objects)
}
