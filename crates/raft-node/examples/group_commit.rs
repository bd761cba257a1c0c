//! What does a proposal to a group of one cost, in syncs and in processor time?
//!
//! Estimate before measuring: while a sync of about 1 ms is under way all 32 proposers queue, so about 25 entries share the next
//! one; a proposal passes six tasks (caller, core, flusher, core, applier, caller) at 3 to 5 µs each and writes two small rows,
//! so about 40 µs of processor.
//!
//! `cargo run -p raft-node --example group_commit [proposers] [seconds] [command bytes]`

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use raft_node::{Core, HostConfig, NoPeers, RaftHost, TableMachine, TableOptions};
use rpc::PeerRole;
use runtime::Shutdown;
use tables::{StorageFault, Table, WriteTables};
use types::{Endpoint, GroupId, LogIndex, MemberId, RequestId};

const ROWS: Table = Table { id: 1, name: "rows" };

/// The command's first eight bytes are a key, the rest its value.
struct Put;

impl Core for Put {
    fn apply(&self, _: LogIndex, command: &[u8], tables: &mut dyn WriteTables) -> Result<Vec<u8>, StorageFault> {
        let (key, value) = command.split_at_checked(8).ok_or_else(|| StorageFault("no key".to_owned()))?;
        tables.put(ROWS, key, value.to_vec());
        Ok(Vec::new())
    }
}

fn argument(number: usize, default: u64) -> u64 {
    std::env::args().nth(number).and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Processor time of this process so far, in user and kernel mode.
fn processor_time() -> Duration {
    const TICKS_A_SECOND: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect::<Vec<_>>();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS_A_SECOND)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (proposers, seconds, bytes) = (argument(1, 32), argument(2, 5), argument(3, 300) as usize);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let dir = tempfile::tempdir_in(".")?;
        let shutdown = Shutdown::default();
        let config = HostConfig::new(dir.path().join("log"), PeerRole::Om);
        let host = RaftHost::open(config, Arc::new(NoPeers), shutdown.clone()).await?;
        let machine = TableMachine::open(&dir.path().join("rows.redb"), Put, TableOptions::default())?;
        let group = host.start_group(GroupId(1), MemberId(1), machine).await?;
        group.bootstrap(BTreeMap::from([(MemberId(1), Endpoint("alone:0".to_owned()))])).await?;
        group.read_barrier(Instant::now() + Duration::from_secs(5)).await?;

        let done = Arc::new(AtomicU64::new(0));
        let (syncs, processor, started) = (host.wal_syncs(), processor_time(), Instant::now());
        let until = started + Duration::from_secs(seconds);
        let tasks: Vec<_> = (0..proposers)
            .map(|proposer| {
                let (group, done) = (group.clone(), Arc::clone(&done));
                tokio::spawn(async move {
                    let mut number = proposer << 32;
                    let mut slowest = Duration::ZERO;
                    while Instant::now() < until {
                        number += 1;
                        let mut command = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes().to_vec();
                        command.resize(bytes.max(8), 7);
                        let request = Some(RequestId::from_u128(u128::from(number)));
                        let asked = Instant::now();
                        group.propose(request, command, asked + Duration::from_secs(10)).await?;
                        slowest = slowest.max(asked.elapsed());
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok::<_, raft_node::ProposeError>(slowest)
                })
            })
            .collect();
        let mut slowest = Duration::ZERO;
        for task in tasks {
            slowest = slowest.max(task.await??);
        }
        let (proposals, elapsed) = (done.load(Ordering::Relaxed), started.elapsed());
        let (syncs, processor) = (host.wal_syncs() - syncs, processor_time() - processor);
        println!("{proposers} proposers, {bytes} byte commands, {elapsed:.1?}");
        println!("{proposals} proposals, {:.0} a second, the slowest {slowest:.1?}", proposals as f64 / elapsed.as_secs_f64());
        println!("{syncs} syncs, {:.1} proposals a sync", proposals as f64 / syncs.max(1) as f64);
        println!("{:.1} µs of processor a proposal", processor.as_micros() as f64 / proposals.max(1) as f64);
        shutdown.start();
        shutdown.drained(Duration::from_secs(30)).await;
        Ok(())
    })
}
