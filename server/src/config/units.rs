//! Durations and sizes as people write them: `250ms`, `10s`, `5m`, `2h`, `1d`; `64KiB`, `5GiB`, `1000000`.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

const DURATIONS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// A whole number and one of these units, with nothing left over and no overflow.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

macro_rules! from_text {
    ($name:ident, $units:ident, $wrap:expr, $expecting:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        parse(text, $units).map($wrap).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
                    }
                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }
    };
}

from_text!(Span, DURATIONS, |ms| Span(Duration::from_millis(ms)), "a duration such as \"250ms\", \"10s\", \"5m\"");
from_text!(Size, SIZES, Size, "a size such as \"64KiB\", \"5GiB\" or a number of bytes");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_need_a_whole_number_and_a_known_unit() {
        assert_eq!(parse("250ms", DURATIONS), Some(250));
        assert_eq!(parse("2 h", DURATIONS), Some(7_200_000));
        assert_eq!(parse("5", DURATIONS), None);
        assert_eq!(parse("5GiB", SIZES), Some(5 << 30));
        assert_eq!(parse("7", SIZES), Some(7));
        for bad in ["", "GiB", "-1s", "1.5h", "99999999999999999999s", "18446744073709551615TiB"] {
            assert_eq!(parse(bad, SIZES), None, "{bad}");
        }
    }
}
