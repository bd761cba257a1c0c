//! The objects that loads write and read: numbered keys under a prefix, all of one size.

use http::Method;

use super::Bench;
use crate::client::{Ask, Client, Payload, Target};
use crate::drive::{Operation, prepare};
use crate::error::BenchError;

#[derive(Debug, Clone)]
pub(crate) struct Objects {
    pub(crate) prefix: String,
    pub(crate) count: u64,
    pub(crate) size: u64,
}

impl Objects {
    /// Writes them, unmeasured.
    pub(crate) async fn write(bench: &Bench, name: &str, size: u64, count: u64, clients: usize) -> Result<Self, BenchError> {
        let objects = Self { prefix: format!("{name}-{size}/"), count: count.max(1), size };
        let write = WriteObject { objects: objects.clone(), payload: Payload::noise(size) };
        prepare(&bench.target, clients, objects.count, write).await?;
        Ok(objects)
    }

    pub(crate) fn key(&self, number: u64) -> String {
        format!("{}{number:08}", self.prefix)
    }

    /// One of them, in an order that no cache foresees.
    pub(crate) fn scattered(&self, number: u64) -> String {
        self.key(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % self.count.max(1))
    }

    pub(crate) fn ask(&self, method: Method, target: &Target, key: &str) -> Ask {
        Ask { method, path: target.path(key), query: String::new(), payload: Payload::empty() }
    }
}

/// One PUT.
#[derive(Debug)]
pub(crate) struct WriteObject {
    pub(crate) objects: Objects,
    pub(crate) payload: Payload,
}

impl Operation for WriteObject {
    async fn run(&self, client: &mut Client, number: u64) -> Result<u64, BenchError> {
        let path = client.target().path(&self.objects.key(number));
        let ask = Ask { method: Method::PUT, path, query: String::new(), payload: self.payload.clone() };
        client.send(&ask).await?;
        Ok(self.payload.len())
    }
}
