//! A cluster as values: rows changed by commands, a census fed with reports.

use std::collections::{BTreeMap, BTreeSet};

use tables::MemoryTables;
use types::{BlockId, ContainerId, DatanodeId, Millis, PipelineId, Replication};

use crate::census::{Census, HealthPolicy, Hearing, Nodes, Replica, ReplicaPhase, Scope, Service, Space};
use crate::command::testing::{cluster, registration};
use crate::command::*;
use crate::plan::pipelines::Waiting;
use crate::rows::{ContainerRow, DatanodeRow, all, get};

pub(crate) const STALE_AFTER: Millis = Millis(5_000);
pub(crate) const DEAD_AFTER: Millis = Millis(30_000);
const ROOM: u64 = 1_000_000;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) tables: MemoryTables,
    pub(crate) census: Census,
    pub(crate) waiting: Waiting,
    now: Millis,
    /// What each living datanode says with its next heartbeat.
    voices: BTreeMap<DatanodeId, Voice>,
    silent: BTreeSet<DatanodeId>,
}

#[derive(Debug, Clone, Default)]
struct Voice {
    remaining: u64,
    pipelines: BTreeMap<PipelineId, Service>,
    replicas: BTreeMap<ContainerId, Replica>,
}

fn replica(phase: ReplicaPhase, commit_index: u64) -> Replica {
    Replica { phase, commit_index, blocks: 1, used: 100, missing_blocks: 0 }
}

impl World {
    /// Datanodes 1 to `n`, registered and heard of.
    pub(crate) fn with_datanodes(n: u64) -> Self {
        let policy = HealthPolicy { stale_after: STALE_AFTER, dead_after: DEAD_AFTER };
        let now = Millis(1_000_000);
        let mut world = Self {
            tables: cluster(n),
            census: Census::begin(policy, now),
            waiting: Waiting::default(),
            now,
            voices: BTreeMap::new(),
            silent: BTreeSet::new(),
        };
        for datanode in 1..=n {
            world.voices.insert(DatanodeId(datanode), Voice { remaining: ROOM, ..Voice::default() });
        }
        world.hear_all();
        world
    }

    pub(crate) fn with_racks(racks: &[&str]) -> Self {
        let mut world = Self::with_datanodes(racks.len() as u64);
        for (id, rack) in (1..).map(DatanodeId).zip(racks) {
            let place = RegisterDatanode { id: Some(id), rack: Some((*rack).into()), ..registration(&format!("dn{}", id.0)) };
            place.apply(&mut world.tables).expect("applies").expect("known");
        }
        world
    }

    pub(crate) fn new_leader(&mut self) {
        let policy = HealthPolicy { stale_after: STALE_AFTER, dead_after: DEAD_AFTER };
        self.census = Census::begin(policy, self.now);
    }

    pub(crate) fn nodes(&self) -> Nodes {
        self.census.nodes(&all::<DatanodeRow>(&self.tables).expect("reads"))
    }

    pub(crate) fn container(&self, id: ContainerId) -> ContainerRow {
        get(&self.tables, id).expect("reads").expect("is there")
    }

    // Time and heartbeats

    pub(crate) fn advance(&mut self, span: Millis) {
        self.now = Millis(self.now.0 + span.0);
        self.census.advance(self.now);
    }

    /// Time passes while everyone who was not silenced keeps sending heartbeats.
    pub(crate) fn pass_time(&mut self, span: Millis) {
        self.advance(span);
        let speaking: Vec<DatanodeId> = self.voices.keys().filter(|id| !self.silent.contains(id)).copied().collect();
        for datanode in speaking {
            self.say(datanode, Scope::Changes);
        }
    }

    pub(crate) fn pass_time_without(&mut self, silent: &[u64], span: Millis) {
        self.silent.extend(silent.iter().copied().map(DatanodeId));
        self.pass_time(span);
    }

    /// The datanode falls silent, and so much time passes.
    pub(crate) fn silence(&mut self, datanode: u64, span: Millis) {
        self.pass_time_without(&[datanode], span);
    }

