//! What members of accounts may do, kept so that no request parses their policies.
//!
//! What is kept is used only while the account's row, read in the same state as everything else of the request, names the entry that it
//! was made of: a change counts from the moment it is applied, on this member and on whichever leads next.

use std::collections::BTreeMap;
use std::sync::Arc;

use om_core::authorise::KnownPowers;
use om_core::iam::{HolderRef, Powers, account_row};
use om_core::rows::UserRow;
use parking_lot::Mutex;
use tables::{ReadTables, StorageFault};

/// Of texts of policies. Beyond it all are dropped; a policy takes some five times the room of its text.
const MOST_TEXT: usize = 16 << 20;
/// What somebody without policies counts as.
const LEAST_TEXT: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct KeptPowers {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By account, and by who of it.
    powers: BTreeMap<(String, u8, String), Arc<Powers>>,
    text: usize,
}

fn place(account: &UserRow, holder: HolderRef<'_>) -> (String, u8, String) {
    let (kind, name) = match holder {
        HolderRef::Root => (0, ""),
        HolderRef::User(name) => (1, name),
        HolderRef::Role(name) => (2, name),
    };
    (account.id.0.clone(), kind, name.to_ascii_lowercase())
}

impl KnownPowers for KeptPowers {
    fn of(&self, tables: &dyn ReadTables, account: &UserRow, holder: HolderRef<'_>) -> Result<Arc<Powers>, StorageFault> {
        let changed = account_row(tables, &account.id)?.changed;
        let place = place(account, holder);
        if let Some(powers) = self.kept.lock().powers.get(&place).filter(|powers| powers.at() == changed) {
            return Ok(Arc::clone(powers));
        }
        let powers = Arc::new(Powers::load(tables, account, holder)?);
        let room = |powers: &Powers| powers.text_length() + LEAST_TEXT;
        let mut kept = self.kept.lock();
        if kept.text + room(&powers) > MOST_TEXT {
            *kept = Kept::default();
        }
        kept.text += room(&powers);
        if let Some(old) = kept.powers.insert(place, Arc::clone(&powers)) {
            kept.text -= room(&old);
        }
        Ok(powers)
    }
}
