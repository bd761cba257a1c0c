//! Points in time as policies write them: the W3C profile of ISO 8601, or seconds since 1970.

use types::Timestamp;

const DAY: i64 = 86_400_000;

/// Milliseconds since 1970. A date without a time is its first moment; without a zone it is UTC.
pub(crate) fn parse(text: &str) -> Option<i64> {
    // Four digits are a year.
    if let Ok(seconds) = text.parse::<i64>()
        && text.len() != 4
        && !text.starts_with('+')
    {
        return seconds.checked_mul(1000);
    }
    let (date, clock) = text.split_once('T').map_or((text, None), |(date, clock)| (date, Some(clock)));
    let mut parts = date.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |part| digits(part, 2))?;
    let day = parts.next().map_or(Some(1), |part| digits(part, 2))?;
    let is_day = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day) && parts.next().is_none();
    if !is_day {
        return None;
    }
    let midnight = days_since_1970(year, month, day) * DAY;
    // A time belongs to a whole date.
    let time = match clock {
        None => 0,
        Some(_) if date.len() != 10 => return None,
        Some(clock) => clock_time(clock)?,
    };
    Some(midnight + time)
}

/// `hh:mm[:ss[.fff]]` and `Z` or a difference to it.
fn clock_time(text: &str) -> Option<i64> {
    let (clock, behind_utc) = match text.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => match text.rfind(['+', '-']) {
            Some(at) => (text.get(..at)?, zone(text.get(at..)?)?),
            None => (text, 0),
        },
    };
    let mut parts = clock.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let (seconds, millis) = match parts.next() {
        None => (0, 0),
        Some(seconds) => match seconds.split_once('.') {
            None => (digits(seconds, 2)?, 0),
            Some((seconds, fraction)) => (digits(seconds, 2)?, fraction_millis(fraction)?),
        },
    };
    let is_time = hour < 24 && minute < 60 && seconds < 60 && parts.next().is_none();
    is_time.then(|| ((hour * 60 + minute) * 60 + seconds) * 1000 + millis - behind_utc)
}

fn zone(text: &str) -> Option<i64> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    let span = (hours * 60 + minutes) * 60_000;
    (hours < 24 && minutes < 60).then_some(if text.starts_with('-') { -span } else { span })
}

fn fraction_millis(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    let millis: String = text.chars().chain("00".chars()).take(3).collect();
    if is_number { millis.parse().ok() } else { None }
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counted in years that begin in March, so that the leap day is a year's last, and in eras of 400 years, which are alike.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `1994-11-06T08:49:37Z`.
pub(crate) fn format(at: Timestamp) -> String {
    let seconds = i64::try_from(at.seconds()).unwrap_or(i64::MAX);
    let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let years = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + years + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", clock / 3600, clock / 60 % 60, clock % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_date_are_read() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970", 0),
            ("1970-02", 31 * DAY),
            ("2000-02-29", 951_782_400_000),
            ("2026-11-05T12:30:00Z", 1_793_881_800_000),
            ("2026-11-05T12:30Z", 1_793_881_800_000),
            ("2026-11-05T13:30:00+01:00", 1_793_881_800_000),
            ("2026-11-05T07:00:00-05:30", 1_793_881_800_000),
            ("2026-11-05T12:30:00", 1_793_881_800_000),
            ("2026-11-05T12:30:00.25Z", 1_793_881_800_250),
            ("1969-12-31T23:59:59Z", -1000),
            ("1793881800", 1_793_881_800_000),
            ("0", 0),
            ("-5", -5000),
        ] {
            assert_eq!(parse(text), Some(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "never",
            "2026-13-01",
            "2026-02-29",
            "2026-11-31",
            "2026-1-1",
            "26-01-01",
            "2026-11-05T",
            "2026-11-05T24:00:00Z",
            "2026-11-05T12:60Z",
            "2026-11T12:00Z",
            "2026-11-05T12:00:00.Z",
            "2026-11-05T12:00:00+1:00",
            "2026-11-05-01",
            "2026-11-05 12:00:00",
            "+5",
            "2026-11-05T12:00:00+25:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for seconds in [0, 1, 951_782_399, 951_782_400, 1_793_881_800, 4_102_444_800, 32_503_680_000] {
            let text = format(Timestamp(seconds * 1000));
            assert_eq!(parse(&text), i64::try_from(seconds * 1000).ok(), "{text}");
        }
    }
}
