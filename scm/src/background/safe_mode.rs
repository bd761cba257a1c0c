//! Ends safe mode when nothing is awaited any more. Once off, it stays off for the leadership.

use scm_core::census::Nodes;
use scm_core::plan::safe_mode::{SafeModePolicy, awaited};
use tables::{ReadTables, StorageFault};
use tracing::info;

use crate::leader::{SafeMode, Soft};

pub(crate) fn look(tables: &dyn ReadTables, soft: &mut Soft, nodes: &Nodes, policy: SafeModePolicy) -> Result<(), StorageFault> {
    if soft.safe_mode == SafeMode::Off {
        return Ok(());
    }
    let awaited = awaited(tables, &soft.census, nodes, policy)?;
    if awaited.is_empty() {
        info!("safe mode is over");
        soft.safe_mode = SafeMode::Off;
    } else {
        soft.safe_mode = SafeMode::On(awaited);
    }
    Ok(())
}
