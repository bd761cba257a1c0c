//! AWS Signature Version 2: HMAC-SHA1 under the secret itself, over a text that leaves much of the request out.
//!
//! It is taken only where a configuration says so, for clients that know nothing else. What signs it is the secret, which never
//! leaves the OM: here the texts are made that an honest client may have signed, and the OM says whether one of them was.

use std::borrow::Cow;
use std::collections::BTreeMap;

use types::{Millis, Timestamp};

use super::parse::{anonymous_payload, header_time};
use super::{MAX_SKEW_MS, PayloadMode, hide_secrets};
use crate::dates::format_iso8601;
use crate::dispatch::SUB_RESOURCES;
use crate::encoding::{Plus, base64_decode, from_latin1, percent_decode};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::{AddressStyle, RequestHead};

/// The parameters that are the signature itself. None of them is signed.
pub(crate) const PARAMETERS: [&str; 3] = ["AWSAccessKeyId", "Expires", "Signature"];

/// Parameters that are signed beside those that choose an operation. Some are none of ours, yet clients sign them.
const ALSO_SIGNED: &[&str] = &[
    "defaultObjectAcl",
    "partNumber",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "select-type",
    "storageClass",
    "versionId",
];
/// Chooses between two forms of one answer; no client signs it.
const UNSIGNED: &str = "list-type";

/// A claim by Version 2, not yet held against a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedV2 {
    pub access_key: String,
    /// `None` for text that no signature has; it fails where a wrong one fails.
    pub signature: Option<SignatureV2>,
    pub source: SourceV2,
    pub payload: PayloadMode,
    pub session_token: Option<String>,
}

/// Where the signature stood, and the time that it carries, also as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceV2 {
    Header {
        at: Timestamp,
        text: String,
    },
    /// A URL that is good until then.
    Query {
        expires_at: Timestamp,
        text: String,
    },
}

/// The signature as it was sent. Not shown: one from a URL opens what the URL opens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignatureV2([u8; 20]);

impl SignatureV2 {
    pub fn parse(text: &str) -> Option<Self> {
        <[u8; 20]>::try_from(base64_decode(text.trim())?).ok().map(Self)
    }

    /// For the OM, which alone can tell whether it is right.
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl std::fmt::Debug for SignatureV2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignatureV2(…)")
    }
}

/// Of `Authorization: AWS key:signature`.
pub(super) fn parse_header(head: &RequestHead, components: &str) -> Result<SignedV2, S3Error> {
    // From the right, where no signature has a colon.
    let (access_key, signature) = components.trim().rsplit_once(':').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
        let why = "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature";
        S3Error::invalid_argument(why, "Authorization", components)
    })?;
    let (at, text) = header_time(head)?;
    Ok(SignedV2 {
        access_key: access_key.to_owned(),
        signature: SignatureV2::parse(signature),
        source: SourceV2::Header { at, text },
        payload: anonymous_payload(head)?,
        session_token: session_token(head)?,
    })
}

/// Whether a query holds what only a URL signed by Version 2 has.
pub(crate) fn is_presigned(head: &RequestHead) -> bool {
    ["AWSAccessKeyId", "Signature"].iter().any(|name| head.query().has(name))
}

/// Of `?AWSAccessKeyId=…&Expires=…&Signature=…`.
pub(super) fn parse_query(head: &RequestHead) -> Result<SignedV2, S3Error> {
    let [access_key, expires, signature] = PARAMETERS.map(|name| one_parameter(head, name));
    let (access_key, expires, signature) = (access_key?, expires?, signature?);
    let expires_at = expires.parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1000)).map(Timestamp);
    let expires_at = expires_at
        .filter(|_| expires.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| denied(format!("Invalid date (should be seconds since epoch): {expires}")))?;
    Ok(SignedV2 {
        access_key: access_key.to_owned(),
        signature: SignatureV2::parse(signature),
        source: SourceV2::Query { expires_at, text: expires.to_owned() },
        payload: anonymous_payload(head)?,
        session_token: session_token(head)?,
    })
}

