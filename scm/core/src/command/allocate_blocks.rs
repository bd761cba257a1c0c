//! Block ids for a lease.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::{ContainerId, PipelineId};

use super::Change;
use crate::rows::{ContainerPhase, ContainerRow, Counters, PipelinePhase, PipelineRow, get, note_unfinished, put};

/// One entry for a whole batch of ids, spread over containers as the leader planned it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AllocateBlocks {
    #[n(0)]
    pub shares: Vec<SlotShare>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct SlotShare {
    #[n(0)]
    pub slot: Slot,
    #[n(1)]
    pub count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Slot {
    #[n(0)]
    Container(#[n(0)] ContainerId),
    /// A new container on this pipeline.
    #[n(1)]
    New(#[n(0)] PipelineId),
}

/// Local ids `first..first + count`, given to nobody else, ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Allocation {
    #[n(0)]
    pub container: ContainerId,
    #[n(1)]
    pub pipeline: PipelineId,
    #[n(2)]
    pub first: u64,
    #[n(3)]
    pub count: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum AllocateRejected {
    #[n(0)]
    #[error("none of the containers and pipelines is open any more")]
    NothingOpen,
}

const FIRST_LOCAL: u64 = 1;

impl Change for AllocateBlocks {
    /// At least one; fewer than asked for where something closed since it was planned.
    type Outcome = Result<Vec<Allocation>, AllocateRejected>;

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<Self::Outcome, StorageFault> {
        let mut allocations = Vec::with_capacity(self.shares.len());
        for SlotShare { slot, count } in self.shares {
            if count == 0 {
                continue;
            }
            let allocation = match slot {
                Slot::Container(container) => more_of(container, count, tables)?,
                Slot::New(pipeline) => first_of(pipeline, count, tables)?,
            };
            allocations.extend(allocation);
        }
        Ok(if allocations.is_empty() { Err(AllocateRejected::NothingOpen) } else { Ok(allocations) })
    }
}

fn more_of(
    container: ContainerId,
    count: u32,
    tables: &mut (impl WriteTables + ?Sized),
) -> Result<Option<Allocation>, StorageFault> {
    let Some(mut row) = get::<ContainerRow>(tables, container)?.filter(|row| row.phase == ContainerPhase::Open) else {
        return Ok(None);
    };
    let first = row.next_local;
    row.next_local += u64::from(count);
    put(tables, container, &row);
    Ok(Some(Allocation { container, pipeline: row.pipeline, first, count }))
}

fn first_of(
    pipeline: PipelineId,
    count: u32,
    tables: &mut (impl WriteTables + ?Sized),
) -> Result<Option<Allocation>, StorageFault> {
    let Some(writers) = get::<PipelineRow>(tables, pipeline)?.filter(|row| row.phase == PipelinePhase::Open) else {
        return Ok(None);
    };
    let mut counters = Counters::read(tables)?;
    let container = counters.next_container();
    counters.write(tables);
    let row = ContainerRow {
        phase: ContainerPhase::Open,
        replication: writers.replication,
        pipeline,
        members: writers.datanodes().collect(),
        next_local: FIRST_LOCAL + u64::from(count),
        was_reported: false,
        used: 0,
        blocks: 0,
        sequence: None,
    };
    put(tables, container, &row);
    note_unfinished(tables, pipeline, container);
    Ok(Some(Allocation { container, pipeline, first: FIRST_LOCAL, count }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::CloseContainers;
    use crate::command::testing::{cluster, open_pipeline};

    #[test]
    fn ids_of_a_container_follow_each_other_and_are_leased_once() {
        let mut tables = cluster(3);
        let pipeline = open_pipeline(&mut tables);
        let shares = vec![SlotShare { slot: Slot::New(pipeline), count: 10 }; 2];
        let first = AllocateBlocks { shares }.apply(&mut tables).expect("applies").expect("open");
        assert_ne!(first[0].container, first[1].container);
        let slot = Slot::Container(first[0].container);
        let more = AllocateBlocks { shares: vec![SlotShare { slot, count: 5 }; 2] };
        let more = more.apply(&mut tables).expect("applies").expect("open");
        assert_eq!(more.iter().map(|a| (a.first, a.count)).collect::<Vec<_>>(), [(11, 5), (16, 5)]);
    }

    #[test]
    fn a_container_that_closed_in_the_meantime_is_left_out_of_the_lease() {
        let mut tables = cluster(3);
        let pipeline = open_pipeline(&mut tables);
        let shares = vec![SlotShare { slot: Slot::New(pipeline), count: 10 }; 2];
        let opened = AllocateBlocks { shares }.apply(&mut tables).expect("applies").expect("open");
        CloseContainers { containers: vec![opened[0].container] }.apply(&mut tables).expect("applies");
        let shares = opened.iter().map(|a| SlotShare { slot: Slot::Container(a.container), count: 3 }).collect();
        let again = AllocateBlocks { shares }.apply(&mut tables).expect("applies").expect("one is open");
        assert_eq!(again.iter().map(|a| a.container).collect::<Vec<_>>(), [opened[1].container]);
    }
}
