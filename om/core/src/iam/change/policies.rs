//! Policies: inline ones, and managed ones with their versions.

use types::{IamError, IamErrorCode, IamValue};

use super::{Ground, Holder, NewEntity, conflict, limit, taken};
use crate::iam::find::{self, Managed, Trouble, own_policy};
use crate::iam::show;
use crate::iam::view::uses_of;
use crate::rows::{self, InlinePolicy, ManagedPolicyRow, PolicyVersion, named};
use crate::tables::POLICIES;

pub(in crate::iam) const MOST_VERSIONS: usize = 5;
const MOST_ATTACHED: usize = 20;

/// Bytes of all inline policies of one holder together, without white space.
fn room(holder: &Holder) -> usize {
    match holder {
        Holder::User(_) => 2048,
        Holder::Group(_) => 5120,
        Holder::Role(_) | Holder::Account => 10_240,
    }
}

fn weight(text: &str) -> usize {
    text.bytes().filter(|byte| !byte.is_ascii_whitespace()).count()
}

fn no_inline(name: &str) -> Trouble {
    Trouble::Iam(IamError::new(IamErrorCode::NoSuchEntity, format!("The policy with name {name} cannot be found.")))
}

fn no_version(version: &str) -> Trouble {
    Trouble::Iam(IamError::new(IamErrorCode::NoSuchEntity, format!("Policy version {version} does not exist.")))
}

/// `v3`.
pub(in crate::iam) fn find_version<'r>(row: &'r ManagedPolicyRow, version: &str) -> Result<&'r PolicyVersion, Trouble> {
    let number: Option<u32> = version.strip_prefix('v').and_then(|number| number.parse().ok());
    row.versions.iter().find(|known| Some(known.number) == number).ok_or_else(|| no_version(version))
}

impl Ground<'_> {
    pub(super) fn put_inline(&mut self, holder: &Holder, policy: InlinePolicy) -> Result<IamValue, Trouble> {
        let most = room(holder);
        self.with_holding(holder, |_, holding| {
            holding.inline.retain(|known| known.name != policy.name);
            let others: usize = holding.inline.iter().map(|known| weight(&known.text)).sum();
            if others + weight(&policy.text) > most {
                return Err(limit(format!("Maximum policy size of {most} bytes exceeded.")));
            }
            let at = holding.inline.partition_point(|known| known.name < policy.name);
            holding.inline.insert(at, policy);
            Ok(())
        })
    }

    pub(super) fn delete_inline(&mut self, holder: &Holder, name: &str) -> Result<IamValue, Trouble> {
        self.with_holding(holder, |_, holding| {
            let before = holding.inline.len();
            holding.inline.retain(|known| known.name != name);
            if holding.inline.len() < before { Ok(()) } else { Err(no_inline(name)) }
        })
    }

    pub(super) fn attach(&mut self, holder: &Holder, arn: String) -> Result<IamValue, Trouble> {
        let policy = self.attachable(&arn)?;
        if *holder == Holder::Account && matches!(policy, Managed::Own(_)) {
            let why = "what governs an account cannot be one of its own policies, which it could change";
            return Err(IamError::new(IamErrorCode::InvalidInput, why).into());
        }
        let arn = self.written_arn(arn)?;
        self.with_holding(holder, |_, holding| {
            if holding.attached.contains(&arn) {
                return Ok(());
            }
            if holding.attached.len() >= MOST_ATTACHED {
                return Err(limit(format!("Cannot exceed quota for attached policies: {MOST_ATTACHED}")));
            }
            let at = holding.attached.partition_point(|known| *known < arn);
            holding.attached.insert(at, arn);
            Ok(())
        })
    }

    /// As the policy is written: names are told apart without their case, ARNs with it.
    pub(super) fn written_arn(&self, arn: String) -> Result<String, Trouble> {
        Ok(find::policy_arn(self.tables(), &self.account, &arn)?.unwrap_or(arn))
    }

    pub(super) fn detach(&mut self, holder: &Holder, arn: &str) -> Result<IamValue, Trouble> {
        let written = self.written_arn(arn.to_owned())?;
        let arn = written.as_str();
        self.with_holding(holder, |_, holding| {
            let before = holding.attached.len();
            holding.attached.retain(|known| known != arn);
            let missing = || IamError::new(IamErrorCode::NoSuchEntity, format!("Policy {arn} was not found."));
            if holding.attached.len() < before { Ok(()) } else { Err(missing().into()) }
        })
    }

    fn put_policy(&mut self, row: &ManagedPolicyRow) {
        rows::put(self.tables, POLICIES, &named(&self.account.id, &row.name), row);
    }

    pub(super) fn create_policy(&mut self, new: NewEntity, text: String) -> Result<IamValue, Trouble> {
        if find::policy(self.tables(), &self.account.id, &new.name)?.is_some() {
            return Err(taken("Policy", &new.name));
        }
        self.check_quota(POLICIES, 1_500, "Policies")?;
        let row = ManagedPolicyRow {
            name: new.name,
            path: new.path,
            id: new.id,
            created: self.now,
            updated: self.now,
            description: new.description,
            tags: new.tags,
            versions: vec![PolicyVersion { number: 1, text, created: self.now }],
            default: 1,
            last: 1,
        };
        self.put_policy(&row);
        Ok(IamValue::field("Policy", show::policy(&self.account, &row, 0)))
    }

    pub(super) fn create_policy_version(&mut self, arn: &str, text: String, is_default: bool) -> Result<IamValue, Trouble> {
        let mut row = own_policy(self.tables(), &self.account, arn)?;
        if row.versions.len() >= MOST_VERSIONS {
            return Err(limit(format!("A managed policy can have up to {MOST_VERSIONS} versions. Delete one first.")));
        }
        row.last += 1;
        let version = PolicyVersion { number: row.last, text, created: self.now };
        if is_default {
            row.default = version.number;
        }
        row.updated = self.now;
        let shown = show::version(&version, is_default, false);
        row.versions.push(version);
        self.put_policy(&row);
        Ok(IamValue::field("PolicyVersion", shown))
    }

    pub(super) fn delete_policy_version(&mut self, arn: &str, version: &str) -> Result<IamValue, Trouble> {
        let mut row = own_policy(self.tables(), &self.account, arn)?;
        let number = find_version(&row, version)?.number;
        if number == row.default {
            return Err(conflict("Cannot delete the default version of a policy."));
        }
        row.versions.retain(|known| known.number != number);
        self.put_policy(&row);
        Ok(IamValue::empty())
    }

    pub(super) fn set_default_version(&mut self, arn: &str, version: &str) -> Result<IamValue, Trouble> {
        let mut row = own_policy(self.tables(), &self.account, arn)?;
        row.default = find_version(&row, version)?.number;
        row.updated = self.now;
        self.put_policy(&row);
        Ok(IamValue::empty())
    }

    pub(super) fn delete_policy(&mut self, arn: &str) -> Result<IamValue, Trouble> {
        let row = own_policy(self.tables(), &self.account, arn)?;
        let written = self.written_arn(arn.to_owned())?;
        if !uses_of(self.tables(), &self.account, &written)?.is_empty() {
            return Err(conflict("Cannot delete a policy attached to entities."));
        }
        if row.versions.len() > 1 {
            return Err(conflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's versions.",
            ));
        }
        self.tables.delete(POLICIES, &named(&self.account.id, &row.name));
        Ok(IamValue::empty())
    }
}
