//! The head of a request, taken apart once.
//!
//! The raw target and the `Host` header become a bucket, a key and a query here and nowhere else; what authorises and what
//! stores see the same [`ObjectKey`]. A bucket's name is taken for one of the volume of whoever signs, unless it says another
//! ([`RequestHead::home`]). The key is never a path: dots, slashes and backslashes in it are characters.

mod address;
mod query;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use types::{BucketAddress, BucketName, BucketPath, InvalidName, ObjectKey, VersionId, VolumeName};

pub use address::{AddressStyle, Addressing};
pub use query::Query;

use crate::auth::v2;
use crate::encoding::{Plus, from_latin1, percent_decode};
use crate::error::{S3Error, S3ErrorCode};

/// Parameters of a presigned request that say how it is signed.
const SIGNATURE_PARAMETERS: &[&str] = &[
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// Where S3 Control's paths begin, and the header that names the account.
const CONTROL: &str = "/v20180820/";
const ACCOUNT_HEADER: &str = "x-amz-account-id";

/// Headers that say something on the listener of websites.
const WEBSITE_HEADERS: &[&str] = &[
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "referer",
    "user-agent",
];

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTarget {
    /// As it is written.
    pub bucket: Option<BucketAddress>,
    pub key: Option<ObjectKey>,
    pub query: Query,
    pub style: AddressStyle,
    /// What of S3 Control the request is about, if it is one to that: the path behind its version.
    pub control: Option<String>,
    /// The path as sent, which is what a signature covers.
    raw_path: String,
    raw_query: String,
}

impl RequestTarget {
    /// `host_bucket` is the bucket that the `Host` header names; with one, the whole path is the key.
    pub fn parse(raw_path: &str, raw_query: &str, style: AddressStyle, host_bucket: Option<&str>) -> Result<Self, S3Error> {
        let path = raw_path.strip_prefix('/').ok_or_else(|| S3Error::new(S3ErrorCode::InvalidURI))?;
        let (bucket, raw_key) = match host_bucket {
            Some(bucket) => (Some(bucket_name(bucket)?.into()), path),
            None if path.is_empty() => (None, ""),
            None => {
                let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
                (Some(bucket_address(&percent_decode(bucket, Plus::Plus)?)?), key)
            }
        };
        let key = match raw_key {
            "" => None,
            raw => Some(object_key(&percent_decode(raw, Plus::Plus)?)?),
        };
        Ok(Self {
            bucket,
            key,
            query: Query::parse(raw_query)?,
            style,
            control: None,
            raw_path: raw_path.to_owned(),
            raw_query: raw_query.to_owned(),
        })
    }

    pub fn raw_path(&self) -> &str {
        &self.raw_path
    }

    /// The query as sent.
    pub fn raw_query(&self) -> &str {
        &self.raw_query
    }
}

/// Method, target and headers; the body is elsewhere.
#[derive(Debug, Clone)]
pub struct RequestHead {
    pub method: Method,
    pub target: RequestTarget,
    pub headers: HeaderMap,
    /// Where a bucket lies whose name stands alone: in the volume of whoever signs, which is set once that is known. None: in `s3v`, as for
    /// everybody whom nothing says to be at home elsewhere.
    pub home: Option<VolumeName>,
}

impl RequestHead {
    pub fn parse(method: Method, uri: &Uri, headers: HeaderMap, addressing: &Addressing) -> Result<Self, S3Error> {
        let host = address::host(uri, &headers)?;
        if let Some(control) = control(uri, &headers) {
            let mut head = Self::without_address(method, uri, headers)?;
            head.target.control = Some(control);
            return Ok(head);
        }
        let (style, bucket) = addressing.resolve(&host)?;
        let target = RequestTarget::parse(uri.path(), uri.query().unwrap_or(""), style, bucket)?;
        let mut headers = headers;
        hide_keys(&mut headers);
        Ok(Self { method, target, headers, home: None })
    }

    /// A head of the listener that serves websites: the host is the bucket and the whole path is the key. A query means nothing there, and
    /// neither do headers but those that say how to read and what policies ask for.
    pub fn of_website(method: Method, uri: &Uri, headers: &HeaderMap, domains: &Addressing) -> Result<Self, S3Error> {
        let host = address::host(uri, headers)?;
        let bucket = domains.bucket_of(&host);
        let target = RequestTarget::parse(uri.path(), "", AddressStyle::VirtualHost, Some(bucket)).map_err(|error| {
            // A name that no bucket can have.
            let is_name = error.code() == S3ErrorCode::InvalidBucketName;
            if is_name { S3Error::new(S3ErrorCode::NoSuchBucket).field("BucketName", bucket) } else { error }
        })?;
        let is_kept = |name: &HeaderName| WEBSITE_HEADERS.contains(&name.as_str());
        let headers = headers.iter().filter(|(name, _)| is_kept(name)).map(|(name, value)| (name.clone(), value.clone()));
        Ok(Self { method, target, headers: headers.collect(), home: None })
    }

    /// A head whose path names no bucket: of a listener that speaks another protocol under S3's signatures.
    pub fn without_address(method: Method, uri: &Uri, headers: HeaderMap) -> Result<Self, S3Error> {
        address::host(uri, &headers)?;
        let raw_query = uri.query().unwrap_or("").to_owned();
        let (query, raw_path) = (Query::parse(&raw_query)?, uri.path().to_owned());
        let target =
            RequestTarget { bucket: None, key: None, query, style: AddressStyle::Path, control: None, raw_path, raw_query };
        Ok(Self { method, target, headers, home: None })
    }

    /// The bucket that dispatch has made sure of.
    pub fn bucket(&self) -> Result<BucketPath, S3Error> {
        self.bucket_path().ok_or_else(|| S3ErrorCode::InvalidBucketName.into())
    }

    /// The bucket that the request is about, if it is about one.
    pub fn bucket_path(&self) -> Option<BucketPath> {
        self.target.bucket.as_ref().map(|bucket| bucket.within(self.home()))
    }

    pub fn home(&self) -> &VolumeName {
        self.home.as_ref().unwrap_or(VolumeName::s3v_ref())
    }

    /// The key that dispatch has made sure of.
    pub fn key(&self) -> Result<ObjectKey, S3Error> {
        self.target.key.clone().ok_or_else(|| S3ErrorCode::InvalidURI.into())
    }

    /// `versionId`, if there is one. An empty one counts as none.
    pub fn version(&self) -> Result<Option<VersionId>, S3Error> {
        match self.query().get("versionId") {
            None | Some("") => Ok(None),
            Some(text) => VersionId::parse(text).map(Some).ok_or_else(|| crate::copy_source::invalid_version(text)),
        }
    }

    /// Makes headers of the `x-amz-…` parameters that are no part of a signature: a presigned request carries there what it
    /// has no headers for, and S3 reads them as if they were. A URL signed by Version 2 carries two other headers so as well.
    /// To be called once the signature, which covers them where they stand, was verified; one of Version 2 is taken away.
    pub fn adopt_headers_of_query(&mut self) -> Result<(), S3Error> {
        let is_v2 = v2::is_presigned(self);
        let stands_for_header = |name: &str| match name {
            "content-md5" | "content-type" => is_v2,
            other => other.starts_with("x-amz-") && !SIGNATURE_PARAMETERS.contains(&other),
        };
        for (name, value) in self.target.query.pairs() {
            let lower = name.to_ascii_lowercase();
            if !stands_for_header(&lower) {
                continue;
            }
            let invalid = || S3Error::invalid_argument("The parameter cannot stand for a header", name.as_str(), value.as_str());
            let header = HeaderName::try_from(lower).map_err(|_| invalid())?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid())?;
            match self.headers.get(&header) {
                Some(sent) if *sent != value => return Err(invalid()),
                Some(_) => {}
                None => {
                    self.headers.insert(header, value);
                }
            }
        }
        hide_keys(&mut self.headers);
        if is_v2 {
            self.target.query.forget(|name| {
                v2::PARAMETERS.contains(&name) || ["content-md5", "content-type"].contains(&name.to_ascii_lowercase().as_str())
            });
        }
        Ok(())
    }

    pub fn query(&self) -> &Query {
        &self.target.query
    }

    /// The value of a header that means one thing; sent twice it would mean two.
    pub fn header(&self, name: &str) -> Result<Option<Cow<'_, str>>, S3Error> {
        single_header(&self.headers, name)
    }

    pub fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// `Content-Length`, which hyper has already held against the framing.
    pub fn content_length(&self) -> Result<Option<u64>, S3Error> {
        match self.header(header::CONTENT_LENGTH.as_str())? {
            None => Ok(None),
            Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => match text.parse() {
                Ok(length) => Ok(Some(length)),
                Err(_) => Err(S3ErrorCode::EntityTooLarge.into()),
            },
            Some(text) => Err(S3Error::invalid_argument("Content-Length is not a number", "Content-Length", text)),
        }
    }
}

