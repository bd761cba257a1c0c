//! Who is told what happens in the bucket.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};

use crate::Invalid;

const MAX_TARGETS: usize = 100;
const MAX_ID: usize = 255;
const MAX_FILTER: usize = 1024;

/// What can be asked for; a name with `*` stands for all that begin as it does.
const EVENTS: &[&str] = &[
    "s3:IntelligentTiering",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
    "s3:LifecycleTransition",
    "s3:ObjectAcl:Put",
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Put",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectRestore:*",
    "s3:ObjectRestore:Completed",
    "s3:ObjectRestore:Delete",
    "s3:ObjectRestore:Post",
    "s3:ObjectTagging:*",
    "s3:ObjectTagging:Delete",
    "s3:ObjectTagging:Put",
    "s3:ReducedRedundancyLostObject",
    "s3:Replication:*",
    "s3:Replication:OperationFailedReplication",
    "s3:Replication:OperationMissedThreshold",
    "s3:Replication:OperationNotTracked",
    "s3:Replication:OperationReplicatedAfterThreshold",
];

#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct NotificationConfiguration {
    #[n(0)]
    pub targets: Vec<NotificationTarget>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NotificationTarget {
    /// Made up where the owner gave none.
    #[n(0)]
    pub id: String,
    #[n(1)]
    pub kind: TargetKind,
    /// Which one of the destinations that the server knows.
    #[n(2)]
    pub arn: String,
    #[n(3)]
    pub events: Vec<String>,
    #[n(4)]
    pub prefix: Option<String>,
    #[n(5)]
    pub suffix: Option<String>,
}

/// The three lists of S3's document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum TargetKind {
    #[n(0)]
    Topic,
    #[n(1)]
    Queue,
    #[n(2)]
    Function,
}

impl NotificationConfiguration {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.targets.len() > MAX_TARGETS {
            return Err(Invalid::Schema);
        }
        let mut ids = BTreeSet::new();
        for target in &self.targets {
            target.check()?;
            if !ids.insert(&target.id) {
                return Err(Invalid::argument("Same ID used for multiple configurations. IDs must be unique"));
            }
        }
        for (index, target) in self.targets.iter().enumerate() {
            if self.targets.iter().skip(index + 1).any(|other| target.overlaps(other)) {
                return Err(Invalid::argument(
                    "Configurations overlap. Configurations on the same bucket cannot share a common event type.",
                ));
            }
        }
        Ok(())
    }

    /// Gives each target that has no name one that no other has.
    pub fn name_targets(&mut self) {
        let taken: BTreeSet<String> = self.targets.iter().map(|target| target.id.clone()).collect();
        let mut free = (1..).map(|n: u64| format!("notification-{n}")).filter(|name| !taken.contains(name));
        for target in self.targets.iter_mut().filter(|target| target.id.is_empty()) {
            target.id = free.next().unwrap_or_default();
        }
    }

    /// Who is told of this event (`s3:ObjectCreated:Put`) of this key.
    pub fn matching(&self, event: &str, key: &str) -> impl Iterator<Item = &NotificationTarget> {
        self.targets.iter().filter(move |target| target.wants(event, key))
    }
}

impl NotificationTarget {
    /// The name of the destination, if the ARN is of a kind that Trioxide tells: `arn:trioxide:sqs:region:NAME:webhook`. Clients
    /// that know AWS's three kinds alone may call it a topic (`sns`) or a function (`lambda`) as well.
    pub fn destination(&self) -> Option<&str> {
        let mut fields = self.arn.split(':');
        let head = [fields.next()?, fields.next()?, fields.next()?];
        let (_region, name, kind) = (fields.next()?, fields.next()?, fields.next()?);
        let is_ours = matches!(head, ["arn", "trioxide", "sqs" | "sns" | "lambda"]) && kind == "webhook";
        (is_ours && is_destination(name) && fields.next().is_none()).then_some(name)
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.events.is_empty() || self.events.iter().any(|event| !EVENTS.contains(&event.as_str())) {
            return Err(Invalid::Schema);
        }
        if self.id.chars().count() > MAX_ID {
            return Err(Invalid::argument("ID length should not exceed allowed limit of 255"));
        }
        if !self.arn.starts_with("arn:") {
            return Err(Invalid::argument("The ARN could not be parsed"));
        }
        let is_long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > MAX_FILTER);
        if is_long(&self.prefix) || is_long(&self.suffix) {
            return Err(Invalid::argument("filter rule value cannot exceed 1024 bytes"));
        }
        Ok(())
    }

    fn wants(&self, event: &str, key: &str) -> bool {
        self.events.iter().any(|wanted| stands_for(wanted, event))
            && self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix))
            && self.suffix.as_ref().is_none_or(|suffix| key.ends_with(suffix))
    }

    /// Whether there is an event of a key that both are told.
    fn overlaps(&self, other: &Self) -> bool {
        let shares_event = self.events.iter().any(|a| other.events.iter().any(|b| stands_for(a, b) || stands_for(b, a)));
        let (a, b) = (self.prefix.as_deref().unwrap_or(""), other.prefix.as_deref().unwrap_or(""));
        let shares_prefix = a.starts_with(b) || b.starts_with(a);
        let (a, b) = (self.suffix.as_deref().unwrap_or(""), other.suffix.as_deref().unwrap_or(""));
        let shares_suffix = a.ends_with(b) || b.ends_with(a);
        shares_event && shares_prefix && shares_suffix
    }
}

