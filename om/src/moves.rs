//! Objects that wait for their bytes to be copied to blocks of another kind, and those that are being copied.
//!
//! In memory alone, on the member that leads: what a crash or another leader forgets, the next walk over the bucket finds again, and
//! a move that was half done has a session, which ends by age.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use om_core::VersionMove;
use om_core::rows::Sequence;
use parking_lot::Mutex;
use tokio::sync::Notify;
use types::{BucketId, LogIndex, Millis, ObjectId, ObjectKey, Timestamp};

/// As many as are copied while a walk goes over a few thousand keys; each takes some hundred bytes.
const MOST_WAITING: usize = 1_000;

/// A gateway that has asked for nothing for so long has given up: at this pace it would write less than 2 MiB a second, and its
/// copy would still be refused if another was there first.
const GIVEN_UP_AFTER: Millis = Millis(10 * 60 * 1_000);

/// One object that is to be moved.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub(crate) bucket: BucketId,
    /// The entry that set the rules by which it moves.
    pub(crate) rules: LogIndex,
    pub(crate) planned: VersionMove,
}

/// What is copied into a session, and what of.
#[derive(Debug, Clone)]
pub(crate) struct UnderWay {
    pub(crate) what: Move,
    pub(crate) object: ObjectId,
    heard_of: Timestamp,
}

type Name = (BucketId, ObjectKey, Sequence);

impl Move {
    fn name(&self) -> Name {
        (self.bucket, self.planned.key.clone(), self.planned.sequence)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Moves {
    state: Mutex<State>,
    /// Something was taken.
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Move>,
    waiting_names: BTreeSet<Name>,
    /// By the write's id.
    under_way: BTreeMap<ObjectId, UnderWay>,
}

impl Moves {
    /// Whether it will be done; not where too many wait already.
    pub(crate) fn offer(&self, what: Move, now: Timestamp) -> bool {
        let mut state = self.state.lock();
        state.under_way.retain(|_, moving| now.since(moving.heard_of) < GIVEN_UP_AFTER);
        let name = what.name();
        if state.waiting_names.contains(&name) || state.under_way.values().any(|moving| moving.what.name() == name) {
            return true;
        }
        if state.waiting.len() >= MOST_WAITING {
            return false;
        }
        state.waiting_names.insert(name);
        state.waiting.push_back(what);
        true
    }

    pub(crate) fn take(&self) -> Option<Move> {
        let mut state = self.state.lock();
        let taken = state.waiting.pop_front()?;
        state.waiting_names.remove(&taken.name());
        let has_room = state.waiting.len() < MOST_WAITING / 2;
        drop(state);
        if has_room {
            self.room.notify_waiters();
        }
        Some(taken)
    }

    /// Until fewer than half of those that may wait do.
    pub(crate) async fn room(&self) {
        loop {
            let changed = self.room.notified();
            if self.state.lock().waiting.len() < MOST_WAITING / 2 {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn begin(&self, session: ObjectId, what: Move, object: ObjectId, now: Timestamp) {
        self.state.lock().under_way.insert(session, UnderWay { what, object, heard_of: now });
    }

    pub(crate) fn under_way(&self, session: ObjectId) -> Option<UnderWay> {
        self.state.lock().under_way.get(&session).cloned()
    }

    /// Whoever copies into this session, if it is one of ours, is still at it.
    pub(crate) fn go_on(&self, session: ObjectId, now: Timestamp) {
        if let Some(moving) = self.state.lock().under_way.get_mut(&session) {
            moving.heard_of = now;
        }
    }

    pub(crate) fn end(&self, session: ObjectId) -> Option<UnderWay> {
        self.state.lock().under_way.remove(&session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use om_core::VersionPlace;
    use types::Replication;

    fn job(name: &str) -> Move {
        let planned = VersionMove {
            key: ObjectKey::parse(name).expect("legal"),
            sequence: Sequence(7),
            place: VersionPlace::Current,
            class: "COLD".into(),
            replication: Replication::One,
            tags: None,
        };
        Move { bucket: BucketId(1), rules: LogIndex(1), planned }
    }

    fn taken(moves: &Moves) -> Option<String> {
        moves.take().map(|what| what.planned.key.as_str().to_owned())
    }

    #[test]
    fn what_waits_or_is_under_way_is_not_taken_twice() {
        let moves = Moves::default();
        assert!(moves.offer(job("a"), Timestamp(0)) && moves.offer(job("a"), Timestamp(0)));
        assert_eq!((taken(&moves).as_deref(), taken(&moves)), (Some("a"), None));
        moves.begin(ObjectId(1), job("a"), ObjectId(9), Timestamp(0));
        assert!(moves.offer(job("a"), Timestamp(1)));
        assert_eq!(taken(&moves), None);
        moves.end(ObjectId(1));
        assert!(moves.offer(job("a"), Timestamp(2)));
        assert_eq!(taken(&moves).as_deref(), Some("a"));
    }

    #[test]
    fn a_move_that_nobody_is_heard_of_is_offered_again() {
        let moves = Moves::default();
        moves.begin(ObjectId(1), job("a"), ObjectId(9), Timestamp(0));
        moves.go_on(ObjectId(1), Timestamp(GIVEN_UP_AFTER.0 - 1));
        moves.offer(job("a"), Timestamp(GIVEN_UP_AFTER.0));
        assert_eq!(taken(&moves), None);
        moves.offer(job("a"), Timestamp(2 * GIVEN_UP_AFTER.0));
        assert_eq!(taken(&moves).as_deref(), Some("a"));
        assert!(moves.under_way(ObjectId(1)).is_none());
    }

    #[tokio::test]
    async fn too_many_do_not_wait_and_room_is_told() {
        let moves = Moves::default();
        let fits = (0..=MOST_WAITING).filter(|n| moves.offer(job(&n.to_string()), Timestamp(0))).count();
        assert_eq!(fits, MOST_WAITING);
        let mut room = std::pin::pin!(moves.room());
        let nothing_yet = std::future::poll_fn(|cx| std::task::Poll::Ready(room.as_mut().poll(cx).is_pending())).await;
        assert!(nothing_yet);
        (0..=MOST_WAITING / 2).for_each(|_| assert!(moves.take().is_some()));
        room.await;
    }
}
