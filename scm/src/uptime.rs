//! How long this process has been running, as far as it noticed.
//!
//! Health is judged by this and not by the wall clock: a clock that is set anew, or a process that was stopped for a minute,
//! would otherwise find every datanode dead. A step longer than [`STEP_MAX`] between two looks counts as that much.

use std::sync::Arc;

use parking_lot::Mutex;
use runtime::Clock;
use types::{Millis, Timestamp};

/// Several looks fit into it even on a loaded machine: background services look every second or so.
const STEP_MAX: Millis = Millis(2_000);

#[derive(Debug)]
pub(crate) struct Uptime {
    clock: Arc<dyn Clock>,
    seen: Mutex<(Timestamp, Millis)>,
}

impl Uptime {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        Self { clock, seen: Mutex::new((now, Millis(0))) }
    }

    /// Looks at the clock.
    pub(crate) fn now(&self) -> Millis {
        let mut seen = self.seen.lock();
        let now = self.clock.now();
        let step = now.since(seen.0).min(STEP_MAX);
        *seen = (now, Millis(seen.1.0 + step.0));
        seen.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::ManualClock;

    #[test]
    fn a_jump_of_the_clock_is_a_short_step_and_going_back_is_none() {
        let clock = Arc::new(ManualClock::at(Timestamp(1_000_000)));
        let uptime = Uptime::new(clock.clone());
        clock.advance(Millis(700));
        assert_eq!(uptime.now(), Millis(700));
        clock.advance(Millis(3_600_000));
        assert_eq!(uptime.now(), Millis(2_700));
        assert_eq!(uptime.now(), Millis(2_700));
    }
}
