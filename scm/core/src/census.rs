//! What datanodes have told this leader: who is alive, which pipelines they serve, which replicas they hold.
//!
//! Soft state of one leadership. It begins empty; a datanode counts only after it has reported in full, and whatever cannot be
//! undone waits until the census [is complete](Nodes::is_complete). Time here is the process's own uptime, which neither jumps
//! nor goes back, so a clock that is set anew kills nobody.

use std::collections::{BTreeMap, BTreeSet};

use types::{ContainerId, DatanodeId, Millis, PipelineId};

use crate::rows::{DatanodeRow, superseded};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPolicy {
    /// Silent for this long: not chosen for anything new.
    pub stale_after: Millis,
    /// Silent for this long: its replicas are replaced.
    pub dead_after: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    Healthy,
    Stale,
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaPhase {
    Open,
    /// Closed through the pipeline's log: equal to every other closed replica.
    Closed,
    /// Closed by itself: as full as its commit index says.
    QuasiClosed,
    /// Damaged: counts for nothing.
    Unhealthy,
}

/// A replica as its datanode reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replica {
    pub phase: ReplicaPhase,
    pub commit_index: u64,
    pub blocks: u64,
    pub used: u64,
    /// Committed blocks whose bytes are still on their way.
    pub missing_blocks: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    pub is_leader: bool,
    pub term: u64,
    /// This member, the leader, has a follower that will hardly catch up.
    pub is_lagging: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    pub capacity: u64,
    pub used: u64,
    pub remaining: u64,
}

/// One heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hearing {
    pub incarnation: u64,
    pub space: Space,
    /// All the pipelines it serves.
    pub pipelines: BTreeMap<PipelineId, Service>,
    pub scope: Scope,
    /// None for a replica that is gone.
    pub replicas: Vec<(ContainerId, Option<Replica>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Replicas that changed.
    Changes,
    /// All replicas it holds.
    Everything,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Another process than the one that was last heard under this id.
    OtherProcess,
    Accepted {
        /// Pipelines or replicas are not as they were: plans may differ.
        has_news: bool,
        /// What it holds is not known: it should report in full.
        is_partial: bool,
    },
}

/// One datanode's own words.
#[derive(Debug, Clone, Default)]
struct Voice {
    incarnation: Option<u64>,
    last: Millis,
    space: Space,
    pipelines: BTreeMap<PipelineId, Service>,
    reported_in_full: bool,
    /// When the present process was first heard.
    since: Millis,
    /// Since when it no longer serves pipelines that it served before.
    left: BTreeMap<PipelineId, Millis>,
    containers: BTreeSet<ContainerId>,
}

#[derive(Debug, Clone)]
pub struct Census {
    policy: HealthPolicy,
    began: Millis,
    now: Millis,
    voices: BTreeMap<DatanodeId, Voice>,
    replicas: BTreeMap<ContainerId, BTreeMap<DatanodeId, Replica>>,
}

impl Census {
    pub fn begin(policy: HealthPolicy, now: Millis) -> Self {
        Self { policy, began: now, now, voices: BTreeMap::new(), replicas: BTreeMap::new() }
    }

    /// Time passes. It never goes back.
    pub fn advance(&mut self, now: Millis) {
        self.now = self.now.max(now);
    }

    pub fn now(&self) -> Millis {
        self.now
    }

    /// A process of this datanode has started: whoever heartbeats next under the id is it, and what it holds is unknown.
    pub fn expect(&mut self, datanode: DatanodeId) {
        let voice = self.voices.entry(datanode).or_default();
        voice.incarnation = None;
        voice.last = self.now;
        voice.reported_in_full = false;
        voice.pipelines.clear();
        voice.left.clear();
    }

    /// Takes in a heartbeat.
    pub fn hear(&mut self, datanode: DatanodeId, hearing: Hearing) -> Heard {
        let now = self.now;
        let voice = self.voices.entry(datanode).or_default();
        if voice.incarnation.is_some_and(|known| known != hearing.incarnation) {
            return Heard::OtherProcess;
        }
        if voice.incarnation.is_none() {
            voice.since = now;
        }
        let mut has_news = voice.incarnation.is_none() || health(self.policy, now, voice.last) != Health::Healthy;
        voice.incarnation = Some(hearing.incarnation);
        voice.last = now;
        voice.space = hearing.space;
        has_news |= voice.pipelines != hearing.pipelines;
        for pipeline in voice.pipelines.keys().filter(|pipeline| !hearing.pipelines.contains_key(pipeline)) {
            voice.left.insert(*pipeline, now);
        }
        voice.left.retain(|pipeline, _| !hearing.pipelines.contains_key(pipeline));
        voice.pipelines = hearing.pipelines;
        if hearing.scope == Scope::Everything {
            has_news |= !voice.reported_in_full;
            voice.reported_in_full = true;
            let held: BTreeSet<ContainerId> = hearing.replicas.iter().map(|(container, _)| *container).collect();
            let gone: Vec<ContainerId> = voice.containers.difference(&held).copied().collect();
            for container in gone {
                self.set_replica(datanode, container, None);
                has_news = true;
            }
        }
        for (container, replica) in hearing.replicas {
            has_news |= self.set_replica(datanode, container, replica);
        }
        let is_partial = self.voices.get(&datanode).is_none_or(|voice| !voice.reported_in_full);
        Heard::Accepted { has_news, is_partial }
    }

