//! A gateway on a real socket, over a namespace and datanodes in memory.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod blocks;
pub mod client;
pub mod om;
pub mod sealing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway::{AuditSink, Config, Gateway};
use runtime::{ManualClock, SeededEntropy, Shutdown};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use types::Timestamp;

use blocks::MemoryBlocks;
use client::Client;
use om::MemoryOm;

/// 2026-07-01T00:00:00Z
pub const NOW: Timestamp = Timestamp(1_782_864_000_000);

#[derive(Debug, Default)]
pub struct Lines(std::sync::Mutex<Vec<String>>);

impl AuditSink for Lines {
    fn record(&self, line: String) {
        self.0.lock().expect("no panic under the lock").push(line);
    }
}

impl Lines {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic under the lock").clone()
    }
}

pub struct World {
    pub addr: SocketAddr,
    pub om: Arc<MemoryOm>,
    pub blocks: Arc<MemoryBlocks>,
    pub clock: Arc<ManualClock>,
    pub audit: Arc<Lines>,
    pub shutdown: Shutdown,
    pub served: JoinHandle<std::io::Result<()>>,
}

impl World {
    pub async fn start() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        let om = Arc::new(MemoryOm::default());
        let blocks = Arc::new(MemoryBlocks::default());
        let clock = Arc::new(ManualClock::at(NOW));
        let audit = Arc::new(Lines::default());
        let shutdown = Shutdown::default();
        let config = Config { domains: vec!["s3.test".into()], ..config };
        config.validate().expect("a good configuration");
        let gateway = Gateway::with_audit(
            config,
            Arc::clone(&om) as _,
            Arc::clone(&blocks) as _,
            Arc::clone(&clock) as _,
            Arc::new(SeededEntropy::new(7)),
            shutdown.clone(),
            Arc::clone(&audit) as _,
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let served = tokio::spawn(gateway.serve(listener));
        Self { addr, om, blocks, clock, audit, shutdown, served }
    }

    /// Signs with the one user's key.
    pub fn client(&self) -> Client {
        Client::new(self.addr, om::ACCESS_KEY, om::SECRET_KEY)
    }

    /// With a bucket that is there already.
    pub async fn with_bucket() -> (Self, Client) {
        let world = Self::start().await;
        let client = world.client();
        assert_eq!(client.put("/bucket", "").await.status, 200);
        (world, client)
    }
}

/// Waits for a state that stays true.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("never came: {what}"));
}

/// Bytes that are the same nowhere twice.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}
