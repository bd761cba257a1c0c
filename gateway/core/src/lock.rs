//! Object lock: its headers and its documents.

use types::{DefaultRetention, ObjectLock, Retention, RetentionMode, RetentionPeriod, Timestamp};

use crate::dates::{format_iso8601, parse_iso8601};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::RequestHead;
use crate::xml::{MalformedXml, XmlOut, XmlReader};

/// The most that S3 takes, in days and in years.
const MAX_DAYS: u64 = 36_500;
const MAX_YEARS: u64 = 100;

pub fn mode_name(mode: RetentionMode) -> &'static str {
    match mode {
        RetentionMode::Governance => "GOVERNANCE",
        RetentionMode::Compliance => "COMPLIANCE",
    }
}

fn mode(text: &str) -> Option<RetentionMode> {
    match text {
        "GOVERNANCE" => Some(RetentionMode::Governance),
        "COMPLIANCE" => Some(RetentionMode::Compliance),
        _ => None,
    }
}

/// The lock that a write asks for by `x-amz-object-lock-…`. Its date is still to be held against the clock.
pub fn parse_headers(head: &RequestHead) -> Result<Option<ObjectLock>, S3Error> {
    let asked_mode = head.header("x-amz-object-lock-mode")?;
    let asked_until = head.header("x-amz-object-lock-retain-until-date")?;
    let retention = match (asked_mode, asked_until) {
        (None, None) => None,
        (Some(name), Some(until)) => {
            let unknown = || S3Error::invalid_argument("Unknown wormMode directive.", "x-amz-object-lock-mode", &*name);
            Some(Retention { mode: mode(&name).ok_or_else(unknown)?, until: parse_until(&until)? })
        }
        (Some(_), None) | (None, Some(_)) => {
            let why = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
            return Err(S3Error::invalid_argument(why, "x-amz-object-lock-mode", ""));
        }
    };
    let legal_hold = match head.header("x-amz-object-lock-legal-hold")?.as_deref() {
        None => None,
        Some("ON") => Some(true),
        Some("OFF") => Some(false),
        Some(other) => {
            let why = "Legal Hold must be either of 'ON' or 'OFF'";
            return Err(S3Error::invalid_argument(why, "x-amz-object-lock-legal-hold", other));
        }
    };
    let lock = ObjectLock { retention, legal_hold };
    Ok((lock != ObjectLock::default()).then_some(lock))
}

fn parse_until(text: &str) -> Result<Timestamp, S3Error> {
    parse_iso8601(text).ok_or_else(|| {
        let why = "The retain until date must be provided in ISO 8601 format";
        S3Error::invalid_argument(why, "x-amz-object-lock-retain-until-date", text)
    })
}

