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

/// What is wanted and cannot be as the account is now: `user "carol"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmade {
    pub what: String,
    pub why: IamError,
}

#[derive(Debug)]
pub struct Plan {
    pub planned: Vec<Planned>,
    /// Of these nothing is planned.
    pub unmade: Vec<Unmade>,
}

/// Why there is no plan.
#[derive(Debug)]
pub enum NoPlan {
    /// Something wanted can never be: what the configuration says is wrong.
    Unfit {
        what: String,
        why: IamError,
    },
    /// Only of one thing that is wanted.
    Unmade(Unmade),
    Fault(StorageFault),
}

impl From<StorageFault> for NoPlan {
    fn from(fault: StorageFault) -> Self {
        Self::Fault(fault)
    }
}

/// The changes in the order in which they have to be made; none if all is as it is wanted. `new_id` rolls the ids of what is made.
/// What narrows stands before what widens, so that one which stops halfway does not leave the wider half.
pub fn plan(
    tables: &dyn ReadTables,
    account: &UserRow,
    wanted: &Wanted,
    new_id: &mut dyn FnMut(&'static str) -> IamId,
) -> Result<Plan, NoPlan> {
    let plan = Plan { planned: Vec::new(), unmade: Vec::new() };
    let mut planner = Planner { tables, account, wanted, new_id, what: String::new(), plan };
    wanted.policies.iter().try_for_each(|policy| planner.one(|planner| planner.policy(policy)))?;
    wanted.groups.iter().try_for_each(|group| planner.one(|planner| planner.group(group)))?;
    wanted.users.iter().try_for_each(|user| planner.one(|planner| planner.user(user)))?;
    wanted.roles.iter().try_for_each(|role| planner.one(|planner| planner.role(role)))?;
    Ok(planner.plan)
}

struct Planner<'a> {
    tables: &'a dyn ReadTables,
    account: &'a UserRow,
    wanted: &'a Wanted,
    new_id: &'a mut dyn FnMut(&'static str) -> IamId,
    /// What is looked at.
    what: String,
    plan: Plan,
}

impl Planner<'_> {
    /// All of one thing that is wanted, or nothing of it.
    fn one(&mut self, plan: impl FnOnce(&mut Self) -> Result<(), NoPlan>) -> Result<(), NoPlan> {
        let before = self.plan.planned.len();
        match plan(self) {
            Err(NoPlan::Unmade(unmade)) => {
                self.plan.planned.truncate(before);
                self.plan.unmade.push(unmade);
                Ok(())
            }
            planned => planned,
        }
    }

    /// Begins with something else.
    fn begin(&mut self, kind: Kind, name: &str, most: usize) -> Result<(), NoPlan> {
        self.what = format!("{} {name:?}", kind.word());
        check_name("name", name, most).map_err(|why| self.unfit(why))
    }

    fn unfit(&self, why: IamError) -> NoPlan {
        NoPlan::Unfit { what: self.what.clone(), why }
    }

    fn push(&mut self, change: IamChange) {
        self.plan.planned.push(Planned { what: self.what.clone(), change });
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
                self.boundary(&holder, row.boundary, boundary);
                if row.trust != trust {
                    self.push(IamChange::SetTrust { name: name.clone(), trust });
                }
                if max_session.is_some_and(|seconds| seconds != row.max_session) {
                    self.push(IamChange::UpdateRole { name, description: None, max_session });
                }
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
        let missing = || {
            NoPlan::Unmade(Unmade {
                what: self.what.clone(),
                why: IamError::new(IamErrorCode::NoSuchEntity, format!("there is no policy {name:?}")),
            })
        };
        if name.starts_with("arn:") {
            let to_come = self.wanted.policies.iter().map(|policy| arn(self.account, Kind::Policy, "/", &policy.name));
            let known = policy_arn(self.tables, self.account, name)?;
            return known.or_else(|| to_come.into_iter().find(|arn| arn == name)).ok_or_else(missing);
        }
        if let Some(row) = find::policy(self.tables, &self.account.id, name)? {
            return Ok(arn(self.account, Kind::Policy, &row.path, &row.name));
        }
        if let Some(wanted) = self.wanted.policies.iter().find(|policy| policy.name.eq_ignore_ascii_case(name)) {
            return Ok(arn(self.account, Kind::Policy, "/", &wanted.name));
        }
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

    fn planned(om: &Namespace, wanted: &Wanted) -> Result<Plan, String> {
        let account = namespace::user(&om.tables, &UserId("ada".into())).expect("memory").expect("there");
        let mut number = 0;
        let mut new_id = |prefix: &'static str| {
            number += 1;
            IamId(format!("{prefix}{number}"))
        };
        plan(&om.tables, &account, wanted, &mut new_id).map_err(|error| match error {
            NoPlan::Unfit { what, why } => format!("{what}: {}", why.message),
            other => format!("{other:?}"),
        })
    }

    /// Makes what is wanted so, and tells how many changes that took.
    fn carry_out(om: &mut Namespace, wanted: &Wanted) -> usize {
        let Plan { planned: changes, unmade } = planned(om, wanted).expect("a plan");
        assert_eq!(unmade, []);
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
        assert!(refused(&|wanted| wanted.users[0].holding.inline[0].text = "[]".into()).contains("inline policy \"own\""));
    }

    #[test]
    fn what_the_account_lacks_hinders_nothing_but_what_needs_it() {
        let mut om = Namespace::with_users(["ada"]);
        for name in ["nothing", "arn:aws:iam::aws:policy/Nothing"] {
            let mut wanted = staff();
            wanted.groups[0].holding.policies.push(name.into());
            let Plan { planned, unmade } = planned(&om, &wanted).expect("a plan");
            let told: Vec<String> = unmade.iter().map(|one| format!("{}: {}", one.what, one.why.message)).collect();
            assert_eq!(told, [format!("group \"staff\": there is no policy {name:?}")]);
            assert!(planned.iter().all(|planned| !planned.what.starts_with("group")));
            assert!(planned.iter().any(|planned| planned.what == "user \"carol\""));
        }
        // By its ARN, one that the configuration brings along.
        let account = namespace::user(&om.tables, &UserId("ada".into())).expect("memory").expect("there");
        let mut wanted = staff();
        wanted.groups[0].holding.policies = vec![arn(&account, Kind::Policy, "/", "reads")];
        assert_eq!(carry_out(&mut om, &wanted), 11);
    }

    #[test]
    fn what_narrows_is_done_before_what_widens() {
        let mut om = Namespace::with_users(["ada"]);
        carry_out(&mut om, &staff());
        let mut wanted = staff();
        wanted.roles[0].trust = TRUST.replace("ada", "*");
        wanted.roles[0].boundary = Some("reads".into());
        wanted.roles[0].holding.policies.push("AmazonS3FullAccess".into());
        let changes: Vec<IamChange> =
            planned(&om, &wanted).expect("a plan").planned.into_iter().map(|planned| planned.change).collect();
        assert!(
            matches!(changes.as_slice(), [IamChange::SetBoundary(..), IamChange::SetTrust { .. }, IamChange::Attach(..)]),
            "{changes:?}"
        );
    }
}
