//! `BucketLoggingStatus`.

use bucket_config::LoggingConfiguration;
use bucket_config::logging::{LogKeyFormat, PartitionDate};

use super::super::requests::once;
use super::{Absent, ConfigXml, required, word};
use crate::error::S3Error;
use crate::request::bucket_address;
use crate::xml::{MalformedXml, XmlOut, XmlReader};

/// Whom a document gives access to the log objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogGrantee {
    User(String),
    /// Somebody by e-mail address, or a group.
    Other,
}

struct Status {
    logging: LoggingConfiguration,
    grantees: Vec<LogGrantee>,
}

impl ConfigXml for LoggingConfiguration {
    const ROOT: &'static str = "BucketLoggingStatus";
    const MAX_ELEMENTS: usize = 1_024;

    fn read(xml: &mut XmlReader<'_>) -> Result<Option<Self>, S3Error> {
        Ok(read_status(xml)?.map(|status| status.logging))
    }

    fn write(&self, out: &mut XmlOut) {
        out.element("LoggingEnabled", |out| {
            out.text("TargetBucket", &self.target.to_string());
            out.text("TargetPrefix", &self.prefix);
            out.element("TargetObjectKeyFormat", |out| match self.key_format {
                LogKeyFormat::Simple => out.element("SimplePrefix", |_| ()),
                LogKeyFormat::Partitioned(date) => {
                    out.element("PartitionedPrefix", |out| out.text("PartitionDateSource", date.as_str()));
                }
            });
        });
    }

    fn absent() -> Absent<Self> {
        Absent::Empty
    }
}

/// Whom a document that [`super::parse_config`] has taken gives access to the log objects. That is no part of what is kept.
pub fn log_grantees(body: &[u8]) -> Result<Vec<LogGrantee>, S3Error> {
    let mut xml = XmlReader::enter(body, LoggingConfiguration::ROOT, LoggingConfiguration::MAX_ELEMENTS)?;
    Ok(read_status(&mut xml)?.map(|status| status.grantees).unwrap_or_default())
}

fn read_status(xml: &mut XmlReader<'_>) -> Result<Option<Status>, S3Error> {
    let mut status = None;
    while let Some(name) = xml.child()? {
        match name.as_str() {
            "LoggingEnabled" => once(&mut status, read_enabled(xml)?)?,
            _ => return Err(MalformedXml.into()),
        }
    }
    Ok(status)
}

fn read_enabled(xml: &mut XmlReader<'_>) -> Result<Status, S3Error> {
    let (mut target, mut prefix, mut key_format, mut grantees) = (None, None, None, None);
    while let Some(name) = xml.child()? {
        match name.as_str() {
            "TargetBucket" => once(&mut target, xml.text()?)?,
            "TargetPrefix" => once(&mut prefix, xml.text()?)?,
            "TargetObjectKeyFormat" => once(&mut key_format, read_format(xml)?)?,
            "TargetGrants" => once(&mut grantees, read_grants(xml)?)?,
            _ => return Err(MalformedXml.into()),
        }
    }
    let logging = LoggingConfiguration {
        target: bucket_address(required(target)?.trim())?,
        prefix: required(prefix)?,
        key_format: key_format.unwrap_or(LogKeyFormat::Simple),
    };
    Ok(Status { logging, grantees: grantees.unwrap_or_default() })
}

fn read_format(xml: &mut XmlReader<'_>) -> Result<LogKeyFormat, MalformedXml> {
    let mut format = None;
    while let Some(name) = xml.child()? {
        let one = match name.as_str() {
            "SimplePrefix" => {
                if !xml.text()?.trim().is_empty() {
                    return Err(MalformedXml);
                }
                LogKeyFormat::Simple
            }
            "PartitionedPrefix" => LogKeyFormat::Partitioned(read_partition(xml)?),
            _ => return Err(MalformedXml),
        };
        once(&mut format, one)?;
    }
    required(format)
}

fn read_partition(xml: &mut XmlReader<'_>) -> Result<PartitionDate, MalformedXml> {
    let mut date = None;
    while let Some(name) = xml.child()? {
        match name.as_str() {
            "PartitionDateSource" => once(&mut date, word(&xml.text()?, PartitionDate::parse)?)?,
            _ => return Err(MalformedXml),
        }
    }
    Ok(date.unwrap_or(PartitionDate::DeliveryTime))
}

fn read_grants(xml: &mut XmlReader<'_>) -> Result<Vec<LogGrantee>, MalformedXml> {
    let mut grantees = Vec::new();
    while let Some(name) = xml.child()? {
        if name != "Grant" {
            return Err(MalformedXml);
        }
        let (mut grantee, mut permission) = (None, None);
        while let Some(name) = xml.child()? {
            match name.as_str() {
                "Grantee" => once(&mut grantee, read_grantee(xml)?)?,
                "Permission" => once(&mut permission, word(&xml.text()?, parse_permission)?)?,
                _ => return Err(MalformedXml),
            }
        }
        required(permission)?;
        grantees.push(required(grantee)?);
    }
    Ok(grantees)
}

fn parse_permission(text: &str) -> Option<()> {
    matches!(text, "FULL_CONTROL" | "READ" | "WRITE").then_some(())
}

fn read_grantee(xml: &mut XmlReader<'_>) -> Result<LogGrantee, MalformedXml> {
    let mut grantee = None;
    while let Some(name) = xml.child()? {
        let text = xml.text()?;
        match name.as_str() {
            "ID" => once(&mut grantee, LogGrantee::User(text))?,
            "EmailAddress" | "URI" => once(&mut grantee, LogGrantee::Other)?,
            "DisplayName" | "Type" => {}
            _ => return Err(MalformedXml),
        }
    }
    required(grantee)
}