    /// Whether that was news for a plan: mere growth is not.
    fn set_replica(&mut self, datanode: DatanodeId, container: ContainerId, replica: Option<Replica>) -> bool {
        let voice = self.voices.entry(datanode).or_default();
        match replica {
            Some(replica) => {
                voice.containers.insert(container);
                let before = self.replicas.entry(container).or_default().insert(datanode, replica);
                before.is_none_or(|before| {
                    before.phase != replica.phase || (before.missing_blocks == 0) != (replica.missing_blocks == 0)
                })
            }
            None => {
                voice.containers.remove(&container);
                let Some(holders) = self.replicas.get_mut(&container) else {
                    return false;
                };
                let was_there = holders.remove(&datanode).is_some();
                if holders.is_empty() {
                    self.replicas.remove(&container);
                }
                was_there
            }
        }
    }

    /// Everyone's replica of one container, dead datanodes' too.
    pub fn replicas(&self, container: ContainerId) -> impl Iterator<Item = (DatanodeId, &Replica)> {
        self.replicas.get(&container).into_iter().flatten().map(|(datanode, replica)| (*datanode, replica))
    }

    pub fn replica(&self, container: ContainerId, datanode: DatanodeId) -> Option<&Replica> {
        self.replicas.get(&container)?.get(&datanode)
    }

    /// All containers that anyone has reported.
    pub fn containers(&self) -> impl Iterator<Item = ContainerId> + '_ {
        self.replicas.keys().copied()
    }

    pub fn containers_on(&self, datanode: DatanodeId) -> usize {
        self.voices.get(&datanode).map_or(0, |voice| voice.containers.len())
    }

    pub fn held_by(&self, datanode: DatanodeId) -> impl Iterator<Item = ContainerId> + '_ {
        self.voices.get(&datanode).into_iter().flat_map(|voice| voice.containers.iter().copied())
    }

    /// The incarnation that was heard last, if any was.
    pub fn incarnation(&self, datanode: DatanodeId) -> Option<u64> {
        self.voices.get(&datanode)?.incarnation
    }

    /// Every registered datanode with what is known about it.
    pub fn nodes(&self, rows: &[(DatanodeId, DatanodeRow)]) -> Nodes {
        let superseded = superseded(rows);
        let silent = Voice { last: self.began, ..Voice::default() };
        let nodes = rows.iter().map(|(id, row)| {
            let voice = self.voices.get(id).unwrap_or(&silent);
            // One that has registered and not yet sent a heartbeat is waited for like one that is silent since the beginning.
            let last = if voice.incarnation.is_some() { voice.last } else { voice.last.max(self.began) };
            let is_superseded = superseded.contains(id);
            let health = match health(self.policy, self.now, last) {
                _ if is_superseded => Health::Dead,
                Health::Healthy if !voice.reported_in_full => Health::Stale,
                health => health,
            };
            let node = Node {
                health,
                is_superseded,
                dead_for: if health == Health::Dead { Millis(self.now.0.saturating_sub(last.0)) } else { Millis(0) },
                rack: row.rack.clone(),
                space: voice.space,
                containers: voice.containers.len(),
                pipelines: voice.pipelines.clone(),
                reported_in_full: voice.reported_in_full,
                heard_for: Millis(self.now.0.saturating_sub(voice.since.0)),
                left: voice.left.iter().map(|(id, since)| (*id, Millis(self.now.0.saturating_sub(since.0)))).collect(),
            };
            (*id, node)
        });
        Nodes(nodes.collect())
    }
}

fn health(policy: HealthPolicy, now: Millis, last: Millis) -> Health {
    let silent = Millis(now.0.saturating_sub(last.0));
    if silent >= policy.dead_after {
        Health::Dead
    } else if silent >= policy.stale_after {
        Health::Stale
    } else {
        Health::Healthy
    }
}

/// A datanode as plans see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Healthy is heard of lately and known in full; superseded is dead.
    pub health: Health,
    pub is_superseded: bool,
    /// How long it has been silent, if it is dead.
    pub dead_for: Millis,
    pub rack: Option<String>,
    pub space: Space,
    pub containers: usize,
    pub pipelines: BTreeMap<PipelineId, Service>,
    pub reported_in_full: bool,
    /// How long its present process has been heard of.
    pub heard_for: Millis,
    /// Pipelines that it served before, and how long ago it stopped.
    pub left: BTreeMap<PipelineId, Millis>,
}

impl Node {
    pub fn serves(&self, pipeline: PipelineId) -> bool {
        self.pipelines.contains_key(&pipeline)
    }

    /// For how long it has been heard of without serving this pipeline. A process that has just started needs a while to bring
    /// its pipelines up.
    pub fn without(&self, pipeline: PipelineId) -> Millis {
        match self.serves(pipeline) {
            true => Millis(0),
            false => self.left.get(&pipeline).copied().unwrap_or(self.heard_for),
        }
    }
}

/// All registered datanodes at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nodes(pub BTreeMap<DatanodeId, Node>);

impl Nodes {
    pub fn health(&self, datanode: DatanodeId) -> Health {
        self.0.get(&datanode).map_or(Health::Dead, |node| node.health)
    }

    pub fn is_healthy(&self, datanode: DatanodeId) -> bool {
        self.health(datanode) == Health::Healthy
    }

    pub fn is_dead(&self, datanode: DatanodeId) -> bool {
        self.health(datanode) == Health::Dead
    }

    pub fn healthy(&self) -> impl Iterator<Item = (DatanodeId, &Node)> {
        self.0.iter().filter(|(_, node)| node.health == Health::Healthy).map(|(id, node)| (*id, node))
    }

    /// Nobody is left of whom it is unknown what they hold: each has reported in full or is dead.
    pub fn is_complete(&self) -> bool {
        self.0.values().all(|node| node.reported_in_full || node.health == Health::Dead)
    }

    /// How many there are; one whose place another has taken is not waited for, nor counted.
    pub fn count(&self, health: Health) -> usize {
        self.0.values().filter(|node| node.health == health && !node.is_superseded).count()
    }
}
