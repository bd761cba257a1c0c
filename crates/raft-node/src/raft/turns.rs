//! Puts appends that overtook each other back in order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rpc::{CallFault, NotApplied};
use tokio::sync::Notify;

use super::wire::Turn;

/// The stream that appends are taken from, and the number whose turn it is. The latest stream that began is the one: a leader has
/// one to each member, and begins another when the former failed.
#[derive(Default)]
pub(super) struct Turns {
    next: Mutex<Option<Turn>>,
    closed: AtomicBool,
    moved: Notify,
}

/// A message that waits longer than this belongs to a stream that ended.
const PATIENCE: Duration = Duration::from_secs(1);

/// The right to go ahead.
pub(super) struct Taken<'t> {
    turns: &'t Turns,
    turn: Turn,
}

impl Taken<'_> {
    /// Lets the next go ahead.
    pub(super) fn pass(self) {
        let mut next = self.turns.next.lock();
        if *next == Some(self.turn) {
            *next = Some(Turn { number: self.turn.number + 1, ..self.turn });
        }
        drop(next);
        self.turns.moved.notify_waiters();
    }
}

impl Turns {
    /// Refuses everything from now on, and whoever waits.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.moved.notify_waiters();
    }

    pub(super) async fn wait(&self, turn: Turn, deadline: Instant) -> Result<Taken<'_>, CallFault> {
        let until = tokio::time::Instant::from_std(deadline.min(Instant::now() + PATIENCE));
        loop {
            let moved = self.moved.notified();
            if self.is_turn_of(turn)? {
                return Ok(Taken { turns: self, turn });
            }
            if tokio::time::timeout_at(until, moved).await.is_err() {
                return Err(out_of_turn());
            }
        }
    }

    fn is_turn_of(&self, turn: Turn) -> Result<bool, CallFault> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(out_of_turn());
        }
        let mut next = self.next.lock();
        match *next {
            Some(next) if next.stream == turn.stream && next.number > turn.number => Err(out_of_turn()),
            Some(next) if next == turn => Ok(true),
            _ if turn.number == 0 => {
                *next = Some(turn);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

fn out_of_turn() -> CallFault {
    CallFault::NotApplied(NotApplied::Refused("an append out of its turn".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test]
    async fn appends_are_taken_in_order_however_they_arrive() {
        let turns = Arc::new(Turns::default());
        let (took, mut taken) = mpsc::unbounded_channel();
        let arrive = |number: u64| {
            let (turns, took) = (Arc::clone(&turns), took.clone());
            tokio::spawn(async move {
                let turn = turns.wait(Turn { stream: 9, number }, soon()).await.expect("in its turn");
                took.send(number).expect("somebody listens");
                turn.pass();
            })
        };
        let arrived = [3, 1, 4, 0, 2].map(arrive);
        for task in arrived {
            task.await.expect("taken");
        }
        for expected in 0..5 {
            assert_eq!(taken.recv().await, Some(expected));
        }
    }

    #[tokio::test]
    async fn a_new_stream_takes_over_and_a_repeated_message_is_refused() {
        let turns = Turns::default();
        turns.wait(Turn { stream: 1, number: 0 }, soon()).await.expect("begins").pass();
        turns.wait(Turn { stream: 2, number: 0 }, soon()).await.expect("takes over").pass();
        assert!(turns.wait(Turn { stream: 2, number: 0 }, soon()).await.is_err(), "repeated");
        let late = Instant::now() + Duration::from_millis(20);
        assert!(turns.wait(Turn { stream: 1, number: 1 }, late).await.is_err(), "of a stream that ended");
        turns.wait(Turn { stream: 2, number: 1 }, soon()).await.expect("goes on");
    }
}
