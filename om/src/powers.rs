//! What members of accounts may do, kept so that no request parses their policies.
//!
//! What is kept is used only while the account's row, read in the same state as everything else of the request, names the entry that it
//! was made of: a change counts from the moment it is applied, on this member and on whichever leads next.

use std::collections::BTreeMap;
use std::sync::Arc;

use om_core::authorise::{KnownPowers, session_policies};
use om_core::iam::{HolderRef, Powers, account_row};
use om_core::policy::Policy;
use om_core::rows::{AccessKeyId, CredentialRow, UserRow};
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
    /// By access key, which is never given again.
    sessions: BTreeMap<AccessKeyId, Arc<Vec<Policy>>>,
    text: usize,
}

impl Kept {
    fn make_room(&mut self, room: usize) {
        if self.text + room > MOST_TEXT {
            *self = Self::default();
        }
        self.text += room;
    }
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
        kept.make_room(room(&powers));
        if let Some(old) = kept.powers.insert(place, Arc::clone(&powers)) {
            kept.text -= room(&old);
        }
        Ok(powers)
    }

    fn session(&self, access_key: &AccessKeyId, row: &CredentialRow) -> Arc<Vec<Policy>> {
        if row.policies.is_empty() {
            return Arc::default();
        }
        if let Some(policies) = self.kept.lock().sessions.get(access_key) {
            return Arc::clone(policies);
        }
        let policies = Arc::new(session_policies(row));
        let mut kept = self.kept.lock();
        kept.make_room(row.policies.iter().map(String::len).sum::<usize>() + LEAST_TEXT);
        kept.sessions.insert(access_key.clone(), Arc::clone(&policies));
        policies
    }
}
