//! The forms in which S3 writes and reads points in time. All are UTC.

use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};
use types::Timestamp;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sun, 06 Nov 1994 08:49:37 GMT`, as in `Last-Modified`.
pub fn format_http_date(at: Timestamp) -> String {
    let t = utc(at);
    let day = DAYS[usize::from(t.weekday().number_days_from_monday())];
    let month = MONTHS[usize::from(u8::from(t.month()) - 1)];
    format!("{day}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT", t.day(), t.year(), t.hour(), t.minute(), t.second())
}

/// `1994-11-06T08:49:37.000Z`, as in XML bodies.
pub fn format_iso8601(at: Timestamp) -> String {
    let t = utc(at);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second(),
        t.millisecond()
    )
}

/// `19941106T084937Z`, as SigV4 signs it.
pub fn format_iso_basic(at: Timestamp) -> String {
    let t = utc(at);
    format!("{}T{:02}{:02}{:02}Z", format_scope_date(at), t.hour(), t.minute(), t.second())
}

/// `06/Nov/1994:08:49:37 +0000`, as in access logs.
pub fn format_log_time(at: Timestamp) -> String {
    let t = utc(at);
    let month = MONTHS[usize::from(u8::from(t.month()) - 1)];
    format!("{:02}/{month}/{:04}:{:02}:{:02}:{:02} +0000", t.day(), t.year(), t.hour(), t.minute(), t.second())
}

/// Year, month, day, hour, minute, second.
pub(crate) fn civil(at: Timestamp) -> [u32; 6] {
    let t = utc(at);
    let (year, small) = (u32::try_from(t.year()).unwrap_or(0), |n: u8| u32::from(n));
    [year, small(u8::from(t.month())), small(t.day()), small(t.hour()), small(t.minute()), small(t.second())]
}

/// `19941106`, as a credential scope names it.
pub fn format_scope_date(at: Timestamp) -> String {
    let t = utc(at);
    format!("{:04}{:02}{:02}", t.year(), u8::from(t.month()), t.day())
}

/// `19941106T084937Z` and nothing else.
pub fn parse_iso_basic(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| digits(text.get(from..to)?);
    let date = calendar_date(number(0, 4)?, number(4, 6)?, number(6, 8)?)?;
    timestamp(date, number(9, 11)?, number(11, 13)?, number(13, 15)?)
}

/// The three forms of an HTTP date, and RFC 1123 with a numeric zone.
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    imf_fixdate(text).or_else(|| rfc850(text)).or_else(|| asctime(text)).or_else(|| numeric_zone(text))
}

/// `1994-11-06T08:49:37Z`, with or without a fraction of the second and with any zone.
pub fn parse_iso8601(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(Timestamp)
}

fn utc(at: Timestamp) -> OffsetDateTime {
    // The year 9999 ends before 2^53 ms; a later time is a bug upstream and still gets four digits of year.
    const LAST: u64 = 253_402_300_799_999;
    let nanos = i128::from(at.0.min(LAST)) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (or `UTC`).
fn imf_fixdate(text: &str) -> Option<Timestamp> {
    let (day, rest) = text.split_once(", ")?;
    DAYS.contains(&day).then_some(())?;
    let mut words = rest.split(' ');
    let day = digits(words.next()?)?;
    let month = month(words.next()?)?;
    let year = digits(words.next()?)?;
    let clock = words.next()?;
    let zone = words.next()?;
    (matches!(zone, "GMT" | "UTC") && words.next().is_none()).then_some(())?;
    on_clock(calendar_date(year, month, day)?, clock)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`.
fn rfc850(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let mut date = words.next()?.split('-');
    let day = digits(date.next()?)?;
    let month = month(date.next()?)?;
    let short_year = digits(date.next()?)?;
    let clock = words.next()?;
    (words.next()? == "GMT" && words.next().is_none() && date.next().is_none() && short_year < 100).then_some(())?;
    // Two digits of year are of this century up to 69, as everywhere.
    let year = if short_year < 70 { 2000 + short_year } else { 1900 + short_year };
    on_clock(calendar_date(year, month, day)?, clock)
}