    pub(crate) fn hear_all(&mut self) {
        let all: Vec<DatanodeId> = self.voices.keys().copied().collect();
        for datanode in all {
            self.say(datanode, Scope::Everything);
        }
    }

    pub(crate) fn hear<const N: usize>(&mut self, datanode: u64, scope: Scope, replicas: [(ContainerId, ReplicaPhase, u64); N]) {
        let voice = self.voice(datanode);
        if scope == Scope::Everything {
            voice.replicas.clear();
        }
        voice.replicas.extend(replicas.map(|(container, phase, index)| (container, replica(phase, index))));
        self.say(DatanodeId(datanode), scope);
    }

    fn voice(&mut self, datanode: u64) -> &mut Voice {
        self.voices.entry(DatanodeId(datanode)).or_insert_with(|| Voice { remaining: ROOM, ..Voice::default() })
    }

    fn say(&mut self, datanode: DatanodeId, scope: Scope) {
        self.silent.remove(&datanode);
        let voice = self.voice(datanode.0).clone();
        let hearing = Hearing {
            incarnation: 1,
            space: Space { capacity: ROOM, used: 0, remaining: voice.remaining },
            pipelines: voice.pipelines,
            scope,
            replicas: voice.replicas.into_iter().map(|(id, replica)| (id, Some(replica))).collect(),
        };
        self.census.hear(datanode, hearing);
    }

    pub(crate) fn set_remaining(&mut self, datanode: u64, remaining: u64) {
        self.voice(datanode).remaining = remaining;
        self.say(DatanodeId(datanode), Scope::Changes);
    }

    /// A datanode without an id registers under this name.
    pub(crate) fn register(&mut self, name: &str) -> u64 {
        let id = registration(name).apply(&mut self.tables).expect("applies").expect("a new datanode");
        self.census.expect(id);
        id.0
    }

    // Pipelines

    pub(crate) fn allocate_pipeline(&mut self, members: [u64; 3]) -> PipelineId {
        let members = members.map(DatanodeId).to_vec();
        let command = CreatePipeline { replication: Replication::Three, members };
        command.apply(&mut self.tables).expect("applies").expect("created")
    }

    pub(crate) fn serve(&mut self, pipeline: PipelineId, datanode: u64, is_leader: bool) {
        self.voice(datanode).pipelines.insert(pipeline, Service { is_leader, term: 1, is_lagging: false });
        self.say(DatanodeId(datanode), Scope::Changes);
    }

    pub(crate) fn leave(&mut self, pipeline: PipelineId, datanode: u64) {
        self.voice(datanode).pipelines.remove(&pipeline);
        self.say(DatanodeId(datanode), Scope::Changes);
    }

    pub(crate) fn open(&mut self, pipeline: PipelineId) {
        assert!(OpenPipeline { pipeline }.apply(&mut self.tables).expect("applies"));
    }

    pub(crate) fn open_pipeline(&mut self, members: [u64; 3]) -> PipelineId {
        let pipeline = self.allocate_pipeline(members);
        for member in members {
            self.serve(pipeline, member, member == members[0]);
        }
        self.open(pipeline);
        pipeline
    }

    /// Of one copy.
    pub(crate) fn open_lone_pipeline(&mut self, member: u64) -> PipelineId {
        let command = CreatePipeline { replication: Replication::One, members: vec![DatanodeId(member)] };
        let pipeline = command.apply(&mut self.tables).expect("applies").expect("created");
        self.serve(pipeline, member, true);
        self.open(pipeline);
        pipeline
    }

    pub(crate) fn close_pipeline(&mut self, pipeline: PipelineId) {
        assert!(ClosePipeline { pipeline }.apply(&mut self.tables).expect("applies"));
    }

    pub(crate) fn remove_pipeline(&mut self, pipeline: PipelineId) {
        assert!(RemovePipeline { pipeline }.apply(&mut self.tables).expect("applies"));
    }

