//! Events go to their destinations, those of one key in their order, and then out of the table.
//!
//! At least once: what a destination has taken is told again if this member dies before the table knows, which is a second later. An
//! event that is not taken holds up those of its key and nobody else; it is tried again after longer and longer pauses, and what
//! has not been taken after all that time is put aside, where an administrator sees it. One that its destination refuses is put
//! aside after a few attempts. A destination that takes nothing at all is left alone for longer and longer.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use om_core::rows::{EventRow, Sequence};
use om_core::{SettleEvents, Undeliverable, notifications};
use runtime::{Pace, PassError, PassStatus, Reconcile};
use serde::Serialize;
use tokio::time::Instant;
use types::{Millis, Timestamp};

use super::propose;
use crate::notifications::{Destination, Held, NotTaken, Turns, document};
use crate::service::Log;

/// Events told in one pass, which one entry then takes away.
const BATCH: usize = 100;
/// Looked at for events of keys that are not held, where some are.
const BATCH_BEHIND_HELD: usize = 2_000;
/// What a crash lets be told twice: a pass goes on for no longer.
const SETTLE_EVERY: Duration = Duration::from_secs(1);
/// Told at the same time.
const BESIDE: usize = 8;
/// So many that are not taken, and none that is: the others would fare no better.
const MOST_FAILED: usize = BESIDE;
/// How often a destination is asked about an event that it refuses.
const REFUSALS: u32 = 5;
/// Put aside by one entry.
const MOST_ASIDE: u64 = 500;
/// What waits for a destination that nobody knows any more, and how long.
const UNKNOWN_WAITING: u64 = 100_000;
const UNKNOWN_AGE: Millis = Millis(24 * 3600 * 1000);

/// Delivers to one destination.
pub(crate) struct EventDelivery {
    log: Log,
    name: String,
    destination: Destination,
    held: Held,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    delivered: usize,
    dead: usize,
}

/// What has become of events, and is not in the table yet. A shutdown drops a pass in its middle: then it goes into the log all the
/// same, so that whoever leads next does not tell it again.
struct Unsettled {
    log: Log,
    destination: String,
    delivered: Vec<Sequence>,
    dead: Vec<Undeliverable>,
    now: Timestamp,
}

impl Unsettled {
    fn take(&mut self) -> Option<SettleEvents> {
        if self.delivered.is_empty() && self.dead.is_empty() {
            return None;
        }
        let (delivered, dead) = (std::mem::take(&mut self.delivered), std::mem::take(&mut self.dead));
        Some(SettleEvents { destination: self.destination.clone(), delivered, dead, now: self.now })
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some(settled) = self.take() {
            // If it is lost, they are told twice.
            let _ = self.log.propose_unawaited::<om_core::Never>(settled);
        }
    }
}

impl EventDelivery {
    pub(crate) fn new(log: Log, name: String, destination: Destination) -> Self {
        Self { log, name, destination, held: Held::default() }
    }

    /// Tells what can be told, for a while. Answers how many were not taken, and why the last of them was not.
    async fn tell(&mut self, events: &[(Sequence, EventRow)], told: &mut Unsettled) -> Option<(usize, String)> {
        let now = told.now;
        let (mut turns, began) = (Turns::of(events, &self.held, now), Instant::now());
        let (mut telling, mut begun, mut failed, mut why_not) = (FuturesUnordered::new(), 0, 0, None);
        loop {
            // Who leads no longer tells nobody: another does.
            let goes_on = |delivered: usize| {
                let is_down = failed >= MOST_FAILED && delivered == 0;
                begun < BATCH && !is_down && began.elapsed() < SETTLE_EVERY && self.log.group().is_leader()
            };
            if telling.len() < BESIDE
                && goes_on(told.delivered.len())
                && let Some(at) = turns.next()
            {
                let (sequence, event) = &events[at];
                let (destination, body) = (&self.destination, Bytes::from(document(*sequence, event).to_string()));
                telling.push(async move { (at, destination.post(body).await) });
                begun += 1;
                continue;
            }
            let Some((at, outcome)) = telling.next().await else { return why_not };
            let (sequence, event) = &events[at];
            let Err(why) = outcome else {
                told.delivered.push(*sequence);
                self.held.let_go(event);
                turns.done(event);
                continue;
            };
            failed += 1;
            let refusals = self.held.hold(event, *sequence, matches!(why, NotTaken::Refused(_)), now);
            if refusals >= REFUSALS || event.waits_since() + self.give_up_after() <= now {
                told.dead.push(Undeliverable { sequence: *sequence, why: why.to_string() });
                self.held.let_go(event);
                turns.done(event);
            }
            why_not = Some((failed, why.to_string()));
        }
    }

