//! `WebsiteConfiguration`.

use bucket_config::WebsiteConfiguration;
use bucket_config::website::{HostRedirect, KeyReplacement, Protocol, Redirect, RoutingCondition, RoutingRule, Site};

use super::super::requests::once;
use super::{Absent, ConfigXml, required, word};
use crate::error::{S3Error, S3ErrorCode};
use crate::xml::{MalformedXml, XmlOut, XmlReader};

impl ConfigXml for WebsiteConfiguration {
    const ROOT: &'static str = "WebsiteConfiguration";
    const MAX_ELEMENTS: usize = 1_024;

    fn read(xml: &mut XmlReader<'_>) -> Result<Option<Self>, S3Error> {
        let (mut all, mut index, mut error, mut rules) = (None, None, None, None);
        while let Some(name) = xml.child()? {
            match name.as_str() {
                "RedirectAllRequestsTo" => once(&mut all, read_host(xml)?)?,
                "IndexDocument" => once(&mut index, read_only(xml, "Suffix")?)?,
                "ErrorDocument" => once(&mut error, read_only(xml, "Key")?)?,
                "RoutingRules" => once(&mut rules, read_rules(xml)?)?,
                _ => return Err(MalformedXml.into()),
            }
        }
        match (all, index) {
            (Some(all), None) if error.is_none() && rules.is_none() => Ok(Some(Self::RedirectAll(all))),
            (Some(_), _) => {
                Err(S3Error::invalid_request("RedirectAllRequestsTo cannot be provided in conjunction with other elements."))
            }
            (None, Some(index_suffix)) => {
                Ok(Some(Self::Site(Site { index_suffix, error_key: error, rules: rules.unwrap_or_default() })))
            }
            (None, None) => Err(S3Error::with_message(
                S3ErrorCode::InvalidArgument,
                "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
            )),
        }
    }

    fn write(&self, out: &mut XmlOut) {
        match self {
            Self::RedirectAll(all) => out.element("RedirectAllRequestsTo", |out| {
                out.text("HostName", &all.host);
                out.text_if("Protocol", all.protocol.map(Protocol::as_str));
            }),
            Self::Site(site) => {
                out.element("IndexDocument", |out| out.text("Suffix", &site.index_suffix));
                if let Some(key) = &site.error_key {
                    out.element("ErrorDocument", |out| out.text("Key", key));
                }
                if !site.rules.is_empty() {
                    out.element("RoutingRules", |out| {
                        for rule in &site.rules {
                            out.element("RoutingRule", |out| write_rule(rule, out));
                        }
                    });
                }
            }
        }
    }

    fn absent() -> Absent<Self> {
        Absent::Error(S3ErrorCode::NoSuchWebsiteConfiguration)
    }
}

/// An element that holds one other, and that one only text.
fn read_only(xml: &mut XmlReader<'_>, wanted: &str) -> Result<String, MalformedXml> {
    let mut value = None;
    while let Some(name) = xml.child()? {
        if name != wanted {
            return Err(MalformedXml);
        }
        once(&mut value, xml.text()?)?;
    }
    required(value)
}

fn read_host(xml: &mut XmlReader<'_>) -> Result<HostRedirect, MalformedXml> {
    let (mut host, mut protocol) = (None, None);
    while let Some(name) = xml.child()? {
        let text = xml.text()?;
        match name.as_str() {
            "HostName" => once(&mut host, text)?,
            "Protocol" => once(&mut protocol, word(&text, Protocol::parse)?)?,
            _ => return Err(MalformedXml),
        }
    }
    Ok(HostRedirect { host: required(host)?, protocol })
}

fn read_rules(xml: &mut XmlReader<'_>) -> Result<Vec<RoutingRule>, S3Error> {
    let mut rules = Vec::new();
    while let Some(name) = xml.child()? {
        if name != "RoutingRule" {
            return Err(MalformedXml.into());
        }
        let (mut condition, mut redirect) = (None, None);
        while let Some(name) = xml.child()? {
            match name.as_str() {
                "Condition" => once(&mut condition, read_condition(xml)?)?,
                "Redirect" => once(&mut redirect, read_redirect(xml)?)?,
                _ => return Err(MalformedXml.into()),
            }
        }
        rules.push(RoutingRule { condition, redirect: required(redirect)? });
    }
    Ok(rules)
}

fn read_condition(xml: &mut XmlReader<'_>) -> Result<RoutingCondition, MalformedXml> {
    let mut condition = RoutingCondition::default();
    while let Some(name) = xml.child()? {
        let text = xml.text()?;
        match name.as_str() {
            "KeyPrefixEquals" => once(&mut condition.key_prefix, text)?,
            "HttpErrorCodeReturnedEquals" => once(&mut condition.error_code, status(&text)?)?,
            _ => return Err(MalformedXml),
        }
    }
    Ok(condition)
}

fn read_redirect(xml: &mut XmlReader<'_>) -> Result<Redirect, S3Error> {
    let mut redirect = Redirect::default();
    while let Some(name) = xml.child()? {
        let text = xml.text()?;
        let replace = match name.as_str() {
            "HostName" => {
                once(&mut redirect.host, text)?;
                continue;
            }
            "Protocol" => {
                once(&mut redirect.protocol, word(&text, Protocol::parse)?)?;
                continue;
            }
            "HttpRedirectCode" => {
                once(&mut redirect.status, status(&text)?)?;
                continue;
            }
            "ReplaceKeyPrefixWith" => KeyReplacement::Prefix(text),
            "ReplaceKeyWith" => KeyReplacement::Key(text),
            _ => return Err(MalformedXml.into()),
        };
        if redirect.replace.replace(replace).is_some() {
            return Err(S3Error::invalid_request("You can only define ReplaceKeyPrefix or ReplaceKey but not both."));
        }
    }
    Ok(redirect)
}

fn status(text: &str) -> Result<u16, MalformedXml> {
    text.trim().parse().map_err(|_| MalformedXml)
}

fn write_rule(rule: &RoutingRule, out: &mut XmlOut) {
    if let Some(condition) = &rule.condition {
        out.element("Condition", |out| {
            out.text_if("KeyPrefixEquals", condition.key_prefix.as_deref());
            if let Some(code) = condition.error_code {
                out.value("HttpErrorCodeReturnedEquals", code);
            }
        });
    }
    out.element("Redirect", |out| {
        let Redirect { host, protocol, status, replace } = &rule.redirect;
        out.text_if("Protocol", protocol.map(Protocol::as_str));
        out.text_if("HostName", host.as_deref());
        match replace {
            Some(KeyReplacement::Prefix(prefix)) => out.text("ReplaceKeyPrefixWith", prefix),
            Some(KeyReplacement::Key(key)) => out.text("ReplaceKeyWith", key),
            None => {}
        }
        if let Some(status) = status {
            out.value("HttpRedirectCode", status);
        }
    });
}
