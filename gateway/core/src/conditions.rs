//! Conditions: what a request requires of the object that is there.
//!
//! Those of reads are evaluated here, against what the namespace answered. Those of writes are only parsed here: they are
//! decided where the write is, by the namespace.

use http::Method;
use types::{ETag, Precondition, Timestamp};

use crate::dates::{parse_http_date, parse_iso8601};
use crate::dispatch::S3Operation;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::RequestHead;

/// The value of `If-Match` or `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ETagCondition {
    /// `*`: any object at all.
    Any,
    OneOf(Vec<ETagPattern>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ETagPattern {
    /// `None` for a tag that none of ours can equal.
    pub etag: Option<ETag>,
    /// `W/"…"`: equal for `If-None-Match` only.
    pub weak: bool,
}

impl ETagCondition {
    /// Quoted and bare tags, one or several.
    pub fn parse(header: &str) -> Self {
        let header = header.trim();
        if header == "*" {
            return Self::Any;
        }
        Self::OneOf(header.split(',').map(|text| ETagPattern::parse(text.trim())).collect())
    }

    /// As `If-Match` compares: weak tags never match.
    pub fn matches_strongly(&self, etag: ETag) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|tag| !tag.weak && tag.etag == Some(etag)),
        }
    }

    /// As `If-None-Match` compares.
    pub fn matches_weakly(&self, etag: ETag) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|tag| tag.etag == Some(etag)),
        }
    }
}

impl ETagCondition {
    /// The one strong tag that it names.
    fn single(&self) -> ETag {
        match self {
            Self::OneOf(tags) => match tags.as_slice() {
                [ETagPattern { etag: Some(etag), weak: false }] => *etag,
                _ => UNMATCHABLE,
            },
            Self::Any => UNMATCHABLE,
        }
    }
}

impl ETagPattern {
    fn parse(text: &str) -> Self {
        let (weak, text) = match text.strip_prefix("W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        Self { etag: ETag::parse(bare), weak }
    }
}

/// The four conditions of GET, HEAD and a copy's source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadConditions {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
}

/// What the conditions make of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadVerdict {
    Send,
    NotModified,
    PreconditionFailed(Precondition),
}

/// What the names of a source's conditions begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceOf {
    Copy,
    Rename,
}

/// Names the condition that did not hold, as far as that is known.
pub fn precondition_failed(which: Option<Precondition>, source: SourceOf) -> S3Error {
    let failed = S3Error::new(S3ErrorCode::PreconditionFailed);
    let Some(which) = which else { return failed };
    let (is_of_source, name) = match which {
        Precondition::IfMatch => (false, "If-Match"),
        Precondition::IfNoneMatch => (false, "If-None-Match"),
        Precondition::IfModifiedSince => (false, "If-Modified-Since"),
        Precondition::IfUnmodifiedSince => (false, "If-Unmodified-Since"),
        Precondition::SourceIfMatch => (true, "If-Match"),
        Precondition::SourceIfNoneMatch => (true, "If-None-Match"),
        Precondition::SourceIfModifiedSince => (true, "If-Modified-Since"),
        Precondition::SourceIfUnmodifiedSince => (true, "If-Unmodified-Since"),
        Precondition::IfLastModified => (false, "x-amz-if-match-last-modified-time"),
        Precondition::IfSize => (false, "x-amz-if-match-size"),
    };
    let start = match (is_of_source, source) {
        (false, _) => "",
        (true, SourceOf::Copy) => "x-amz-copy-source-",
        (true, SourceOf::Rename) => "x-amz-rename-source-",
    };
    failed.field("Condition", format!("{start}{name}"))
}