    fn give_up_after(&self) -> Millis {
        self.destination.give_up_after.into()
    }
}

#[async_trait]
impl Reconcile for EventDelivery {
    const NAME: &'static str = "event-delivery";
    type Report = Report;

    async fn pass(&mut self, now: Timestamp) -> Result<PassStatus<Report>, PassError> {
        let most = if self.held.is_empty() { BATCH } else { BATCH_BEHIND_HELD };
        let events = self.log.glance(|tables| notifications::waiting(tables, &self.name, most))?;
        self.held.keep_only(&events);
        let oldest = events.first().map_or(Millis(0), |(_, event)| now.since(event.waits_since()));
        metrics::gauge!("om_events_oldest_seconds", "destination" => self.name.clone()).set(oldest.0 as f64 / 1000.0);
        if events.is_empty() {
            return Ok(PassStatus { pace: Pace::Rest, report: Report::default() });
        }
        let (log, destination) = (self.log.clone(), self.name.clone());
        let mut told = Unsettled { log, destination, delivered: Vec::new(), dead: Vec::new(), now };
        let why_not = self.tell(&events, &mut told).await;
        let report = Report { delivered: told.delivered.len(), dead: told.dead.len() };
        let count = |name: &'static str, events: usize| {
            metrics::counter!(name, "destination" => self.name.clone()).increment(events as u64);
        };
        count("om_events_delivered_total", report.delivered);
        count("om_events_dead_total", report.dead);
        if let Some(settled) = told.take() {
            propose(&self.log, settled).await?;
        }
        let settled = report.delivered + report.dead;
        if let Some((failed, why)) = why_not {
            count("om_event_delivery_failures_total", failed);
            if failed >= MOST_FAILED && settled == 0 {
                return Err(PassError::Failed(format!("telling {}: {why}", self.name)));
            }
            tracing::warn!(destination = self.name, failed, why, "events were not taken");
        }
        // Where all that is left is held, the next pass finds nothing to do.
        let is_more = settled > 0 && (settled < events.len() || events.len() == most);
        Ok(PassStatus { pace: if is_more { Pace::Again } else { Pace::Rest }, report })
    }
}

/// Keeps what waits within bounds, for destinations that are known and for those that are not any more.
pub(crate) struct EventLimits {
    log: Log,
    most: BTreeMap<String, u64>,
}

impl EventLimits {
    pub(crate) fn new(log: Log, destinations: &BTreeMap<String, Destination>) -> Self {
        Self { log, most: destinations.iter().map(|(name, destination)| (name.clone(), destination.max_waiting)).collect() }
    }

    fn too_many(&self, name: &str, now: Timestamp) -> Result<Vec<Undeliverable>, PassError> {
        let known = self.most.get(name).copied();
        let most = known.unwrap_or(UNKNOWN_WAITING);
        self.log.glance(|tables| {
            let bound = usize::try_from(most.saturating_add(MOST_ASIDE)).unwrap_or(usize::MAX);
            let over = notifications::count_waiting(tables, name, bound)?.saturating_sub(most);
            let look = if known.is_some() { over } else { MOST_ASIDE };
            let oldest = notifications::waiting(tables, name, usize::try_from(look).unwrap_or(0))?;
            let is_over =
                |at: usize, event: &EventRow| (at as u64) < over || (known.is_none() && event.waits_since() + UNKNOWN_AGE <= now);
            let aside = oldest.into_iter().enumerate().filter(|(at, (_, event))| is_over(*at, event));
            let why = if known.is_some() { "too many events wait" } else { "no such destination is configured" };
            Ok(aside.map(|(_, (sequence, _))| Undeliverable { sequence, why: why.to_owned() }).collect())
        })
    }
}

#[async_trait]
impl Reconcile for EventLimits {
    const NAME: &'static str = "event-limits";
    type Report = Report;

    async fn pass(&mut self, now: Timestamp) -> Result<PassStatus<Report>, PassError> {
        let mut report = Report::default();
        for name in self.log.glance(notifications::destinations_waited_for)? {
            let dead = self.too_many(&name, now)?;
            if dead.is_empty() {
                continue;
            }
            report.dead += dead.len();
            metrics::counter!("om_events_dead_total", "destination" => name.clone()).increment(dead.len() as u64);
            propose(&self.log, SettleEvents { destination: name, delivered: Vec::new(), dead, now }).await?;
        }
        let pace = if report.dead > 0 { Pace::Again } else { Pace::Rest };
        Ok(PassStatus { pace, report })
    }
}
