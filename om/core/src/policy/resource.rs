//! What a request is about, and what statements name: ARNs, `arn:partition:service:region:account:resource`.
//!
//! Wildcards stand for characters within one of the six fields; the last of them holds all that follows, so that a `*` behind a
//! bucket's name takes in every key.
//!
//! S3's ARNs leave region and account empty, since its names are one space. Ours are one a volume: in the account's place an ARN may name
//! the volume. One that names none means, in a bucket's policy, the bucket; in an identity's policy, a bucket of the identity's own volume.

use std::borrow::Cow;

use types::{BucketName, BucketPath, ObjectKey, VolumeName};

use super::context::Context;
use super::template::{Pattern, Piece, Reading, Verdict, parse};
use super::{Effect, MalformedPolicy, PolicyKind};

/// Where a bucket lies, as whoever asks sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locality<'a> {
    /// In the volume of the requester's account.
    Home(&'a str),
    Elsewhere(&'a str),
}

impl<'a> Locality<'a> {
    pub fn of(volume: &'a VolumeName, home: &VolumeName) -> Self {
        if volume == home { Self::Home(volume.as_str()) } else { Self::Elsewhere(volume.as_str()) }
    }

    fn verdict(self, account: &Pattern, names: Unqualified, context: &Context<'_>) -> Verdict {
        let (volume, is_home) = match self {
            Self::Home(volume) => (volume, true),
            Self::Elsewhere(volume) => (volume, false),
        };
        let short = if is_home || names == Unqualified::Anywhere { account.verdict("", context) } else { Verdict::Differs };
        match short {
            Verdict::Matches => Verdict::Matches,
            Verdict::Differs => account.verdict(volume, context),
            Verdict::Unknown if account.verdict(volume, context) == Verdict::Matches => Verdict::Matches,
            Verdict::Unknown => Verdict::Unknown,
        }
    }
}

/// Which buckets an ARN without a volume names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unqualified {
    /// Of the requester's own volume alone.
    AtHome,
    Anywhere,
}

/// The resource of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource<'a> {
    service: Cow<'a, str>,
    region: Cow<'a, str>,
    account: Cow<'a, str>,
    resource: Cow<'a, str>,
    /// Of a bucket and of what is in it.
    locality: Option<Locality<'a>>,
}

impl<'a> Resource<'a> {
    fn s3(resource: Cow<'a, str>, locality: Option<Locality<'a>>) -> Self {
        let nothing = Cow::Borrowed("");
        Self { service: Cow::Borrowed("s3"), region: nothing.clone(), account: nothing, resource, locality }
    }

    /// Of a request that is about no bucket: only a statement about everything takes it in.
    pub fn store() -> Self {
        Self::s3(Cow::Borrowed("*"), None)
    }

    pub fn bucket(name: &'a BucketName, at: Locality<'a>) -> Self {
        Self::s3(Cow::Borrowed(name.as_str()), Some(at))
    }

    pub fn object(bucket: &BucketName, at: Locality<'a>, key: &ObjectKey) -> Self {
        Self::s3(Cow::Owned(format!("{}/{}", bucket.as_str(), key.as_str())), Some(at))
    }

    /// What every key that begins so begins with.
    pub fn objects_under(bucket: &BucketName, at: Locality<'a>, prefix: &str) -> Self {
        Self::s3(Cow::Owned(format!("{}/{prefix}", bucket.as_str())), Some(at))
    }

    /// Of another service. None: it is no ARN.
    pub fn arn(text: &'a str) -> Option<Self> {
        let mut fields = text.splitn(6, ':').map(Cow::Borrowed);
        if fields.next()? != "arn" || fields.next()? != "aws" {
            return None;
        }
        let (service, region, account) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Self { service, region, account, resource: fields.next()?, locality: None })
    }

    /// Of any service. A bucket is one of this volume, unless the ARN names another.
    pub fn arn_at(text: &'a str, home: &'a VolumeName) -> Option<Self> {
        let resource = Self::arn(text)?;
        if resource.service != "s3" || !resource.region.is_empty() {
            return Some(resource);
        }
        let volume = text.split(':').nth(4).filter(|volume| !volume.is_empty());
        let locality = match volume {
            Some(volume) if volume != home.as_str() => Locality::Elsewhere(volume),
            Some(_) | None => Locality::Home(home.as_str()),
        };
        Some(Self { locality: Some(locality), ..resource })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ResourcePattern {
    Everything,
    /// Partition, service, region, account, resource.
    Arn(Box<[Pattern; 5]>),
}

/// On what a statement's policy hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Identity,
    /// Or another resource.
    Bucket,
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
    pub(super) fn include(&self, resource: &Resource<'_>, context: &Context<'_>, effect: Effect, owner: Owner) -> bool {
        // What an identity's policy gives by a name alone is its own volume's; what it takes away by one, it takes away wherever
        // that is: nobody gets around a denial by the way to another volume.
        let takes_away = (effect == Effect::Deny) != self.is_negated;
        let names = if owner == Owner::Bucket || takes_away { Unqualified::Anywhere } else { Unqualified::AtHome };
        let mut is_unknown = false;
        for pattern in &self.patterns {
            match pattern.verdict(resource, context, names) {
                Verdict::Matches => return !self.is_negated,
                Verdict::Unknown => is_unknown = true,
                Verdict::Differs => {}
            }
        }
        self.is_negated && !(is_unknown && effect == Effect::Allow)
    }

    /// Whether one of the patterns can be about this bucket or something in it.
    pub(super) fn may_concern(&self, bucket: &BucketPath) -> bool {
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

    fn verdict(&self, resource: &Resource<'_>, context: &Context<'_>, names: Unqualified) -> Verdict {
        let Self::Arn(patterns) = self else { return Verdict::Matches };
        let [partition, service, region, account, last] = patterns.as_ref();
        // The last field differs most often.
        last.verdict(&resource.resource, context)
            .and(|| match resource.locality {
                Some(locality) => locality.verdict(account, names, context),
                None => account.verdict(&resource.account, context),
            })
            .and(|| region.verdict(&resource.region, context))
            .and(|| service.verdict(&resource.service, context))
            .and(|| partition.verdict("aws", context))
    }

    fn may_concern(&self, bucket: &BucketPath) -> bool {
        let Self::Arn(patterns) = self else { return true };
        let [_, service, _, account, resource] = patterns.as_ref();
        let context = Context::default();
        let volume = Locality::Home(bucket.volume().as_str());
        if service.verdict("s3", &context) == Verdict::Differs
            || volume.verdict(account, Unqualified::Anywhere, &context) == Verdict::Differs
        {
            return false;
        }
        let Pattern::Fixed(glob) = resource else { return true };
        let name = bucket.name().as_str();
        glob.matches(name) || glob.may_begin_with(&format!("{name}/"))
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
