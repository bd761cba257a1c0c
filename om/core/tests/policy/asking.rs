//! The words of the tables, and requests made of them.

use om_core::policy::{
    Account, Action, Answer, Caller, Context, Fact, KeyName, Locality, Permission, Policy, PolicyKind, Request, Resource,
};
use types::{BucketAddress, BucketName, ObjectKey, Timestamp, VolumeName};

pub(crate) fn kind(word: &str) -> PolicyKind {
    match word {
        "bucket" => PolicyKind::Bucket,
        "trust" => PolicyKind::Trust,
        "identity" => PolicyKind::Identity,
        other => panic!("no kind {other}"),
    }
}

pub(crate) fn parse(kind: PolicyKind, text: &str) -> Policy {
    Policy::parse(text, kind).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The policies that a table names before its rows.
pub(crate) fn named(table: &str) -> Vec<(String, Policy)> {
    let definition = |line: &str| {
        let (name, rest) = line.split_once('=')?;
        let (kind_word, text) = rest.trim().split_once(' ')?;
        let is_definition = matches!(kind_word, "bucket" | "identity");
        is_definition.then(|| (name.trim().to_owned(), parse(kind(kind_word), text)))
    };
    table.lines().filter_map(definition).collect()
}

pub(crate) fn bucket_name(text: &str) -> BucketName {
    BucketName::parse(text).expect("a legal name")
}

fn account(id: &str) -> Account {
    Account { id: id.to_owned(), canonical: format!("canonical-of-{id}") }
}

pub(crate) fn caller(word: &str) -> Caller {
    let (acct, other) = (account("111111111111"), account("222222222222"));
    match word {
        "nobody" => Caller::Anonymous,
        "acct" => Caller::Root(acct),
        "other" => Caller::Root(other),
        "ada" | "bob" => Caller::User { account: acct, name: word.to_owned() },
        "eve" => Caller::User { account: other, name: word.to_owned() },
        "app" => Caller::Session { account: acct, role: "jobs/app".to_owned(), session: "night".to_owned() },
        "logger" => Caller::Service("logging.s3.amazonaws.com".to_owned()),
        "oidc" => Caller::Federated("arn:aws:iam::111111111111:oidc-provider/id.example/realm".to_owned()),
        other => panic!("no caller {other}"),
    }
}

/// The facts of a row.
pub(crate) struct Facts<'a> {
    named: Vec<(KeyName, Vec<Fact<'a>>, bool)>,
    tags: Vec<(KeyName, Vec<(String, String)>)>,
    foreign: Vec<(&'a str, Fact<'a>)>,
}

fn fact(text: &str) -> Fact<'_> {
    match text.split_at_checked(1) {
        Some(("#", number)) => number.parse::<i64>().expect("a number").into(),
        Some(("@", time)) => seconds(time).into(),
        Some(("%", address)) => address.parse::<std::net::IpAddr>().expect("an address").into(),
        Some(("!", truth)) => (truth == "true").into(),
        _ => text.into(),
    }
}

/// The moments that the tables name; their seconds are known from elsewhere.
fn seconds(text: &str) -> Timestamp {
    let (day, clock) = text.trim_end_matches('Z').split_once('T').expect("date and time");
    let midnight = match day {
        "2025-11-05" => 1_762_300_800,
        "2026-11-01" => 1_793_491_200,
        "2026-11-05" => 1_793_836_800,
        "2026-11-06" => 1_793_923_200,
        "2026-11-30" => 1_795_996_800,
        "2026-12-01" => 1_796_083_200,
        other => panic!("the day {other}"),
    };
    let seconds = clock.split(':').fold(0, |sum, part| sum * 60 + part.parse::<u64>().expect("digits"));
    Timestamp((midnight + seconds) * 1000)
}

impl<'a> Facts<'a> {
    pub(crate) fn parse(cell: &'a str) -> Self {
        let mut facts = Self { named: Vec::new(), tags: Vec::new(), foreign: Vec::new() };
        for (key, value) in cell.split(';').filter(|part| *part != "-").filter_map(|part| part.split_once('=')) {
            let (start, tag) = key.split_once('/').map_or((key, None), |(start, tag)| (start, Some(tag)));
            let known = KeyName::ALL.iter().copied().find(|name| name.as_str() == start);
            match (known, tag) {
                (Some(name), Some(tag)) => facts.tags.push((name, vec![(tag.to_owned(), value.to_owned())])),
                (Some(name), None) => match value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
                    Some(list) => {
                        let values = list.split(',').filter(|value| !value.is_empty()).map(fact).collect();
                        facts.named.push((name, values, true));
                    }
                    None => facts.named.push((name, vec![fact(value)], false)),
                },
                (None, _) => facts.foreign.push((key, fact(value))),
            }
        }
        facts
    }

    fn context(&self) -> Context<'_> {
        let mut context = Context::default();
        for (name, facts, is_list) in &self.named {
            match facts.as_slice() {
                [one] if !is_list => context.set(*name, one.clone()),
                many => context.set_many(*name, many.iter().cloned()),
            }
        }
        for (name, tags) in &self.tags {
            context.set_tags(*name, tags);
        }
        for (name, fact) in &self.foreign {
            context.set_foreign(name, [fact.clone()]);
        }
        context
    }
}

fn action(word: &str) -> Action<'_> {
    match word.strip_prefix("s3:") {
        None => Action::Other(word),
        Some(name) => {
            let known = Permission::ALL.iter().find(|permission| permission.name() == name);
            Action::S3(*known.unwrap_or_else(|| panic!("no permission {name}")))
        }
    }
}

pub(crate) fn with_request<T>(
    caller: &Caller,
    action_word: &str,
    resource: &str,
    facts: &Facts<'_>,
    question: impl FnOnce(&Request<'_>) -> T,
) -> T {
    with_request_from("s3v", caller, action_word, resource, facts, question)
}

/// Of somebody whose buckets lie in the volume `home`.
pub(crate) fn with_request_from<T>(
    home: &str,
    caller: &Caller,
    action_word: &str,
    resource: &str,
    facts: &Facts<'_>,
    question: impl FnOnce(&Request<'_>) -> T,
) -> T {
    let context = facts.context();
    let none = || BucketAddress::from(bucket_name("none"));
    let address = resource.split('/').next().and_then(|text| BucketAddress::parse(text).ok()).unwrap_or_else(none);
    let home = VolumeName::parse(home).expect("a volume");
    let path = address.within(&home);
    let at = Locality::of(path.volume(), &home);
    let resource = match resource.split_once('/') {
        _ if resource.starts_with("arn:") => Resource::arn(resource).expect("an ARN"),
        _ if resource == "*" => Resource::store(),
        Some((_, key)) => Resource::object(path.name(), at, &ObjectKey::parse(key).expect("a legal key")),
        None => Resource::bucket(path.name(), at),
    };
    question(&Request { caller, action: action(action_word), resource: &resource, context: &context })
}

pub(crate) fn ask(policy: &Policy, caller: &Caller, action: &str, resource: &str, facts: &Facts<'_>) -> Answer {
    with_request(caller, action, resource, facts, |request| policy.ask(request))
}
