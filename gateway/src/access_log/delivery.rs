//! Records become objects in the buckets that take them.
//!
//! Where records go is looked up when they go: a log that was given another prefix in the meantime has them there. An object that
//! could not be written is written again under the same name, so that an attempt whose outcome nobody knows leaves no second one.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bucket_config::logging::{LogKeyFormat, PartitionDate};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use gateway_core::access_log::{Delivery, object_key};
use om_api::LoggedBucket;
use rpc::CallContext;
use tokio::time::Instant;
use tracing::{debug, warn};
use types::{BucketId, BucketPath, ObjectKey, Timestamp};

use super::waiting::Lines;
use super::{AccessLogs, Of, lost};
use crate::context::{CallIds, Shared};
use crate::ops::{LogObject, NotWritten, write_log_object};

/// Log objects that are written at the same time.
const AT_ONCE: usize = 8;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// An hour's. Whatever keeps a record so long keeps it for good, and its room is another's.
const MOST_ATTEMPTS: u32 = 64;
/// What is left when the process ends gets so long.
const LAST_ATTEMPTS: Duration = Duration::from_secs(5);
/// Between those.
const LAST_PAUSE: Duration = Duration::from_millis(200);

/// A log object that is to be written.
#[derive(Debug)]
struct Parcel {
    place: Place,
    key: ObjectKey,
    of: Vec<Lines>,
    attempts: u32,
    not_before: Instant,
}

/// Records that go to the same place go together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    target: BucketPath,
    prefix: String,
    /// Alone, where the name tells whose records they are, or of which day.
    alone: Option<(BucketId, Option<u64>)>,
}

impl Place {
    fn of(logged: &LoggedBucket, of: Of) -> Self {
        let alone = match logged.logging.key_format {
            LogKeyFormat::Simple => None,
            LogKeyFormat::Partitioned(PartitionDate::DeliveryTime) => Some((of.bucket, None)),
            LogKeyFormat::Partitioned(PartitionDate::EventTime) => Some((of.bucket, Some(of.day))),
        };
        Self { target: logged.logging.target.within(logged.path.volume()), prefix: logged.logging.prefix.clone(), alone }
    }
}

enum Outcome {
    Delivered,
    /// The target takes none of it, or not all of it.
    Refused(Parcel),
    Failed(Parcel),
}

/// Delivers until `end`, and then once more what is left.
pub(crate) async fn deliver_until(shared: Arc<Shared>, end: impl Future<Output = ()>) {
    let logs = Arc::clone(&shared.access_logs);
    let mut deliverer = Deliverer { shared, logs, unsent: Vec::new() };
    let mut end = std::pin::pin!(end);
    let mut refresh_at = Instant::now();
    loop {
        if Instant::now() >= refresh_at {
            deliverer.refresh().await;
            refresh_at = Instant::now() + deliverer.logs.config.refresh_every;
        }
        deliverer.pass().await;
        let wake = deliverer.next_due().map_or(refresh_at, |due| due.min(refresh_at));
        tokio::select! {
            () = &mut end => break,
            () = deliverer.logs.changed.notified() => {}
            () = tokio::time::sleep_until(wake) => {}
        }
    }
    deliverer.finish().await;
}

struct Deliverer {
    shared: Arc<Shared>,
    logs: Arc<AccessLogs>,
    unsent: Vec<Parcel>,
}