/// The one value of a parameter. Of two, the other could be the one that somebody else reads.
fn one_parameter<'h>(head: &'h RequestHead, name: &str) -> Result<&'h str, S3Error> {
    let mut found = head.query().pairs().iter().filter(|(n, _)| n == name);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value),
        _ => {
            let why = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters, once each";
            Err(denied(why.to_owned()))
        }
    }
}

fn session_token(head: &RequestHead) -> Result<Option<String>, S3Error> {
    const NAME: &str = "x-amz-security-token";
    let in_query = head.query().pairs().iter().find(|(name, _)| name.eq_ignore_ascii_case(NAME)).map(|(_, value)| value.clone());
    Ok(head.header(NAME)?.map(Cow::into_owned).or(in_query))
}

fn denied(why: String) -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, why)
}

impl SignedV2 {
    /// What can be judged without a secret: the time.
    pub fn check(&self, now: Timestamp) -> Result<(), S3Error> {
        match &self.source {
            SourceV2::Header { at, text } => {
                let skew = Millis(MAX_SKEW_MS);
                if now > *at + skew || *at > now + skew {
                    return Err(S3Error::new(S3ErrorCode::RequestTimeTooSkewed)
                        .field("RequestTime", text.as_str())
                        .field("ServerTime", format_iso8601(now))
                        .field("MaxAllowedSkewMilliseconds", MAX_SKEW_MS.to_string()));
                }
            }
            SourceV2::Query { expires_at, .. } => {
                if now > *expires_at {
                    return Err(denied("Request has expired".to_owned())
                        .field("Expires", format_iso8601(*expires_at))
                        .field("ServerTime", format_iso8601(now)));
                }
            }
        }
        Ok(())
    }

    /// All texts that an honest client may have signed for this request, the usual one first. Each stands for the same request, so
    /// that none makes a signature good for another.
    pub fn strings_to_sign(&self, head: &RequestHead) -> Result<Vec<Vec<u8>>, S3Error> {
        let ascii = head.headers.values().all(|value| value.as_bytes().is_ascii());
        let texts: &[HeaderText] = if ascii { &[HeaderText::Raw] } else { &[HeaderText::Raw, HeaderText::Latin1] };
        let mut all: Vec<Vec<u8>> = Vec::with_capacity(1);
        for resource in resources(head)? {
            for text in texts {
                let candidate = self.string_to_sign(head, *text, &resource)?;
                if !all.contains(&candidate) {
                    all.push(candidate);
                }
            }
        }
        Ok(all)
    }

    fn string_to_sign(&self, head: &RequestHead, text: HeaderText, resource: &str) -> Result<Vec<u8>, S3Error> {
        let mut out = Vec::with_capacity(256);
        let mut line = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            out.push(b'\n');
        };
        line(head.method.as_str().as_bytes());
        line(&self.standard_value(head, "content-md5", text)?);
        line(&self.standard_value(head, "content-type", text)?);
        line(match &self.source {
            // The date that counts stands among the headers of ours.
            SourceV2::Header { .. } if head.has_header("x-amz-date") => b"",
            SourceV2::Header { text, .. } | SourceV2::Query { text, .. } => text.as_bytes(),
        });
        for (name, value) in amz_values(head, text)? {
            line(&[name.as_bytes(), b":", &value].concat());
        }
        out.extend_from_slice(resource.as_bytes());
        Ok(out)
    }

    /// Of a header; a URL may carry it as a parameter instead.
    fn standard_value(&self, head: &RequestHead, name: &str, text: HeaderText) -> Result<Vec<u8>, S3Error> {
        match (head.header(name)?, &self.source) {
            (Some(_), _) => Ok(header_bytes(head, name, text)),
            (None, SourceV2::Query { .. }) => Ok(parameter_of(head, name).unwrap_or_default().trim().as_bytes().to_vec()),
            (None, SourceV2::Header { .. }) => Ok(Vec::new()),
        }
    }

    /// The answer to a signature that is not right, with the text that we would have signed, so that the author of a client can
    /// find the difference.
    pub fn mismatch(&self, head: &RequestHead) -> S3Error {
        let text = self.strings_to_sign(head).ok().and_then(|texts| texts.into_iter().next()).unwrap_or_default();
        S3Error::new(S3ErrorCode::SignatureDoesNotMatch)
            .field("AWSAccessKeyId", self.access_key.as_str())
            .field("StringToSign", String::from_utf8_lossy(&text).lines().map(hide_secrets).collect::<Vec<_>>().join("\n"))
    }
}

