//! What does a page of 1,000 keys cost?
//!
//! Estimate: 1,000 rows of 200 bytes read in key order (1 µs each), decoded (1 µs), written as 250 KB of XML (2 µs): 4 ms
//! of CPU a page, so 4 s for 1,000 pages.

use http::Method;

use super::objects::Objects;
use super::{Bench, encoded};
use crate::cli::LoadArgs;
use crate::client::{Ask, Client, Payload};
use crate::drive::{Operation, drive};
use crate::error::BenchError;
use crate::report::{Report, Row};

const PAGE: u64 = 1000;

pub(crate) async fn run(bench: &Bench, args: LoadArgs, objects: &Objects, report: &mut Report) -> Result<(), BenchError> {
    let pages = ListPage { objects: objects.clone() };
    let sample = bench.client().fetch(&pages.ask(&bench.target.bucket, 0)).await?;
    let keys = String::from_utf8_lossy(&sample).matches("<Key>").count() as u64;
    let expected = PAGE.min(objects.count.saturating_sub(1));
    if keys != expected {
        return Err(BenchError::Unexpected(format!("a page has {keys} keys, not {expected}")));
    }
    let outcome = drive(&bench.target, &bench.server, args.clients, args.requests, pages).await?;
    report.add(Row::new(format!("LIST {keys} keys"), args.clients, &outcome));
    Ok(())
}

struct ListPage {
    objects: Objects,
}

impl ListPage {
    /// A page from somewhere among the objects, with a full page behind it.
    fn ask(&self, bucket: &str, number: u64) -> Ask {
        let places = self.objects.count.saturating_sub(PAGE).max(1);
        let after = self.objects.key(number.wrapping_mul(7919) % places);
        let query =
            format!("list-type=2&max-keys={PAGE}&prefix={}&start-after={}", encoded(&self.objects.prefix), encoded(&after));
        Ask { method: Method::GET, path: format!("/{bucket}"), query, payload: Payload::empty() }
    }
}

impl Operation for ListPage {
    async fn run(&self, client: &mut Client, number: u64) -> Result<u64, BenchError> {
        let ask = self.ask(&client.target().bucket, number);
        Ok(client.send(&ask).await?.body_bytes)
    }
}