impl Deliverer {
    async fn refresh(&self) {
        if let Err(error) = self.logs.refresh(&self.shared, &CallIds::new(self.shared.entropy.u128())).await {
            debug!(%error, "which buckets are logged is not known now");
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let retries = self.unsent.iter().map(|parcel| parcel.not_before);
        self.logs.waiting.lock().next_due().into_iter().chain(retries).min()
    }

    async fn pass(&mut self) {
        let due = self.logs.waiting.lock().due(Instant::now(), self.logs.config.roll_bytes);
        self.pack(due);
        self.send(Instant::now()).await;
    }

    async fn finish(&mut self) {
        let give_up = Instant::now() + LAST_ATTEMPTS;
        let left = self.logs.waiting.lock().all();
        self.pack(left);
        let attempts = async {
            while !self.unsent.is_empty() {
                // However long they would wait otherwise.
                self.send(Instant::now() + LONGEST_PAUSE).await;
                if !self.unsent.is_empty() {
                    tokio::time::sleep(LAST_PAUSE).await;
                }
            }
        };
        if tokio::time::timeout_at(give_up, attempts).await.is_err() {
            warn!("access logs were not delivered before the end");
        }
        for parcel in std::mem::take(&mut self.unsent) {
            parcel.of.into_iter().for_each(|lines| self.give_up(&lines, "the process ended"));
        }
    }

    /// Those that are due, each with all that goes where it goes.
    fn pack(&mut self, due: Vec<Of>) {
        if due.is_empty() {
            return;
        }
        let mut waiting = self.logs.waiting.lock();
        let place_of = |of: Of| self.logs.known.by_id(of.bucket).map(|logged| Place::of(&logged, of));
        let mut places: BTreeMap<Place, Vec<Lines>> = BTreeMap::new();
        let mut nowhere = Vec::new();
        for of in due {
            match place_of(of) {
                Some(place) => {
                    places.entry(place).or_default();
                }
                None => nowhere.extend(waiting.take(of)),
            }
        }
        for of in waiting.all() {
            if let Some(lines) = place_of(of).and_then(|place| places.get_mut(&place)) {
                lines.extend(waiting.take(of));
            }
        }
        drop(waiting);
        nowhere.iter().for_each(|lines| self.give_up(lines, "not logged any more"));
        for (place, lines) in places {
            self.address(place, lines);
        }
    }

    fn address(&mut self, place: Place, of: Vec<Lines>) {
        let Some(logged) = of.first().and_then(|lines| self.logs.known.by_id(lines.of.bucket)) else { return };
        let key = object_key(&Delivery {
            prefix: &place.prefix,
            format: logged.logging.key_format,
            account: &logged.owner.0,
            region: logged.location.as_deref().unwrap_or(&self.shared.config.region),
            bucket: logged.path.name().as_str(),
            day: Timestamp(of.first().map_or(0, |lines| lines.of.day)),
            delivered: self.shared.clock.now(),
            unique: self.shared.entropy.u128() as u64,
        });
        match ObjectKey::parse(&key) {
            Ok(key) => self.unsent.push(Parcel { place, key, of, attempts: 0, not_before: Instant::now() }),
            Err(_) => of.iter().for_each(|lines| self.give_up(lines, "no name")),
        }
    }

    /// What may be sent by then.
    async fn send(&mut self, by: Instant) {
        self.follow_logs(by);
        let (now, later) = std::mem::take(&mut self.unsent).into_iter().partition(|parcel| parcel.not_before <= by);
        let now: Vec<Parcel> = now;
        self.unsent = later;
        let shared = &self.shared;
        let outcomes: Vec<Outcome> =
            stream::iter(now).map(|parcel| deliver(shared, parcel)).buffer_unordered(AT_ONCE).collect().await;
        let mut refused = Vec::new();
        for outcome in outcomes {
            match outcome {
                Outcome::Delivered => {}
                Outcome::Refused(parcel) => refused.push(parcel),
                Outcome::Failed(parcel) if parcel.attempts >= MOST_ATTEMPTS => {
                    parcel.of.iter().for_each(|lines| self.give_up(lines, "never delivered"));
                }
                Outcome::Failed(mut parcel) => {
                    parcel.not_before = Instant::now() + pause(parcel.attempts);
                    parcel.attempts += 1;
                    self.unsent.push(parcel);
                }
            }
        }
        if !refused.is_empty() {
            // Perhaps the log goes elsewhere by now.
            self.refresh().await;
            refused.into_iter().for_each(|parcel| self.send_apart(parcel));
        }
    }

    /// What could not be delivered goes where its log goes by now.
    fn follow_logs(&mut self, by: Instant) {
        let has_moved = |parcel: &Parcel| {
            parcel.of.iter().any(|lines| {
                let place = self.logs.known.by_id(lines.of.bucket).map(|logged| Place::of(&logged, lines.of));
                place.as_ref() != Some(&parcel.place)
            })
        };
        let (moved, rest) = std::mem::take(&mut self.unsent)
            .into_iter()
            .partition(|parcel| parcel.attempts > 0 && parcel.not_before <= by && has_moved(parcel));
        self.unsent = rest;
        let moved: Vec<Parcel> = moved;
        moved.into_iter().for_each(|parcel| self.send_apart(parcel));
    }

    /// One bucket's records must not be lost because the target does not take another's beside them.
    fn send_apart(&mut self, parcel: Parcel) {
        let was_alone = parcel.of.len() == 1;
        for lines in parcel.of {
            match self.logs.known.by_id(lines.of.bucket).map(|logged| Place::of(&logged, lines.of)) {
                Some(place) if !was_alone || place != parcel.place => self.address(place, vec![lines]),
                Some(_) => self.give_up(&lines, "refused"),
                None => self.give_up(&lines, "not logged any more"),
            }
        }
    }

    fn give_up(&self, lines: &Lines, why: &'static str) {
        lost(lines.records, why);
        self.logs.waiting.lock().forget(lines);
    }
}

impl AccessLogs {
    /// Learns which buckets are logged.
    pub(crate) async fn refresh(&self, shared: &Shared, ids: &CallIds) -> Result<(), rpc::CallError<rpc::Never>> {
        self.known.refresh(shared.om.as_ref(), || CallContext::local(ids.next(), shared.config.om_timeout)).await
    }
}

async fn deliver(shared: &Arc<Shared>, parcel: Parcel) -> Outcome {
    let text: Vec<u8> = parcel.of.iter().flat_map(|lines| lines.text.iter().copied()).collect();
    let object = LogObject {
        target: parcel.place.target.clone(),
        key: parcel.key.clone(),
        of: parcel.of.iter().map(|lines| lines.of.bucket).collect(),
        body: Bytes::from(text),
    };
    match write_log_object(shared, object).await {
        Ok(()) => {
            metrics::counter!("gateway_access_log_objects_total").increment(1);
            let mut waiting = shared.access_logs.waiting.lock();
            parcel.of.iter().for_each(|lines| waiting.forget(lines));
            Outcome::Delivered
        }
        Err(NotWritten::Refused) => Outcome::Refused(parcel),
        Err(NotWritten::Failed(error)) => {
            warn!(%error, target = %parcel.place.target, "an access log was not delivered; it will be tried again");
            Outcome::Failed(parcel)
        }
    }
}

fn pause(attempts: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempts)).min(LONGEST_PAUSE)
}
