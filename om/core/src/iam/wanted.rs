//! What a configuration wants to be there of an account's identities, and the changes that this takes.
//!
//! What is wanted is there afterwards, with these texts. What is not named stays as it is, whoever made it.

use tables::{ReadTables, StorageFault};
use types::{IamError, IamErrorCode};

use super::builtin::builtin;
use super::call::MOST_SECONDS;
use super::change::{Holder, IamChange, MOST_VERSIONS, NewEntity};
use super::find::{self, policy_arn};
use super::names::{Kind, arn, check_name};
use crate::policy::{Policy, PolicyKind};
use crate::rows::{Holding, IamId, InlinePolicy, ManagedPolicyRow, UserRow};

/// Of a user, a group or a role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WantedHolding {
    /// Managed policies: by ARN, or by the name of one of the account's or of AWS's.
    pub policies: Vec<String>,
    pub inline: Vec<InlinePolicy>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WantedGroup {
    pub name: String,
    pub holding: WantedHolding,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WantedUser {
    pub name: String,
    pub groups: Vec<String>,
    pub holding: WantedHolding,
    pub boundary: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WantedRole {
    pub name: String,
    pub trust: String,
    pub holding: WantedHolding,
    pub boundary: Option<String>,
    /// In seconds.
    pub max_session: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Managed policies of the account's own.
    pub policies: Vec<InlinePolicy>,
    pub groups: Vec<WantedGroup>,
    pub users: Vec<WantedUser>,
    pub roles: Vec<WantedRole>,
}

/// A change, and for what: `user "carol"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub what: String,
    pub change: IamChange,
}

/// Why there is no plan.
#[derive(Debug)]
pub enum NoPlan {
    /// Something wanted cannot be.
    Unfit {
        what: String,
        why: IamError,
    },
    Fault(StorageFault),
}

impl From<StorageFault> for NoPlan {
    fn from(fault: StorageFault) -> Self {
        Self::Fault(fault)
    }
}

/// The changes in the order in which they have to be made; none if all is as it is wanted. `new_id` rolls the ids of what is made.
pub fn plan(
    tables: &dyn ReadTables,
    account: &UserRow,
    wanted: &Wanted,
    new_id: &mut dyn FnMut(&'static str) -> IamId,
) -> Result<Vec<Planned>, NoPlan> {
    let mut planner = Planner { tables, account, wanted, new_id, what: String::new(), planned: Vec::new() };
    wanted.policies.iter().try_for_each(|policy| planner.policy(policy))?;
    wanted.groups.iter().try_for_each(|group| planner.group(group))?;
    wanted.users.iter().try_for_each(|user| planner.user(user))?;
    wanted.roles.iter().try_for_each(|role| planner.role(role))?;
    Ok(planner.planned)
}

struct Planner<'a> {
    tables: &'a dyn ReadTables,
    account: &'a UserRow,
    wanted: &'a Wanted,
    new_id: &'a mut dyn FnMut(&'static str) -> IamId,
    /// What is looked at.
    what: String,
    planned: Vec<Planned>,
}

