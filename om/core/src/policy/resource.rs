//! What a request is about, and what statements name: ARNs, `arn:partition:service:region:account:resource`.
//!
//! Wildcards stand for characters within one of the six fields; the last of them holds all that follows, so that a `*` behind a
//! bucket's name takes in every key.

use std::borrow::Cow;

use types::{BucketName, ObjectKey};

use super::context::Context;
use super::template::{Pattern, Piece, Reading, Verdict, parse};
use super::{Effect, MalformedPolicy, PolicyKind};

/// The resource of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource<'a> {
    service: Cow<'a, str>,
    region: Cow<'a, str>,
    account: Cow<'a, str>,
    resource: Cow<'a, str>,
}

impl<'a> Resource<'a> {
    fn s3(resource: Cow<'a, str>) -> Self {
        let nothing = Cow::Borrowed("");
        Self { service: Cow::Borrowed("s3"), region: nothing.clone(), account: nothing, resource }
    }

    /// Of a request that is about no bucket: only a statement about everything takes it in.
    pub fn store() -> Self {
        Self::s3(Cow::Borrowed("*"))
    }

    pub fn bucket(name: &'a BucketName) -> Self {
        Self::s3(Cow::Borrowed(name.as_str()))
    }

    pub fn object(bucket: &BucketName, key: &ObjectKey) -> Self {
        Self::s3(Cow::Owned(format!("{}/{}", bucket.as_str(), key.as_str())))
    }

    /// What every key that begins so begins with.
    pub fn objects_under(bucket: &BucketName, prefix: &str) -> Self {
        Self::s3(Cow::Owned(format!("{}/{prefix}", bucket.as_str())))
    }

    /// Of another service. None: it is no ARN.
    pub fn arn(text: &'a str) -> Option<Self> {
        let mut fields = text.splitn(6, ':').map(Cow::Borrowed);
        if fields.next()? != "arn" || fields.next()? != "aws" {
            return None;
        }
        Some(Self { service: fields.next()?, region: fields.next()?, account: fields.next()?, resource: fields.next()? })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ResourcePattern {
    Everything,
    /// Partition, service, region, account, resource.
    Arn(Box<[Pattern; 5]>),
}

/// The resources of a statement, or with `NotResource` all but these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resources {
    patterns: Vec<ResourcePattern>,
    is_negated: bool,
}

impl Resources {
    /// Of a statement that names none: whatever the policy hangs on.
    pub(super) fn all() -> Self {
        Self { patterns: vec![ResourcePattern::Everything], is_negated: false }
    }

    pub(super) fn parse(
        names: &[String],
        is_negated: bool,
        has_variables: bool,
        kind: PolicyKind,
    ) -> Result<Self, MalformedPolicy> {
        if names.is_empty() {
            return Err(MalformedPolicy::Missing("Resource"));
        }
        let patterns = names.iter().map(|name| ResourcePattern::parse(name, has_variables, kind));
        Ok(Self { patterns: patterns.collect::<Result<_, _>>()?, is_negated })
    }

    /// A variable without a value is like no resource. Behind `NotResource` that would let an allowance reach everything, so
    /// there it is no allowance at all.
    pub(super) fn include(&self, resource: &Resource<'_>, context: &Context<'_>, effect: Effect) -> bool {
        let mut is_unknown = false;
        for pattern in &self.patterns {
            match pattern.verdict(resource, context) {
                Verdict::Matches => return !self.is_negated,
                Verdict::Unknown => is_unknown = true,
                Verdict::Differs => {}
            }
        }
        self.is_negated && !(is_unknown && effect == Effect::Allow)
    }

