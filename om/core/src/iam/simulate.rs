//! What would be decided: the policies of a user, a group or a role, and others beside them, asked about actions on resources.

use tables::ReadTables;
use types::{IamError, IamErrorCode, IamValue};

use super::call::Simulation;
use super::find::Trouble;
use super::names::{Kind, split_arn};
use super::powers::{HolderRef, Powers};
use crate::policy::{
    Account, Action, Caller, Context, Grants, KeyName, Permission, Policies, Policy, PolicyKind, Reason, Request, Resource,
    Source, decide,
};
use crate::rows::UserRow;

fn action(name: &str) -> Action<'_> {
    let of_s3 = name.split_once(':').filter(|(service, _)| service.eq_ignore_ascii_case("s3")).map(|(_, action)| action);
    let permission =
        of_s3.and_then(|name| Permission::ALL.iter().find(|permission| permission.name().eq_ignore_ascii_case(name)));
    permission.map_or(Action::Other(name), |permission| Action::S3(*permission))
}

/// Within the account, without any policy of a resource's: as if all resources were its own.
pub fn simulate(tables: &dyn ReadTables, account: &UserRow, asked: &Simulation) -> Result<IamValue, Trouble> {
    let id = Account { id: account.account_id(), canonical: account.id.0.clone() };
    let missing = |arn: &str| IamError::new(IamErrorCode::NoSuchEntity, format!("{arn} cannot be found"));
    let (powers, caller) = match &asked.of {
        None => (Powers::default(), Caller::User { account: id, name: "custom".to_owned() }),
        Some(arn) => {
            let of = |kind| split_arn(arn, kind).filter(|(account, _, _)| *account == id.id).map(|(_, _, name)| name);
            let (user, role) = (of(Kind::User), of(Kind::Role));
            let holder = match (user, role) {
                (Some(name), _) => HolderRef::User(name),
                (None, Some(name)) => HolderRef::Role(name),
                (None, None) => return Err(missing(arn).into()),
            };
            let powers = Powers::load(tables, account, holder)?;
            if powers.id.is_none() {
                return Err(missing(arn).into());
            }
            let name = powers.full_name.clone();
            (powers, Caller::User { account: id, name })
        }
    };
    let mut given = Vec::new();
    for text in &asked.policies {
        let malformed =
            |why: crate::policy::MalformedPolicy| IamError::new(IamErrorCode::MalformedPolicyDocument, why.to_string());
        given.push(Policy::parse(text, PolicyKind::Identity).map_err(malformed)?);
    }
    let mut sources = powers.own();
    sources.extend(given.iter().map(|policy| Source { name: "PolicyInputList", policy }));
    let mut context = Context::default();
    if let Some(arn) = caller.arn() {
        context.set(KeyName::PrincipalArn, arn);
    }
    if let Caller::User { name, .. } = &caller {
        context.set(KeyName::UserName, name.rsplit('/').next().unwrap_or(name).to_owned());
    }
    for (key, values) in &asked.context {
        match KeyName::ALL.iter().find(|name| name.as_str().eq_ignore_ascii_case(key)) {
            Some(name) => context.set_texts(*name, values),
            None => context.set_foreign(key, values.iter().map(String::as_str)),
        }
    }
    let administration = powers.administration();
    let mut results = Vec::new();
    for name in &asked.actions {
        for arn in &asked.resources {
            let resource = Resource::arn_at(arn, account.home()).unwrap_or_else(Resource::store);
            let request = Request { caller: &caller, action: action(name), resource: &resource, context: &context };
            let decision = decide(
                &request,
                &Policies {
                    resource: None,
                    resource_only_denies: false,
                    grants: Grants::Policies(&sources),
                    boundary: powers.boundary(),
                    session: &[],
                    administration: &administration,
                    owner: &account.id.0,
                    granted_otherwise: None,
                },
            );
            let (word, place) = match (decision.is_allowed, decision.reason) {
                (true, Reason::Allowed(place)) => ("allowed", Some(place)),
                (true, _) => ("allowed", None),
                (false, Reason::Denied(place)) => ("explicitDeny", Some(place)),
                (false, _) => ("implicitDeny", None),
            };
            let matched =
                place.map(|place| IamValue::field("SourcePolicyId", place.policy).with("SourcePolicyType", "IAM Policy"));
            results.push(
                IamValue::field("EvalActionName", name.as_str())
                    .with("EvalResourceName", arn.as_str())
                    .with("EvalDecision", word)
                    .with("MatchedStatements", matched.into_iter().collect::<Vec<_>>())
                    .with("MissingContextValues", Vec::new()),
            );
        }
    }
    Ok(IamValue::field("EvaluationResults", results).with("IsTruncated", false))
}
