//! What lifecycle rules end, objects, versions, delete markers, uploads, and what they move to another storage class.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bucket_config::LifecycleConfiguration;
use bucket_config::lifecycle::{Day, TransitionMinimum};
use om_core::lifecycle::{self, Bounds, DueMove, LastWalk, Place, Step, Walk};
use om_core::{AbortUpload, AbortUploadRejected, ExpireVersions, MoveVersions, VersionsExpired, namespace};
use runtime::{Pace, PassError, PassStatus, Reconcile};
use serde::Serialize;
use types::{BucketId, LogIndex, Replication, Timestamp};

use super::{propose, propose_or_reject};
use crate::Config;
use crate::moves::{Move, Moves};
use crate::service::Log;

/// Goes round the buckets that have rules and walks over each, a step a pass. A bucket in which nothing can have become due since
/// the last walk is passed by.
pub(crate) struct Lifecycle {
    log: Log,
    moves: Arc<Moves>,
    storage_classes: BTreeMap<String, Replication>,
    pause: Duration,
    /// Where a bucket does not say.
    minimum: TransitionMinimum,
    day: Day,
    /// What the last round found, and this one up to now: two, so that buckets that are gone are forgotten.
    last_round: BTreeMap<BucketId, LastWalk>,
    this_round: BTreeMap<BucketId, LastWalk>,
    /// The last bucket that this round has come to.
    behind: Option<BucketId>,
    at: Option<At>,
    /// In this round something was due to be copied, and too much waited for that already.
    left_some: bool,
}

/// In the middle of a walk.
#[derive(Debug, Clone)]
struct At {
    bucket: BucketId,
    walk: LastWalk,
    place: Place,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    bucket: Option<u64>,
    rows: usize,
    expired: u32,
    noncurrent_expired: u32,
    markers_removed: u32,
    uploads_aborted: u32,
    /// On the blocks that they have.
    moved: u32,
    /// Noted, for gateways to copy their bytes.
    to_be_copied: u32,
}

/// A step holds the namespace up for some milliseconds, and its entry not much longer than a DeleteObjects does.
const BOUNDS: Bounds = Bounds { rows: 1_000, due: 250 };

/// Rests so many times as long as it has read: a round over millions of keys takes a quarter of a processor.
const RESTS: u32 = 3;

/// Buckets looked up at once.
const BUCKETS: usize = 1_000;

impl Lifecycle {
    pub(crate) fn new(config: &Config, log: Log, moves: Arc<Moves>) -> Self {
        let day = config.lifecycle_day.map_or(Day::Calendar, |day| Day::Short(day.into()));
        Self {
            log,
            moves,
            storage_classes: config.storage_classes.clone(),
            pause: Self::pause(config),
            minimum: match config.move_small_objects {
                true => TransitionMinimum::VariesByClass,
                false => TransitionMinimum::AllClasses128K,
            },
            day,
            last_round: BTreeMap::new(),
            this_round: BTreeMap::new(),
            behind: None,
            at: None,
            left_some: false,
        }
    }

    /// Between two rounds. Where days are short, what is due goes within a part of one.
    pub(crate) fn pause(config: &Config) -> Duration {
        config.lifecycle_day.map_or(config.lifecycle_every, |day| config.lifecycle_every.min(day / 4))
    }

    /// The next bucket of this round that has to be walked over; none at its end.
    fn next_bucket(&mut self, now: Timestamp) -> Result<Option<At>, PassError> {
        loop {
            let found = self.log.glance(|tables| lifecycle::buckets(tables, self.behind, BUCKETS))?;
            if found.is_empty() {
                self.behind = None;
                self.last_round = std::mem::take(&mut self.this_round);
                return Ok(None);
            }
            for (bucket, rules) in found {
                self.behind = Some(bucket);
                match self.last_round.get(&bucket) {
                    Some(last) if last.is_enough(rules, now, self.day) => {
                        self.this_round.insert(bucket, *last);
                    }
                    Some(_) | None => {
                        let walk = LastWalk { rules, began: now, found_nothing: true };
                        return Ok(Some(At { bucket, walk, place: Place::START }));
                    }
                }
            }
        }
    }

