//! `NotificationConfiguration`.

use bucket_config::NotificationConfiguration;
use bucket_config::notification::{NotificationTarget, TargetKind};

use super::super::requests::once;
use super::{Absent, ConfigXml, required};
use crate::error::S3Error;
use crate::xml::{MalformedXml, XmlOut, XmlReader};

/// The element of a list's entry, and the one in it that names the destination.
const LISTS: [(TargetKind, &str, &str); 3] = [
    (TargetKind::Topic, "TopicConfiguration", "Topic"),
    (TargetKind::Queue, "QueueConfiguration", "Queue"),
    (TargetKind::Function, "CloudFunctionConfiguration", "CloudFunction"),
];

impl ConfigXml for NotificationConfiguration {
    const ROOT: &'static str = "NotificationConfiguration";
    const MAX_ELEMENTS: usize = 4_096;

    fn read(xml: &mut XmlReader<'_>) -> Result<Option<Self>, S3Error> {
        let mut targets = Vec::new();
        while let Some(name) = xml.child()? {
            if name == "EventBridgeConfiguration" {
                return Err(S3Error::not_implemented("EventBridgeConfiguration"));
            }
            let (kind, _, destination) = *LISTS.iter().find(|(_, entry, _)| *entry == name).ok_or(MalformedXml)?;
            targets.push(read_target(xml, kind, destination)?);
        }
        let mut notification = Self { targets };
        notification.name_targets();
        Ok((!notification.targets.is_empty()).then_some(notification))
    }

    fn write(&self, out: &mut XmlOut) {
        for (kind, entry, destination) in LISTS {
            for target in self.targets.iter().filter(|target| target.kind == kind) {
                out.element(entry, |out| write_target(target, destination, out));
            }
        }
    }

    fn absent() -> Absent<Self> {
        Absent::Empty
    }
}

fn read_target(xml: &mut XmlReader<'_>, kind: TargetKind, destination: &str) -> Result<NotificationTarget, S3Error> {
    let (mut id, mut arn, mut filter, mut events) = (None, None, None, Vec::new());
    while let Some(name) = xml.child()? {
        match name.as_str() {
            "Id" => once(&mut id, xml.text()?)?,
            "Event" => events.push(xml.text()?.trim().to_owned()),
            "Filter" => once(&mut filter, read_filter(xml)?)?,
            name if name == destination => once(&mut arn, xml.text()?.trim().to_owned())?,
            _ => return Err(MalformedXml.into()),
        }
    }
    let (prefix, suffix) = filter.unwrap_or_default();
    Ok(NotificationTarget { id: id.unwrap_or_default(), kind, arn: required(arn)?, events, prefix, suffix })
}

type Ends = (Option<String>, Option<String>);

fn read_filter(xml: &mut XmlReader<'_>) -> Result<Ends, S3Error> {
    let mut ends = None;
    while let Some(name) = xml.child()? {
        match name.as_str() {
            "S3Key" => once(&mut ends, read_ends(xml)?)?,
            _ => return Err(MalformedXml.into()),
        }
    }
    Ok(ends.unwrap_or_default())
}

fn read_ends(xml: &mut XmlReader<'_>) -> Result<Ends, S3Error> {
    let (mut prefix, mut suffix) = (None, None);
    while let Some(name) = xml.child()? {
        if name != "FilterRule" {
            return Err(MalformedXml.into());
        }
        let (mut end, mut value) = (None, None);
        while let Some(name) = xml.child()? {
            match name.as_str() {
                "Name" => once(&mut end, xml.text()?)?,
                "Value" => once(&mut value, xml.text()?)?,
                _ => return Err(MalformedXml.into()),
            }
        }
        let (end, value) = (required(end)?, required(value)?);
        let slot = match end.trim().to_ascii_lowercase().as_str() {
            "prefix" => &mut prefix,
            "suffix" => &mut suffix,
            _ => {
                let why = "filter rule name must be either prefix or suffix";
                return Err(S3Error::invalid_argument(why, "FilterRule.Name", end));
            }
        };
        if slot.replace(value).is_some() {
            let why = "Cannot specify more than one prefix rule or more than one suffix rule in a filter.";
            return Err(S3Error::invalid_argument(why, "FilterRule.Name", end));
        }
    }
    Ok((prefix, suffix))
}

fn write_target(target: &NotificationTarget, destination: &str, out: &mut XmlOut) {
    out.text("Id", &target.id);
    out.text(destination, &target.arn);
    for event in &target.events {
        out.text("Event", event);
    }
    let ends = [("Prefix", &target.prefix), ("Suffix", &target.suffix)];
    if ends.iter().any(|(_, value)| value.is_some()) {
        out.element("Filter", |out| {
            out.element("S3Key", |out| {
                for (name, value) in ends {
                    let Some(value) = value else { continue };
                    out.element("FilterRule", |out| {
                        out.text("Name", name);
                        out.text("Value", value);
                    });
                }
            });
        });
    }
}
