//! What does reading an object cost?
//!
//! Estimate for 4 KiB: one lookup in the OM and one read of a block, no sync and no Raft entry: 0.15 s of CPU for 1,000
//! (HTTP 0.05, signature 0.02, lookup 0.03, read with checksum 0.05), some 10,000 a second on two cores that the client
//! shares. For 1 MiB the copy through the socket dominates: 0.3 ms each.

use http::Method;

use super::objects::Objects;
use super::{Bench, sized};
use crate::cli::LoadArgs;
use crate::client::Client;
use crate::drive::{Operation, drive};
use crate::error::BenchError;
use crate::report::{Report, Row};

pub(crate) async fn run(bench: &Bench, args: LoadArgs, objects: &Objects, report: &mut Report) -> Result<(), BenchError> {
    let read = ReadObject { objects: objects.clone() };
    let outcome = drive(&bench.target, &bench.server, args.clients, args.requests, read).await?;
    report.add(Row::new(format!("GET {}", sized(objects.size)), args.clients, &outcome));
    Ok(())
}

/// One GET, read to its end.
#[derive(Debug)]
pub(crate) struct ReadObject {
    pub(crate) objects: Objects,
}

impl Operation for ReadObject {
    async fn run(&self, client: &mut Client, number: u64) -> Result<u64, BenchError> {
        let ask = self.objects.ask(Method::GET, client.target(), &self.objects.scattered(number));
        let answer = client.send(&ask).await?;
        if answer.body_bytes != self.objects.size {
            let Objects { size, .. } = self.objects;
            return Err(BenchError::Unexpected(format!("{} has {} bytes, not {size}", ask.path, answer.body_bytes)));
        }
        Ok(answer.body_bytes)
    }
}
