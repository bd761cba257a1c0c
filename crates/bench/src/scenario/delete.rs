//! What does deleting an object cost?
//!
//! Estimate: one entry in the OM's log, its sync shared by all that wait; the blocks go later, in the background. Half a
//! PUT: 100 syncs and 0.15 s of CPU for 1,000 from 32 clients.

use http::Method;

use super::objects::Objects;
use super::{Bench, sized};
use crate::cli::LoadArgs;
use crate::client::Client;
use crate::drive::{Operation, drive};
use crate::error::BenchError;
use crate::report::{Report, Row};

pub(crate) async fn run(bench: &Bench, args: LoadArgs, objects: &Objects, report: &mut Report) -> Result<(), BenchError> {
    let delete = DeleteObject { objects: objects.clone() };
    let outcome = drive(&bench.target, &bench.server, args.clients, objects.count, delete).await?;
    report.add(Row::new(format!("DELETE {}", sized(objects.size)), args.clients, &outcome));
    Ok(())
}

struct DeleteObject {
    objects: Objects,
}

impl Operation for DeleteObject {
    async fn run(&self, client: &mut Client, number: u64) -> Result<u64, BenchError> {
        let ask = self.objects.ask(Method::DELETE, client.target(), &self.objects.key(number));
        client.send(&ask).await?;
        Ok(0)
    }
}
