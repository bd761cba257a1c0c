//! Users, groups and roles come, change and go.

use tables::Table;
use types::{IamError, IamErrorCode, IamValue};

use super::{Ground, Holder, NewEntity, Renaming, Tagged, conflict, limit, taken};
use crate::iam::find::{self, Managed, Trouble, existing, managed, no_policy, own_policy};
use crate::iam::show;
use crate::rows::{
    self, AccessKeyId, AccessKeyRow, Holding, IamGroupRow, IamUserRow, RoleRow, Tags, iam_access_key, iam_access_key_prefix,
    in_account, keys_under, malformed, named,
};
use crate::tables::{ACCESS_KEYS, GROUPS, IAM_ACCESS_KEYS, IAM_USERS, POLICIES, ROLES};

const MOST_GROUPS_OF_A_USER: usize = 10;
const MOST_TAGS: usize = 50;

impl Ground<'_> {
    pub(super) fn create_user(&mut self, new: NewEntity) -> Result<IamValue, Trouble> {
        if find::user(self.tables(), &self.account.id, &new.name)?.is_some() {
            return Err(taken("User", &new.name));
        }
        self.check_quota(IAM_USERS, 5_000, "Users")?;
        let boundary = self.boundary(new.boundary)?;
        let row = IamUserRow {
            name: new.name,
            path: new.path,
            id: new.id,
            created: self.now,
            tags: new.tags,
            groups: Vec::new(),
            holding: Holding::default(),
            boundary,
        };
        self.put_user(&row);
        Ok(IamValue::field("User", show::user(&self.account, &row)))
    }

    pub(super) fn update_user(&mut self, name: &str, renaming: Renaming) -> Result<IamValue, Trouble> {
        let mut row: IamUserRow = existing(self.tables(), &self.account.id, name)?;
        if let Some(new) = renaming.name {
            let is_same = new.eq_ignore_ascii_case(name);
            if !is_same && find::user(self.tables(), &self.account.id, &new)?.is_some() {
                return Err(taken("User", &new));
            }
            // Keys know their user by name.
            for access_key in self.keys_of(name)? {
                let key_row: Option<AccessKeyRow> = rows::get(self.tables(), ACCESS_KEYS, access_key.0.as_bytes())?;
                if let Some(key_row) = key_row {
                    let key_row = AccessKeyRow { holder: Some(new.to_ascii_lowercase()), ..key_row };
                    rows::put(self.tables, ACCESS_KEYS, access_key.0.as_bytes(), &key_row);
                }
                self.tables.delete(IAM_ACCESS_KEYS, &iam_access_key(&self.account.id, name, &access_key));
                self.tables.put(IAM_ACCESS_KEYS, &iam_access_key(&self.account.id, &new, &access_key), Vec::new());
            }
            self.tables.delete(IAM_USERS, &named(&self.account.id, name));
            row.name = new;
        }
        row.path = renaming.path.unwrap_or(row.path);
        self.put_user(&row);
        Ok(IamValue::field("User", show::user(&self.account, &row)))
    }

    pub(super) fn delete_user(&mut self, name: &str) -> Result<IamValue, Trouble> {
        let row: IamUserRow = existing(self.tables(), &self.account.id, name)?;
        if !row.holding.attached.is_empty() {
            return Err(conflict("Cannot delete entity, must detach all policies first."));
        }
        if !row.holding.inline.is_empty() {
            return Err(conflict("Cannot delete entity, must delete policies first."));
        }
        if !self.keys_of(name)?.is_empty() {
            return Err(conflict("Cannot delete entity, must delete access keys first."));
        }
        if !row.groups.is_empty() {
            return Err(conflict("Cannot delete entity, must remove users from group first."));
        }
        self.tables.delete(IAM_USERS, &named(&self.account.id, name));
        Ok(IamValue::empty())
    }

    pub(super) fn keys_of(&self, user: &str) -> Result<Vec<AccessKeyId>, Trouble> {
        let prefix = iam_access_key_prefix(&self.account.id, user);
        let (keys, _) = keys_under(self.tables(), IAM_ACCESS_KEYS, &prefix, usize::MAX)?;
        let parse = |key: Vec<u8>| {
            let name = std::str::from_utf8(&key[prefix.len()..]).map_err(|_| malformed(IAM_ACCESS_KEYS, "a key is not text"))?;
            Ok(AccessKeyId(name.to_owned()))
        };
        keys.into_iter().map(parse).collect()
    }

    pub(super) fn create_group(&mut self, new: NewEntity) -> Result<IamValue, Trouble> {
        if find::group(self.tables(), &self.account.id, &new.name)?.is_some() {
            return Err(taken("Group", &new.name));
        }
        self.check_quota(GROUPS, 300, "Groups")?;
        let holding = Holding::default();
        let row = IamGroupRow { name: new.name, path: new.path, id: new.id, created: self.now, holding };
        self.put_group(&row);
        Ok(IamValue::field("Group", show::group(&self.account, &row)))
    }

    pub(super) fn update_group(&mut self, name: &str, renaming: Renaming) -> Result<IamValue, Trouble> {
        let mut row: IamGroupRow = existing(self.tables(), &self.account.id, name)?;
        if let Some(new) = renaming.name {
            let (old, lower) = (name.to_ascii_lowercase(), new.to_ascii_lowercase());
            if old != lower && find::group(self.tables(), &self.account.id, &new)?.is_some() {
                return Err(taken("Group", &new));
            }
            for mut user in self.members(&old)? {
                user.groups.retain(|group| *group != old);
                user.groups.push(lower.clone());
                self.put_user(&user);
            }
            self.tables.delete(GROUPS, &named(&self.account.id, name));
            row.name = new;
        }
        row.path = renaming.path.unwrap_or(row.path);
        self.put_group(&row);
        Ok(IamValue::empty())
    }

    fn members(&self, group: &str) -> Result<Vec<IamUserRow>, Trouble> {
        let mut users = find::users(self.tables(), &self.account.id)?;
        users.retain(|user| user.groups.iter().any(|of| of == group));
        Ok(users)
    }

    pub(super) fn delete_group(&mut self, name: &str) -> Result<IamValue, Trouble> {
        let row: IamGroupRow = existing(self.tables(), &self.account.id, name)?;
        if !row.holding.attached.is_empty() {
            return Err(conflict("Cannot delete entity, must detach all policies first."));
        }
        if !row.holding.inline.is_empty() {
            return Err(conflict("Cannot delete entity, must delete policies first."));
        }
        if !self.members(&name.to_ascii_lowercase())?.is_empty() {
            return Err(conflict("Cannot delete entity, must remove users from group first."));
        }
        self.tables.delete(GROUPS, &named(&self.account.id, name));
        Ok(IamValue::empty())
    }

    pub(super) fn add_to_group(&mut self, group: &str, user: &str) -> Result<IamValue, Trouble> {
        existing::<IamGroupRow>(self.tables(), &self.account.id, group)?;
        let mut row: IamUserRow = existing(self.tables(), &self.account.id, user)?;
        let group = group.to_ascii_lowercase();
        if !row.groups.contains(&group) {
            if row.groups.len() >= MOST_GROUPS_OF_A_USER {
                return Err(limit(format!("Cannot exceed quota for GroupsPerUser: {MOST_GROUPS_OF_A_USER}")));
            }
            row.groups.push(group);
            self.put_user(&row);
        }
        Ok(IamValue::empty())
    }

    pub(super) fn remove_from_group(&mut self, group: &str, user: &str) -> Result<IamValue, Trouble> {
        existing::<IamGroupRow>(self.tables(), &self.account.id, group)?;
        let mut row: IamUserRow = existing(self.tables(), &self.account.id, user)?;
        let group = group.to_ascii_lowercase();
        row.groups.retain(|of| *of != group);
        self.put_user(&row);
        Ok(IamValue::empty())
    }

    pub(super) fn create_role(&mut self, new: NewEntity, trust: String, max_session: u32) -> Result<IamValue, Trouble> {
        if find::role(self.tables(), &self.account.id, &new.name)?.is_some() {
            return Err(taken("Role", &new.name));
        }
        self.check_quota(ROLES, 1_000, "Roles")?;
        let boundary = self.boundary(new.boundary)?;
        let row = RoleRow {
            name: new.name,
            path: new.path,
            id: new.id,
            created: self.now,
            tags: new.tags,
            holding: Holding::default(),
            boundary,
            trust,
            description: new.description,
            max_session,
        };
        self.put_role(&row);
        Ok(IamValue::field("Role", show::role(&self.account, &row)))
    }

    pub(super) fn update_role(
        &mut self,
        name: &str,
        description: Option<String>,
        max_session: Option<u32>,
    ) -> Result<IamValue, Trouble> {
        let mut row: RoleRow = existing(self.tables(), &self.account.id, name)?;
        row.description = description.or(row.description);
        row.max_session = max_session.unwrap_or(row.max_session);
        self.put_role(&row);
        Ok(IamValue::empty())
    }

    pub(super) fn set_trust(&mut self, name: &str, trust: String) -> Result<IamValue, Trouble> {
        let mut row: RoleRow = existing(self.tables(), &self.account.id, name)?;
        row.trust = trust;
        self.put_role(&row);
        Ok(IamValue::empty())
    }

    pub(super) fn delete_role(&mut self, name: &str) -> Result<IamValue, Trouble> {
        let row: RoleRow = existing(self.tables(), &self.account.id, name)?;
        if !row.holding.attached.is_empty() {
            return Err(conflict("Cannot delete entity, must detach all policies first."));
        }
        if !row.holding.inline.is_empty() {
            return Err(conflict("Cannot delete entity, must delete policies first."));
        }
        self.tables.delete(ROLES, &named(&self.account.id, name));
        Ok(IamValue::empty())
    }

    pub(super) fn set_boundary(&mut self, holder: &Holder, arn: Option<String>) -> Result<IamValue, Trouble> {
        let arn = self.boundary(arn)?;
        match holder {
            Holder::User(name) => {
                let mut row: IamUserRow = existing(self.tables(), &self.account.id, name)?;
                row.boundary = arn;
                self.put_user(&row);
            }
            Holder::Role(name) => {
                let mut row: RoleRow = existing(self.tables(), &self.account.id, name)?;
                row.boundary = arn;
                self.put_role(&row);
            }
            Holder::Group(_) | Holder::Account => {
                return Err(IamError::new(IamErrorCode::InvalidInput, "only users and roles have a boundary").into());
            }
        }
        Ok(IamValue::empty())
    }

    /// A boundary that is there, by its ARN as it is written.
    fn boundary(&self, arn: Option<String>) -> Result<Option<String>, Trouble> {
        match arn {
            Some(arn) if managed(self.tables(), &self.account, &arn)?.is_none() => Err(no_policy(&arn)),
            Some(arn) => self.written_arn(arn).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn check_quota(&self, table: Table, most: usize, what: &str) -> Result<(), Trouble> {
        let (_, has_more) = keys_under(self.tables(), table, &in_account(&self.account.id), most - 1)?;
        if has_more { Err(limit(format!("Cannot exceed quota for {what}PerAccount: {most}"))) } else { Ok(()) }
    }

    pub(super) fn set_tags(&mut self, on: &Tagged, set: Tags, removed: &[String]) -> Result<IamValue, Trouble> {
        let change = |tags: &mut Tags| {
            tags.retain(|(key, _)| {
                let is_named = |named: &str| named.eq_ignore_ascii_case(key);
                !removed.iter().any(|named| is_named(named)) && !set.iter().any(|(named, _)| is_named(named))
            });
            tags.extend(set);
            // Their characters were checked when the call was read: every replica has to find the same here.
            if tags.len() > MOST_TAGS { Err(limit(format!("at most {MOST_TAGS} tags"))) } else { Ok(()) }
        };
        match on {
            Tagged::User(name) => {
                let mut row: IamUserRow = existing(self.tables(), &self.account.id, name)?;
                change(&mut row.tags)?;
                self.put_user(&row);
            }
            Tagged::Role(name) => {
                let mut row: RoleRow = existing(self.tables(), &self.account.id, name)?;
                change(&mut row.tags)?;
                self.put_role(&row);
            }
            Tagged::Policy(arn) => {
                let mut row = own_policy(self.tables(), &self.account, arn)?;
                change(&mut row.tags)?;
                rows::put(self.tables, POLICIES, &named(&self.account.id, &row.name), &row);
            }
        }
        Ok(IamValue::empty())
    }

    /// Whether the ARN names a policy that can be held.
    pub(super) fn attachable(&self, arn: &str) -> Result<Managed, Trouble> {
        managed(self.tables(), &self.account, arn)?.ok_or_else(|| no_policy(arn))
    }
}
