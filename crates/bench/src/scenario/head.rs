//! What does a request cost that moves no data?
//!
//! Estimate: a GET without its block: 0.1 s of CPU for 1,000 (HTTP 0.05, signature 0.02, lookup 0.03).

use http::Method;

use super::Bench;
use super::objects::Objects;
use crate::cli::LoadArgs;
use crate::client::Client;
use crate::drive::{Operation, drive};
use crate::error::BenchError;
use crate::report::{Report, Row};

pub(crate) async fn run(bench: &Bench, args: LoadArgs, objects: &Objects, report: &mut Report) -> Result<(), BenchError> {
    let look = LookAtObject { objects: objects.clone() };
    let outcome = drive(&bench.target, &bench.server, args.clients, args.requests, look).await?;
    report.add(Row::new("HEAD", args.clients, &outcome));
    Ok(())
}

struct LookAtObject {
    objects: Objects,
}

impl Operation for LookAtObject {
    async fn run(&self, client: &mut Client, number: u64) -> Result<u64, BenchError> {
        let ask = self.objects.ask(Method::HEAD, client.target(), &self.objects.scattered(number));
        client.send(&ask).await?;
        Ok(0)
    }
}
