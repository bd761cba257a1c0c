//! `LifecycleConfiguration`, in its form of today and that of its first years.

use bucket_config::LifecycleConfiguration;
use bucket_config::lifecycle::{
    Expiration, LifecycleRule, NoncurrentExpiration, NoncurrentTransition, RuleConditions, RuleFilter, RuleScope, Transition,
    TransitionTime,
};
use types::Timestamp;

use super::super::requests::{boolean, once};
use super::tagging::{read_tag, write_tag};
use super::{Absent, ConfigXml, count, required, word};
use crate::dates::{format_iso8601, parse_iso8601};
use crate::error::{S3Error, S3ErrorCode};
use crate::xml::{MalformedXml, XmlOut, XmlReader};

impl ConfigXml for LifecycleConfiguration {
    const ROOT: &'static str = "LifecycleConfiguration";
    /// A thousand rules with what a rule usually has, and some room.
    const MAX_ELEMENTS: usize = 64_000;

    fn read(xml: &mut XmlReader<'_>) -> Result<Option<Self>, S3Error> {
        let mut rules = Vec::new();
        while let Some(name) = xml.child()? {
            if name != "Rule" {
                return Err(MalformedXml.into());
            }
            rules.push(read_rule(xml)?);
        }
        let mut lifecycle = Self { rules, transition_minimum: None };
        lifecycle.name_rules();
        Ok(Some(lifecycle))
    }

    fn write(&self, out: &mut XmlOut) {
        for rule in &self.rules {
            out.element("Rule", |out| write_rule(rule, out));
        }
    }

    fn absent() -> Absent<Self> {
        Absent::Error(S3ErrorCode::NoSuchLifecycleConfiguration)
    }
}

fn read_rule(xml: &mut XmlReader<'_>) -> Result<LifecycleRule, S3Error> {
    let (mut id, mut status, mut prefix, mut filter) = (None, None, None, None);
    let (mut expiration, mut noncurrent_expiration, mut abort_uploads_after) = (None, None, None);
    let (mut transitions, mut noncurrent_transitions) = (Vec::new(), Vec::new());
    while let Some(name) = xml.child()? {
        match name.as_str() {
            "ID" => once(&mut id, xml.text()?)?,
            "Status" => once(&mut status, word(&xml.text()?, parse_status)?)?,
            "Prefix" => once(&mut prefix, xml.text()?)?,
            "Filter" => once(&mut filter, read_filter(xml)?)?,
            "Expiration" => once(&mut expiration, read_expiration(xml)?)?,
            "NoncurrentVersionExpiration" => once(&mut noncurrent_expiration, read_noncurrent_expiration(xml)?)?,
            "Transition" => transitions.push(read_transition(xml)?),
            "NoncurrentVersionTransition" => noncurrent_transitions.push(read_noncurrent_transition(xml)?),
            "AbortIncompleteMultipartUpload" => once(&mut abort_uploads_after, read_abort(xml)?)?,
            _ => return Err(MalformedXml.into()),
        }
    }
    let scope = match (prefix, filter) {
        (Some(prefix), None) => RuleScope::Prefix(prefix),
        (None, Some(filter)) => RuleScope::Filter(filter),
        (Some(_), Some(_)) | (None, None) => return Err(MalformedXml.into()),
    };
    Ok(LifecycleRule {
        id: id.unwrap_or_default(),
        is_enabled: required(status)?,
        scope,
        expiration,
        noncurrent_expiration,
        transitions,
        noncurrent_transitions,
        abort_uploads_after,
    })
}

fn parse_status(text: &str) -> Option<bool> {
    match text {
        "Enabled" => Some(true),
        "Disabled" => Some(false),
        _ => None,
    }
}

fn read_filter(xml: &mut XmlReader<'_>) -> Result<RuleFilter, S3Error> {
    let mut filter = RuleFilter::default();
    while let Some(name) = xml.child()? {
        if name == "And" {
            let mut and = RuleConditions::default();
            while let Some(name) = xml.child()? {
                read_condition(xml, &name, &mut and)?;
            }
            once(&mut filter.and, and)?;
        } else {
            read_condition(xml, &name, &mut filter.conditions)?;
        }
    }
    Ok(filter)
}

fn read_condition(xml: &mut XmlReader<'_>, name: &str, into: &mut RuleConditions) -> Result<(), S3Error> {
    match name {
        "Prefix" => once(&mut into.prefix, xml.text()?)?,
        "Tag" => into.tags.push(read_tag(xml)?),
        "ObjectSizeGreaterThan" => once(&mut into.size_greater_than, size(&xml.text()?)?)?,
        "ObjectSizeLessThan" => once(&mut into.size_less_than, size(&xml.text()?)?)?,
        _ => return Err(MalformedXml.into()),
    }
    Ok(())
}

fn size(text: &str) -> Result<u64, MalformedXml> {
    text.trim().parse().map_err(|_| MalformedXml)
}

fn read_expiration(xml: &mut XmlReader<'_>) -> Result<Expiration, S3Error> {
    let mut expiration = None;
    while let Some(name) = xml.child()? {
        let text = xml.text()?;
        let one = match name.as_str() {
            "Days" => Expiration::Days(count(&text, "Days")?),
            "Date" => Expiration::Date(date(&text)?),
            "ExpiredObjectDeleteMarker" => Expiration::ExpiredDeleteMarker(boolean(&text)?),
            _ => return Err(MalformedXml.into()),
        };
        // At most one of them, and a `false` beside a time says nothing.
        match (expiration, one) {
            (None, one) | (Some(Expiration::ExpiredDeleteMarker(false)), one @ (Expiration::Days(_) | Expiration::Date(_))) => {
                expiration = Some(one);
            }
            (Some(Expiration::Days(_) | Expiration::Date(_)), Expiration::ExpiredDeleteMarker(false)) => {}
            (Some(_), _) => return Err(MalformedXml.into()),
        }
    }
    Ok(required(expiration)?)
}

