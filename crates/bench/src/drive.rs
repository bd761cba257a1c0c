//! Closed-loop load: so many clients, each with the next operation as soon as the last one is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

use crate::client::{Client, Target};
use crate::cost::{Cost, Server};
use crate::error::BenchError;

/// What is done over and over.
pub(crate) trait Operation: Send + Sync + 'static {
    /// The `number`th of all; gives the bytes of payload that it moved.
    fn run(&self, client: &mut Client, number: u64) -> impl Future<Output = Result<u64, BenchError>> + Send;
}

/// How a load went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) took: Duration,
    pub(crate) bytes: u64,
    /// Of each operation, sorted.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) cost: Cost,
}

/// Runs operations `0..total` over `clients` kept connections. The first failure ends it: a number with errors in it
/// measures something else.
pub(crate) async fn drive<O: Operation>(
    target: &Arc<Target>,
    server: &Server,
    clients: usize,
    total: u64,
    operation: O,
) -> Result<Outcome, BenchError> {
    let operation = Arc::new(operation);
    let next = Arc::new(AtomicU64::new(0));
    let start_line = Arc::new(Barrier::new(clients + 1));
    let workers: Vec<_> = (0..clients)
        .map(|_| {
            let (operation, next, start_line) = (Arc::clone(&operation), Arc::clone(&next), Arc::clone(&start_line));
            let mut client = Client::new(Arc::clone(target));
            tokio::spawn(async move {
                start_line.wait().await;
                let (mut latencies, mut bytes) = (Vec::new(), 0);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        return Ok::<_, BenchError>((latencies, bytes));
                    }
                    let start = Instant::now();
                    let moved = operation.run(&mut client, number).await.inspect_err(|_| {
                        next.store(total, Ordering::Relaxed);
                    })?;
                    latencies.push(start.elapsed());
                    bytes += moved;
                }
            })
        })
        .collect();
    let meter = server.start_measuring().await?;
    start_line.wait().await;
    let start = Instant::now();
    let (mut latencies, mut bytes) = (Vec::new(), 0);
    for worker in workers {
        let (theirs, moved) = worker.await??;
        latencies.extend(theirs);
        bytes += moved;
    }
    let took = start.elapsed();
    let cost = meter.finish().await?;
    latencies.sort_unstable();
    Ok(Outcome { took, bytes, latencies, cost })
}

/// The same without measuring: what a scenario needs to be there.
pub(crate) async fn prepare<O: Operation>(
    target: &Arc<Target>,
    clients: usize,
    total: u64,
    operation: O,
) -> Result<(), BenchError> {
    drive(target, &Server::default(), clients, total, operation).await.map(|_| ())
}

impl Outcome {
    /// The latency that so many in a hundred do not exceed.
    pub(crate) fn percentile(&self, percent: f64) -> Duration {
        let rank = (self.latencies.len() as f64 * percent / 100.0).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_latency_that_was_measured() {
        let millis = |numbers: &[u64]| Outcome {
            took: Duration::ZERO,
            bytes: 0,
            latencies: numbers.iter().copied().map(Duration::from_millis).collect(),
            cost: Cost::default(),
        };
        let hundred = millis(&(1..=100).collect::<Vec<_>>());
        assert_eq!(hundred.percentile(50.0), Duration::from_millis(50));
        assert_eq!(hundred.percentile(99.0), Duration::from_millis(99));
        assert_eq!(hundred.percentile(100.0), Duration::from_millis(100));
        assert_eq!(millis(&[7]).percentile(50.0), Duration::from_millis(7));
        assert_eq!(millis(&[]).percentile(99.0), Duration::ZERO);
    }
}