impl Planner<'_> {
    /// Begins with something else.
    fn begin(&mut self, kind: Kind, name: &str, most: usize) -> Result<(), NoPlan> {
        self.what = format!("{} {name:?}", kind.word());
        check_name("name", name, most).map_err(|why| self.unfit(why))
    }

    fn unfit(&self, why: IamError) -> NoPlan {
        NoPlan::Unfit { what: self.what.clone(), why }
    }

    fn push(&mut self, change: IamChange) {
        self.planned.push(Planned { what: self.what.clone(), change });
    }

    fn entity(&mut self, name: &str, prefix: &'static str, boundary: Option<String>) -> NewEntity {
        let id = (self.new_id)(prefix);
        NewEntity { name: name.to_owned(), path: "/".to_owned(), id, tags: Vec::new(), boundary, description: None }
    }

    fn check_text(&self, name: &str, text: &str, kind: PolicyKind) -> Result<(), NoPlan> {
        let malformed = |error| IamError::new(IamErrorCode::MalformedPolicyDocument, format!("{name}: {error}"));
        Policy::parse(text, kind).map(drop).map_err(|error| self.unfit(malformed(error)))
    }

    fn policy(&mut self, wanted: &InlinePolicy) -> Result<(), NoPlan> {
        self.begin(Kind::Policy, &wanted.name, 128)?;
        self.check_text("document", &wanted.text, PolicyKind::Identity)?;
        match find::policy(self.tables, &self.account.id, &wanted.name)? {
            None => {
                let new = self.entity(&wanted.name, "ANPA", None);
                self.push(IamChange::CreatePolicy { new, text: wanted.text.clone() });
            }
            Some(row) if row.text() == Some(&wanted.text) => {}
            Some(row) => {
                let arn = arn(self.account, Kind::Policy, &row.path, &row.name);
                if let Some(version) = superfluous(&row) {
                    self.push(IamChange::DeletePolicyVersion { arn: arn.clone(), version });
                }
                self.push(IamChange::CreatePolicyVersion { arn, text: wanted.text.clone(), is_default: true });
            }
        }
        Ok(())
    }

    fn group(&mut self, wanted: &WantedGroup) -> Result<(), NoPlan> {
        self.begin(Kind::Group, &wanted.name, 128)?;
        let has = match find::group(self.tables, &self.account.id, &wanted.name)? {
            Some(row) => row.holding,
            None => {
                let new = self.entity(&wanted.name, "AGPA", None);
                self.push(IamChange::CreateGroup(new));
                Holding::default()
            }
        };
        self.holding(&Holder::Group(wanted.name.clone()), &has, &wanted.holding)
    }

    fn user(&mut self, wanted: &WantedUser) -> Result<(), NoPlan> {
        self.begin(Kind::User, &wanted.name, 64)?;
        let holder = Holder::User(wanted.name.clone());
        let boundary = wanted.boundary.as_deref().map(|name| self.arn_of(name)).transpose()?;
        let (has, groups) = match find::user(self.tables, &self.account.id, &wanted.name)? {
            Some(row) => {
                self.boundary(&holder, row.boundary, boundary);
                (row.holding, row.groups)
            }
            None => {
                let new = self.entity(&wanted.name, "AIDA", boundary);
                self.push(IamChange::CreateUser(new));
                (Holding::default(), Vec::new())
            }
        };
        for group in wanted.groups.iter().filter(|group| !groups.iter().any(|known| known.eq_ignore_ascii_case(group))) {
            self.push(IamChange::AddToGroup { group: group.clone(), user: wanted.name.clone() });
        }
        self.holding(&holder, &has, &wanted.holding)
    }

    fn role(&mut self, wanted: &WantedRole) -> Result<(), NoPlan> {
        self.begin(Kind::Role, &wanted.name, 64)?;
        self.check_text("trust", &wanted.trust, PolicyKind::Trust)?;
        let max_session = wanted.max_session;
        if max_session.is_some_and(|seconds| !(3600..=MOST_SECONDS).contains(&seconds)) {
            return Err(self.unfit(IamError::new(IamErrorCode::ValidationError, "max_session: 1 to 12 hours")));
        }
        let holder = Holder::Role(wanted.name.clone());
        let boundary = wanted.boundary.as_deref().map(|name| self.arn_of(name)).transpose()?;
        let (name, trust) = (wanted.name.clone(), wanted.trust.clone());
        let has = match find::role(self.tables, &self.account.id, &wanted.name)? {
            Some(row) => {
                if row.trust != trust {
                    self.push(IamChange::SetTrust { name: name.clone(), trust });
                }
                if max_session.is_some_and(|seconds| seconds != row.max_session) {
                    self.push(IamChange::UpdateRole { name, description: None, max_session });
                }
                self.boundary(&holder, row.boundary, boundary);
                row.holding
            }
            None => {
                let new = self.entity(&name, "AROA", boundary);
                self.push(IamChange::CreateRole { new, trust, max_session: max_session.unwrap_or(3600) });
                Holding::default()
            }
        };
        self.holding(&holder, &has, &wanted.holding)
    }

    fn boundary(&mut self, holder: &Holder, has: Option<String>, wanted: Option<String>) {
        if wanted.is_some() && has != wanted {
            self.push(IamChange::SetBoundary(holder.clone(), wanted));
        }
    }

    fn holding(&mut self, holder: &Holder, has: &Holding, wanted: &WantedHolding) -> Result<(), NoPlan> {
        for policy in &wanted.inline {
            check_name("inline policy", &policy.name, 128).map_err(|why| self.unfit(why))?;
            self.check_text(&format!("inline policy {:?}", policy.name), &policy.text, PolicyKind::Identity)?;
            if !has.inline.contains(policy) {
                self.push(IamChange::PutInline(holder.clone(), policy.clone()));
            }
        }
        for name in &wanted.policies {
            let arn = self.arn_of(name)?;
            if !has.attached.contains(&arn) {
                self.push(IamChange::Attach(holder.clone(), arn));
            }
        }
        Ok(())
    }

    /// Of a managed policy that is there, or will be before it is asked for.
    fn arn_of(&self, name: &str) -> Result<String, NoPlan> {
        if name.starts_with("arn:") {
            return Ok(policy_arn(self.tables, self.account, name)?.unwrap_or_else(|| name.to_owned()));
        }
        if let Some(row) = find::policy(self.tables, &self.account.id, name)? {
            return Ok(arn(self.account, Kind::Policy, &row.path, &row.name));
        }
        if let Some(wanted) = self.wanted.policies.iter().find(|policy| policy.name.eq_ignore_ascii_case(name)) {
            return Ok(arn(self.account, Kind::Policy, "/", &wanted.name));
        }
        let missing = || self.unfit(IamError::new(IamErrorCode::NoSuchEntity, format!("there is no policy {name:?}")));
        builtin(name).map(|policy| format!("arn:aws:iam::aws:policy/{}", policy.name)).ok_or_else(missing)
    }
}

