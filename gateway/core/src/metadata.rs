//! What is stored with an object beside its bytes, as headers carry it.
//!
//! Header values are bytes. They are held as text with one character a byte (Latin-1), so that whatever a client sent goes
//! back to it unchanged.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::encoding::{from_latin1, to_latin1};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::{RequestHead, single_header};

const USER_PREFIX: &str = "x-amz-meta-";
/// Names without their prefix and values, together.
const MAX_USER_METADATA: usize = 2048;
const MAX_REDIRECT: usize = 2048;
/// What an object is when nobody said.
pub const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// User metadata and the headers that S3 stores and gives back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Lower-case names without `x-amz-meta-`, in the order of names.
    pub user: Vec<(String, String)>,
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub expires: Option<String>,
    pub website_redirect: Option<String>,
}

impl Metadata {
    pub fn parse(head: &RequestHead) -> Result<Self, S3Error> {
        let text =
            |name: HeaderName| Ok::<_, S3Error>(single_header(&head.headers, name.as_str())?.map(|value| value.into_owned()));
        let website_redirect = text(HeaderName::from_static("x-amz-website-redirect-location"))?;
        if let Some(target) = website_redirect.as_deref() {
            let well_formed = ["/", "http://", "https://"].iter().any(|start| target.starts_with(start));
            if !well_formed || target.len() > MAX_REDIRECT {
                return Err(S3ErrorCode::InvalidRedirectLocation.into());
            }
        }
        Ok(Self {
            user: user_metadata(&head.headers)?,
            content_type: text(header::CONTENT_TYPE)?.filter(|value| !value.is_empty()),
            cache_control: text(header::CACHE_CONTROL)?,
            content_disposition: text(header::CONTENT_DISPOSITION)?,
            content_encoding: stored_encoding(&head.headers),
            content_language: text(header::CONTENT_LANGUAGE)?,
            expires: text(header::EXPIRES)?,
            website_redirect,
        })
    }

    /// The headers of GET and HEAD.
    pub fn write(&self, headers: &mut HeaderMap) {
        let content_type = self.content_type.as_deref().unwrap_or(DEFAULT_CONTENT_TYPE);
        insert(headers, header::CONTENT_TYPE, content_type);
        for (name, value) in [
            (header::CACHE_CONTROL, &self.cache_control),
            (header::CONTENT_DISPOSITION, &self.content_disposition),
            (header::CONTENT_ENCODING, &self.content_encoding),
            (header::CONTENT_LANGUAGE, &self.content_language),
            (header::EXPIRES, &self.expires),
            (HeaderName::from_static("x-amz-website-redirect-location"), &self.website_redirect),
        ] {
            if let Some(value) = value {
                insert(headers, name, value);
            }
        }
        for (name, value) in &self.user {
            if let Ok(name) = HeaderName::try_from(format!("{USER_PREFIX}{name}")) {
                insert(headers, name, value);
            }
        }
    }
}

/// The values that `response-…` parameters put in the place of stored ones, for this answer only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseOverrides(Vec<(HeaderName, HeaderValue)>);

impl ResponseOverrides {
    /// Refused without a signature: else anybody could make our address answer with a type of their choice.
    pub fn parse(head: &RequestHead, is_anonymous: bool) -> Result<Self, S3Error> {
        let mut overrides = Vec::new();
        for (parameter, name) in [
            ("response-cache-control", header::CACHE_CONTROL),
            ("response-content-disposition", header::CONTENT_DISPOSITION),
            ("response-content-encoding", header::CONTENT_ENCODING),
            ("response-content-language", header::CONTENT_LANGUAGE),
            ("response-content-type", header::CONTENT_TYPE),
            ("response-expires", header::EXPIRES),
        ] {
            let Some(text) = head.query().get(parameter) else { continue };
            if is_anonymous {
                return Err(S3Error::invalid_request(
                    "Request specific response headers cannot be used for anonymous GET requests.",
                ));
            }
            // Refuses CR and LF, with which a value would become a header of its own.
            let value = HeaderValue::from_bytes(text.as_bytes())
                .map_err(|_| S3Error::invalid_argument("The value is not a header value", parameter, text))?;
            overrides.push((name, value));
        }
        Ok(Self(overrides))
    }

