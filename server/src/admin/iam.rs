//! Commands about identities as calls of IAM's.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::show::{table, text};
use crate::cli::{AdminCommand, HolderCommand, KeyCommand, PolicyCommand};

/// A call: IAM's action, and its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) action: String,
    pub(super) parameters: Vec<(&'static str, String)>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("reading {0}: {1}")]
    File(PathBuf, std::io::Error),
    #[error("only a {0} can do that")]
    Kind(&'static str),
    #[error("a role needs --trust FILE: the policy that says who may take it")]
    NoTrust,
}

fn read(path: &Path) -> Result<String, CallError> {
    std::fs::read_to_string(path).map_err(|error| CallError::File(path.to_owned(), error))
}

fn call(action: impl Into<String>, parameters: impl IntoIterator<Item = (&'static str, String)>) -> Call {
    Call { action: action.into(), parameters: parameters.into_iter().collect() }
}

/// The kind by IAM's word, and the field that names one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Group,
    Role,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::Role => "Role",
        }
    }

    fn field(self) -> &'static str {
        match self {
            Self::User => "UserName",
            Self::Group => "GroupName",
            Self::Role => "RoleName",
        }
    }
}

/// None: the command is not about identities.
pub(super) fn call_of(command: &AdminCommand) -> Result<Option<Call>, CallError> {
    Ok(Some(match command {
        AdminCommand::User(command) => of_holder(Kind::User, command)?,
        AdminCommand::Group(command) => of_holder(Kind::Group, command)?,
        AdminCommand::Role(command) => of_holder(Kind::Role, command)?,
        AdminCommand::Policy(command) => of_policy(command)?,
        AdminCommand::Key(command) => of_key(command),
        _ => return Ok(None),
    }))
}

fn of_holder(kind: Kind, command: &HolderCommand) -> Result<Call, CallError> {
    let (word, field) = (kind.word(), kind.field());
    let only = |wanted: Kind, name: &'static str| if kind == wanted { Ok(()) } else { Err(CallError::Kind(name)) };
    Ok(match command {
        HolderCommand::List => call(format!("List{word}s"), []),
        HolderCommand::Show { name } => call(format!("Get{word}"), [(field, name.clone())]),
        HolderCommand::Create { name, path, trust } => {
            let mut made = call(format!("Create{word}"), [(field, name.clone())]);
            made.parameters.extend(path.clone().map(|path| ("Path", path)));
            match (kind, trust) {
                (Kind::Role, Some(trust)) => made.parameters.push(("AssumeRolePolicyDocument", read(trust)?)),
                (Kind::Role, None) => return Err(CallError::NoTrust),
                (Kind::User | Kind::Group, Some(_)) => return Err(CallError::Kind("role")),
                (Kind::User | Kind::Group, None) => {}
            }
            made
        }
        HolderCommand::Delete { name } => call(format!("Delete{word}"), [(field, name.clone())]),
        HolderCommand::Policies { name } => call(format!("ListAttached{word}Policies"), [(field, name.clone())]),
        HolderCommand::Attach { name, policy_arn } => {
            call(format!("Attach{word}Policy"), [(field, name.clone()), ("PolicyArn", policy_arn.clone())])
        }
        HolderCommand::Detach { name, policy_arn } => {
            call(format!("Detach{word}Policy"), [(field, name.clone()), ("PolicyArn", policy_arn.clone())])
        }
        HolderCommand::PutPolicy { name, policy, document } => call(
            format!("Put{word}Policy"),
            [(field, name.clone()), ("PolicyName", policy.clone()), ("PolicyDocument", read(document)?)],
        ),
        HolderCommand::DeletePolicy { name, policy } => {
            call(format!("Delete{word}Policy"), [(field, name.clone()), ("PolicyName", policy.clone())])
        }
        HolderCommand::Members { name } => {
            only(Kind::Group, "group")?;
            call("GetGroup", [(field, name.clone())])
        }
        HolderCommand::Add { name, user } => {
            only(Kind::Group, "group")?;
            call("AddUserToGroup", [(field, name.clone()), ("UserName", user.clone())])
        }
        HolderCommand::Remove { name, user } => {
            only(Kind::Group, "group")?;
            call("RemoveUserFromGroup", [(field, name.clone()), ("UserName", user.clone())])
        }
        HolderCommand::Trust { name, document } => {
            only(Kind::Role, "role")?;
            call("UpdateAssumeRolePolicy", [(field, name.clone()), ("PolicyDocument", read(document)?)])
        }
    })
}

