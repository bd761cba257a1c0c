//! Random commands against a plain model: what callers were promised holds, whatever comes in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use scm_core::command::{
    AcknowledgeDeletions, Acknowledgement, AddTokenKey, AllocateBlocks, Change, CloseContainers, ClosePipeline, Command,
    ContainerNote, CreatePipeline, DeleteBlocks, DropContainers, FinishContainers, FinishDeletions, FinishedContainer,
    Initialise, NoteContainers, OpenPipeline, RegisterDatanode, RemovePipeline, Slot, SlotShare,
};
use scm_core::invariants::violations;
use scm_core::rows::{ContainerPhase, ContainerRow, DeletionRow, TokenKeyRow, all};
use scm_core::{apply, outcome};
use tables::{MemoryTables, encode};
use types::{BlockId, ClusterId, ContainerId, DatanodeId, Endpoint, MemberId, PipelineId, Replication, Timestamp};

/// What was promised, in the simplest words.
#[derive(Debug, Default)]
struct Model {
    cluster: Option<ClusterId>,
    datanodes: u64,
    pipelines: BTreeSet<PipelineId>,
    members: BTreeSet<MemberId>,
    leased: BTreeSet<BlockId>,
    closing: BTreeSet<ContainerId>,
    settled: BTreeMap<ContainerId, u64>,
    dropped: BTreeSet<ContainerId>,
}

/// A multiplicative generator: enough to choose commands with, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

struct Run {
    tables: MemoryTables,
    model: Model,
    log: Vec<Vec<u8>>,
    dice: Dice,
    step: u64,
}

impl Run {
    fn propose<C: Change>(&mut self, change: C) -> C::Outcome {
        let command: Command = change.into();
        let entry = encode(&command);
        let answer = apply(&entry, &mut self.tables).expect("memory does not fail");
        self.log.push(entry);
        outcome::<C>(&answer).expect("its own answer")
    }

    fn some_datanode(&mut self) -> DatanodeId {
        DatanodeId(self.dice.below(self.model.datanodes + 2))
    }

    fn some_pipeline(&mut self) -> PipelineId {
        PipelineId(self.dice.below(self.model.pipelines.len() as u64 + 2))
    }

    fn some_container(&mut self) -> ContainerId {
        let known: BTreeSet<ContainerId> = self.model.leased.iter().map(|block| block.container).collect();
        ContainerId(self.dice.below(known.len() as u64 + 2))
    }

    fn step(&mut self) {
        self.step += 1;
        match self.dice.below(17) {
            0 => self.initialise(),
            1 | 2 => self.register(),
            3 | 4 => self.create_pipeline(),
            5 | 6 => {
                let pipeline = self.some_pipeline();
                self.propose(OpenPipeline { pipeline });
            }
            7 => {
                let pipeline = self.some_pipeline();
                self.propose(ClosePipeline { pipeline });
            }
            8 => {
                let pipeline = self.some_pipeline();
                self.propose(RemovePipeline { pipeline });
            }
            9 | 10 => self.allocate(),
            11 => {
                let containers = vec![self.some_container(), self.some_container()];
                self.propose(CloseContainers { containers });
            }
            12 => self.finish(),
            13 => {
                let container = self.some_container();
                self.propose(NoteContainers { notes: vec![ContainerNote { container, used: 5, blocks: 1 }] });
            }
            14 => {
                let container = self.some_container();
                self.propose(DropContainers { containers: vec![container] });
            }
            15 => self.rotate(),
            _ => self.delete(),
        }
        self.check();
    }

    fn initialise(&mut self) {
        let id = ClusterId::from_u128(u128::from(self.dice.below(1000)) + 1);
        let now = Timestamp(self.step);
        let token_key = TokenKeyRow { secret: [1; 32], seals_from: now, seals_until: now, expires: now };
        let answer = self.propose(Initialise { id, now, authority: None, token_key });
        let first = *self.model.cluster.get_or_insert(id);
        assert_eq!(answer.cluster.id, first, "a cluster never changes its identity");
    }

    fn register(&mut self) {
        let id = (self.dice.below(2) == 0).then(|| self.some_datanode());
        let place = self.dice.below(6);
        let command = RegisterDatanode {
            id,
            name: format!("dn{place}"),
            data_endpoint: Endpoint(format!("dn{place}:1")),
            rpc_endpoint: Endpoint(format!("dn{place}:2")),
            rack: None,
            now: Timestamp(self.step),
        };
        let is_known = id.is_none_or(|id| (1..=self.model.datanodes).contains(&id.0));
        match self.propose(command) {
            Ok(given) => {
                assert!(is_known);
                match id {
                    Some(id) => assert_eq!(given, id),
                    None => {
                        assert_eq!(given, DatanodeId(self.model.datanodes + 1), "an id is given out once");
                        self.model.datanodes += 1;
                    }
                }
            }
            Err(_) => assert!(!is_known),
        }
    }

    fn create_pipeline(&mut self) {
        let replication = if self.dice.below(3) == 0 { Replication::One } else { Replication::Three };
        let members = (0..replication.copies()).map(|_| self.some_datanode()).collect();
        if let Ok(created) = self.propose(CreatePipeline { replication, members }) {
            assert!(self.model.pipelines.insert(created), "a pipeline id is given out once");
            let row = scm_core::rows::get::<scm_core::rows::PipelineRow>(&self.tables, created).expect("reads").expect("made");
            for member in row.members {
                assert!(self.model.members.insert(member.member), "a member id is given out once");
            }
        }
    }