    pub fn write(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            headers.insert(name.clone(), value.clone());
        }
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // What was stored came in as a header value, so it is one; a row from elsewhere that is none is left out.
    if let Ok(value) = HeaderValue::from_bytes(&to_latin1(value)) {
        headers.insert(name, value);
    }
}

fn user_metadata(headers: &HeaderMap) -> Result<Vec<(String, String)>, S3Error> {
    let mut user: Vec<(String, String)> = Vec::new();
    for name in headers.keys() {
        let Some(short) = name.as_str().strip_prefix(USER_PREFIX) else { continue };
        let values: Vec<_> = headers.get_all(name).iter().map(|value| from_latin1(value.as_bytes())).collect();
        user.push((short.to_owned(), values.join(",")));
    }
    let size: usize = user.iter().map(|(name, value)| name.len() + value.chars().count()).sum();
    if size > MAX_USER_METADATA {
        return Err(S3Error::new(S3ErrorCode::MetadataTooLarge)
            .field("Size", size.to_string())
            .field("MaxSizeAllowed", MAX_USER_METADATA.to_string()));
    }
    user.sort_unstable();
    Ok(user)
}

/// `aws-chunked` speaks of the transfer and is no property of the object; what remains is kept as it was written.
fn stored_encoding(headers: &HeaderMap) -> Option<String> {
    let values: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().map(|value| from_latin1(value.as_bytes())).collect();
    let text = values.join(",");
    let is_chunked = |token: &&str| token.trim().eq_ignore_ascii_case("aws-chunked");
    if !text.split(',').any(|token| is_chunked(&token)) {
        return Some(text).filter(|text| !text.is_empty());
    }
    let rest: Vec<&str> =
        text.split(',').filter(|token| !is_chunked(token)).map(str::trim).filter(|token| !token.is_empty()).collect();
    Some(rest.join(",")).filter(|text| !text.is_empty())
}

/// `x-amz-storage-class`. Which classes there are is the OM's to know.
pub fn parse_storage_class(head: &RequestHead) -> Result<Option<String>, S3Error> {
    Ok(head.header("x-amz-storage-class")?.map(|class| class.into_owned()).filter(|class| class != "STANDARD"))
}

/// Of object lock; what S3 has added to them since is not built.
const LOCK_HEADERS: [&str; 3] = ["x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold"];

