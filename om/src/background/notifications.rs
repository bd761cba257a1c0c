//! Events go to their destinations, each destination's in their order, and then out of the table.
//!
//! At least once: what a destination has taken is told again if this member dies before the table knows. A destination that does not
//! answer is asked again after longer and longer pauses, and holds up nobody else; what it has not taken after all that time is put
//! aside, where an administrator sees it. An event that a destination answers "no" to is put aside after a few attempts, so
//! that it does not hold up those behind it.

use async_trait::async_trait;
use bytes::Bytes;
use om_core::rows::{EventRow, Sequence};
use om_core::{SettleEvents, Undeliverable, notifications};
use runtime::{Pace, PassError, PassStatus, Reconcile};
use serde::Serialize;
use std::collections::BTreeMap;
use types::{Millis, Timestamp};

use super::propose;
use crate::notifications::{Destination, NotTaken, document};
use crate::service::Log;

/// Events told in one pass, which one entry then takes away.
const BATCH: usize = 100;
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
    /// The first event, if the destination refused it, and how often.
    refused: Option<(Sequence, u32)>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    delivered: usize,
    dead: usize,
}

/// What became of a batch.
#[derive(Default)]
struct Told {
    delivered: Vec<Sequence>,
    dead: Vec<Undeliverable>,
    /// Why it went no further.
    stopped: Option<String>,
}

impl EventDelivery {
    pub(crate) fn new(log: Log, name: String, destination: Destination) -> Self {
        Self { log, name, destination, refused: None }
    }

    async fn tell(&mut self, events: &[(Sequence, EventRow)], now: Timestamp) -> Told {
        let mut told = Told::default();
        for (at, (sequence, event)) in events.iter().enumerate() {
            let body = Bytes::from(document(*sequence, event).to_string());
            match self.destination.post(body).await {
                Ok(()) => told.delivered.push(*sequence),
                Err(why @ NotTaken::Refused(_)) => {
                    let before = self.refused.filter(|(refused, _)| refused == sequence).map_or(0, |(_, times)| times);
                    if before + 1 < REFUSALS {
                        self.refused = Some((*sequence, before + 1));
                        told.stopped = Some(why.to_string());
                        return told;
                    }
                    told.dead.push(Undeliverable { sequence: *sequence, why: why.to_string() });
                }
                Err(why) => {
                    // Those behind it would fare no better now.
                    let why = why.to_string();
                    let is_over = |event: &EventRow| event.waits_since() + self.give_up_after() <= now;
                    let over = events[at..].iter().filter(|(_, event)| is_over(event));
                    told.dead.extend(over.map(|(sequence, _)| Undeliverable { sequence: *sequence, why: why.clone() }));
                    told.stopped = Some(why);
                    return told;
                }
            }
        }
        told
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
        let events = self.log.glance(|tables| notifications::waiting(tables, &self.name, BATCH))?;
        let oldest = events.first().map_or(Millis(0), |(_, event)| now.since(event.waits_since()));
        metrics::gauge!("om_events_oldest_seconds", "destination" => self.name.clone()).set(oldest.0 as f64 / 1000.0);
        if events.is_empty() {
            return Ok(PassStatus { pace: Pace::Rest, report: Report::default() });
        }
        let Told { delivered, dead, stopped } = self.tell(&events, now).await;
        let report = Report { delivered: delivered.len(), dead: dead.len() };
        let count = |name: &'static str, events: usize| {
            metrics::counter!(name, "destination" => self.name.clone()).increment(events as u64);
        };
        count("om_events_delivered_total", report.delivered);
        count("om_events_dead_total", report.dead);
        if report.delivered + report.dead > 0 {
            let destination = self.name.clone();
            propose(&self.log, SettleEvents { destination, delivered, dead, now }).await?;
        }
        match stopped {
            Some(why) => {
                count("om_event_delivery_failures_total", 1);
                Err(PassError::Failed(format!("telling {}: {why}", self.name)))
            }
            None => Ok(PassStatus { pace: if events.len() == BATCH { Pace::Again } else { Pace::Rest }, report }),
        }
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
