//! How far is reading a long object from a plain file server, on this machine, in this run?
//!
//! Estimate: both copy each byte once to user memory and once into the socket; we also check its CRC (20 GB/s) and find
//! the next chunk. The plain server should win by a tenth; half is the least that we accept. Nothing of it may depend on
//! the object's length: memory stays flat.

use std::sync::Arc;

use super::get::ReadObject;
use super::objects::Objects;
use super::{Bench, sized};
use crate::cli::StreamArgs;
use crate::client::{Payload, Target};
use crate::cost::Server;
use crate::drive::{Outcome, drive};
use crate::error::BenchError;
use crate::plain::PlainServer;
use crate::report::{Report, Row};

pub(crate) async fn run(bench: &Bench, args: StreamArgs, report: &mut Report) -> Result<(), BenchError> {
    let objects = Objects::write(bench, "stream", args.size, args.clients as u64, args.clients).await?;
    let plain = PlainServer::start(&bench.folder, Payload::noise(args.size).bytes()).await?;
    let plain_target = Arc::new(Target { host: plain.host.clone(), ..Target::clone(&bench.target) });
    let plain_server = Server { pids: vec![plain.pid()], ..Server::default() };
    let read = |target: Arc<Target>, server: Server, objects: Objects| async move {
        drive(&target, &server, args.clients, args.requests, ReadObject { objects }).await
    };

    // Before and after: a machine that slows down in between would show.
    let before = read(Arc::clone(&plain_target), plain_server.clone(), objects.clone()).await?;
    let ours = read(Arc::clone(&bench.target), bench.server.clone(), objects.clone()).await?;
    let after = read(plain_target, plain_server, objects).await?;
    drop(plain);

    let size = sized(args.size);
    let plain_rate = (rate(&before) + rate(&after)) / 2.0;
    let faster = if rate(&before) > rate(&after) { &before } else { &after };
    let slower = rate(&before).min(rate(&after));
    report.add(Row::new(format!("plain file server {size}"), args.clients, faster).with("slower of two runs, MB/s", slower));
    let row = Row::new(format!("GET {size}"), args.clients, &ours);
    let share = row.megabytes_per_second() / plain_rate;
    report.add(row.with("of the plain file server", share));
    Ok(())
}

/// MB/s.
fn rate(outcome: &Outcome) -> f64 {
    outcome.bytes as f64 / 1e6 / outcome.took.as_secs_f64()
}
