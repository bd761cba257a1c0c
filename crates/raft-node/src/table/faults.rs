//! The first fault, remembered: a machine that met one does nothing more.

use parking_lot::Mutex;
use tables::StorageFault;

#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Option<StorageFault>>);

impl Faults {
    pub(super) fn note<T>(&self, outcome: Result<T, StorageFault>) -> Result<T, StorageFault> {
        if let Err(fault) = &outcome {
            self.0.lock().get_or_insert_with(|| fault.clone());
        }
        outcome
    }

    pub(super) fn check(&self) -> Result<(), StorageFault> {
        self.0.lock().clone().map_or(Ok(()), Err)
    }
}
