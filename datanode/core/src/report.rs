//! What a heartbeat has to tell: everything at first, then what changed.

use std::collections::BTreeMap;

/// Remembers what the other side was told and has accepted.
#[derive(Debug)]
pub struct ReportBook<K, V> {
    accepted: BTreeMap<K, V>,
    /// The next report tells everything.
    is_full_due: bool,
}

/// What to tell now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report<K, V> {
    pub changed: Vec<(K, V)>,
    /// Told before, and not held any more.
    pub gone: Vec<K>,
    pub is_full: bool,
}

impl<K, V> Default for ReportBook<K, V> {
    fn default() -> Self {
        Self { accepted: BTreeMap::new(), is_full_due: true }
    }
}

impl<K: Ord + Clone, V: PartialEq + Clone> ReportBook<K, V> {
    /// A fresh listener knows nothing of what was told before.
    pub fn tell_everything(&mut self) {
        self.is_full_due = true;
    }

    pub fn report(&self, held: &BTreeMap<K, V>) -> Report<K, V> {
        let is_full = self.is_full_due;
        let changed = held.iter().filter(|(key, value)| is_full || self.accepted.get(key) != Some(value));
        let gone = self.accepted.keys().filter(|key| !is_full && !held.contains_key(key));
        Report {
            changed: changed.map(|(key, value)| (key.clone(), value.clone())).collect(),
            gone: gone.cloned().collect(),
            is_full,
        }
    }

    /// The report was accepted. One that was not is told again, with whatever changed since.
    pub fn accept(&mut self, report: Report<K, V>) {
        if report.is_full {
            self.accepted.clear();
            self.is_full_due = false;
        }
        for key in &report.gone {
            self.accepted.remove(key);
        }
        self.accepted.extend(report.changed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_until_it_is_accepted_and_then_no_more() {
        let mut book = ReportBook::default();
        let mut held = BTreeMap::from([(1, "a"), (2, "b")]);
        let full = book.report(&held);
        assert!(full.is_full);
        assert_eq!(book.report(&held), full, "not accepted yet");
        book.accept(full);
        assert_eq!(book.report(&held), Report { changed: vec![], gone: vec![], is_full: false });
        held.insert(1, "c");
        held.remove(&2);
        let change = book.report(&held);
        assert_eq!(change, Report { changed: vec![(1, "c")], gone: vec![2], is_full: false });
        book.accept(change);
        assert_eq!(book.report(&held).changed, []);
        book.tell_everything();
        assert_eq!(book.report(&held), Report { changed: vec![(1, "c")], gone: vec![], is_full: true });
    }
}
