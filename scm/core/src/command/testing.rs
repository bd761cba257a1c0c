//! A small cluster for tests of commands.

use tables::MemoryTables;
use types::{ClusterId, ContainerId, DatanodeId, Endpoint, PipelineId, Replication, Timestamp};

use super::*;
use crate::rows::TokenKeyRow;

pub(crate) const NOW: Timestamp = Timestamp(1_000_000);

pub(crate) fn key_until(seals_until: Timestamp) -> TokenKeyRow {
    TokenKeyRow { secret: [7; 32], seals_from: Timestamp(0), seals_until, expires: seals_until }
}

pub(crate) fn registration(name: &str) -> RegisterDatanode {
    RegisterDatanode {
        id: None,
        name: name.into(),
        data_endpoint: Endpoint(format!("{name}:9882")),
        rpc_endpoint: Endpoint(format!("{name}:9859")),
        rack: None,
        now: NOW,
    }
}

/// Tables with an initialised cluster and this many datanodes, from id 1 on.
pub(crate) fn cluster(datanodes: u64) -> MemoryTables {
    let mut tables = MemoryTables::default();
    let token_key = key_until(NOW);
    let first = Initialise { id: ClusterId::from_u128(1), now: NOW, authority: None, token_key };
    first.apply(&mut tables).expect("applies");
    for n in 1..=datanodes {
        let id = registration(&format!("dn{n}")).apply(&mut tables).expect("applies").expect("a new datanode");
        assert_eq!(id, DatanodeId(n));
    }
    tables
}

/// An open pipeline of datanodes 1, 2 and 3.
pub(crate) fn open_pipeline(tables: &mut MemoryTables) -> PipelineId {
    let members = vec![DatanodeId(1), DatanodeId(2), DatanodeId(3)];
    let created = CreatePipeline { replication: Replication::Three, members }.apply(tables).expect("applies").expect("created");
    assert!(OpenPipeline { pipeline: created }.apply(tables).expect("applies"));
    created
}

/// A new container on the pipeline with one block leased.
pub(crate) fn open_container(tables: &mut MemoryTables, pipeline: PipelineId) -> ContainerId {
    let shares = vec![SlotShare { slot: Slot::New(pipeline), count: 1 }];
    let allocated = AllocateBlocks { shares }.apply(tables).expect("applies").expect("the pipeline is open");
    allocated[0].container
}
