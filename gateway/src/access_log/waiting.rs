//! Records that wait for others to go with them.

use std::collections::BTreeMap;

use tokio::time::Instant;
use types::BucketId;

use super::Of;

/// Records of one bucket, as lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) of: Of,
    pub(super) text: Vec<u8>,
    pub(super) records: u64,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    lines: BTreeMap<Of, (Lines, Instant)>,
    /// Together with what was taken out and is on its way.
    bytes: usize,
    bytes_of: BTreeMap<BucketId, usize>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn bytes_of(&self, bucket: BucketId) -> usize {
        self.bytes_of.get(&bucket).copied().unwrap_or_default()
    }

    /// How many bytes wait with it now. `due` counts if it is the first.
    pub(super) fn add(&mut self, bucket: BucketId, day: u64, line: &str, due: Instant) -> usize {
        let of = Of { bucket, day };
        let (lines, _) = self.lines.entry(of).or_insert_with(|| (Lines { of, text: Vec::new(), records: 0 }, due));
        lines.text.extend_from_slice(line.as_bytes());
        lines.records += 1;
        self.bytes += line.len();
        *self.bytes_of.entry(bucket).or_default() += line.len();
        lines.text.len()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.lines.values().map(|(_, due)| *due).min()
    }

    /// What has waited long enough or is large enough.
    pub(super) fn due(&self, now: Instant, enough: usize) -> Vec<Of> {
        let is_due = |(_, (lines, due)): &(&Of, &(Lines, Instant))| *due <= now || lines.text.len() >= enough;
        self.lines.iter().filter(is_due).map(|(of, _)| *of).collect()
    }

    pub(super) fn all(&self) -> Vec<Of> {
        self.lines.keys().copied().collect()
    }

    /// Its bytes count until they are forgotten.
    pub(super) fn take(&mut self, of: Of) -> Option<Lines> {
        self.lines.remove(&of).map(|(lines, _)| lines)
    }

    pub(super) fn forget(&mut self, lines: &Lines) {
        let bytes = lines.text.len();
        self.bytes = self.bytes.saturating_sub(bytes);
        let left = self.bytes_of(lines.of.bucket).saturating_sub(bytes);
        if left == 0 {
            self.bytes_of.remove(&lines.of.bucket);
        } else {
            self.bytes_of.insert(lines.of.bucket, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn records_go_when_the_first_has_waited_or_when_there_are_enough() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut waiting = Waiting::default();
        waiting.add(BucketId(1), 0, "one\n", after(10));
        waiting.add(BucketId(1), 0, "two\n", after(15));
        waiting.add(BucketId(2), 0, "three\n", after(20));
        assert_eq!(waiting.next_due(), Some(after(10)));
        let of = |bucket| Of { bucket: BucketId(bucket), day: 0 };
        assert_eq!(waiting.due(after(9), 100), []);
        assert_eq!(waiting.due(after(10), 100), [of(1)]);
        assert_eq!(waiting.due(after(9), 8), [of(1)]);
        let lines = waiting.take(of(1)).expect("waiting");
        assert_eq!((lines.text.as_slice(), lines.records), (&b"one\ntwo\n"[..], 2));
        assert_eq!((waiting.bytes(), waiting.next_due()), (14, Some(after(20))));
        assert_eq!((waiting.bytes_of(BucketId(1)), waiting.bytes_of(BucketId(2))), (8, 6));
        waiting.forget(&lines);
        assert_eq!((waiting.bytes(), waiting.bytes_of(BucketId(1)), waiting.all()), (6, 0, vec![of(2)]));
    }
}
