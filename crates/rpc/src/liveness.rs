//! When to ask a silent peer for a sign of life, and when to stop waiting for it.

use std::time::{Duration, Instant};

/// A peer that is stopped, or whose machine is gone, sends nothing and refuses nothing: only time tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Silence that is nobody's fault.
    pub(crate) quiet: Duration,
    /// How long an answer to a ping may take.
    pub(crate) answer: Duration,
}

/// What is known of a connection's traffic. Moments come in as values.
#[derive(Debug)]
pub(crate) struct Liveness {
    patience: Patience,
    heard: Instant,
    /// When our stream last took bytes: a ping may wait behind a long frame that a living peer is still reading.
    progress: Instant,
    ping: Ping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ping {
    None,
    Waiting { since: Instant },
    Sent { since: Instant },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    Ask,
    Dead,
}

impl Liveness {
    pub(crate) fn new(patience: Patience, now: Instant) -> Self {
        Self { patience, heard: now, progress: now, ping: Ping::None }
    }

    /// Bytes came, of whatever frame.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.ping = Ping::None;
    }

    /// Our stream took bytes.
    pub(crate) fn wrote(&mut self, now: Instant) {
        self.progress = now;
    }

    /// Our stream took the last byte of the ping.
    pub(crate) fn ping_sent(&mut self, now: Instant) {
        if let Ping::Waiting { .. } = self.ping {
            self.ping = Ping::Sent { since: now };
        }
    }

    /// Asked a few times a second.
    pub(crate) fn judge(&mut self, now: Instant) -> Verdict {
        let waiting_since = match self.ping {
            Ping::None if now.duration_since(self.heard) < self.patience.quiet => return Verdict::Fine,
            Ping::None => {
                self.ping = Ping::Waiting { since: now };
                return Verdict::Ask;
            }
            Ping::Waiting { since } => since.max(self.progress),
            Ping::Sent { since } => since,
        };
        if now.duration_since(waiting_since) > self.patience.answer { Verdict::Dead } else { Verdict::Fine }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { quiet: Duration::from_millis(700), answer: Duration::from_millis(1800) };

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_peer_that_talks_is_never_asked() {
        let start = Instant::now();
        let mut liveness = Liveness::new(PATIENCE, start);
        for step in 1..100 {
            liveness.heard(at(start, step * 500));
            assert_eq!(liveness.judge(at(start, step * 500 + 250)), Verdict::Fine);
        }
    }

    #[test]
    fn a_silent_peer_is_asked_once_and_given_up_within_three_seconds() {
        let start = Instant::now();
        let mut liveness = Liveness::new(PATIENCE, start);
        let mut asked = 0;
        let mut now = 0;
        loop {
            now += 250;
            match liveness.judge(at(start, now)) {
                Verdict::Fine => {}
                Verdict::Ask => {
                    asked += 1;
                    liveness.ping_sent(at(start, now));
                }
                Verdict::Dead => break,
            }
        }
        assert_eq!(asked, 1);
        assert!(now <= 3000, "{now}");
    }

    #[test]
    fn a_peer_that_reads_a_long_frame_is_not_dead_before_it_has_seen_the_ping() {
        let start = Instant::now();
        let mut liveness = Liveness::new(PATIENCE, start);
        assert_eq!(liveness.judge(at(start, 1000)), Verdict::Ask);
        for step in 1..20 {
            liveness.wrote(at(start, 1000 + step * 1000));
            assert_eq!(liveness.judge(at(start, 1500 + step * 1000)), Verdict::Fine);
        }
        // It stopped to read.
        assert_eq!(liveness.judge(at(start, 22_000)), Verdict::Dead);
    }

    #[test]
    fn writes_that_the_kernel_still_takes_do_not_keep_a_stopped_peer_alive() {
        let start = Instant::now();
        let mut liveness = Liveness::new(PATIENCE, start);
        assert_eq!(liveness.judge(at(start, 1000)), Verdict::Ask);
        liveness.ping_sent(at(start, 1000));
        liveness.wrote(at(start, 2900));
        assert_eq!(liveness.judge(at(start, 3000)), Verdict::Dead);
    }
}