/// Headers that ask for something that is not built yet. Accepting one and doing nothing would be a lie, most of all about
/// locks.
pub fn refuse_unbuilt_headers(head: &RequestHead) -> Result<(), S3Error> {
    for name in head.headers.keys() {
        let name = name.as_str();
        let unbuilt = (name.starts_with("x-amz-object-lock-") && !LOCK_HEADERS.contains(&name))
            || matches!(name, "x-amz-mfa" | "x-amz-bucket-namespace" | "x-amz-object-annotation-directive");
        if unbuilt {
            return Err(S3Error::not_implemented(&format!("The header {name}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Addressing;
    use http::Method;
    use proptest::prelude::*;

    fn head(headers: &[(&str, &[u8])], query: &str) -> RequestHead {
        let mut map = HeaderMap::new();
        map.insert(header::HOST, HeaderValue::from_static("h"));
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).expect("a name"), HeaderValue::from_bytes(value).expect("a value"));
        }
        let uri = format!("/bucket/key{query}").parse().expect("a target");
        RequestHead::parse(Method::PUT, &uri, map, &Addressing::default()).expect("well formed")
    }

    fn code<T: std::fmt::Debug>(result: Result<T, S3Error>) -> S3ErrorCode {
        result.expect_err("refused").code()
    }

    #[test]
    fn what_came_in_goes_out_byte_by_byte() {
        let sent: &[(&str, &[u8])] = &[
            ("x-amz-meta-Name", b"caf\xe9"),
            ("x-amz-meta-utf8", "é".as_bytes()),
            ("x-amz-meta-empty", b""),
            ("content-disposition", b"attachment; filename=\"\xe9\""),
            ("cache-control", b"no-cache"),
            ("expires", b"not a date"),
        ];
        let mut out = HeaderMap::new();
        Metadata::parse(&head(sent, "")).expect("legal").write(&mut out);
        for (name, value) in sent {
            assert_eq!(out.get(*name).expect("stored").as_bytes(), *value, "{name}");
        }
        assert_eq!(out[header::CONTENT_TYPE], DEFAULT_CONTENT_TYPE);
    }

    #[test]
    fn aws_chunked_is_no_property_of_an_object() {
        for (sent, stored) in [
            ("gzip, aws-chunked", Some("gzip")),
            ("aws-chunked,gzip", Some("gzip")),
            ("aws-chunked", None),
            ("AWS-Chunked", None),
            ("deflate, gzip", Some("deflate, gzip")),
            ("", None),
        ] {
            let metadata = Metadata::parse(&head(&[("content-encoding", sent.as_bytes())], "")).expect("legal");
            assert_eq!(metadata.content_encoding.as_deref(), stored, "{sent}");
        }
    }

    #[test]
    fn user_metadata_ends_at_two_kibibytes() {
        let fits = vec![b'v'; 2047];
        assert!(Metadata::parse(&head(&[("x-amz-meta-k", &fits)], "")).is_ok());
        let too_large = vec![b'v'; 2048];
        assert_eq!(code(Metadata::parse(&head(&[("x-amz-meta-k", &too_large)], ""))), S3ErrorCode::MetadataTooLarge);
    }

    #[test]
    fn a_redirect_goes_to_a_path_or_over_http() {
        assert!(Metadata::parse(&head(&[("x-amz-website-redirect-location", b"/other")], "")).is_ok());
        let script = head(&[("x-amz-website-redirect-location", b"javascript:x")], "");
        assert_eq!(code(Metadata::parse(&script)), S3ErrorCode::InvalidRedirectLocation);
    }

    #[test]
    fn overrides_need_a_signature_and_cannot_split_a_header() {
        let asked = head(&[], "?response-content-type=text%2Fplain&response-expires=123");
        let mut out = HeaderMap::new();
        ResponseOverrides::parse(&asked, false).expect("signed").write(&mut out);
        assert_eq!((out[header::CONTENT_TYPE].as_bytes(), out[header::EXPIRES].as_bytes()), (&b"text/plain"[..], &b"123"[..]));
        assert_eq!(code(ResponseOverrides::parse(&asked, true)), S3ErrorCode::InvalidRequest);
        let split = head(&[], "?response-content-disposition=a%0D%0Ax-evil:1");
        assert_eq!(code(ResponseOverrides::parse(&split, false)), S3ErrorCode::InvalidArgument);
    }

    #[test]
    fn what_is_not_built_is_said_and_not_ignored() {
        for (name, value) in [("x-amz-mfa", "1 2"), ("x-amz-object-lock-other", "x")] {
            assert_eq!(
                code(refuse_unbuilt_headers(&head(&[(name, value.as_bytes())], ""))),
                S3ErrorCode::NotImplemented,
                "{name}"
            );
        }
        assert!(refuse_unbuilt_headers(&head(&[("x-amz-acl", b"private"), ("x-amz-meta-a", b"b")], "")).is_ok());
    }

    proptest! {
        #[test]
        fn every_legal_value_round_trips(value in proptest::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..60)) {
            let mut out = HeaderMap::new();
            Metadata::parse(&head(&[("x-amz-meta-v", &value)], "")).expect("legal").write(&mut out);
            prop_assert_eq!(out["x-amz-meta-v"].as_bytes(), &value[..]);
        }
    }
}
