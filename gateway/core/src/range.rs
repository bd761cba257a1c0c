//! The `Range` of a GET, and the stricter one of a part copy.

use std::fmt;

use crate::error::{S3Error, S3ErrorCode};

/// What was asked for, before the size is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeRequest {
    /// From `first` to `last` or, without one, to the end.
    From { first: u64, last: Option<u64> },
    /// This many bytes at the end.
    Suffix(u64),
}

/// Bytes of an object, all of which exist. Both ends are included, and there is at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    first: u64,
    last: u64,
}

impl ByteRange {
    pub fn first(self) -> u64 {
        self.first
    }

    pub fn last(self) -> u64 {
        self.last
    }

    /// How many bytes; never zero.
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }

    /// The value of `Content-Range`.
    pub fn content_range(self, size: u64) -> String {
        format!("bytes {self}/{size}")
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl RangeRequest {
    /// The one range of a `Range` header. Anything else (another unit, several ranges, a syntax error) counts as no header,
    /// and the whole object is the answer, as HTTP asks.
    pub fn parse(header: &str) -> Option<Self> {
        let (unit, range) = header.trim().split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = range.trim().split_once('-')?;
        match (first.trim(), last.trim()) {
            ("", suffix) => Some(Self::Suffix(saturating_number(suffix)?)),
            (first, "") => Some(Self::From { first: saturating_number(first)?, last: None }),
            (first, last) => {
                let (first, last) = (saturating_number(first)?, saturating_number(last)?);
                (first <= last).then_some(Self::From { first, last: Some(last) })
            }
        }
    }

    /// The bytes that exist of it; an error when none do.
    pub fn resolve(self, size: u64) -> Result<ByteRange, S3Error> {
        let end = size.checked_sub(1);
        let range = match (self, end) {
            (Self::From { first, last }, Some(end)) if first <= end => {
                Some(ByteRange { first, last: last.unwrap_or(end).min(end) })
            }
            (Self::Suffix(length), Some(end)) if length > 0 => Some(ByteRange { first: size.saturating_sub(length), last: end }),
            _ => None,
        };
        range.ok_or_else(|| self.unsatisfiable(size))
    }

    fn unsatisfiable(self, size: u64) -> S3Error {
        let asked = match self {
            Self::From { first, last: Some(last) } => format!("bytes={first}-{last}"),
            Self::From { first, last: None } => format!("bytes={first}-"),
            Self::Suffix(length) => format!("bytes=-{length}"),
        };
        let error =
            S3Error::new(S3ErrorCode::InvalidRange).field("RangeRequested", asked).field("ActualObjectSize", size.to_string());
        match http::HeaderValue::from_str(&format!("bytes */{size}")) {
            Ok(value) => error.header(http::header::CONTENT_RANGE, value),
            Err(_) => error,
        }
    }
}

/// `x-amz-copy-source-range`: `bytes=first-last`, both present, nothing else.
pub fn parse_copy_source_range(header: &str) -> Result<RangeRequest, S3Error> {
    let strict = || {
        let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
        let (first, last) = (saturating_number(first)?, saturating_number(last)?);
        (first <= last).then_some(RangeRequest::From { first, last: Some(last) })
    };
    strict().ok_or_else(|| {
        let why = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
                   zero-based offsets of the first and last bytes to copy";
        S3Error::invalid_argument(why, "x-amz-copy-source-range", header)
    })
}

/// The bytes of a part copy: unlike a GET's range, it must lie within the source as a whole.
pub fn resolve_copy_source_range(range: RangeRequest, size: u64) -> Result<ByteRange, S3Error> {
    match range {
        RangeRequest::From { last: Some(last), .. } if last >= size => Err(range.unsatisfiable(size)),
        within => within.resolve(size),
    }
}

/// Digits only; more than fit are past every object's end anyway.
fn saturating_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(header: &str, size: u64) -> Option<Result<(u64, u64), S3ErrorCode>> {
        let range = RangeRequest::parse(header)?.resolve(size);
        Some(range.map(|r| (r.first(), r.last())).map_err(|error| error.code()))
    }

    #[test]
    fn a_single_range_is_cut_to_what_exists() {
        for (header, size, expected) in [
            ("bytes=0-4", 10, (0, 4)),
            ("bytes=4-", 10, (4, 9)),
            ("bytes=-7", 10, (3, 9)),
            ("bytes=-70", 10, (0, 9)),
            ("bytes=0-18446744073709551615", 10, (0, 9)),
            ("bytes=0-99999999999999999999999", 10, (0, 9)),
            ("Bytes = 9-9 ", 10, (9, 9)),
        ] {
            assert_eq!(bytes(header, size), Some(Ok(expected)), "{header}");
        }
    }

    #[test]
    fn a_range_of_nothing_that_exists_is_not_satisfiable() {
        for (header, size) in [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-0", 0), ("bytes=-1", 0)] {
            assert_eq!(bytes(header, size), Some(Err(S3ErrorCode::InvalidRange)), "{header}");
        }
        let error = RangeRequest::Suffix(0).resolve(10).expect_err("no bytes");
        assert_eq!(error.headers(), [(http::header::CONTENT_RANGE, http::HeaderValue::from_static("bytes */10"))]);
    }

    #[test]
    fn a_header_that_is_no_single_range_counts_as_absent() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "items=0-1",
            "bytes=0-1,3-4",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1--2",
            "0-1",
        ] {
            assert_eq!(RangeRequest::parse(header), None, "{header}");
        }
    }

    #[test]
    fn a_copy_source_range_has_one_form_and_lies_within_the_source() {
        for bad in
            ["0-2", "bytes=0", "bytes=hello-world", "bytes=0-bar", "bytes=hello-", "bytes=0-2,3-5", "bytes=2-1", "bytes=-5", ""]
        {
            assert_eq!(parse_copy_source_range(bad).expect_err(bad).code(), S3ErrorCode::InvalidArgument);
        }
        let range = parse_copy_source_range("bytes=0-9").expect("well formed");
        assert_eq!(resolve_copy_source_range(range, 10).map(ByteRange::length).map_err(|e| e.code()), Ok(10));
        assert_eq!(resolve_copy_source_range(range, 9).map_err(|e| e.code()), Err(S3ErrorCode::InvalidRange));
    }

    proptest! {
        #[test]
        fn a_range_never_reaches_past_the_object(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", size: u64) {
            if let Some(Ok((first, last))) = bytes(&header, size) {
                prop_assert!(first <= last && last < size);
            }
        }

        #[test]
        fn no_header_makes_the_parser_panic(header in "\\PC{0,30}", size: u64) {
            let _ = bytes(&header, size);
            if let Ok(range) = parse_copy_source_range(&header) {
                let _ = resolve_copy_source_range(range, size);
            }
        }
    }
}