    /// None if the bucket is gone, or other rules have been set: the next round begins it anew.
    fn look(&self, at: &At, now: Timestamp) -> Result<Option<Step>, PassError> {
        self.log.glance(|tables| {
            let bucket = namespace::bucket(tables, at.bucket)?.filter(|bucket| bucket.lifecycle == Some(at.walk.rules));
            let rules: Option<LifecycleConfiguration> = namespace::bucket_document(tables, at.bucket)?;
            let (Some(bucket), Some(mut rules)) = (&bucket, rules) else { return Ok(None) };
            rules.transition_minimum.get_or_insert(self.minimum);
            let rules = &rules;
            Walk { bucket, rules, now, day: self.day, bounds: BOUNDS }.step(tables, &at.place).map(Some)
        })
    }

    async fn carry_out(&mut self, bucket: BucketId, rules: LogIndex, step: Step, now: Timestamp) -> Result<Report, PassError> {
        let mut report = Report { bucket: Some(bucket.0), rows: step.rows, ..Report::default() };
        if !step.versions.is_empty() {
            let expire = ExpireVersions { bucket, rules, ends: step.versions, now };
            let VersionsExpired { current, noncurrent, markers } = propose(&self.log, expire).await?;
            report = Report { expired: current, noncurrent_expired: noncurrent, markers_removed: markers, ..report };
        }
        self.move_on(bucket, rules, step.moves, now, &mut report).await?;
        for at in step.uploads {
            match propose_or_reject(&self.log, AbortUpload { at, now }).await? {
                Ok(()) => report.uploads_aborted += 1,
                // Completed or aborted meanwhile.
                Err(AbortUploadRejected::NoSuchUpload | AbortUploadRejected::NoSuchBucket) => {}
            }
        }
        report.count();
        Ok(report)
    }

    /// By name where the blocks are of the right kind already; else the bytes have to be copied.
    async fn move_on(
        &mut self,
        bucket: BucketId,
        rules: LogIndex,
        due: Vec<DueMove>,
        now: Timestamp,
        report: &mut Report,
    ) -> Result<(), PassError> {
        let mut by_name = Vec::new();
        for due in due {
            // Not configured any more; it stays where it is.
            let Some(replication) = self.storage_classes.get(&due.class).copied() else { continue };
            let is_kept_so = due.kept == replication || due.stored == 0;
            let planned = due.to(replication);
            if is_kept_so {
                by_name.push(planned);
            } else if self.moves.offer(Move { bucket, rules, planned }, now) {
                report.to_be_copied += 1;
            } else {
                self.left_some = true;
            }
        }
        if !by_name.is_empty() {
            report.moved = propose(&self.log, MoveVersions { bucket, rules, moves: by_name, now: Some(now) }).await?;
        }
        Ok(())
    }
}

impl Report {
    fn count(&self) {
        metrics::counter!("om_lifecycle_rows_read_total").increment(self.rows as u64);
        metrics::counter!("om_lifecycle_moved_total", "how" => "by_name").increment(self.moved.into());
        let ended = [
            ("current", self.expired),
            ("noncurrent", self.noncurrent_expired),
            ("marker", self.markers_removed),
            ("upload", self.uploads_aborted),
        ];
        for (what, count) in ended.into_iter().filter(|(_, count)| *count > 0) {
            metrics::counter!("om_lifecycle_ended_total", "what" => what).increment(count.into());
        }
    }
}

#[async_trait]
impl Reconcile for Lifecycle {
    const NAME: &'static str = "lifecycle";
    type Report = Report;

    async fn pass(&mut self, now: Timestamp) -> Result<PassStatus<Report>, PassError> {
        if self.at.is_none() {
            self.at = self.next_bucket(now)?;
        }
        // Where a pass fails, the next one takes the same step.
        let Some(mut at) = self.at.clone() else {
            if std::mem::take(&mut self.left_some) {
                // The next round is for what was left, once there is room for it.
                let _room_or_not = tokio::time::timeout(self.pause, self.moves.room()).await;
                return Ok(PassStatus { pace: Pace::Again, report: Report::default() });
            }
            return Ok(PassStatus { pace: Pace::Rest, report: Report::default() });
        };
        let begun = Instant::now();
        let Some(mut step) = self.look(&at, now)? else {
            self.at = None;
            return Ok(PassStatus { pace: Pace::Again, report: Report::default() });
        };
        let took = begun.elapsed();
        let next = step.next.take();
        at.walk.found_nothing &= step.versions.is_empty() && step.uploads.is_empty() && step.moves.is_empty();
        let report = self.carry_out(at.bucket, at.walk.rules, step, now).await?;
        self.at = match next {
            Some(place) => Some(At { place, ..at }),
            None => {
                self.this_round.insert(at.bucket, at.walk);
                None
            }
        };
        tokio::time::sleep(took * RESTS).await;
        Ok(PassStatus { pace: Pace::Again, report })
    }
}