    /// Whether one of the patterns can be about this bucket or something in it.
    pub(super) fn may_concern(&self, bucket: &BucketName) -> bool {
        self.is_negated || self.patterns.iter().any(|pattern| pattern.may_concern(bucket))
    }
}

impl ResourcePattern {
    fn parse(text: &str, has_variables: bool, kind: PolicyKind) -> Result<Self, MalformedPolicy> {
        if text == "*" {
            return Ok(Self::Everything);
        }
        let wrong = || MalformedPolicy::Resource(text.to_owned());
        let pieces = parse(text, Reading { has_variables, has_wildcards: true })?;
        let mut fields = split_fields(pieces);
        if fields.first().is_none_or(|first| *first != [Piece::Text("arn".to_owned())]) {
            return Err(wrong());
        }
        // What an identity's policy leaves out of an ARN is anything; a resource's own policy says it all.
        if fields.len() < 3 || (fields.len() < 6 && kind.hangs_on_a_resource()) {
            return Err(wrong());
        }
        fields.resize(6, vec![Piece::Many]);
        let patterns: Vec<Pattern> = fields.into_iter().skip(1).map(Pattern::new).collect();
        let patterns: Box<[Pattern; 5]> = patterns.into_boxed_slice().try_into().map_err(|_| wrong())?;
        Ok(Self::Arn(patterns))
    }

    fn verdict(&self, resource: &Resource<'_>, context: &Context<'_>) -> Verdict {
        let Self::Arn(patterns) = self else { return Verdict::Matches };
        let fields: [&str; 5] = ["aws", &resource.service, &resource.region, &resource.account, &resource.resource];
        let mut known = Verdict::Matches;
        // The last field differs most often.
        for (pattern, field) in patterns.iter().zip(fields).rev() {
            match pattern.verdict(field, context) {
                Verdict::Differs => return Verdict::Differs,
                Verdict::Unknown => known = Verdict::Unknown,
                Verdict::Matches => {}
            }
        }
        known
    }

    fn may_concern(&self, bucket: &BucketName) -> bool {
        let Self::Arn(patterns) = self else { return true };
        let [_, service, _, _, resource] = patterns.as_ref();
        let context = Context::default();
        if service.verdict("s3", &context) == Verdict::Differs {
            return false;
        }
        let Pattern::Fixed(glob) = resource else { return true };
        glob.matches(bucket.as_str()) || glob.may_begin_with(&format!("{}/", bucket.as_str()))
    }
}

/// The fields between the first five colons that are not a variable's own.
fn split_fields(pieces: Vec<Piece>) -> Vec<Vec<Piece>> {
    let mut fields: Vec<Vec<Piece>> = vec![Vec::new()];
    let push = |fields: &mut Vec<Vec<Piece>>, piece: Piece| {
        if let Some(field) = fields.last_mut() {
            field.push(piece);
        }
    };
    for piece in pieces {
        let Piece::Text(text) = piece else {
            push(&mut fields, piece);
            continue;
        };
        let mut rest = text.as_str();
        while fields.len() < 6
            && let Some((field, behind)) = rest.split_once(':')
        {
            if !field.is_empty() {
                push(&mut fields, Piece::Text(field.to_owned()));
            }
            fields.push(Vec::new());
            rest = behind;
        }
        if !rest.is_empty() {
            push(&mut fields, Piece::Text(rest.to_owned()));
        }
    }
    fields
}

/// An ARN to compare another with, field by field: `ArnLike` and `ArnEquals`, which are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ArnPattern(Vec<Pattern>);

impl ArnPattern {
    pub(super) fn parse(text: &str, has_variables: bool) -> Result<Self, MalformedPolicy> {
        let pieces = parse(text, Reading { has_variables, has_wildcards: true })?;
        // One star is every ARN; any other needs its six fields.
        if pieces == [Piece::Many] {
            return Ok(Self(Vec::new()));
        }
        let fields = split_fields(pieces);
        let is_open = fields.iter().flatten().any(|piece| matches!(piece, Piece::Variable { .. }));
        if fields.len() != 6 && !is_open {
            return Err(MalformedPolicy::Value(text.to_owned()));
        }
        Ok(Self(fields.into_iter().map(Pattern::new).collect()))
    }

    pub(super) fn matches(&self, text: &str, context: &Context<'_>) -> bool {
        let fields: Vec<&str> = text.splitn(6, ':').collect();
        match self.0.as_slice() {
            _ if fields.len() != 6 => false,
            [] => true,
            // A variable that stands for a whole ARN.
            [whole] => whole.matches(text, context),
            patterns if patterns.len() != 6 => false,
            patterns => patterns.iter().zip(fields).all(|(pattern, field)| pattern.matches(field, context)),
        }
    }

    /// It matches one ARN only.
    pub(super) fn is_fixed(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|pattern| pattern.fixed().is_some())
    }
}
