//! What may be done, as statements name it and as requests are: `s3:GetObject`, `s3:*`, `iam:CreateUser`. Without their case.

use std::fmt;

use super::glob::Glob;
use super::permission::{Permission, PermissionSet};
use super::{MalformedPolicy, PolicyKind};

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    S3(Permission),
    /// Of another service, by its whole name: `iam:CreateUser`.
    Other(&'a str),
}

impl fmt::Display for Action<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3(permission) => permission.fmt(f),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl From<Permission> for Action<'_> {
    fn from(permission: Permission) -> Self {
        Self::S3(permission)
    }
}

/// The actions of a statement, or with `NotAction` all but these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Actions {
    s3: PermissionSet,
    others: Vec<Glob>,
    is_negated: bool,
}

impl Actions {
    /// All but none.
    pub(super) fn all() -> Self {
        Self { s3: PermissionSet::default(), others: Vec::new(), is_negated: true }
    }

    pub(super) fn parse(names: &[String], is_negated: bool, kind: PolicyKind) -> Result<Self, MalformedPolicy> {
        if names.is_empty() {
            return Err(MalformedPolicy::Missing("Action"));
        }
        let mut actions = Self { s3: PermissionSet::default(), others: Vec::new(), is_negated };
        for name in names {
            actions.add(name, kind).ok_or_else(|| MalformedPolicy::Action(name.clone()))?;
        }
        Ok(actions)
    }

    fn add(&mut self, name: &str, kind: PolicyKind) -> Option<()> {
        let lower = name.to_lowercase();
        if lower.chars().all(|char| char == '*') && !lower.is_empty() {
            Permission::ALL.iter().for_each(|permission| self.s3.insert(*permission));
            self.others.push(Glob::parse("*"));
            return Some(());
        }
        let (service, action) = lower.split_once(':')?;
        let is_word = |text: &str, more: &[char]| {
            !text.is_empty() && text.chars().all(|char| char.is_ascii_alphanumeric() || more.contains(&char))
        };
        if !is_word(service, &['-']) || !is_word(action, &['*', '?', '_', '-']) {
            return None;
        }
        if service != "s3" {
            // A bucket's policy speaks of nothing but the bucket.
            return (kind != PolicyKind::Bucket).then(|| self.others.push(Glob::parse(&lower)));
        }
        let pattern = Glob::parse(action);
        let named = Permission::ALL.iter().filter(|permission| pattern.matches(&permission.name().to_ascii_lowercase()));
        let mut found = PermissionSet::default();
        named.for_each(|permission| {
            found.insert(*permission);
            self.s3.insert(*permission);
        });
        // A denial of an action that does not exist denies nothing: better said at once.
        (!found.is_empty() || kind != PolicyKind::Bucket).then_some(())
    }

    pub(super) fn include(&self, action: Action<'_>) -> bool {
        let is_named = match action {
            Action::S3(permission) => self.s3.contains(permission),
            Action::Other(name) => {
                let lower = name.to_lowercase();
                self.others.iter().any(|pattern| pattern.matches(&lower))
            }
        };
        is_named != self.is_negated
    }
}
