//! Where containers are, as the SCM told not long ago.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use scm_api::LocateContainers;
use types::{ContainerId, Millis, PipelineId, Replica, Timestamp};

use super::{SCM_PATIENCE, ScmSide};
use crate::Config;

#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) replicas: Arc<[Replica]>,
    pub(crate) pipeline: Option<PipelineId>,
}

/// Replicas move rarely and a reader that misses one asks again, so an answer of some seconds ago is good enough to begin with;
/// beyond that it is renewed beside the answer, and only much later before it.
#[derive(Clone)]
pub(crate) struct Locations(Arc<Inner>);

struct Inner {
    side: ScmSide,
    fresh: Millis,
    stale: Millis,
    known: Mutex<HashMap<ContainerId, Known>>,
}

struct Known {
    located: Located,
    at: Timestamp,
    is_renewing: bool,
}

/// About 20 MB. A container is some gigabytes, so this covers most stores whole.
const MOST_KNOWN: usize = 100_000;

impl fmt::Debug for Locations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locations")
    }
}

/// What a look at the cache leaves to do.
#[derive(Default)]
struct Look {
    found: HashMap<ContainerId, Located>,
    missing: Vec<ContainerId>,
    renew: Vec<ContainerId>,
}

impl Locations {
    pub(crate) fn new(config: &Config, side: ScmSide) -> Self {
        let (fresh, stale) = (config.locations_fresh.into(), config.locations_stale.into());
        Self(Arc::new(Inner { side, fresh, stale, known: Mutex::default() }))
    }

    /// What a lease tells of its container.
    pub(crate) fn learn(&self, container: ContainerId, pipeline: PipelineId, replicas: Arc<[Replica]>) {
        let located = Located { replicas, pipeline: Some(pipeline) };
        self.remember([(container, located)]);
    }

    /// A container without an answer is in none of the results. `anew`: what is known has just failed a reader.
    pub(crate) async fn locate(
        &self,
        containers: &BTreeSet<ContainerId>,
        anew: bool,
        deadline: Instant,
    ) -> Result<HashMap<ContainerId, Located>, String> {
        let Look { mut found, missing, renew } = self.look(containers, anew);
        if !renew.is_empty() {
            let locations = self.clone();
            self.0.side.shutdown.spawn_until(async move {
                if locations.ask(&renew, Instant::now() + SCM_PATIENCE).await.is_err() {
                    locations.give_up_renewing(&renew);
                }
            });
        }
        if missing.is_empty() {
            return Ok(found);
        }
        match self.ask(&missing, deadline).await {
            Ok(answered) => found.extend(answered),
            // Better an old answer than none while the SCM is away.
            Err(error) => {
                let known = self.0.known.lock();
                for container in missing {
                    let old = known.get(&container).ok_or_else(|| error.clone())?;
                    found.insert(container, old.located.clone());
                }
            }
        }
        Ok(found)
    }

    fn look(&self, containers: &BTreeSet<ContainerId>, anew: bool) -> Look {
        let now = self.0.side.clock.now();
        let mut look = Look::default();
        let mut known = self.0.known.lock();
        for container in containers {
            match known.get_mut(container) {
                Some(known) if !anew && now.since(known.at) < self.0.stale => {
                    if now.since(known.at) >= self.0.fresh && !known.is_renewing {
                        known.is_renewing = true;
                        look.renew.push(*container);
                    }
                    look.found.insert(*container, known.located.clone());
                }
                _ => look.missing.push(*container),
            }
        }
        look
    }

    async fn ask(&self, containers: &[ContainerId], deadline: Instant) -> Result<Vec<(ContainerId, Located)>, String> {
        let request = LocateContainers { containers: containers.to_vec() };
        let answer = self.0.side.scm.locate_containers(self.0.side.call(deadline), request).await;
        let answer = answer.map_err(|error| format!("asking the SCM where blocks are: {error}"))?;
        metrics::counter!("om_containers_located_total").increment(containers.len() as u64);
        let located: Vec<(ContainerId, Located)> = answer
            .locations
            .into_iter()
            // None is an answer of the moment (a restart, all replicas away): not one to keep.
            .filter(|location| !location.replicas.is_empty())
            .map(|location| (location.container, Located { replicas: location.replicas.into(), pipeline: location.pipeline }))
            .collect();
        self.remember(located.iter().cloned());
        Ok(located)
    }

    fn remember(&self, located: impl IntoIterator<Item = (ContainerId, Located)>) {
        let now = self.0.side.clock.now();
        let mut known = self.0.known.lock();
        for (container, located) in located {
            known.insert(container, Known { located, at: now, is_renewing: false });
        }
        if known.len() > MOST_KNOWN {
            known.retain(|_, known| now.since(known.at) < self.0.stale);
        }
        if known.len() > MOST_KNOWN {
            known.clear();
        }
    }

    fn give_up_renewing(&self, containers: &[ContainerId]) {
        let mut known = self.0.known.lock();
        for container in containers {
            if let Some(known) = known.get_mut(container) {
                known.is_renewing = false;
            }
        }
    }
}
