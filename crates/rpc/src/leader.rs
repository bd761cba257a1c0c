//! Calls to a replicated service, whoever leads it now.
//!
//! Every try of one call carries the same request id, and services answer a retried id once, so a try whose outcome is
//! unknown may be made again elsewhere. A call has one end:
//! - the service answered: that is the answer;
//! - it was refused: retrying does not help;
//! - every member in turn said that the service is unavailable: so it is;
//! - the deadline came: unknown if any try may have reached a service, else not applied.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use runtime::{Entropy, SystemEntropy};
use types::Endpoint;

use crate::pool::jittered;
use crate::{CallContext, CallFault, Caller, Connect, MethodId, NotApplied, Reply};

/// A try gets this long before another member is asked: longer than any healthy call, and so much shorter than a user's
/// patience that a stopped leader costs one try. Later tries of the same call get more, so that what needs longer ends too.
const FIRST_TRY: Duration = Duration::from_secs(2);

/// A try whose outcome is unknown is made again for so long after the call began, and no longer: services know again what they
/// answered once, but not for ever, and a try that comes later than that would be carried out a second time.
pub const RETRY_WITHIN: Duration = Duration::from_secs(8);

/// Between rounds over the members. An election takes a few hundred milliseconds.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// A [`Caller`] over the members of one replicated service. Hints to leaders outside of the configured members are not
/// followed: where calls go is configuration, not what a peer says.
pub struct LeaderCaller {
    members: Vec<(Endpoint, Arc<dyn Caller>)>,
    /// Where the last answer came from.
    leader: AtomicUsize,
    entropy: Arc<dyn Entropy>,
}

impl LeaderCaller {
    pub fn new(connect: &dyn Connect, members: &[Endpoint]) -> Self {
        Self::with_entropy(connect, members, Arc::new(SystemEntropy))
    }

    /// With dice of its own, for simulations.
    pub fn with_entropy(connect: &dyn Connect, members: &[Endpoint], entropy: Arc<dyn Entropy>) -> Self {
        let members = members.iter().map(|endpoint| (endpoint.clone(), connect.caller(endpoint))).collect();
        Self { members, leader: AtomicUsize::new(0), entropy }
    }

    fn position(&self, endpoint: &Endpoint) -> Option<usize> {
        self.members.iter().position(|(member, _)| member == endpoint)
    }
}

/// One call on its way.
struct Journey {
    members: usize,
    tries: u32,
    /// Members in a row that were unavailable.
    unavailable: usize,
    /// Members in a row that were no help, whichever way: a full round earns a pause.
    fruitless: usize,
    rounds: u32,
    /// A try that may have reached a service; what is said afterwards does not unsay it.
    maybe_applied: Option<String>,
    last: NotApplied,
}

/// What to do after a try.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// This is the call's outcome.
    End(Result<Reply, CallFault>),
    /// The leader may be here.
    Follow(Endpoint),
    /// Somewhere else.
    Rotate,
}

impl Journey {
    fn new(members: usize) -> Self {
        let last = NotApplied::Unreachable("the service has no members".to_owned());
        Self { members, tries: 0, unavailable: 0, fruitless: 0, rounds: 0, maybe_applied: None, last }
    }

    fn try_timeout(&self) -> Duration {
        FIRST_TRY.saturating_mul(1 << self.tries.min(10))
    }

    fn after(&mut self, outcome: Result<Reply, CallFault>) -> Next {
        let why = match outcome {
            Ok(reply) => return Next::End(Ok(reply)),
            Err(CallFault::Unknown(why)) => {
                self.tries += 1;
                self.unavailable = 0;
                self.fruitless += 1;
                self.maybe_applied.get_or_insert(why);
                return Next::Rotate;
            }
            Err(CallFault::NotApplied(why)) => why,
        };
        self.fruitless += 1;
        self.last = why.clone();
        match why {
            NotApplied::Refused(_) => return Next::End(Err(self.outcome())),
            NotApplied::Unavailable(_) => {
                self.unavailable += 1;
                if self.unavailable >= self.members {
                    return Next::End(Err(self.outcome()));
                }
            }
            NotApplied::NotLeader(Some(leader)) => {
                self.unavailable = 0;
                return Next::Follow(leader);
            }
            NotApplied::NotLeader(None) | NotApplied::Busy | NotApplied::Unreachable(_) | NotApplied::TooLate => {
                self.unavailable = 0;
            }
        }
        Next::Rotate
    }