/// What is about an account as a whole has an API of its own, whose clients put the account's number in front of the host: that is no
/// bucket there. S3 itself has no such header, so that an object of this name is still itself.
fn control(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let path = uri.path().strip_prefix(CONTROL)?;
    headers.contains_key(ACCOUNT_HEADER).then(|| path.to_owned())
}

pub fn single_header<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<Cow<'h, str>>, S3Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(S3Error::invalid_request(format!("The header {name} must not be repeated.")));
    }
    Ok(Some(from_latin1(value.as_bytes())))
}

/// Whoever prints a head prints no keys that clients brought.
fn hide_keys(headers: &mut HeaderMap) {
    const KEYS: [&str; 2] =
        ["x-amz-server-side-encryption-customer-key", "x-amz-copy-source-server-side-encryption-customer-key"];
    for name in KEYS {
        if let header::Entry::Occupied(mut values) = headers.entry(name) {
            values.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
}

pub fn bucket_name(text: &str) -> Result<BucketName, S3Error> {
    BucketName::parse(text).map_err(|_| S3Error::new(S3ErrorCode::InvalidBucketName).field("BucketName", text))
}

/// Of a bucket that may be in another volume.
pub fn bucket_address(text: &str) -> Result<BucketAddress, S3Error> {
    BucketAddress::parse(text).map_err(|_| S3Error::new(S3ErrorCode::InvalidBucketName).field("BucketName", text))
}

pub fn object_key(text: &str) -> Result<ObjectKey, S3Error> {
    ObjectKey::parse(text).map_err(|why| match why {
        InvalidName::Length if text.len() > ObjectKey::MAX_BYTES => S3Error::new(S3ErrorCode::KeyTooLongError)
            .field("Size", text.len().to_string())
            .field("MaxSizeAllowed", ObjectKey::MAX_BYTES.to_string()),
        InvalidName::Length | InvalidName::Form | InvalidName::Reserved => S3ErrorCode::InvalidURI.into(),
    })
}

#[cfg(test)]
mod tests;