/// A retention that has ended already would keep nothing.
pub fn check_until(retention: Option<Retention>, now: Timestamp) -> Result<(), S3Error> {
    match retention {
        Some(retention) if retention.until <= now => {
            let why = "The retain until date must be in the future!";
            Err(S3Error::invalid_argument(why, "RetainUntilDate", format_iso8601(retention.until)))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether the request asks to bypass governance.
pub fn wants_bypass(head: &RequestHead) -> Result<bool, S3Error> {
    Ok(head.header("x-amz-bypass-governance-retention")?.is_some_and(|text| text.trim().eq_ignore_ascii_case("true")))
}

/// `ObjectLockConfiguration` as a client sends it: the default retention.
pub fn parse_configuration(body: &[u8]) -> Result<Option<DefaultRetention>, S3Error> {
    let mut xml = XmlReader::enter(body, "ObjectLockConfiguration", 16)?;
    let (mut is_enabled, mut rule) = (false, None);
    while let Some(name) = xml.child()? {
        match name.as_str() {
            "ObjectLockEnabled" if xml.text()? == "Enabled" => is_enabled = true,
            "Rule" if rule.is_none() => rule = Some(read_rule(&mut xml)?),
            _ => return Err(MalformedXml.into()),
        }
    }
    xml.finish()?;
    if is_enabled { Ok(rule) } else { Err(MalformedXml.into()) }
}

fn read_rule(xml: &mut XmlReader<'_>) -> Result<DefaultRetention, S3Error> {
    let mut found = None;
    while let Some(name) = xml.child()? {
        if name != "DefaultRetention" || found.is_some() {
            return Err(MalformedXml.into());
        }
        let (mut named_mode, mut days, mut years) = (None, None, None);
        while let Some(name) = xml.child()? {
            let text = xml.text()?;
            match name.as_str() {
                "Mode" => named_mode = Some(mode(&text).ok_or(MalformedXml)?),
                "Days" => days = Some(text),
                "Years" => years = Some(text),
                _ => return Err(MalformedXml.into()),
            }
        }
        let period = match (days, years) {
            (Some(days), None) => RetentionPeriod::Days(period(&days, MAX_DAYS)?),
            (None, Some(years)) => RetentionPeriod::Years(period(&years, MAX_YEARS)?),
            (None, None) | (Some(_), Some(_)) => return Err(MalformedXml.into()),
        };
        found = Some(DefaultRetention { mode: named_mode.ok_or(MalformedXml)?, period });
    }
    found.ok_or_else(|| MalformedXml.into())
}

fn period(text: &str, most: u64) -> Result<u32, S3Error> {
    let number: i64 = text.trim().parse().map_err(|_| MalformedXml)?;
    let invalid = |why| S3Error::with_message(S3ErrorCode::InvalidRetentionPeriod, why);
    match u64::try_from(number) {
        Err(_) | Ok(0) => Err(invalid("Default retention period must be a positive integer value.")),
        Ok(number) if number > most => Err(invalid("Default retention period too large.")),
        Ok(number) => u32::try_from(number).map_err(|_| MalformedXml.into()),
    }
}

pub fn configuration_xml(default: Option<DefaultRetention>) -> String {
    XmlOut::with_root("ObjectLockConfiguration", |out| {
        out.value("ObjectLockEnabled", "Enabled");
        if let Some(default) = default {
            out.element("Rule", |rule| {
                rule.element("DefaultRetention", |retention| {
                    retention.value("Mode", mode_name(default.mode));
                    match default.period {
                        RetentionPeriod::Days(days) => retention.value("Days", days),
                        RetentionPeriod::Years(years) => retention.value("Years", years),
                    }
                });
            });
        }
    })
}

/// `Retention`: none asks for no retention any more.
pub fn parse_retention(body: &[u8]) -> Result<Option<Retention>, S3Error> {
    let mut xml = XmlReader::enter(body, "Retention", 8)?;
    let (mut named_mode, mut until) = (None, None);
    while let Some(name) = xml.child()? {
        let text = xml.text()?;
        match name.as_str() {
            "Mode" if named_mode.is_none() => named_mode = Some(mode(&text).ok_or(MalformedXml)?),
            "RetainUntilDate" if until.is_none() => until = Some(parse_iso8601(&text).ok_or(MalformedXml)?),
            _ => return Err(MalformedXml.into()),
        }
    }
    xml.finish()?;
    match (named_mode, until) {
        (None, None) => Ok(None),
        (Some(mode), Some(until)) => Ok(Some(Retention { mode, until })),
        (Some(_), None) | (None, Some(_)) => Err(MalformedXml.into()),
    }
}

pub fn retention_xml(retention: Retention) -> String {
    XmlOut::with_root("Retention", |out| {
        out.value("Mode", mode_name(retention.mode));
        out.value("RetainUntilDate", format_iso8601(retention.until));
    })
}

/// `LegalHold`: whether it is on.
pub fn parse_legal_hold(body: &[u8]) -> Result<bool, S3Error> {
    let mut xml = XmlReader::enter(body, "LegalHold", 4)?;
    let mut status = None;
    while let Some(name) = xml.child()? {
        match (name.as_str(), xml.text()?.as_str()) {
            ("Status", "ON") if status.is_none() => status = Some(true),
            ("Status", "OFF") if status.is_none() => status = Some(false),
            _ => return Err(MalformedXml.into()),
        }
    }
    xml.finish()?;
    status.ok_or_else(|| MalformedXml.into())
}

pub fn hold_name(hold: bool) -> &'static str {
    if hold { "ON" } else { "OFF" }
}

pub fn legal_hold_xml(hold: bool) -> String {
    XmlOut::with_root("LegalHold", |out| out.value("Status", hold_name(hold)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode::{InvalidArgument, InvalidRetentionPeriod, MalformedXML};

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn configuration(rule: &str) -> Result<Option<DefaultRetention>, S3Error> {
        let enabled = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>";
        parse_configuration(format!("<ObjectLockConfiguration>{enabled}{rule}</ObjectLockConfiguration>").as_bytes())
    }

    #[test]
    fn a_configuration_reads_back_as_it_was_written() {
        for default in [
            None,
            Some(DefaultRetention { mode: RetentionMode::Governance, period: RetentionPeriod::Days(1) }),
            Some(DefaultRetention { mode: RetentionMode::Compliance, period: RetentionPeriod::Years(100) }),
        ] {
            assert_eq!(parse_configuration(configuration_xml(default).as_bytes()).expect("ours"), default);
        }
    }

    #[test]
    fn a_default_has_one_mode_and_one_period() {
        let rule = |inside: &str| format!("<Rule><DefaultRetention>{inside}</DefaultRetention></Rule>");
        for (inside, code) in [
            ("<Mode>governance</Mode><Days>1</Days>", MalformedXML),
            ("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>", MalformedXML),
            ("<Mode>GOVERNANCE</Mode>", MalformedXML),
            ("<Days>1</Days>", MalformedXML),
            ("<Mode>GOVERNANCE</Mode><Days>0</Days>", InvalidRetentionPeriod),
            ("<Mode>GOVERNANCE</Mode><Years>-1</Years>", InvalidRetentionPeriod),
            ("<Mode>GOVERNANCE</Mode><Days>36501</Days>", InvalidRetentionPeriod),
        ] {
            assert_eq!(configuration(&rule(inside)).expect_err("refused").code(), code, "{inside}");
        }
        for document in [
            "<ObjectLockConfiguration/>",
            "<ObjectLockConfiguration><ObjectLockEnabled>Disabled</ObjectLockEnabled></ObjectLockConfiguration>",
        ] {
            assert_eq!(parse_configuration(document.as_bytes()).expect_err("refused").code(), MalformedXML);
        }
    }

    #[test]
    fn a_retention_of_the_far_future_keeps_its_date() {
        let document =
            b"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2140-01-01T00:00:00.000Z</RetainUntilDate></Retention>";
        let retention = parse_retention(document).expect("well formed").expect("one");
        assert!(retention_xml(retention).contains("<RetainUntilDate>2140-01-01T00:00:00"));
        assert_eq!(parse_retention(b"<Retention/>").expect("none"), None);
        for (inside, code) in [
            ("<Mode>GOVERNANCE</Mode>", MalformedXML),
            ("<RetainUntilDate>2140-01-01T00:00:00Z</RetainUntilDate>", MalformedXML),
            ("<Mode>abc</Mode><RetainUntilDate>2140-01-01T00:00:00Z</RetainUntilDate>", MalformedXML),
        ] {
            let document = format!("<Retention>{inside}</Retention>");
            assert_eq!(parse_retention(document.as_bytes()).expect_err("refused").code(), code, "{inside}");
        }
    }

    #[test]
    fn a_retention_ends_in_the_future() {
        let until = |at| Some(Retention { mode: RetentionMode::Governance, until: Timestamp(at) });
        assert_eq!(check_until(until(NOW.0), NOW).expect_err("over").code(), InvalidArgument);
        assert!(check_until(until(NOW.0 + 1), NOW).is_ok() && check_until(None, NOW).is_ok());
    }

    #[test]
    fn a_hold_is_on_or_off() {
        for hold in [true, false] {
            assert_eq!(parse_legal_hold(legal_hold_xml(hold).as_bytes()).expect("ours"), hold);
        }
        assert!(parse_legal_hold(b"<LegalHold><Status>abc</Status></LegalHold>").is_err());
        assert!(parse_legal_hold(b"<LegalHold/>").is_err());
    }
}