    /// How long to rest before the next try: not at all while there are members that this round has not asked.
    fn pause(&mut self) -> Option<Duration> {
        if self.fruitless < self.members.max(1) {
            return None;
        }
        self.fruitless = 0;
        self.rounds += 1;
        Some(PAUSE.saturating_mul(1 << self.rounds.min(10)).min(PAUSE_MAX))
    }

    fn outcome(&self) -> CallFault {
        match &self.maybe_applied {
            Some(why) => CallFault::Unknown(why.clone()),
            None => CallFault::NotApplied(self.last.clone()),
        }
    }
}

#[async_trait]
impl Caller for LeaderCaller {
    async fn call(&self, method: MethodId, mut cx: CallContext, request: Bytes) -> Result<Reply, CallFault> {
        let retry_until = Instant::now() + RETRY_WITHIN;
        let mut journey = Journey::new(self.members.len());
        let mut at = self.leader.load(Ordering::Relaxed);
        while let Some((_, caller)) = self.members.get(at) {
            if cx.is_over() {
                break;
            }
            let deadline = cx.deadline.min(Instant::now() + journey.try_timeout());
            let outcome = caller.call(method, CallContext { deadline, ..cx.clone() }, request.clone()).await;
            let elsewhere = (at + 1) % self.members.len();
            at = match journey.after(outcome) {
                Next::End(outcome) => {
                    self.leader.store(at, Ordering::Relaxed);
                    return outcome;
                }
                Next::Follow(leader) => self.position(&leader).unwrap_or(elsewhere),
                Next::Rotate => elsewhere,
            };
            if journey.maybe_applied.is_some() {
                cx.deadline = cx.deadline.min(retry_until);
            }
            if let Some(pause) = journey.pause() {
                let pause = jittered(pause, &*self.entropy);
                if pause >= cx.remaining() {
                    break;
                }
                tokio::time::sleep(pause).await;
            }
        }
        Err(journey.outcome())
    }
}

impl fmt::Debug for LeaderCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: Vec<_> = self.members.iter().map(|(endpoint, _)| endpoint).collect();
        f.debug_struct("LeaderCaller").field("members", &members).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_applied(why: NotApplied) -> Result<Reply, CallFault> {
        Err(CallFault::NotApplied(why))
    }

    fn unavailable() -> Result<Reply, CallFault> {
        not_applied(NotApplied::Unavailable("safe mode".to_owned()))
    }

    #[test]
    fn unavailable_is_the_outcome_once_every_member_said_so() {
        let mut journey = Journey::new(3);
        assert_eq!(journey.after(unavailable()), Next::Rotate);
        assert_eq!(journey.after(unavailable()), Next::Rotate);
        assert_eq!(journey.after(unavailable()), Next::End(unavailable()));
    }

    #[test]
    fn a_try_that_may_have_happened_is_never_unsaid() {
        let mut journey = Journey::new(3);
        assert_eq!(journey.after(Err(CallFault::Unknown("cut".to_owned()))), Next::Rotate);
        assert_eq!(journey.after(not_applied(NotApplied::Busy)), Next::Rotate);
        let refused = journey.after(not_applied(NotApplied::Refused("no such method".to_owned())));
        assert_eq!(refused, Next::End(Err(CallFault::Unknown("cut".to_owned()))));
    }

    #[test]
    fn members_that_point_at_each_other_do_not_make_a_busy_loop() {
        let mut journey = Journey::new(2);
        let mut pauses = Vec::new();
        for hop in 0..20 {
            let leader = Endpoint(format!("om{}", hop % 2));
            assert_eq!(journey.after(not_applied(NotApplied::NotLeader(Some(leader.clone())))), Next::Follow(leader));
            pauses.extend(journey.pause());
        }
        assert_eq!(pauses.len(), 10);
        assert!(pauses.is_sorted() && pauses.last() == Some(&PAUSE_MAX));
    }

    #[test]
    fn each_try_that_ran_out_of_time_gives_the_next_one_more() {
        let mut journey = Journey::new(3);
        assert_eq!(journey.try_timeout(), FIRST_TRY);
        journey.after(Err(CallFault::Unknown("slow".to_owned())));
        assert_eq!(journey.try_timeout(), 2 * FIRST_TRY);
        journey.after(not_applied(NotApplied::NotLeader(None)));
        assert_eq!(journey.try_timeout(), 2 * FIRST_TRY);
    }
}