/// The version that has to go before there is room for another.
fn superfluous(row: &ManagedPolicyRow) -> Option<String> {
    let oldest = row.versions.iter().filter(|version| version.number != row.default).map(|version| version.number).min();
    oldest.filter(|_| row.versions.len() >= MOST_VERSIONS).map(|number| format!("v{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::ChangeIam;
    use crate::namespace;
    use crate::rows::UserId;
    use crate::testing::Namespace;
    use types::Timestamp;

    const READ: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}"#;
    const WRITE: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Put*","Resource":"*"}]}"#;
    const TRUST: &str =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"ada"},"Action":"sts:AssumeRole"}]}"#;

    fn inline(name: &str, text: &str) -> InlinePolicy {
        InlinePolicy { name: name.into(), text: text.into() }
    }

    fn staff() -> Wanted {
        let holding = |policies: &[&str]| WantedHolding {
            policies: policies.iter().map(|name| (*name).to_owned()).collect(),
            inline: vec![inline("own", READ)],
        };
        Wanted {
            policies: vec![inline("reads", READ)],
            groups: vec![WantedGroup { name: "staff".into(), holding: holding(&["reads", "IAMReadOnlyAccess"]) }],
            users: vec![WantedUser {
                name: "carol".into(),
                groups: vec!["staff".into()],
                holding: holding(&["arn:aws:iam::aws:policy/AmazonS3FullAccess"]),
                boundary: Some("reads".into()),
            }],
            roles: vec![WantedRole {
                name: "backup".into(),
                trust: TRUST.into(),
                holding: holding(&["reads"]),
                boundary: None,
                max_session: Some(7200),
            }],
        }
    }

    fn planned(om: &Namespace, wanted: &Wanted) -> Result<Vec<Planned>, String> {
        let account = namespace::user(&om.tables, &UserId("ada".into())).expect("memory").expect("there");
        let mut number = 0;
        let mut new_id = |prefix: &'static str| {
            number += 1;
            IamId(format!("{prefix}{number}"))
        };
        plan(&om.tables, &account, wanted, &mut new_id).map_err(|error| match error {
            NoPlan::Unfit { what, why } => format!("{what}: {}", why.message),
            NoPlan::Fault(fault) => fault.to_string(),
        })
    }

    /// Makes what is wanted so, and tells how many changes that took.
    fn carry_out(om: &mut Namespace, wanted: &Wanted) -> usize {
        let changes = planned(om, wanted).expect("a plan");
        for Planned { change, .. } in &changes {
            let command = ChangeIam { account: UserId("ada".into()), change: change.clone(), now: Timestamp(7) };
            om.apply(command).expect("what is planned can be done");
        }
        changes.len()
    }

    #[test]
    fn what_is_wanted_is_there_afterwards_and_wants_nothing_more() {
        let mut om = Namespace::with_users(["ada"]);
        assert_eq!(carry_out(&mut om, &staff()), 12);
        let ada = UserId("ada".into());
        let carol = find::user(&om.tables, &ada, "carol").expect("memory").expect("there");
        assert_eq!(
            (carol.groups.as_slice(), carol.holding.inline.as_slice()),
            (["staff".to_owned()].as_slice(), [inline("own", READ)].as_slice())
        );
        assert!(carol.boundary.expect("one").ends_with(":policy/reads"));
        let staff_row = find::group(&om.tables, &ada, "staff").expect("memory").expect("there");
        assert_eq!(staff_row.holding.attached.len(), 2);
        assert_eq!(carry_out(&mut om, &staff()), 0);
    }

    #[test]
    fn a_text_that_changed_is_changed_and_nothing_else_is_touched() {
        let mut om = Namespace::with_users(["ada"]);
        carry_out(&mut om, &staff());
        let ada = UserId("ada".into());
        let beside = IamChange::PutInline(Holder::User("carol".into()), inline("beside", WRITE));
        om.apply(ChangeIam { account: ada.clone(), change: beside, now: Timestamp(8) }).expect("good");
        let mut wanted = staff();
        wanted.policies[0].text = WRITE.into();
        wanted.users[0].holding.inline[0].text = WRITE.into();
        wanted.roles[0].trust = TRUST.replace("ada", "bob");
        wanted.groups.clear();
        assert_eq!(carry_out(&mut om, &wanted), 3);
        let carol = find::user(&om.tables, &ada, "carol").expect("memory").expect("there");
        assert_eq!(carol.holding.inline, [inline("beside", WRITE), inline("own", WRITE)]);
        assert!(find::group(&om.tables, &ada, "staff").expect("memory").is_some());
        // Room for a new version is made by giving up the oldest.
        for round in 0..6 {
            wanted.policies[0].text = if round % 2 == 0 { READ.into() } else { WRITE.into() };
            assert!(carry_out(&mut om, &wanted) > 0);
        }
        let policy = find::policy(&om.tables, &ada, "reads").expect("memory").expect("there");
        assert_eq!((policy.versions.len(), policy.text()), (MOST_VERSIONS, Some(WRITE)));
    }

    #[test]
    fn what_cannot_be_is_told_by_its_name() {
        let om = Namespace::with_users(["ada"]);
        let refused = |change: &dyn Fn(&mut Wanted)| {
            let mut wanted = staff();
            change(&mut wanted);
            planned(&om, &wanted).expect_err("refused")
        };
        assert!(refused(&|wanted| wanted.users[0].name = "a b".into()).starts_with("user \"a b\": name"));
        assert!(refused(&|wanted| wanted.policies[0].text = "{".into()).starts_with("policy \"reads\": document"));
        assert!(refused(&|wanted| wanted.roles[0].trust = READ.into()).starts_with("role \"backup\": trust"));
        assert!(refused(&|wanted| wanted.roles[0].max_session = Some(60)).contains("max_session"));
        let told = refused(&|wanted| wanted.groups[0].holding.policies.push("nothing".into()));
        assert_eq!(told, "group \"staff\": there is no policy \"nothing\"");
        assert!(refused(&|wanted| wanted.users[0].holding.inline[0].text = "[]".into()).contains("inline policy \"own\""));
    }
}