impl ReadConditions {
    pub fn of_read(head: &RequestHead) -> Result<Self, S3Error> {
        Self::parse(head, "if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
    }

    pub fn of_copy_source(head: &RequestHead) -> Result<Self, S3Error> {
        Self::parse(
            head,
            "x-amz-copy-source-if-match",
            "x-amz-copy-source-if-none-match",
            "x-amz-copy-source-if-modified-since",
            "x-amz-copy-source-if-unmodified-since",
        )
    }

    pub fn of_rename_source(head: &RequestHead) -> Result<Self, S3Error> {
        Self::parse(
            head,
            "x-amz-rename-source-if-match",
            "x-amz-rename-source-if-none-match",
            "x-amz-rename-source-if-modified-since",
            "x-amz-rename-source-if-unmodified-since",
        )
    }

    fn parse(head: &RequestHead, matches: &str, none: &str, modified: &str, unmodified: &str) -> Result<Self, S3Error> {
        let tag = |name: &str| Ok::<_, S3Error>(head.header(name)?.map(|text| ETagCondition::parse(&text)));
        // A date that is none counts as absent, as HTTP asks.
        let date = |name: &str| Ok::<_, S3Error>(head.header(name)?.and_then(|text| parse_http_date(&text)));
        Ok(Self {
            if_match: tag(matches)?,
            if_none_match: tag(none)?,
            if_modified_since: date(modified)?,
            if_unmodified_since: date(unmodified)?,
        })
    }

    /// A tag condition makes the date condition of its side void. Times are compared in seconds, as headers carry them.
    pub fn evaluate(&self, etag: ETag, last_modified: Timestamp) -> ReadVerdict {
        let modified = last_modified.seconds();
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !tags.matches_strongly(etag) => return ReadVerdict::PreconditionFailed(Precondition::IfMatch),
            (None, Some(since)) if modified > since.seconds() => {
                return ReadVerdict::PreconditionFailed(Precondition::IfUnmodifiedSince);
            }
            (Some(_), _) | (None, _) => {}
        }
        let is_news = match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => !tags.matches_weakly(etag),
            (None, Some(since)) => modified > since.seconds(),
            (None, None) => true,
        };
        if is_news { ReadVerdict::Send } else { ReadVerdict::NotModified }
    }

    /// For a copy, a source that has not changed is as wrong as one that has.
    pub fn check_copy_source(&self, etag: ETag, last_modified: Timestamp) -> Result<(), S3Error> {
        let which = match self.evaluate(etag, last_modified) {
            ReadVerdict::Send => return Ok(()),
            ReadVerdict::NotModified if self.if_none_match.is_some() => Precondition::IfNoneMatch,
            ReadVerdict::NotModified => Precondition::IfModifiedSince,
            ReadVerdict::PreconditionFailed(which) => which,
        };
        Err(precondition_failed(Some(which.of_source()), SourceOf::Copy))
    }
}

/// Refuses a condition that the operation does not hold its request against: done all the same, a write would change what its
/// sender wanted left alone. A read without validators may leave conditions out, as HTTP has it.
pub fn refuse_unbuilt_conditions(operation: S3Operation, head: &RequestHead) -> Result<(), S3Error> {
    let built: &[&str] = match operation {
        S3Operation::PutObject | S3Operation::AppendObject | S3Operation::CopyObject | S3Operation::CompleteMultipartUpload => {
            &["if-match", "if-none-match"]
        }
        S3Operation::RenameObject => &["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"],
        S3Operation::DeleteObject => &["if-match"],
        _ if matches!(head.method, Method::PUT | Method::POST | Method::DELETE) => &[],
        _ => return Ok(()),
    };
    let conditions = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
    match conditions.into_iter().find(|name| head.has_header(name) && !built.contains(name)) {
        Some(name) => Err(S3Error::not_implemented(&format!("The header {name} of {operation}"))),
        None => Ok(()),
    }
}

/// What a deletion is conditional on besides the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeleteConditions {
    pub if_modified: Option<Timestamp>,
    pub if_size: Option<u64>,
}

impl DeleteConditions {
    pub fn parse(head: &RequestHead) -> Result<Self, S3Error> {
        const TIME: &str = "x-amz-if-match-last-modified-time";
        const SIZE: &str = "x-amz-if-match-size";
        let if_modified = head.header(TIME)?.map(|text| {
            let time = parse_http_date(&text).or_else(|| parse_iso8601(&text));
            time.ok_or_else(|| S3Error::invalid_argument("The value is not a date", TIME, &*text))
        });
        let if_size = head
            .header(SIZE)?
            .map(|text| text.trim().parse().map_err(|_| S3Error::invalid_argument("The value is not a size", SIZE, &*text)));
        Ok(Self { if_modified: if_modified.transpose()?, if_size: if_size.transpose()? })
    }
}

/// `If-Range`: the one state of the object for which a range of it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfRange {
    /// None for a tag that none of ours equals, and for what is neither tag nor date.
    Tag(Option<ETag>),
    Date(Timestamp),
}

impl IfRange {
    pub fn of_read(head: &RequestHead) -> Result<Option<Self>, S3Error> {
        let parse = |text: &str| match parse_http_date(text) {
            Some(date) => Self::Date(date),
            None => {
                let pattern = ETagPattern::parse(text.trim());
                Self::Tag(pattern.etag.filter(|_| !pattern.weak))
            }
        };
        Ok(head.header("if-range")?.map(|text| parse(&text)))
    }

