//! Datanodes are joined into a pipeline.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::{DatanodeId, PipelineId, Replication};

use super::Change;
use crate::rows::{Counters, DatanodeRow, Member, PipelinePhase, PipelineRow, get, put};

/// Orders follow from the row: each member starts its Raft member, the first bootstraps the group.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CreatePipeline {
    #[n(0)]
    pub replication: Replication,
    #[n(1)]
    pub members: Vec<DatanodeId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum CreatePipelineRejected {
    #[n(0)]
    #[error("not as many different datanodes as copies")]
    WrongMembers,
    #[n(1)]
    #[error("a member is not a known datanode")]
    UnknownDatanode,
}

impl Change for CreatePipeline {
    type Outcome = Result<PipelineId, CreatePipelineRejected>;

    fn apply(self, tables: &mut (impl WriteTables + ?Sized)) -> Result<Self::Outcome, StorageFault> {
        let different: BTreeSet<_> = self.members.iter().collect();
        if different.len() != self.replication.copies() || different.len() != self.members.len() {
            return Ok(Err(CreatePipelineRejected::WrongMembers));
        }
        for datanode in &self.members {
            if get::<DatanodeRow>(tables, *datanode)?.is_none() {
                return Ok(Err(CreatePipelineRejected::UnknownDatanode));
            }
        }
        let mut counters = Counters::read(tables)?;
        let pipeline = counters.next_pipeline();
        let members = self.members.into_iter().map(|datanode| Member { member: counters.next_member(), datanode }).collect();
        counters.write(tables);
        put(tables, pipeline, &PipelineRow { phase: PipelinePhase::Allocated, replication: self.replication, members });
        Ok(Ok(pipeline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::cluster;
    use crate::command::{ClosePipeline, RemovePipeline};

    fn trio(a: u64, b: u64, c: u64) -> CreatePipeline {
        CreatePipeline { replication: Replication::Three, members: vec![DatanodeId(a), DatanodeId(b), DatanodeId(c)] }
    }

    #[test]
    fn pipeline_and_member_ids_are_fresh_even_after_a_pipeline_went_away() {
        let mut tables = cluster(3);
        let first = trio(1, 2, 3).apply(&mut tables).expect("applies").expect("created");
        let first_members = get::<PipelineRow>(&tables, first).expect("reads").expect("is there").members;
        ClosePipeline { pipeline: first }.apply(&mut tables).expect("applies");
        RemovePipeline { pipeline: first }.apply(&mut tables).expect("applies");
        let second = trio(1, 2, 3).apply(&mut tables).expect("applies").expect("created");
        let second_members = get::<PipelineRow>(&tables, second).expect("reads").expect("is there").members;
        assert_ne!(first, second);
        for member in &second_members {
            assert!(first_members.iter().all(|old| old.member != member.member));
        }
    }

    #[test]
    fn a_pipeline_has_as_many_different_known_members_as_copies() {
        let mut tables = cluster(3);
        let rejection = |command: CreatePipeline, tables: &mut _| command.apply(tables).expect("applies").expect_err("refused");
        assert_eq!(rejection(trio(1, 2, 2), &mut tables), CreatePipelineRejected::WrongMembers);
        assert_eq!(rejection(trio(1, 2, 4), &mut tables), CreatePipelineRejected::UnknownDatanode);
        let alone = CreatePipeline { replication: Replication::One, ..trio(1, 2, 3) };
        assert_eq!(rejection(alone, &mut tables), CreatePipelineRejected::WrongMembers);
    }
}
