//! The next free number of each kind. Numbers go up and are never given out twice.

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, WriteTables, decode, encode};
use types::{ContainerId, DatanodeId, MemberId, PipelineId};

use super::META;

const KEY: &[u8] = b"counters";

/// `meta / "counters"`. Every id in every other row is below its counter: a report about an id at or above it speaks of
/// something this replica has not applied yet, or of another cluster, and must not be acted on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Counters {
    #[n(0)]
    pub datanode: u64,
    #[n(1)]
    pub registration: u64,
    #[n(2)]
    pub pipeline: u64,
    #[n(3)]
    pub member: u64,
    #[n(4)]
    pub container: u64,
    #[n(5)]
    pub token_key: u32,
    #[n(6)]
    pub deletion: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self { datanode: 1, registration: 1, pipeline: 1, member: 1, container: 1, token_key: 1, deletion: 1 }
    }
}

impl Counters {
    pub fn read(tables: &(impl ReadTables + ?Sized)) -> Result<Self, StorageFault> {
        Ok(tables.get(META, KEY)?.map(|bytes| decode(&bytes, "counters")).transpose()?.unwrap_or_default())
    }

    pub(crate) fn write(&self, tables: &mut (impl WriteTables + ?Sized)) {
        tables.put(META, KEY, encode(self));
    }

    pub(crate) fn next_datanode(&mut self) -> DatanodeId {
        DatanodeId(take(&mut self.datanode))
    }

    pub(crate) fn next_registration(&mut self) -> u64 {
        take(&mut self.registration)
    }

    pub(crate) fn next_pipeline(&mut self) -> PipelineId {
        PipelineId(take(&mut self.pipeline))
    }

    /// A Raft member id of a pipeline: fresh each time, because a member that lost its log must never come back under its id.
    pub(crate) fn next_member(&mut self) -> MemberId {
        MemberId(take(&mut self.member))
    }

    pub(crate) fn next_container(&mut self) -> ContainerId {
        ContainerId(take(&mut self.container))
    }

    pub(crate) fn next_deletion(&mut self) -> u64 {
        take(&mut self.deletion)
    }
}

fn take(counter: &mut u64) -> u64 {
    let taken = *counter;
    *counter += 1;
    taken
}
