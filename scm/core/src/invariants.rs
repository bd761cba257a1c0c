//! What holds over all rows after every entry. Run by tests and simulations.

use std::collections::BTreeSet;

use tables::{ReadTables, StorageFault};
use types::ContainerId;

use crate::rows::{
    ContainerPhase, ContainerRow, Counters, DatanodeRow, DeletionRow, PipelinePhase, PipelineRow, TokenKeyRow, all, unfinished_in,
};

/// Everything that is wrong, in words; empty when all is well.
pub fn violations(tables: &(impl ReadTables + ?Sized)) -> Result<Vec<String>, StorageFault> {
    let state = State::read(tables)?;
    let mut found = Vec::new();
    state.check_datanodes(&mut found);
    state.check_pipelines(&mut found);
    state.check_containers(&mut found);
    state.check_index(tables, &mut found)?;
    state.check_token_keys(&mut found);
    state.check_deletions(&mut found);
    Ok(found)
}

struct State {
    counters: Counters,
    datanodes: Vec<(types::DatanodeId, DatanodeRow)>,
    pipelines: Vec<(types::PipelineId, PipelineRow)>,
    containers: Vec<(ContainerId, ContainerRow)>,
    token_keys: Vec<(u32, TokenKeyRow)>,
    deletions: Vec<(u64, DeletionRow)>,
}

impl State {
    fn read(tables: &(impl ReadTables + ?Sized)) -> Result<Self, StorageFault> {
        Ok(Self {
            counters: Counters::read(tables)?,
            datanodes: all(tables)?,
            pipelines: all(tables)?,
            containers: all(tables)?,
            token_keys: all(tables)?,
            deletions: all(tables)?,
        })
    }

    fn pipeline(&self, id: types::PipelineId) -> Option<&PipelineRow> {
        self.pipelines.iter().find(|(pipeline, _)| *pipeline == id).map(|(_, row)| row)
    }

    fn check_datanodes(&self, found: &mut Vec<String>) {
        let mut registrations = BTreeSet::new();
        for (id, row) in &self.datanodes {
            expect(found, id.0 < self.counters.datanode, || format!("{id} is not below its counter"));
            expect(found, row.registration < self.counters.registration, || format!("{id} has a registration of the future"));
            expect(found, registrations.insert(row.registration), || format!("{id} shares its registration with another"));
        }
    }

    fn check_pipelines(&self, found: &mut Vec<String>) {
        let mut members = BTreeSet::new();
        for (id, row) in &self.pipelines {
            expect(found, id.0 < self.counters.pipeline, || format!("{id} is not below its counter"));
            let different: BTreeSet<_> = row.datanodes().collect();
            expect(found, different.len() == row.replication.copies() && different.len() == row.members.len(), || {
                format!("{id} has not as many different members as copies")
            });
            for member in &row.members {
                expect(found, member.member.0 < self.counters.member, || format!("{} is not below its counter", member.member));
                expect(found, members.insert(member.member), || format!("{} is in two pipelines", member.member));
                expect(found, self.datanodes.iter().any(|(known, _)| *known == member.datanode), || {
                    format!("{id} has the unknown member {}", member.datanode)
                });
            }
        }
    }

    fn check_containers(&self, found: &mut Vec<String>) {
        for (id, row) in &self.containers {
            expect(found, id.0 < self.counters.container, || format!("{id} is not below its counter"));
            expect(found, row.next_local > 1, || format!("{id} was made without a block"));
            expect(found, row.members.len() == row.replication.copies(), || format!("{id} has not as many members as copies"));
            let pipeline = self.pipeline(row.pipeline).map(|pipeline| pipeline.phase);
            let is_settled = row.sequence.is_some();
            let fits = match row.phase {
                ContainerPhase::Open => pipeline == Some(PipelinePhase::Open) && !is_settled,
                ContainerPhase::Closing => matches!(pipeline, Some(PipelinePhase::Open | PipelinePhase::Closing)) && !is_settled,
                ContainerPhase::Closed => is_settled && row.was_reported,
                ContainerPhase::QuasiClosed => pipeline.is_none() && !is_settled,
                ContainerPhase::Deleted => true,
            };
            expect(found, fits, || format!("{id} is {:?} on a pipeline that is {pipeline:?}, settled: {is_settled}", row.phase));
        }
    }

    fn check_index(&self, tables: &(impl ReadTables + ?Sized), found: &mut Vec<String>) -> Result<(), StorageFault> {
        for number in 0..self.counters.pipeline {
            let pipeline = types::PipelineId(number);
            let indexed: BTreeSet<ContainerId> = unfinished_in(tables, pipeline)?.into_iter().collect();
            let unfinished = self.containers.iter().filter(|(_, row)| row.pipeline == pipeline && row.is_unfinished());
            let unfinished: BTreeSet<ContainerId> = unfinished.map(|(id, _)| *id).collect();
            expect(found, indexed == unfinished, || format!("{pipeline} has {unfinished:?} unfinished, indexed {indexed:?}"));
        }
        Ok(())
    }

    fn check_token_keys(&self, found: &mut Vec<String>) {
        for (id, key) in &self.token_keys {
            expect(found, *id < self.counters.token_key, || format!("token key {id} is not below its counter"));
            let in_order = key.seals_from <= key.seals_until && key.seals_until <= key.expires;
            expect(found, in_order, || format!("token key {id} expires before it stops sealing"));
        }
    }

    fn check_deletions(&self, found: &mut Vec<String>) {
        for (id, row) in &self.deletions {
            expect(found, *id < self.counters.deletion, || format!("deletion {id} is not below its counter"));
            expect(found, !row.blocks.is_empty(), || format!("deletion {id} is of nothing"));
            let container = self.containers.iter().find(|(container, _)| *container == row.container);
            let leased =
                container.is_some_and(|(_, container)| row.blocks.iter().all(|local| (1..container.next_local).contains(local)));
            expect(found, leased, || format!("deletion {id} names blocks that were never leased"));
            let different: BTreeSet<_> = row.done.iter().collect();
            expect(found, different.len() == row.done.len(), || format!("deletion {id} was acknowledged twice by one"));
        }
    }
}

fn expect(found: &mut Vec<String>, holds: bool, otherwise: impl FnOnce() -> String) {
    if !holds {
        found.push(otherwise());
    }
}
