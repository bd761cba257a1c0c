//! What a refused request is told.
//!
//! A message is for the person who sent the request; nothing of ours (paths, peers, inner errors) goes into one, and never a
//! secret or a signature. Every error has a non-empty message, because clients crash on a missing one.

mod code;

use std::borrow::Cow;
use std::fmt;

use http::{HeaderName, HeaderValue, StatusCode};

pub use code::S3ErrorCode;

use crate::xml::XmlOut;

/// The names on an answer's body that say which request it answered. The id equals the `x-amz-request-id` header.
#[derive(Debug, Clone, Copy)]
pub struct Answering<'a> {
    pub resource: &'a str,
    pub request_id: &'a str,
    pub host_id: &'a str,
}

#[derive(Clone, PartialEq, Eq)]
pub struct S3Error {
    code: S3ErrorCode,
    message: Cow<'static, str>,
    // Boxed: errors travel in every `Result`, and few carry anything more than a code.
    more: Option<Box<More>>,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct More {
    fields: Vec<(&'static str, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl S3Error {
    pub fn new(code: S3ErrorCode) -> Self {
        Self { code, message: Cow::Borrowed(code.default_message()), more: None }
    }

    pub fn with_message(code: S3ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), more: None }
    }

    /// One more element of the XML body.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.more.get_or_insert_default().fields.push((name, value.into()));
        self
    }

    /// One more header of the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.more.get_or_insert_default().headers.push((name, value));
        self
    }

    pub fn code(&self) -> S3ErrorCode {
        self.code
    }

    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn fields(&self) -> &[(&'static str, String)] {
        self.more.as_deref().map_or(&[], |more| &more.fields)
    }

    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        self.more.as_deref().map_or(&[], |more| &more.headers)
    }

    /// The body that goes with the status; to be left out for HEAD and 304.
    pub fn to_xml(&self, answering: Answering<'_>) -> String {
        let mut out = XmlOut::document();
        out.element("Error", |error| {
            error.text("Code", self.code.as_str());
            error.text("Message", &self.message);
            for (name, value) in self.fields() {
                error.text(name, value);
            }
            error.text("Resource", answering.resource);
            error.text("RequestId", answering.request_id);
            error.text("HostId", answering.host_id);
        });
        out.finish()
    }

    pub fn invalid_argument(message: impl Into<Cow<'static, str>>, name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::with_message(S3ErrorCode::InvalidArgument, message).field("ArgumentName", name).field("ArgumentValue", value)
    }

    pub fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::with_message(S3ErrorCode::InvalidRequest, message)
    }

    /// Part of S3, and not built: said by name, so that nobody believes it was done.
    pub fn not_implemented(what: &str) -> Self {
        Self::with_message(S3ErrorCode::NotImplemented, format!("{what} is not implemented."))
    }
}

impl From<S3ErrorCode> for S3Error {
    fn from(code: S3ErrorCode) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl fmt::Debug for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        self.fields().iter().try_for_each(|(name, value)| write!(f, ", {name}={value:?}"))
    }
}

impl std::error::Error for S3Error {}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERING: Answering<'_> = Answering { resource: "/b/k", request_id: "R1", host_id: "H1" };

    #[test]
    fn every_code_has_a_message_and_an_error_status() {
        for code in S3ErrorCode::ALL {
            assert!(!code.default_message().is_empty(), "{code:?}");
            assert!(code.status().as_u16() >= 300, "{code:?}");
        }
    }

    #[test]
    fn the_body_carries_the_extra_fields_and_the_request_id() {
        let error = S3Error::new(S3ErrorCode::NoSuchBucket).field("BucketName", "a<b");
        assert_eq!(
            error.to_xml(ANSWERING),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchBucket</Code>\
             <Message>The specified bucket does not exist</Message><BucketName>a&lt;b</BucketName>\
             <Resource>/b/k</Resource><RequestId>R1</RequestId><HostId>H1</HostId></Error>"
        );
    }
}