    // Containers

    pub(crate) fn allocate(&mut self, shares: Vec<SlotShare>) -> Vec<Allocation> {
        AllocateBlocks { shares }.apply(&mut self.tables).expect("applies").expect("something is open")
    }

    /// Leased from, never written to.
    pub(crate) fn open_container(&mut self, pipeline: PipelineId) -> ContainerId {
        self.allocate(vec![SlotShare { slot: Slot::New(pipeline), count: 100 }])[0].container
    }

    /// Open, with a block on every member.
    pub(crate) fn written_container(&mut self, pipeline: PipelineId) -> ContainerId {
        let container = self.open_container(pipeline);
        self.fill(container, 100);
        self.note(container, 100);
        container
    }

    /// Closed on every member.
    pub(crate) fn closed_container(&mut self, pipeline: PipelineId, sequence: u64) -> ContainerId {
        let container = self.open_container(pipeline);
        for member in self.container(container).members {
            self.hold(member.0, container, ReplicaPhase::Closed, sequence);
        }
        self.finish(container, sequence);
        container
    }

    pub(crate) fn finish(&mut self, container: ContainerId, sequence: u64) {
        let containers = vec![FinishedContainer { container, sequence, used: 100, blocks: 1 }];
        assert_eq!(FinishContainers { containers }.apply(&mut self.tables).expect("applies"), 1);
    }

    pub(crate) fn note(&mut self, container: ContainerId, used: u64) {
        let notes = vec![ContainerNote { container, used, blocks: 1 }];
        NoteContainers { notes }.apply(&mut self.tables).expect("applies");
    }

    pub(crate) fn drop_container(&mut self, container: ContainerId) {
        assert_eq!(DropContainers { containers: vec![container] }.apply(&mut self.tables).expect("applies"), 1);
    }

    // Replicas

    fn set(&mut self, datanode: u64, container: ContainerId, replica: Replica) {
        self.voice(datanode).replicas.insert(container, replica);
        self.say(DatanodeId(datanode), Scope::Changes);
    }

    pub(crate) fn hold(&mut self, datanode: u64, container: ContainerId, phase: ReplicaPhase, commit_index: u64) {
        self.set(datanode, container, replica(phase, commit_index));
    }

    pub(crate) fn hold_missing(&mut self, datanode: u64, container: ContainerId, missing_blocks: u64) {
        let known = *self.census.replica(container, DatanodeId(datanode)).expect("held");
        self.set(datanode, container, Replica { missing_blocks, ..known });
    }

    pub(crate) fn lose(&mut self, datanode: u64, container: ContainerId) {
        self.voice(datanode).replicas.remove(&container);
        self.say(DatanodeId(datanode), Scope::Everything);
    }

    /// Every member has this much in its open replica.
    pub(crate) fn fill(&mut self, container: ContainerId, used: u64) {
        for member in self.container(container).members {
            self.set(member.0, container, Replica { used, ..replica(ReplicaPhase::Open, 1) });
        }
    }

    /// These datanodes' replicas have no block left.
    pub(crate) fn empty(&mut self, container: ContainerId, datanodes: &[u64]) {
        for datanode in datanodes {
            let known = *self.census.replica(container, DatanodeId(*datanode)).expect("held");
            self.set(*datanode, container, Replica { blocks: 0, used: 0, ..known });
        }
    }

    pub(crate) fn delete_block(&mut self, container: ContainerId, local: u64) {
        let blocks = vec![BlockId { container, local }];
        assert_eq!(DeleteBlocks { blocks }.apply(&mut self.tables).expect("applies"), 1);
    }

    pub(crate) fn acknowledge(&mut self, transaction: u64, datanodes: &[u64]) {
        let by = |id: &u64| Acknowledgement { datanode: DatanodeId(*id), transactions: vec![transaction] };
        let acknowledgements = datanodes.iter().map(by).collect();
        AcknowledgeDeletions { acknowledgements }.apply(&mut self.tables).expect("applies");
    }
}