fn read_noncurrent_expiration(xml: &mut XmlReader<'_>) -> Result<NoncurrentExpiration, S3Error> {
    let (mut days, mut newer_versions) = (None, None);
    while let Some(name) = xml.child()? {
        let text = xml.text()?;
        match name.as_str() {
            "NoncurrentDays" => once(&mut days, count(&text, "NoncurrentDays")?)?,
            "NewerNoncurrentVersions" => once(&mut newer_versions, count(&text, "NewerNoncurrentVersions")?)?,
            _ => return Err(MalformedXml.into()),
        }
    }
    Ok(NoncurrentExpiration { days: required(days)?, newer_versions })
}

fn read_transition(xml: &mut XmlReader<'_>) -> Result<Transition, S3Error> {
    let (mut after, mut storage_class) = (None, None);
    while let Some(name) = xml.child()? {
        let text = xml.text()?;
        match name.as_str() {
            "Days" => once(&mut after, TransitionTime::Days(count(&text, "Days")?))?,
            "Date" => once(&mut after, TransitionTime::Date(date(&text)?))?,
            "StorageClass" => once(&mut storage_class, text.trim().to_owned())?,
            _ => return Err(MalformedXml.into()),
        }
    }
    Ok(Transition { after: required(after)?, storage_class: required(storage_class)? })
}

fn read_noncurrent_transition(xml: &mut XmlReader<'_>) -> Result<NoncurrentTransition, S3Error> {
    let (mut days, mut newer_versions, mut storage_class) = (None, None, None);
    while let Some(name) = xml.child()? {
        let text = xml.text()?;
        match name.as_str() {
            "NoncurrentDays" => once(&mut days, count(&text, "NoncurrentDays")?)?,
            "NewerNoncurrentVersions" => once(&mut newer_versions, count(&text, "NewerNoncurrentVersions")?)?,
            "StorageClass" => once(&mut storage_class, text.trim().to_owned())?,
            _ => return Err(MalformedXml.into()),
        }
    }
    Ok(NoncurrentTransition { days: required(days)?, newer_versions, storage_class: required(storage_class)? })
}

fn read_abort(xml: &mut XmlReader<'_>) -> Result<u32, S3Error> {
    let mut days = None;
    while let Some(name) = xml.child()? {
        match name.as_str() {
            "DaysAfterInitiation" => once(&mut days, count(&xml.text()?, "DaysAfterInitiation")?)?,
            _ => return Err(MalformedXml.into()),
        }
    }
    Ok(required(days)?)
}

/// A moment, or a day, which begins at its midnight.
fn date(text: &str) -> Result<Timestamp, MalformedXml> {
    let text = text.trim();
    parse_iso8601(text).or_else(|| parse_iso8601(&format!("{text}T00:00:00Z"))).ok_or(MalformedXml)
}

fn write_rule(rule: &LifecycleRule, out: &mut XmlOut) {
    out.text("ID", &rule.id);
    match &rule.scope {
        RuleScope::Prefix(prefix) => out.text("Prefix", prefix),
        RuleScope::Filter(filter) => out.element("Filter", |out| {
            write_conditions(&filter.conditions, out);
            if let Some(and) = &filter.and {
                out.element("And", |out| write_conditions(and, out));
            }
        }),
    }
    out.text("Status", if rule.is_enabled { "Enabled" } else { "Disabled" });
    if let Some(expiration) = rule.expiration {
        out.element("Expiration", |out| match expiration {
            Expiration::Days(days) => out.value("Days", days),
            Expiration::Date(date) => out.text("Date", &format_iso8601(date)),
            Expiration::ExpiredDeleteMarker(goes) => out.value("ExpiredObjectDeleteMarker", goes),
        });
    }
    for transition in &rule.transitions {
        out.element("Transition", |out| {
            match transition.after {
                TransitionTime::Days(days) => out.value("Days", days),
                TransitionTime::Date(date) => out.text("Date", &format_iso8601(date)),
            }
            out.text("StorageClass", &transition.storage_class);
        });
    }
    for transition in &rule.noncurrent_transitions {
        out.element("NoncurrentVersionTransition", |out| {
            out.value("NoncurrentDays", transition.days);
            value_if(out, "NewerNoncurrentVersions", transition.newer_versions);
            out.text("StorageClass", &transition.storage_class);
        });
    }
    if let Some(expiration) = rule.noncurrent_expiration {
        out.element("NoncurrentVersionExpiration", |out| {
            out.value("NoncurrentDays", expiration.days);
            value_if(out, "NewerNoncurrentVersions", expiration.newer_versions);
        });
    }
    if let Some(days) = rule.abort_uploads_after {
        out.element("AbortIncompleteMultipartUpload", |out| out.value("DaysAfterInitiation", days));
    }
}

fn write_conditions(conditions: &RuleConditions, out: &mut XmlOut) {
    out.text_if("Prefix", conditions.prefix.as_deref());
    for tag in &conditions.tags {
        out.element("Tag", |out| write_tag(tag, out));
    }
    value_if(out, "ObjectSizeGreaterThan", conditions.size_greater_than);
    value_if(out, "ObjectSizeLessThan", conditions.size_less_than);
}

fn value_if(out: &mut XmlOut, name: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        out.value(name, value);
    }
}