fn of_policy(command: &PolicyCommand) -> Result<Call, CallError> {
    Ok(match command {
        PolicyCommand::List => call("ListPolicies", []),
        PolicyCommand::Show { arn } => call("GetPolicy", [("PolicyArn", arn.clone())]),
        PolicyCommand::Create { name, document } => {
            call("CreatePolicy", [("PolicyName", name.clone()), ("PolicyDocument", read(document)?)])
        }
        PolicyCommand::Update { arn, document } => call(
            "CreatePolicyVersion",
            [("PolicyArn", arn.clone()), ("PolicyDocument", read(document)?), ("SetAsDefault", "true".to_owned())],
        ),
        PolicyCommand::Delete { arn } => call("DeletePolicy", [("PolicyArn", arn.clone())]),
    })
}

fn of_key(command: &KeyCommand) -> Call {
    let of = |action: &str, key: Option<&String>, user: &Option<String>, status: Option<&str>| {
        let mut made = call(action, []);
        made.parameters.extend(key.map(|key| ("AccessKeyId", key.clone())));
        made.parameters.extend(user.clone().map(|user| ("UserName", user)));
        made.parameters.extend(status.map(|status| ("Status", status.to_owned())));
        made
    };
    match command {
        KeyCommand::List { user } => of("ListAccessKeys", None, user, None),
        KeyCommand::Create { user } => of("CreateAccessKey", None, user, None),
        KeyCommand::Disable { key, user } => of("UpdateAccessKey", Some(key), user, Some("Inactive")),
        KeyCommand::Enable { key, user } => of("UpdateAccessKey", Some(key), user, Some("Active")),
        KeyCommand::Delete { key, user } => of("DeleteAccessKey", Some(key), user, None),
        KeyCommand::LastUsed { key } => of("GetAccessKeyLastUsed", Some(key), &None, None),
    }
}

/// An answer's one list as a table, or its fields.
pub(super) fn for_people(answer: &Value) -> String {
    let result = &answer["result"];
    if let Some(pair) = result.get("AccessKey") {
        return format!(
            "access key  {}\nsecret key  {}\nThe secret is not shown again.",
            text(&pair["AccessKeyId"]),
            text(&pair["SecretAccessKey"])
        );
    }
    let Some(fields) = result.as_object().filter(|fields| !fields.is_empty()) else { return "done".to_owned() };
    if let Some((_, rows)) = fields.iter().find(|(_, value)| value.is_array()) {
        const COLUMNS: [&str; 11] = [
            "UserName",
            "GroupName",
            "RoleName",
            "PolicyName",
            "PolicyArn",
            "AccessKeyId",
            "Status",
            "Path",
            "Arn",
            "AttachmentCount",
            "CreateDate",
        ];
        let shown: Vec<&str> = COLUMNS
            .into_iter()
            .filter(|column| rows.as_array().into_iter().flatten().any(|row| row.get(*column).is_some()))
            .collect();
        return table(rows, &shown);
    }
    let inner = fields.values().next().filter(|value| value.is_object() && fields.len() == 1).unwrap_or(result);
    let line = |(name, value): (&String, &Value)| match value {
        Value::String(value) => format!("{name:24}{}", decoded(value)),
        other => format!("{name:24}{other}"),
    };
    inner.as_object().into_iter().flatten().map(line).collect::<Vec<_>>().join("\n")
}

/// Policies come percent-encoded.
fn decoded(value: &str) -> String {
    let is_policy = value.starts_with("%7B");
    if is_policy { percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned() } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_calls_of_iam() {
        let add = AdminCommand::Group(HolderCommand::Add { name: "staff".into(), user: "ada".into() });
        let made = call_of(&add).expect("good").expect("a call");
        assert_eq!(made, call("AddUserToGroup", [("GroupName", "staff".into()), ("UserName", "ada".into())]));
        let add = AdminCommand::User(HolderCommand::Add { name: "staff".into(), user: "ada".into() });
        assert!(matches!(call_of(&add), Err(CallError::Kind("group"))));
        let role = AdminCommand::Role(HolderCommand::Create { name: "r".into(), path: None, trust: None });
        assert!(matches!(call_of(&role), Err(CallError::NoTrust)));
        assert!(call_of(&AdminCommand::Status).expect("good").is_none());
    }
}