    pub fn matches(self, etag: ETag, last_modified: Timestamp) -> bool {
        match self {
            Self::Tag(tag) => tag == Some(etag),
            Self::Date(date) => date.seconds() == last_modified.seconds(),
        }
    }
}

/// A tag that no object has: an upload is completed from one part at least. A tag that is not of our form, or a list, stands
/// for this one, so that a condition we cannot express fails and never vanishes.
pub const UNMATCHABLE: ETag = ETag { md5: types::Md5([0; 16]), parts: Some(0) };

/// The condition of a write, for the namespace to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteCondition {
    #[default]
    Always,
    /// `If-None-Match: *`
    IfAbsent,
    /// `If-Match: *`
    IfPresent,
    IfMatch(ETag),
    IfNoneMatch(ETag),
}

impl WriteCondition {
    pub fn parse(head: &RequestHead) -> Result<Self, S3Error> {
        let tag = |name: &str| Ok::<_, S3Error>(head.header(name)?.map(|text| ETagCondition::parse(&text)));
        match (tag("if-match")?, tag("if-none-match")?) {
            (None, None) => Ok(Self::Always),
            (Some(condition), None) => Ok(Self::if_match(&condition)),
            (None, Some(ETagCondition::Any)) => Ok(Self::IfAbsent),
            (None, Some(condition)) => Ok(Self::IfNoneMatch(condition.single())),
            (Some(_), Some(_)) => Err(S3Error::not_implemented("If-Match together with If-None-Match")),
        }
    }

