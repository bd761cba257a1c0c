//! What does a call cost, over mutual TLS on loopback, both ends in this process?
//!
//! Estimate before measuring: one call alone is two wake-ups and two syscalls an end, 40 µs of CPU. With 64 at a time,
//! frames share records and syscalls; what is left is two tasks, two channel hops and two AES passes over 100 bytes: 10 µs
//! for both ends together.

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Cluster, ECHO, cx, method};
use rpc::{Limits, PeerRole};

const CALLS: u64 = 100_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let cluster = Cluster::new();
    let om = cluster.serve(PeerRole::Om, Limits::default()).await;
    let caller = cluster.caller(&om.endpoint);
    println!("{:>8} {:>8} {:>12} {:>14}", "at once", "bytes", "calls/s", "cpu µs a call");
    for (at_once, length) in [(1, 100), (64, 100), (512, 100), (64, 4096)] {
        let (start, cpu) = (Instant::now(), cpu_time());
        let workers: Vec<_> = (0..at_once)
            .map(|worker| {
                let caller = Arc::clone(&caller);
                let body = Bytes::from(vec![7; length]);
                tokio::spawn(async move {
                    for call in 0..CALLS / at_once {
                        let cx = cx(u128::from(worker << 32 | call), Duration::from_secs(10));
                        caller.call(method(ECHO), cx, body.clone()).await.expect("answered");
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.expect("ends");
        }
        let calls = (CALLS / at_once * at_once) as f64;
        let (took, cpu) = (start.elapsed().as_secs_f64(), (cpu_time() - cpu).as_secs_f64());
        println!("{at_once:>8} {length:>8} {:>12.0} {:>14.1}", calls / took, cpu / calls * 1e6);
    }
}

/// Of all threads of this process, in user and system.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("on Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("has fields").split_whitespace().collect();
    let ticks: u64 = fields[11..=12].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}