/// `Sun Nov  6 08:49:37 1994`.
fn asctime(text: &str) -> Option<Timestamp> {
    let mut words = text.split_ascii_whitespace();
    DAYS.contains(&words.next()?).then_some(())?;
    let month = month(words.next()?)?;
    let day = digits(words.next()?)?;
    let clock = words.next()?;
    let year = digits(words.next()?)?;
    words.next().is_none().then_some(())?;
    on_clock(calendar_date(year, month, day)?, clock)
}

/// `Sun, 06 Nov 1994 08:49:37 -0000`, as mail libraries write it.
fn numeric_zone(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc2822).ok()?.to_offset(UtcOffset::UTC);
    u64::try_from(at.unix_timestamp()).ok()?.checked_mul(1000).map(Timestamp)
}

fn month(name: &str) -> Option<u32> {
    let index = MONTHS.iter().position(|month| *month == name)?;
    u32::try_from(index + 1).ok()
}

fn digits(text: &str) -> Option<u32> {
    let well_formed = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    well_formed.then(|| text.parse().ok()).flatten()
}

fn calendar_date(year: u32, month: u32, day: u32) -> Option<Date> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()
}

fn on_clock(date: Date, clock: &str) -> Option<Timestamp> {
    let mut parts = clock.split(':');
    let (hour, minute, second) = (digits(parts.next()?)?, digits(parts.next()?)?, digits(parts.next()?)?);
    parts.next().is_none().then_some(())?;
    timestamp(date, hour, minute, second)
}

fn timestamp(date: Date, hour: u32, minute: u32, second: u32) -> Option<Timestamp> {
    let clock = Time::from_hms(u8::try_from(hour).ok()?, u8::try_from(minute).ok()?, u8::try_from(second).ok()?).ok()?;
    let seconds = PrimitiveDateTime::new(date, clock).assume_utc().unix_timestamp();
    u64::try_from(seconds).ok()?.checked_mul(1000).map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: Timestamp = Timestamp(784_111_777_000);

    #[test]
    fn every_form_of_a_date_is_the_same_moment() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 -0000",
            "Sun, 06 Nov 1994 09:49:37 +0100",
        ] {
            assert_eq!(parse_http_date(text), Some(AT), "{text}");
        }
        assert_eq!(parse_iso_basic("19941106T084937Z"), Some(AT));
        for text in ["1994-11-06T08:49:37Z", "1994-11-06T08:49:37.000Z", "1994-11-06T10:49:37+02:00"] {
            assert_eq!(parse_iso8601(text), Some(AT), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for bad in [
            "",
            "0",
            "yesterday",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nov 1950 08:49:37 GMT",
            "Sun, é6 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_http_date(bad), None, "{bad}");
        }
        for bad in ["", "19941106T084937", "1994110éT08493Z", "19941306T084937Z", "+9941106T084937Z"] {
            assert_eq!(parse_iso_basic(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_written_as_clients_read_them() {
        assert_eq!(format_http_date(AT), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(format_iso8601(Timestamp(AT.0 + 7)), "1994-11-06T08:49:37.007Z");
        assert_eq!(format_iso8601(Timestamp(u64::MAX)), "9999-12-31T23:59:59.999Z");
    }

    proptest! {
        #[test]
        fn a_date_reads_back(seconds in 0_u64..253_402_300_800) {
            let at = Timestamp(seconds * 1000);
            prop_assert_eq!(parse_http_date(&format_http_date(at)), Some(at));
            prop_assert_eq!(parse_iso_basic(&format_iso_basic(at)), Some(at));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
            let _ = parse_http_date(&text);
            let _ = parse_iso_basic(&text);
        }
    }
}