/// A name that an administrator may give to a destination.
pub fn is_destination(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn stands_for(wanted: &str, event: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => event.starts_with(start),
        None => wanted == event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str, events: &[&str], prefix: Option<&str>, suffix: Option<&str>) -> NotificationTarget {
        NotificationTarget {
            id: id.into(),
            kind: TargetKind::Queue,
            arn: "arn:aws:sqs:us-east-1:1:q".into(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            prefix: prefix.map(str::to_owned),
            suffix: suffix.map(str::to_owned),
        }
    }

    fn with(targets: impl Into<Vec<NotificationTarget>>) -> NotificationConfiguration {
        NotificationConfiguration { targets: targets.into() }
    }

    #[test]
    fn an_arn_names_a_destination_or_none_of_ours() {
        let named = |arn: &str| NotificationTarget { arn: arn.into(), ..target("a", &[], None, None) };
        for arn in
            ["arn:trioxide:sqs::audit:webhook", "arn:trioxide:sns:eu-1:audit:webhook", "arn:trioxide:lambda::audit:webhook"]
        {
            assert_eq!(named(arn).destination(), Some("audit"));
        }
        for arn in [
            "arn:aws:sqs:us-east-1:1:q",
            "arn:trioxide:sqs::audit:kafka",
            "arn:trioxide:s3::audit:webhook",
            "arn:trioxide:sqs::audit:webhook:x",
            "arn:trioxide:sqs:::webhook",
            "arn:trioxide:sqs::a b:webhook",
            "arn:trioxide:sqs::audit",
        ] {
            assert_eq!(named(arn).destination(), None, "{arn}");
        }
    }

    #[test]
    fn a_target_is_told_of_its_events_and_keys() {
        let notification = with([
            target("a", &["s3:ObjectCreated:*"], Some("in/"), Some(".jpg")),
            target("b", &["s3:ObjectRemoved:Delete", "s3:ObjectTagging:Put"], None, None),
        ]);
        let told = |event, key| notification.matching(event, key).map(|target| target.id.as_str()).collect::<Vec<_>>();
        assert_eq!(told("s3:ObjectCreated:Put", "in/cat.jpg"), ["a"]);
        assert_eq!(told("s3:ObjectCreated:Put", "in/cat.png"), [""; 0]);
        assert_eq!(told("s3:ObjectCreated:Put", "cat.jpg"), [""; 0]);
        assert_eq!(told("s3:ObjectRemoved:Delete", "cat.jpg"), ["b"]);
        assert_eq!(told("s3:ObjectRemoved:DeleteMarkerCreated", "cat.jpg"), [""; 0]);
    }

    #[test]
    fn no_event_of_a_key_has_two_targets() {
        let all = |prefix, suffix| target("a", &["s3:ObjectCreated:*"], prefix, suffix);
        let put = |prefix, suffix| target("b", &["s3:ObjectCreated:Put"], prefix, suffix);
        for (one, other, expected) in [
            (all(None, None), put(None, None), false),
            (all(Some("a"), None), put(Some("b"), None), true),
            (all(Some("a"), None), put(Some("ab"), None), false),
            (all(Some("a"), Some(".jpg")), put(Some("ab"), Some(".png")), true),
            (all(None, None), target("b", &["s3:ObjectRemoved:*"], None, None), true),
        ] {
            assert_eq!(with([one, other]).check().is_ok(), expected);
        }
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        let good = target("a", &["s3:ObjectCreated:*"], None, None);
        assert_eq!(with([good.clone()]).check(), Ok(()));
        assert_eq!(with([target("a", &["s3:ObjectCreate:*"], None, None)]).check(), Err(Invalid::Schema));
        assert_eq!(with([target("a", &[], None, None)]).check(), Err(Invalid::Schema));
        for bad in [
            NotificationTarget { arn: "q".into(), ..good.clone() },
            NotificationTarget { id: "x".repeat(256), ..good.clone() },
            NotificationTarget { prefix: Some("x".repeat(1025)), ..good.clone() },
        ] {
            assert!(matches!(with([bad]).check(), Err(Invalid::Argument(_))));
        }
        let same = target("a", &["s3:ObjectRemoved:*"], None, None);
        assert!(matches!(with([good.clone(), same]).check(), Err(Invalid::Argument(_))));
        let mut unnamed = with([NotificationTarget { id: String::new(), ..good }]);
        unnamed.name_targets();
        assert_eq!(unnamed.targets[0].id, "notification-1");
    }
}
