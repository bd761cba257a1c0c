//! Whose turn it is: events of one key are told one after another, those of different keys beside each other.

use std::collections::{BTreeMap, VecDeque};

use om_core::rows::{EventRow, Sequence};
use types::{BucketPath, ObjectKey, Timestamp};

/// What an event is about; a test has no key.
pub(crate) type Subject = (BucketPath, Option<ObjectKey>);

pub(crate) fn subject(event: &EventRow) -> Subject {
    (event.bucket.clone(), event.key.clone())
}

/// Those whose first event was not taken. In memory alone: what another leader does not know, it finds out.
#[derive(Debug, Default)]
pub(crate) struct Held(BTreeMap<Subject, Hold>);

#[derive(Debug)]
struct Hold {
    sequence: Sequence,
    refusals: u32,
    failures: u32,
    until: Timestamp,
}

impl Held {
    /// It was not taken: the pause before it is tried again grows. Answers how often it was refused.
    pub(crate) fn hold(&mut self, event: &EventRow, sequence: Sequence, is_refusal: bool, now: Timestamp) -> u32 {
        let new = || Hold { sequence, refusals: 0, failures: 0, until: now };
        let hold = self.0.entry(subject(event)).or_insert_with(new);
        if hold.sequence != sequence {
            *hold = new();
        }
        hold.until = now + pause(hold.failures);
        hold.failures = hold.failures.saturating_add(1);
        hold.refusals += u32::from(is_refusal);
        hold.refusals
    }

    pub(crate) fn let_go(&mut self, event: &EventRow) {
        self.0.remove(&subject(event));
    }

    fn holds(&self, subject: &Subject, now: Timestamp) -> bool {
        self.0.get(subject).is_some_and(|hold| now < hold.until)
    }

    /// What is not among those that wait any more, an administrator or a limit has put aside.
    pub(crate) fn keep_only(&mut self, events: &[(Sequence, EventRow)]) {
        self.0.retain(|_, hold| events.binary_search_by_key(&hold.sequence, |(sequence, _)| *sequence).is_ok());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn pause(failures: u32) -> types::Millis {
    types::Millis((500_u64 << failures.min(6)).min(30_000))
}

/// Of a batch, in the order in which it happened.
#[derive(Debug)]
pub(crate) struct Turns {
    /// Of each subject, what is left: the first is being told, or will be next.
    left: BTreeMap<Subject, VecDeque<usize>>,
    ready: VecDeque<Subject>,
}

impl Turns {
    pub(crate) fn of(events: &[(Sequence, EventRow)], held: &Held, now: Timestamp) -> Self {
        let (mut left, mut ready) = (BTreeMap::<Subject, VecDeque<usize>>::new(), VecDeque::new());
        for (at, (_, event)) in events.iter().enumerate() {
            let subject = subject(event);
            if held.holds(&subject, now) {
                continue;
            }
            let queue = left.entry(subject.clone()).or_default();
            if queue.is_empty() {
                ready.push_back(subject);
            }
            queue.push_back(at);
        }
        Self { left, ready }
    }

    /// The next event to tell, by its place in the batch.
    pub(crate) fn next(&mut self) -> Option<usize> {
        let subject = self.ready.pop_front()?;
        self.left.get(&subject).and_then(VecDeque::front).copied()
    }

    /// It was told, or nobody is to be told of it any more: the next of its key has its turn.
    pub(crate) fn done(&mut self, event: &EventRow) {
        let subject = subject(event);
        let Some(queue) = self.left.get_mut(&subject) else { return };
        queue.pop_front();
        if !queue.is_empty() {
            self.ready.push_back(subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use om_core::rows::{EventKind, UserId};
    use types::BucketName;

    fn events(keys: &[&str]) -> Vec<(Sequence, EventRow)> {
        let event = |key: &str| EventRow {
            kind: EventKind::Put,
            bucket: BucketPath::of_s3v(BucketName::parse("photos").expect("legal")),
            owner: UserId("ada".into()),
            configuration: String::new(),
            key: (!key.is_empty()).then(|| ObjectKey::parse(key).expect("legal")),
            size: None,
            etag: None,
            version: None,
            at: Timestamp(0),
            region: None,
            origin: None,
            since: None,
            class: None,
        };
        keys.iter().zip(1..).map(|(key, sequence)| (Sequence(sequence), event(key))).collect()
    }

    #[test]
    fn a_key_has_one_turn_at_a_time_and_others_go_beside_it() {
        let events = events(&["", "a", "b", "a", "a", "c"]);
        let mut turns = Turns::of(&events, &Held::default(), Timestamp(0));
        let told = |turns: &mut Turns| std::iter::from_fn(|| turns.next()).collect::<Vec<_>>();
        assert_eq!(told(&mut turns), [0, 1, 2, 5]);
        turns.done(&events[2].1);
        assert!(told(&mut turns).is_empty());
        turns.done(&events[1].1);
        assert_eq!(told(&mut turns), [3]);
        turns.done(&events[3].1);
        assert_eq!(told(&mut turns), [4]);
        turns.done(&events[4].1);
        assert!(told(&mut turns).is_empty());
    }

    #[test]
    fn what_is_not_taken_holds_its_key_for_longer_and_longer_and_nobody_else() {
        let events = events(&["a", "b", "a"]);
        let mut held = Held::default();
        let first = |held: &Held, now| Turns::of(&events, held, Timestamp(now)).next();
        let (sequence, event) = &events[0];
        assert_eq!(held.hold(event, *sequence, true, Timestamp(1_000)), 1);
        assert_eq!((first(&held, 1_499), first(&held, 1_500)), (Some(1), Some(0)));
        assert_eq!(held.hold(event, *sequence, false, Timestamp(1_500)), 1);
        assert_eq!(held.hold(event, *sequence, true, Timestamp(2_500)), 2);
        assert_eq!((first(&held, 4_499), first(&held, 4_500)), (Some(1), Some(0)));
        // The next of its key begins anew.
        let (sequence, event) = &events[2];
        assert_eq!(held.hold(event, *sequence, true, Timestamp(9_000)), 1);
        assert_eq!(first(&held, 9_500), Some(0));
        held.keep_only(&events[..2]);
        assert!(held.is_empty());
    }
}
