//! From the text of a policy to the policy: everything that could be misunderstood later is refused here.

use super::action::Actions;
use super::condition;
use super::json::Json;
use super::principal::Principals;
use super::resource::Resources;
use super::{Effect, MalformedPolicy, Policy, PolicyKind, Statement};

pub(super) fn policy(text: &str, kind: PolicyKind) -> Result<Policy, MalformedPolicy> {
    let limit = kind.limit();
    if text.len() > limit {
        return Err(MalformedPolicy::TooLong { limit });
    }
    if !text.starts_with('{') {
        return Err(MalformedPolicy::NoObject);
    }
    let Json::Object(members) = Json::parse(text)? else { return Err(MalformedPolicy::NoObject) };
    let mut version = None;
    let mut id = None;
    let mut statements = None;
    for (name, value) in &members {
        match name.as_str() {
            "Version" => version = Some(text_of(value, "Version")?),
            "Id" => id = Some(text_of(value, "Id")?.to_owned()),
            "Statement" => statements = Some(value),
            other => return Err(MalformedPolicy::Unknown(other.to_owned())),
        }
    }
    let has_variables = match version {
        // What AWS takes a policy for that does not say.
        None | Some("2008-10-17") => false,
        Some("2012-10-17") => true,
        Some(_) => return Err(MalformedPolicy::Version),
    };
    let statements = statements.ok_or(MalformedPolicy::Missing("Statement"))?;
    let statements = match statements {
        Json::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    if statements.is_empty() {
        return Err(MalformedPolicy::Missing("Statement"));
    }
    let statements: Vec<_> = statements.iter().map(|value| statement(value, has_variables, kind)).collect::<Result<_, _>>()?;
    if kind != PolicyKind::Bucket {
        distinct_sids(&statements)?;
    }
    Ok(Policy { id, statements })
}

fn distinct_sids(statements: &[Statement]) -> Result<(), MalformedPolicy> {
    let mut sids: Vec<&str> = statements.iter().filter_map(|statement| statement.sid.as_deref()).collect();
    sids.sort_unstable();
    match sids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(MalformedPolicy::Sid(pair[0].to_owned())),
        None => Ok(()),
    }
}

/// The elements of a statement, each at most once.
#[derive(Default)]
struct Elements<'j> {
    sid: Option<&'j str>,
    effect: Option<Effect>,
    principal: Option<(&'j Json, bool)>,
    action: Option<(&'j Json, bool)>,
    resource: Option<(&'j Json, bool)>,
    condition: Option<&'j Json>,
}

fn either<'j>(place: &mut Option<(&'j Json, bool)>, value: &'j Json, name: &'static str) -> Result<(), MalformedPolicy> {
    let is_negated = name.starts_with("Not");
    match place.replace((value, is_negated)) {
        None => Ok(()),
        Some(_) => Err(MalformedPolicy::Both(name.trim_start_matches("Not"))),
    }
}

impl<'j> Elements<'j> {
    fn of(value: &'j Json) -> Result<Self, MalformedPolicy> {
        let Json::Object(members) = value else { return Err(MalformedPolicy::Form("Statement")) };
        let mut elements = Self::default();
        for (name, value) in members {
            match name.as_str() {
                "Sid" => elements.sid = Some(text_of(value, "Sid")?),
                "Effect" => {
                    elements.effect = Some(match text_of(value, "Effect")? {
                        "Allow" => Effect::Allow,
                        "Deny" => Effect::Deny,
                        _ => return Err(MalformedPolicy::Form("Effect")),
                    });
                }
                "Principal" => either(&mut elements.principal, value, "Principal")?,
                "NotPrincipal" => either(&mut elements.principal, value, "NotPrincipal")?,
                "Action" => either(&mut elements.action, value, "Action")?,
                "NotAction" => either(&mut elements.action, value, "NotAction")?,
                "Resource" => either(&mut elements.resource, value, "Resource")?,
                "NotResource" => either(&mut elements.resource, value, "NotResource")?,
                "Condition" => elements.condition = Some(value),
                other => return Err(MalformedPolicy::Unknown(other.to_owned())),
            }
        }
        Ok(elements)
    }
}

fn statement(value: &Json, has_variables: bool, kind: PolicyKind) -> Result<Statement, MalformedPolicy> {
    let elements = Elements::of(value)?;
    let effect = elements.effect.ok_or(MalformedPolicy::Missing("Effect"))?;
    let principals = match elements.principal {
        None if kind.names_principals() => return Err(MalformedPolicy::Missing("Principal")),
        Some(_) if !kind.names_principals() => return Err(MalformedPolicy::Unknown("Principal".to_owned())),
        // Everybody but one would be let in, nobody of whom the writer has in mind.
        Some((_, true)) if effect == Effect::Allow => return Err(MalformedPolicy::AllowedNotPrincipal),
        None => None,
        Some((value, is_negated)) => Some(Principals::parse(value, is_negated)?),
    };
    let (actions, is_negated) = elements.action.ok_or(MalformedPolicy::Missing("Action"))?;
    let actions = Actions::parse(&texts(actions, "Action")?, is_negated, kind)?;
    let resources = match elements.resource {
        Some(_) if kind == PolicyKind::Trust => return Err(MalformedPolicy::Unknown("Resource".to_owned())),
        Some((value, is_negated)) => Resources::parse(&texts(value, "Resource")?, is_negated, has_variables, kind)?,
        None if kind.hangs_on_a_resource() => Resources::all(),
        None => return Err(MalformedPolicy::Missing("Resource")),
    };
    let conditions = elements.condition.map_or(Ok(Vec::new()), |value| condition::parse(value, has_variables, kind))?;
    Ok(Statement { sid: elements.sid.map(str::to_owned), effect, principals, actions, resources, conditions })
}

fn text_of<'j>(value: &'j Json, field: &'static str) -> Result<&'j str, MalformedPolicy> {
    match value {
        Json::Text(text) => Ok(text),
        _ => Err(MalformedPolicy::Form(field)),
    }
}

/// One value or a list of them. Numbers and truths are taken as they are written, for conditions are written so.
pub(super) fn texts(value: &Json, field: &'static str) -> Result<Vec<String>, MalformedPolicy> {
    let text = |value: &Json| match value {
        Json::Text(text) => Ok(text.clone()),
        Json::Number(number) if field == "Condition" => Ok(number.clone()),
        Json::Bool(is_so) if field == "Condition" => Ok(is_so.to_string()),
        _ => Err(MalformedPolicy::Form(field)),
    };
    match value {
        Json::Array(values) => values.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}
