//! `CORSConfiguration`.

use bucket_config::CorsConfiguration;
use bucket_config::cors::CorsRule;

use super::super::requests::once;
use super::{Absent, ConfigXml, count};
use crate::error::{S3Error, S3ErrorCode};
use crate::xml::{MalformedXml, XmlOut, XmlReader};

impl ConfigXml for CorsConfiguration {
    const ROOT: &'static str = "CORSConfiguration";
    /// The body's size bounds it before this does.
    const MAX_ELEMENTS: usize = 8_192;

    fn read(xml: &mut XmlReader<'_>) -> Result<Option<Self>, S3Error> {
        let mut rules = Vec::new();
        while let Some(name) = xml.child()? {
            if name != "CORSRule" {
                return Err(MalformedXml.into());
            }
            rules.push(read_rule(xml)?);
        }
        Ok(Some(Self { rules }))
    }

    fn write(&self, out: &mut XmlOut) {
        for rule in &self.rules {
            out.element("CORSRule", |out| write_rule(rule, out));
        }
    }

    fn absent() -> Absent<Self> {
        Absent::Error(S3ErrorCode::NoSuchCORSConfiguration)
    }
}

fn read_rule(xml: &mut XmlReader<'_>) -> Result<CorsRule, S3Error> {
    let mut rule = CorsRule::default();
    while let Some(name) = xml.child()? {
        let text = xml.text()?;
        match name.as_str() {
            "ID" => once(&mut rule.id, text)?,
            "AllowedOrigin" => rule.allowed_origins.push(text),
            "AllowedMethod" => rule.allowed_methods.push(text),
            "AllowedHeader" => rule.allowed_headers.push(text),
            "ExposeHeader" => rule.expose_headers.push(text),
            "MaxAgeSeconds" => once(&mut rule.max_age_seconds, count(&text, "MaxAgeSeconds")?)?,
            _ => return Err(MalformedXml.into()),
        }
    }
    Ok(rule)
}

fn write_rule(rule: &CorsRule, out: &mut XmlOut) {
    out.text_if("ID", rule.id.as_deref());
    for (name, values) in [
        ("AllowedMethod", &rule.allowed_methods),
        ("AllowedOrigin", &rule.allowed_origins),
        ("AllowedHeader", &rule.allowed_headers),
        ("ExposeHeader", &rule.expose_headers),
    ] {
        for value in values {
            out.text(name, value);
        }
    }
    if let Some(seconds) = rule.max_age_seconds {
        out.value("MaxAgeSeconds", seconds);
    }
}
