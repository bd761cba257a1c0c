//! The replicated rows: proposing to them and reading them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use raft_node::{Core, Group, ProposeError, TableMachine};
use rpc::CallError;
use runtime::{Entropy, PassError};
use scm_core::command::{Change, Command};
use tables::{ReadTables, StorageFault, WriteTables, encode};
use tracing::error;
use types::{LogIndex, RequestId};

/// `scm-core` as `raft-node` runs it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScmCore;

impl Core for ScmCore {
    fn apply(&self, _: LogIndex, command: &[u8], tables: &mut dyn WriteTables) -> Result<Vec<u8>, StorageFault> {
        scm_core::apply(command, tables)
    }
}

/// A background command waits this long for its commit; the next pass tries again.
const BACKGROUND_PATIENCE: Duration = Duration::from_secs(10);

/// This member's hold on the rows.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    group: Group,
    machine: Arc<TableMachine<ScmCore>>,
    entropy: Arc<dyn Entropy>,
}

/// Why a background command has no outcome.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Propose(#[from] ProposeError),
    #[error(transparent)]
    Storage(#[from] StorageFault),
}

impl From<CommandError> for PassError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Propose(ProposeError::NotLeader(_)) => Self::NotLeader,
            error => Self::Failed(error.to_string()),
        }
    }
}

impl Log {
    pub(crate) fn new(group: Group, machine: Arc<TableMachine<ScmCore>>, entropy: Arc<dyn Entropy>) -> Self {
        Self { group, machine, entropy }
    }

    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    /// One consistent look at the rows. Keep it short: applying waits meanwhile.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&dyn ReadTables) -> Result<T, StorageFault>) -> Result<T, StorageFault> {
        self.machine.read(|tables, _| look(tables))
    }

    /// On behalf of a caller: a retry under the same request id gets the first outcome.
    pub(crate) async fn propose<C: Change>(
        &self,
        request: RequestId,
        change: C,
        deadline: Instant,
    ) -> Result<C::Outcome, CommandError> {
        let command: Command = change.into();
        let proposed = self.group.propose(Some(request), encode(&command), deadline).await?;
        Ok(scm_core::outcome::<C>(&proposed.answer)?)
    }

    /// For a background service.
    pub(crate) async fn carry_out<C: Change>(&self, change: C) -> Result<C::Outcome, CommandError> {
        let request = RequestId::from_u128(self.entropy.u128());
        self.propose(request, change, Instant::now() + BACKGROUND_PATIENCE).await
    }

    /// After Ok, the rows here show everything that was committed before, and nobody else leads.
    pub(crate) async fn barrier(&self) -> Result<(), CommandError> {
        Ok(self.group.read_barrier(Instant::now() + BACKGROUND_PATIENCE).await?)
    }
}

/// A caller learns what happened to its request; what is wrong with our storage is for the log.
pub(crate) fn refuse<R>(failure: CommandError) -> CallError<R> {
    match failure {
        CommandError::Propose(why) => why.into(),
        CommandError::Storage(fault) => storage_fault(&fault),
    }
}

pub(crate) fn storage_fault<R>(fault: &StorageFault) -> CallError<R> {
    error!(%fault, "reading the rows failed");
    CallError::unavailable("storage fault")
}