    pub fn if_match(condition: &ETagCondition) -> Self {
        match condition {
            ETagCondition::Any => Self::IfPresent,
            ETagCondition::OneOf(_) => Self::IfMatch(condition.single()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Md5;

    const TAG: ETag = ETag { md5: Md5([7; 16]), parts: None };
    const AT: Timestamp = Timestamp(784_111_777_999);

    fn tag(text: &str) -> Option<ETagCondition> {
        Some(ETagCondition::parse(text))
    }

    fn own() -> String {
        format!("\"{TAG}\"")
    }

    #[test]
    fn tags_are_compared_quoted_bare_and_in_lists() {
        for text in [own(), TAG.to_string(), format!("\"x\", {}", own()), "*".to_owned()] {
            assert!(ETagCondition::parse(&text).matches_strongly(TAG), "{text}");
        }
        for text in ["", "\"\"", "x", "\"07070707070707070707070707070707-1\""] {
            assert!(!ETagCondition::parse(text).matches_weakly(TAG), "{text}");
        }
        let weak = ETagCondition::parse(&format!("W/{}", own()));
        assert!(weak.matches_weakly(TAG) && !weak.matches_strongly(TAG));
    }

    #[test]
    fn a_tag_condition_makes_the_date_of_its_side_void() {
        let before = Some(Timestamp(AT.0 - 10_000));
        let none = ReadConditions::default();
        let read = |conditions: ReadConditions| conditions.evaluate(TAG, AT);
        let failed = ReadVerdict::PreconditionFailed;
        assert_eq!(read(none.clone()), ReadVerdict::Send);
        assert_eq!(read(ReadConditions { if_match: tag("\"x\""), ..none.clone() }), failed(Precondition::IfMatch));
        assert_eq!(read(ReadConditions { if_none_match: tag(&own()), ..none.clone() }), ReadVerdict::NotModified);
        assert_eq!(read(ReadConditions { if_unmodified_since: before, ..none.clone() }), failed(Precondition::IfUnmodifiedSince));
        assert_eq!(
            read(ReadConditions { if_match: tag(&own()), if_unmodified_since: before, ..none.clone() }),
            ReadVerdict::Send
        );
        // The tag is another, so that the date has no say.
        let since = Some(AT);
        assert_eq!(
            read(ReadConditions { if_none_match: tag("\"x\""), if_modified_since: since, ..none.clone() }),
            ReadVerdict::Send
        );
        assert_eq!(
            read(ReadConditions { if_match: tag("\"x\""), if_none_match: tag(&own()), ..none }),
            failed(Precondition::IfMatch)
        );
    }

    #[test]
    fn a_write_condition_that_cannot_be_expressed_fails_instead_of_vanishing() {
        let own = own();
        assert_eq!(WriteCondition::if_match(&ETagCondition::parse("*")), WriteCondition::IfPresent);
        assert_eq!(WriteCondition::if_match(&ETagCondition::parse(&own)), WriteCondition::IfMatch(TAG));
        for text in [String::new(), "x".into(), format!("W/{own}"), format!("{own}, {own}")] {
            assert_eq!(WriteCondition::if_match(&ETagCondition::parse(&text)), WriteCondition::IfMatch(UNMATCHABLE), "{text}");
        }
    }

    fn head(method: Method, headers: &[(&'static str, String)]) -> RequestHead {
        let mut map = http::HeaderMap::new();
        map.insert(http::header::HOST, http::HeaderValue::from_static("h"));
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a value"));
        }
        let addressing = crate::request::Addressing::default();
        RequestHead::parse(method, &"/bucket/key".parse().expect("a target"), map, &addressing).expect("well formed")
    }

    #[test]
    fn a_write_is_not_done_under_a_condition_that_nobody_checks() {
        let date = || "Tue, 15 Nov 1994 08:12:31 GMT".to_owned();
        for (operation, method, name, value) in [
            (S3Operation::PutObject, Method::PUT, "if-unmodified-since", date()),
            (S3Operation::PutObject, Method::PUT, "if-modified-since", date()),
            (S3Operation::CopyObject, Method::PUT, "if-unmodified-since", date()),
            (S3Operation::DeleteObject, Method::DELETE, "if-none-match", "*".into()),
            (S3Operation::DeleteObject, Method::DELETE, "if-unmodified-since", date()),
            (S3Operation::UploadPart, Method::PUT, "if-match", own()),
            (S3Operation::DeleteBucket, Method::DELETE, "if-match", "*".into()),
            (S3Operation::DeleteObjects, Method::POST, "if-match", "*".into()),
        ] {
            let refused = refuse_unbuilt_conditions(operation, &head(method, &[(name, value)])).map_err(|e| e.code());
            assert_eq!(refused, Err(S3ErrorCode::NotImplemented), "{operation} {name}");
        }
        for (operation, method, name) in [
            (S3Operation::PutObject, Method::PUT, "if-none-match"),
            (S3Operation::DeleteObject, Method::DELETE, "if-match"),
            (S3Operation::GetObject, Method::GET, "if-none-match"),
            (S3Operation::ListObjectsV2, Method::GET, "if-none-match"),
        ] {
            assert_eq!(refuse_unbuilt_conditions(operation, &head(method, &[(name, "*".into())])), Ok(()), "{operation} {name}");
        }
    }

    #[test]
    fn a_range_is_for_the_state_that_was_named_alone() {
        let matches = |text: String| {
            let asked = IfRange::of_read(&head(Method::GET, &[("if-range", text)])).expect("one header");
            asked.expect("there is one").matches(TAG, AT)
        };
        assert!(matches(own()) && matches("Sun, 06 Nov 1994 08:49:37 GMT".into()));
        for other in
            ["\"x\"".to_owned(), format!("W/{}", own()), "Sun, 06 Nov 1994 08:49:38 GMT".into(), "*".into(), String::new()]
        {
            assert!(!matches(other.clone()), "{other}");
        }
    }

    #[test]
    fn dates_are_compared_in_whole_seconds() {
        let same_second = Some(Timestamp(784_111_777_000));
        let conditions = ReadConditions { if_modified_since: same_second, ..Default::default() };
        assert_eq!(conditions.evaluate(TAG, AT), ReadVerdict::NotModified);
        let conditions = ReadConditions { if_unmodified_since: same_second, ..Default::default() };
        assert_eq!(conditions.evaluate(TAG, AT), ReadVerdict::Send);
    }

    #[test]
    fn a_copy_source_that_has_not_changed_fails_the_copy() {
        let conditions = ReadConditions { if_none_match: tag(&own()), ..Default::default() };
        let failed = conditions.check_copy_source(TAG, AT).expect_err("it has that tag");
        assert_eq!(failed, precondition_failed(Some(Precondition::SourceIfNoneMatch), SourceOf::Copy));
    }

    #[test]
    fn the_condition_that_failed_is_named_as_its_header_is() {
        for (which, source, name) in [
            (Precondition::IfNoneMatch, SourceOf::Rename, "If-None-Match"),
            (Precondition::IfMatch, SourceOf::Copy, "If-Match"),
            (Precondition::SourceIfMatch, SourceOf::Copy, "x-amz-copy-source-If-Match"),
            (Precondition::SourceIfModifiedSince, SourceOf::Rename, "x-amz-rename-source-If-Modified-Since"),
            (Precondition::IfSize, SourceOf::Copy, "x-amz-if-match-size"),
        ] {
            let error = precondition_failed(Some(which), source);
            assert_eq!((error.code(), error.fields()), (S3ErrorCode::PreconditionFailed, &[("Condition", name.to_owned())][..]));
        }
        assert_eq!(precondition_failed(None, SourceOf::Copy).fields(), []);
    }
}