/// How the bytes of a header that are no ASCII count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeaderText {
    Raw,
    /// As the UTF-8 of the Latin-1 text: what a client signs that builds its headers from strings.
    Latin1,
}

/// All values of a header, trimmed, with a comma between.
fn header_bytes(head: &RequestHead, name: &str, text: HeaderText) -> Vec<u8> {
    let values = head.headers.get_all(name).iter().map(|value| match text {
        HeaderText::Raw => Cow::Borrowed(value.as_bytes().trim_ascii()),
        HeaderText::Latin1 => Cow::Owned(from_latin1(value.as_bytes()).trim().as_bytes().to_vec()),
    });
    values.collect::<Vec<_>>().join(&b","[..])
}

fn parameter_of<'h>(head: &'h RequestHead, name: &str) -> Option<&'h str> {
    head.query().pairs().iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// `x-amz-…` of headers and query alike, by name: the query's will be headers once the signature is known to be right.
fn amz_values(head: &RequestHead, text: HeaderText) -> Result<BTreeMap<String, Vec<u8>>, S3Error> {
    const PREFIX: &str = "x-amz-";
    let mut values = BTreeMap::new();
    for (name, value) in head.query().pairs() {
        let lower = name.to_ascii_lowercase();
        if lower.starts_with(PREFIX) && values.insert(lower, value.trim().as_bytes().to_vec()).is_some() {
            return Err(S3Error::invalid_argument("A query parameter must not be repeated", "ResourceType", name));
        }
    }
    for name in head.headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with(PREFIX)) {
        values.insert(name.to_owned(), header_bytes(head, name, text));
    }
    Ok(values)
}

/// What the request is about: bucket, path and the parameters that choose an operation.
fn resources(head: &RequestHead) -> Result<Vec<String>, S3Error> {
    let raw_path = head.target.raw_path();
    let paths = match (head.target.style, &head.target.bucket) {
        (AddressStyle::VirtualHost, Some(bucket)) => vec![format!("/{bucket}{raw_path}")],
        // botocore signs a slash behind a lone bucket, which it does not send.
        (AddressStyle::Path, Some(_)) if head.target.key.is_none() && !raw_path.ends_with('/') => {
            vec![raw_path.to_owned(), format!("{raw_path}/")]
        }
        (AddressStyle::Path | AddressStyle::VirtualHost, _) => vec![raw_path.to_owned()],
    };
    // By the names that dispatch reads: one that was written in another way must not choose an operation unsigned.
    let mut signed = Vec::new();
    for pair in head.target.raw_query().split('&') {
        let (name, value) = pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
        let name = percent_decode(name, Plus::Space)?;
        if is_signed(&name) {
            let decoded = value.map(|value| percent_decode(value, Plus::Space)).transpose()?;
            signed.push((name, value, decoded));
        }
    }
    signed.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    let raw = query_text(signed.iter().map(|(name, value, _)| (name.as_str(), *value)));
    let decoded = query_text(signed.iter().map(|(name, _, value)| (name.as_str(), value.as_deref())));
    Ok(paths.iter().flat_map(|path| [format!("{path}{decoded}"), format!("{path}{raw}")]).collect())
}

fn is_signed(name: &str) -> bool {
    (SUB_RESOURCES.contains(&name) && name != UNSIGNED) || ALSO_SIGNED.contains(&name)
}

fn query_text<'q>(pairs: impl Iterator<Item = (&'q str, Option<&'q str>)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(name);
        if let Some(value) = value {
            out.push('=');
            out.push_str(value);
        }
    }
    out
}

#[cfg(test)]
mod tests;
