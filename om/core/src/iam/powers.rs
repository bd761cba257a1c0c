//! What somebody of an account may do by being who they are: every policy that they hold, parsed once.

use tables::{ReadTables, StorageFault};
use types::LogIndex;

use super::find::{self, account_row, managed};
use crate::policy::{Policy, PolicyKind, Source};
use crate::rows::{Holding, IamId, Tags, UserRow};

/// Somebody of an account, by the names that credentials hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HolderRef<'a> {
    Root,
    User(&'a str),
    Role(&'a str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    name: String,
    policy: Policy,
}

/// Kept by whoever asks often: good as long as the account's row names the same entry as its last change ([`Powers::at`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Powers {
    at: Option<LogIndex>,
    /// A user's or a role's; nobody's of those who are gone.
    pub id: Option<IamId>,
    /// With the path and without the slash before it.
    pub full_name: String,
    pub tags: Tags,
    /// That a user is in.
    pub(crate) groups: Vec<IamId>,
    own: Vec<Held>,
    boundary: Option<Held>,
    administration: Vec<Held>,
    text: usize,
}

impl Powers {
    pub fn load(tables: &dyn ReadTables, account: &UserRow, holder: HolderRef<'_>) -> Result<Self, StorageFault> {
        let settings = account_row(tables, &account.id)?;
        let mut powers = Self { at: settings.changed, ..Self::default() };
        let mut administration = Vec::new();
        powers.collect(tables, account, &settings.holding, &mut administration)?;
        powers.administration = administration;
        let mut own = Vec::new();
        match holder {
            HolderRef::Root => {}
            HolderRef::User(name) => {
                let Some(row) = find::user(tables, &account.id, name)? else { return Ok(powers) };
                powers.collect(tables, account, &row.holding, &mut own)?;
                for group in &row.groups {
                    if let Some(group) = find::group(tables, &account.id, group)? {
                        powers.collect(tables, account, &group.holding, &mut own)?;
                        powers.groups.push(group.id);
                    }
                }
                powers.be(row.id, &row.path, &row.name, row.tags);
                powers.boundary = powers.bound(tables, account, row.boundary)?;
            }
            HolderRef::Role(name) => {
                let Some(row) = find::role(tables, &account.id, name)? else { return Ok(powers) };
                powers.collect(tables, account, &row.holding, &mut own)?;
                powers.be(row.id, &row.path, &row.name, row.tags);
                powers.boundary = powers.bound(tables, account, row.boundary)?;
            }
        }
        powers.own = own;
        Ok(powers)
    }

    fn be(&mut self, id: IamId, path: &str, name: &str, tags: Tags) {
        self.id = Some(id);
        self.full_name = format!("{}{name}", path.trim_start_matches('/'));
        self.tags = tags;
    }

    fn parse(&mut self, name: &str, text: &str) -> Held {
        self.text += text.len();
        // One that was taken once and no longer reads must not open what it denied.
        let policy = Policy::parse(text, PolicyKind::Identity).unwrap_or_else(|_| Policy::shut_for_holder());
        Held { name: name.to_owned(), policy }
    }

    fn collect(
        &mut self,
        tables: &dyn ReadTables,
        account: &UserRow,
        holding: &Holding,
        into: &mut Vec<Held>,
    ) -> Result<(), StorageFault> {
        for inline in &holding.inline {
            into.push(self.parse(&inline.name, &inline.text));
        }
        for arn in &holding.attached {
            if let Some(text) = managed(tables, account, arn)?.as_ref().and_then(find::Managed::text) {
                into.push(self.parse(arn, text));
            }
        }
        Ok(())
    }

    /// A boundary that is not there lets nothing through.
    fn bound(&mut self, tables: &dyn ReadTables, account: &UserRow, arn: Option<String>) -> Result<Option<Held>, StorageFault> {
        let Some(arn) = arn else { return Ok(None) };
        let found = managed(tables, account, &arn)?;
        Ok(Some(match found.as_ref().and_then(find::Managed::text) {
            Some(text) => self.parse(&arn, text),
            None => Held { name: arn, policy: Policy::shut_for_holder() },
        }))
    }

    pub fn at(&self) -> Option<LogIndex> {
        self.at
    }

    /// Bytes of the policies' texts, to which the room that they take is in proportion.
    pub fn text_length(&self) -> usize {
        self.text
    }

    pub(crate) fn own(&self) -> Vec<Source<'_>> {
        sources(&self.own)
    }

    pub(crate) fn boundary(&self) -> Option<Source<'_>> {
        self.boundary.as_ref().map(|held| Source { name: &held.name, policy: &held.policy })
    }

    pub(crate) fn administration(&self) -> Vec<Source<'_>> {
        sources(&self.administration)
    }
}

fn sources(held: &[Held]) -> Vec<Source<'_>> {
    held.iter().map(|held| Source { name: &held.name, policy: &held.policy }).collect()
}
