//! How many wrong proofs one address may show.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The token cannot be guessed; this keeps the log readable and the CPU ours.
const WRONG_PER_WINDOW: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered at once. Beyond it the table starts over: forgetting costs a few more checks, growing costs memory.
const ADDRESSES: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct WrongProofs(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl WrongProofs {
    pub(crate) fn too_many_from(&self, address: IpAddr, now: Instant) -> bool {
        let wrong = self.0.lock();
        wrong.get(&address).is_some_and(|(since, count)| now.duration_since(*since) < WINDOW && *count >= WRONG_PER_WINDOW)
    }

    pub(crate) fn note(&self, address: IpAddr, now: Instant) {
        let mut wrong = self.0.lock();
        if wrong.len() >= ADDRESSES && !wrong.contains_key(&address) {
            wrong.clear();
        }
        let entry = wrong.entry(address).or_insert((now, 0));
        if now.duration_since(entry.0) >= WINDOW {
            *entry = (now, 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_proved_wrong_too_often_waits_for_the_next_minute() {
        let wrong = WrongProofs::default();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let start = Instant::now();
        for _ in 0..WRONG_PER_WINDOW {
            assert!(!wrong.too_many_from(one, start));
            wrong.note(one, start);
        }
        assert!(wrong.too_many_from(one, start));
        assert!(!wrong.too_many_from(other, start));
        assert!(!wrong.too_many_from(one, start + WINDOW));
    }

    #[test]
    fn the_table_of_addresses_does_not_grow_without_bound() {
        let wrong = WrongProofs::default();
        for number in 0..3 * ADDRESSES as u32 {
            wrong.note(IpAddr::from(number.to_be_bytes()), Instant::now());
        }
        assert!(wrong.0.lock().len() <= ADDRESSES);
    }
}