    fn allocate(&mut self) {
        let shares = (0..1 + self.dice.below(3))
            .map(|_| SlotShare {
                slot: match self.dice.below(2) {
                    0 => Slot::Container(self.some_container()),
                    _ => Slot::New(self.some_pipeline()),
                },
                count: u32::try_from(self.dice.below(4)).expect("small"),
            })
            .collect();
        for allocation in self.propose(AllocateBlocks { shares }).unwrap_or_default() {
            assert!(allocation.count > 0);
            let container = allocation.container;
            assert!(!self.model.closing.contains(&container), "a container that began to close gets no more blocks");
            for local in allocation.first..allocation.first + u64::from(allocation.count) {
                assert!(self.model.leased.insert(BlockId { container, local }), "a block id is leased once");
            }
        }
    }

    fn finish(&mut self) {
        let container = self.some_container();
        let sequence = self.dice.below(100);
        let settled = FinishedContainer { container, sequence, used: 9, blocks: 1 };
        if self.propose(FinishContainers { containers: vec![settled] }) == 1 {
            let before = self.model.settled.insert(container, sequence);
            assert_eq!(before, None, "a container is settled once");
        }
    }

    fn rotate(&mut self) {
        let newest = all::<TokenKeyRow>(&self.tables).expect("reads").last().map(|(id, _)| *id);
        let after = if self.dice.below(4) == 0 { None } else { newest };
        let now = Timestamp(self.step);
        let later = Timestamp(self.step + self.dice.below(40));
        let key = TokenKeyRow { secret: [2; 32], seals_from: now, seals_until: later, expires: later };
        self.propose(AddTokenKey { after, key, now });
    }

    fn delete(&mut self) {
        match self.dice.below(3) {
            0 => {
                let block = |run: &mut Self| BlockId { container: run.some_container(), local: run.dice.below(6) };
                let blocks = vec![block(self), block(self), block(self)];
                let known: BTreeSet<BlockId> = blocks.iter().copied().collect();
                let live =
                    |block: &&BlockId| self.model.leased.contains(*block) && !self.model.dropped.contains(&block.container);
                let expected = known.iter().filter(live).count() as u64;
                assert_eq!(self.propose(DeleteBlocks { blocks }), expected, "what was leased is taken over, once");
            }
            1 => {
                let datanode = self.some_datanode();
                let transactions = vec![self.dice.below(20), self.dice.below(20)];
                self.propose(AcknowledgeDeletions { acknowledgements: vec![Acknowledgement { datanode, transactions }] });
            }
            _ => {
                let transaction = self.dice.below(20);
                let before = all::<DeletionRow>(&self.tables).expect("reads").len();
                let finished = self.propose(FinishDeletions { transactions: vec![transaction] });
                let after = all::<DeletionRow>(&self.tables).expect("reads").len();
                assert_eq!(before, after + finished as usize, "a deletion ends only when it is finished");
            }
        }
    }

    fn check(&mut self) {
        let wrong = violations(&self.tables).expect("reads");
        assert!(wrong.is_empty(), "step {}: {wrong:?}", self.step);
        for (id, row) in all::<ContainerRow>(&self.tables).expect("reads") {
            match row.phase {
                ContainerPhase::Open => assert!(!self.model.closing.contains(&id), "{id} opened again"),
                ContainerPhase::Closing => {
                    self.model.closing.insert(id);
                }
                ContainerPhase::QuasiClosed | ContainerPhase::Closed => {
                    self.model.closing.insert(id);
                    assert!(!self.model.dropped.contains(&id), "{id} came back");
                    assert_eq!(row.sequence, self.model.settled.get(&id).copied());
                }
                ContainerPhase::Deleted => {
                    self.model.closing.insert(id);
                    self.model.dropped.insert(id);
                }
            }
        }
    }
}

#[test]
fn promises_and_invariants_hold_for_any_sequence_of_commands() {
    let mut fruitful = 0;
    for seed in 0..60 {
        let mut run =
            Run { tables: MemoryTables::default(), model: Model::default(), log: Vec::new(), dice: Dice(seed), step: 0 };
        for _ in 0..400 {
            run.step();
        }
        fruitful += u32::from(!run.model.leased.is_empty() && !run.model.settled.is_empty() && !run.model.dropped.is_empty());

        let mut replica = MemoryTables::default();
        for entry in &run.log {
            apply(entry, &mut replica).expect("memory does not fail");
        }
        assert!(replica == run.tables, "seed {seed}: a replay leaves other rows");
    }
    assert!(fruitful > 30, "the dice tried too little: {fruitful}");
}

#[test]
fn a_command_that_is_damaged_is_a_fault_and_changes_nothing() {
    let command: Command = ClosePipeline { pipeline: PipelineId(1) }.into();
    let entry = encode(&command);
    let mut tables = MemoryTables::default();
    for end in 0..entry.len() {
        assert!(apply(&entry[..end], &mut tables).is_err());
    }
    assert_eq!(tables.rows().count(), 0);
}
