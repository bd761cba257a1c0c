//! When access keys were last used: noted in memory at every request, and written down now and then.

use std::collections::BTreeMap;

use om_api::AccessKeyId;
use parking_lot::Mutex;
use types::{Millis, Timestamp};

/// A use is written down if the last one written is older than this: IAM's own are as coarse.
const EVERY: Millis = Millis(15 * 60 * 1000);
/// Keys noted at once. Beyond it a key's use goes unnoted until others are written.
const MOST: usize = 100_000;

#[derive(Debug, Clone, Copy)]
struct Use {
    last: Timestamp,
    written: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(crate) struct KeyUses {
    noted: Mutex<BTreeMap<AccessKeyId, Use>>,
}

impl KeyUses {
    pub(crate) fn note(&self, key: &AccessKeyId, now: Timestamp) {
        let mut noted = self.noted.lock();
        if let Some(known) = noted.get_mut(key) {
            known.last = now;
        } else if noted.len() < MOST {
            noted.insert(key.clone(), Use { last: now, written: None });
        }
    }

    /// Those worth writing down, at most so many.
    pub(crate) fn due(&self, most: usize) -> Vec<(AccessKeyId, Timestamp)> {
        let noted = self.noted.lock();
        let is_due = |known: &Use| known.written.is_none_or(|written| known.last.since(written) >= EVERY);
        noted.iter().filter(|(_, known)| is_due(known)).take(most).map(|(key, known)| (key.clone(), known.last)).collect()
    }

    pub(crate) fn written(&self, uses: &[(AccessKeyId, Timestamp)]) {
        let mut noted = self.noted.lock();
        for (key, at) in uses {
            if let Some(known) = noted.get_mut(key) {
                known.written = Some(*at);
            }
        }
        if noted.len() >= MOST {
            noted.retain(|_, known| known.written.is_none());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_written_once_in_a_while() {
        let uses = KeyUses::default();
        let key = AccessKeyId("AK".into());
        uses.note(&key, Timestamp(1_000));
        let due = uses.due(10);
        assert_eq!(due, [(key.clone(), Timestamp(1_000))]);
        uses.written(&due);
        uses.note(&key, Timestamp(2_000));
        assert_eq!(uses.due(10), []);
        uses.note(&key, Timestamp(1_000 + EVERY.0));
        assert_eq!(uses.due(10).len(), 1);
    }
}
