use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use std::sync::Arc;
use tables::{StorageFault, WriteTables};
use tempfile::TempDir;
use types::{GroupId, LogIndex};

use super::*;
use crate::raft::MachineAdapter;
use crate::wal::WalOptions;
use crate::{Core, Progress, TableMachine, TableOptions};

struct Echo;

impl Core for Echo {
    fn apply(&self, _: LogIndex, command: &[u8], _: &mut dyn WriteTables) -> Result<Vec<u8>, StorageFault> {
        Ok(command.to_vec())
    }
}

struct Stores;

const GROUP: GroupId = GroupId(3);

impl StoreBuilder<TypeConfig, LogStore, MachineAdapter, TempDir> for Stores {
    async fn build(&self) -> Result<(TempDir, LogStore, MachineAdapter), StorageError<TypeConfig>> {
        let dir = TempDir::new().expect("a folder");
        let options = WalOptions {
            first_segment_bytes: 1 << 18,
            segment_bytes: 1 << 18,
            max_command_bytes: 1 << 10,
            ..WalOptions::default()
        };
        let wal = Wal::open(&dir.path().join("wal"), options).expect("the log opens");
        let store = LogStore::new(wal, GROUP);
        store.synced(|wal, done| wal.start_group(GROUP, 0, done)).await.expect("on disk");
        let options = TableOptions { cache_bytes: 1 << 20, ..TableOptions::default() };
        let machine = TableMachine::open(&dir.path().join("rows.redb"), Echo, options).expect("the tables open");
        let adapter = MachineAdapter::new(Arc::<TableMachine<Echo>>::clone(&machine), Progress::default(), 1 << 20);
        adapter.set_running();
        Ok((dir, store, adapter))
    }
}

#[test]
fn log_and_machine_pass_the_tests_of_openraft() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(Suite::test_all(Stores)).expect("all tests pass");
}
