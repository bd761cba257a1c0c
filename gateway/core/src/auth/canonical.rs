//! The canonical request: the text that both sides make from a request before they sign it.

use std::borrow::Cow;

use super::signature::sha256_hex;
use super::{ALGORITHM, PayloadMode, SignedRequest};
use crate::dates::format_iso_basic;
use crate::encoding::{Plus, Slash, percent_decode, percent_encode};
use crate::request::RequestHead;

/// How the bytes of a header that are no ASCII count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeaderText {
    /// As they travelled.
    Raw,
    /// As the UTF-8 of the Latin-1 text: what a client signs that builds its headers from strings.
    Latin1,
}

/// How the path counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PathText {
    /// Decoded and encoded again by SigV4's rule, as S3 does.
    Encoded,
    /// As it travelled: what a client signs that leaves characters plain which the rule encodes.
    Raw,
}

/// The canonical request by the letter of the rule.
pub fn canonical_request(head: &RequestHead, signed: &SignedRequest) -> String {
    String::from_utf8_lossy(&build(head, signed, PathText::Encoded, HeaderText::Raw)).into_owned()
}

/// All forms that an honest client may have signed, the usual one first; each only if it differs.
pub(super) fn canonical_variants(head: &RequestHead, signed: &SignedRequest) -> Vec<Vec<u8>> {
    let mut variants: Vec<Vec<u8>> = Vec::with_capacity(1);
    let ascii = head.headers.values().all(|value| value.as_bytes().is_ascii());
    let path_is_canonical = canonical_path(head) == head.target.raw_path();
    let paths: &[PathText] = if path_is_canonical { &[PathText::Encoded] } else { &[PathText::Encoded, PathText::Raw] };
    let texts: &[HeaderText] = if ascii { &[HeaderText::Raw] } else { &[HeaderText::Raw, HeaderText::Latin1] };
    for path in paths {
        for text in texts {
            variants.push(build(head, signed, *path, *text));
        }
    }
    variants
}

/// What is signed: algorithm, time, scope and the hash of the canonical request.
pub fn string_to_sign(signed: &SignedRequest, canonical: impl AsRef<[u8]>) -> String {
    format!("{ALGORITHM}\n{}\n{}\n{}", format_iso_basic(signed.signed_at), signed.scope, sha256_hex(canonical.as_ref()))
}

fn build(head: &RequestHead, signed: &SignedRequest, path: PathText, text: HeaderText) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut line = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        out.push(b'\n');
    };
    line(head.method.as_str().as_bytes());
    match path {
        PathText::Encoded => line(canonical_path(head).as_bytes()),
        PathText::Raw => line(head.target.raw_path().as_bytes()),
    }
    line(canonical_query(head).as_bytes());
    let mut names: Vec<&str> = signed.signed_headers.iter().map(String::as_str).collect();
    names.sort_unstable();
    for name in &names {
        line(&canonical_header(head, name, text));
    }
    line(b"");
    line(names.join(";").as_bytes());
    out.extend_from_slice(payload_text(signed.payload).as_bytes());
    out
}

fn canonical_path(head: &RequestHead) -> String {
    match percent_decode(head.target.raw_path(), Plus::Plus) {
        Ok(path) => percent_encode(path.as_bytes(), Slash::Kept),
        // The head was parsed from this very path, so it decodes.
        Err(_) => head.target.raw_path().to_owned(),
    }
}

fn canonical_query(head: &RequestHead) -> String {
    let mut pairs: Vec<(String, String)> = head
        .query()
        .pairs()
        .iter()
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| (percent_encode(name.as_bytes(), Slash::Encoded), percent_encode(value.as_bytes(), Slash::Encoded)))
        .collect();
    pairs.sort_unstable();
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(&name);
        out.push('=');
        out.push_str(&value);
    }
    out
}

/// `name:value`, the value trimmed and each run of spaces in it made one.
fn canonical_header(head: &RequestHead, name: &str, text: HeaderText) -> Vec<u8> {
    let mut out = name.as_bytes().to_vec();
    out.push(b':');
    for (index, value) in head.headers.get_all(name).iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let bytes: Cow<'_, [u8]> = match text {
            HeaderText::Raw => Cow::Borrowed(value.as_bytes()),
            HeaderText::Latin1 => {
                let text: String = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
                Cow::Owned(text.into_bytes())
            }
        };
        let words = bytes.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        for (index, word) in words.enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
        }
    }
    out
}

fn payload_text(payload: PayloadMode) -> Cow<'static, str> {
    match payload {
        PayloadMode::Hash(hash) => Cow::Owned(hex::encode(hash)),
        PayloadMode::Unsigned => Cow::Borrowed("UNSIGNED-PAYLOAD"),
        PayloadMode::StreamingSigned { trailer: false } => Cow::Borrowed("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        PayloadMode::StreamingSigned { trailer: true } => Cow::Borrowed("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
        PayloadMode::StreamingUnsigned => Cow::Borrowed("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    }
}
