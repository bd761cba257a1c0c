//! The namespace as a replicated state machine.

use std::path::Path;
use std::sync::Arc;

use om_core::Command;
use raft_node::{Core, OpenError, TableMachine, TableOptions};
use tables::{StorageFault, WriteTables};
use types::LogIndex;

#[derive(Debug, Clone, Copy, Default)]
pub struct OmCore;

impl Core for OmCore {
    fn apply(&self, index: LogIndex, command: &[u8], tables: &mut dyn WriteTables) -> Result<Vec<u8>, StorageFault> {
        let command: Command = tables::decode(command, "command")?;
        command.apply(index, tables)
    }
}

pub type OmMachine = TableMachine<OmCore>;

/// Opens the namespace's tables in `dir`, or makes them.
pub fn open_machine(dir: &Path) -> Result<Arc<OmMachine>, OpenError> {
    let fault = |source| OpenError::Io { what: "making", path: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(fault)?;
    TableMachine::open(&dir.join("namespace.redb"), OmCore, TableOptions::default())
}
