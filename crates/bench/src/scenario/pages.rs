//! Does a page cost what it returns, wherever it lies, and a delimiter what it prints?
//!
//! Estimate: 100,000 keys are 100 pages of 4 ms, the last as quick as the first, since each starts with one seek. With a
//! delimiter over 10 prefixes a page is 11 seeks of some 10 µs: below a millisecond, whatever lies under the prefixes.

use std::time::{Duration, Instant};

use http::Method;

use super::{Bench, element, encoded};
use crate::cli::PagesArgs;
use crate::client::{Ask, Client, Payload};
use crate::drive::{Operation, Outcome, prepare};
use crate::error::BenchError;
use crate::report::{Report, Row, millis};

const PREFIX: &str = "pages/";
/// Walks over all pages; of each page the quickest counts, so that what the machine did besides does not.
const WALKS: usize = 3;
const DELIMITER_PAGES: usize = 50;

pub(crate) async fn run(bench: &Bench, args: PagesArgs, report: &mut Report) -> Result<(), BenchError> {
    let write = WriteKeys { prefixes: args.prefixes.max(1), payload: Payload::noise(1) };
    prepare(&bench.target, args.clients, args.keys, write).await?;
    let mut client = bench.client();

    let meter = bench.server.start_measuring().await?;
    let (start, mut bytes, mut latencies) = (Instant::now(), 0, Vec::new());
    let mut quickest: Vec<Duration> = Vec::new();
    for _ in 0..WALKS {
        let walk = walk(&mut client, args.keys).await?;
        bytes += walk.bytes;
        quickest.resize(walk.pages.len(), Duration::MAX);
        for (best, page) in quickest.iter_mut().zip(&walk.pages) {
            *best = (*best).min(*page);
        }
        latencies.extend(walk.pages);
    }
    let (took, cost) = (start.elapsed(), meter.finish().await?);
    let first = quickest.first().copied().unwrap_or_default();
    let slowest = quickest.iter().copied().max().unwrap_or_default();
    latencies.sort_unstable();
    let outcome = Outcome { took, bytes, latencies, cost };
    let row = Row::new(format!("LIST all {} keys", args.keys), 1, &outcome)
        .with("first page, ms", millis(first))
        .with("slowest page, ms", millis(slowest))
        .with("slowest page over first", slowest.as_secs_f64() / first.as_secs_f64())
        .with_steps(&quickest);
    report.add(row);
    by_delimiter(bench, &mut client, args, report).await
}

async fn by_delimiter(bench: &Bench, client: &mut Client, args: PagesArgs, report: &mut Report) -> Result<(), BenchError> {
    let query = format!("delimiter=%2F&list-type=2&max-keys=1000&prefix={}", encoded(PREFIX));
    let path = format!("/{}", bench.target.bucket);
    let ask = Ask { method: Method::GET, path, query, payload: Payload::empty() };
    let meter = bench.server.start_measuring().await?;
    let (start, mut latencies, mut bytes) = (Instant::now(), Vec::new(), 0);
    for _ in 0..DELIMITER_PAGES {
        let page_start = Instant::now();
        let page = client.fetch(&ask).await?;
        latencies.push(page_start.elapsed());
        bytes += page.len() as u64;
        let page = String::from_utf8_lossy(&page);
        let prefixes = page.matches("<CommonPrefixes>").count() as u64;
        if prefixes != args.prefixes.min(args.keys) || element(&page, "IsTruncated") != Some("false") {
            return Err(BenchError::Unexpected(format!("{prefixes} prefixes on one page, not {}", args.prefixes)));
        }
    }
    let took = start.elapsed();
    let cost = meter.finish().await?;
    let seeks = cost.seeks;
    latencies.sort_unstable();
    let outcome = Outcome { took, bytes, latencies, cost };
    let mut row = Row::new(format!("LIST by delimiter, {} prefixes", args.prefixes), 1, &outcome);
    if let Some(seeks) = seeks {
        row = row.with("seeks a page", seeks as f64 / DELIMITER_PAGES as f64);
    }
    report.add(row);
    Ok(())
}

/// All pages of one listing.
struct Walk {
    pages: Vec<Duration>,
    bytes: u64,
}

async fn walk(client: &mut Client, keys: u64) -> Result<Walk, BenchError> {
    let (mut pages, mut bytes, mut found) = (Vec::new(), 0, 0);
    let mut token = None;
    loop {
        let token_part = token.as_deref().map(|token| format!("continuation-token={}&", encoded(token))).unwrap_or_default();
        let query = format!("{token_part}list-type=2&max-keys=1000&prefix={}", encoded(PREFIX));
        let path = format!("/{}", client.target().bucket);
        let start = Instant::now();
        let page = client.fetch(&Ask { method: Method::GET, path, query, payload: Payload::empty() }).await?;
        pages.push(start.elapsed());
        bytes += page.len() as u64;
        let page = String::from_utf8_lossy(&page);
        found += page.matches("<Key>").count() as u64;
        match element(&page, "NextContinuationToken") {
            Some(next) => token = Some(next.to_owned()),
            None => break,
        }
    }
    if found < keys {
        return Err(BenchError::Unexpected(format!("listed {found} keys of {keys}")));
    }
    Ok(Walk { pages, bytes })
}

/// The keys to list, spread evenly over the prefixes.
struct WriteKeys {
    prefixes: u64,
    payload: Payload,
}

impl Operation for WriteKeys {
    async fn run(&self, client: &mut Client, number: u64) -> Result<u64, BenchError> {
        let key = format!("{PREFIX}p{:04}/{number:08}", number % self.prefixes);
        let path = client.target().path(&key);
        let ask = Ask { method: Method::PUT, path, query: String::new(), payload: self.payload.clone() };
        client.send(&ask).await?;
        Ok(self.payload.len())
    }
}
