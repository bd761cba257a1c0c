//! Who says they ask: AWS Signature Version 4 in all its forms.
//!
//! In this order, so that no step can be left out: [`parse`] makes a typed [`AuthRequest`] of headers and query;
//! [`SignedRequest::check`] holds it against the clock, the region and the headers, all without a secret;
//! [`SignedRequest::verify`] compares the signature in constant time. Only the last yields a [`Verified`], which is what a
//! streamed body's own signatures chain on to.
//!
//! Signature Version 2 ([`v2`]) is taken where a listener [`Accepts`] it, and else refused by name as 4A is. Nothing that is
//! signed by one rule is read by another: the canonical request is made from the same [`RequestHead`] that dispatch and the
//! operations see.

mod canonical;
mod check;
pub(crate) mod parse;
mod signature;
pub mod v2;

use types::Timestamp;

use crate::encoding::{Plus, percent_decode};

pub use canonical::{canonical_request, string_to_sign};
pub use parse::parse;
pub use signature::{Scope, Signature, SigningKey, Verified};
pub use v2::{SignatureV2, SignedV2};

/// Signatures are good for this long around the time they carry.
pub const MAX_SKEW_MS: u64 = 15 * 60 * 1000;
/// A presigned URL lives for a week at most.
pub const MAX_EXPIRES_SECONDS: u64 = 604_800;
pub const SERVICE: &str = "s3";
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What the head says about who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthRequest {
    /// Nothing was signed. The payload still has a mode: an anonymous upload may carry checksums in a trailer.
    Anonymous(PayloadMode),
    Signed(Box<SignedRequest>),
    SignedV2(Box<SignedV2>),
}

/// Which signatures a listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accepts {
    #[default]
    V4,
    V4AndV2,
    /// For calls of IAM and STS, which no signature for S3 is good for.
    Iam,
}

impl Accepts {
    fn services(self) -> &'static [&'static str] {
        match self {
            Self::V4 | Self::V4AndV2 => &[SERVICE],
            Self::Iam => &["iam", "sts"],
        }
    }
}

impl AuthRequest {
    pub fn payload(&self) -> PayloadMode {
        match self {
            Self::Anonymous(payload) => *payload,
            Self::Signed(signed) => signed.payload,
            Self::SignedV2(signed) => signed.payload,
        }
    }
}

/// A claim, not yet held against a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    pub access_key: String,
    pub scope: Scope,
    /// Lower-case, in the order given.
    pub signed_headers: Vec<String>,
    /// `None` for text that no signature has; it fails where a wrong one fails.
    pub signature: Option<Signature>,
    pub signed_at: Timestamp,
    pub source: AuthSource,
    pub payload: PayloadMode,
    pub session_token: Option<String>,
}

/// Where the signature stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthSource {
    Header,
    /// A presigned URL.
    Query {
        expires_seconds: u64,
    },
}

/// How the body travels and what vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadMode {
    /// The SHA-256 of the body is part of what was signed.
    Hash([u8; 32]),
    /// Nothing vouches for the body but its checksums.
    Unsigned,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD[-TRAILER]`: chunks, each signed over the one before.
    StreamingSigned { trailer: bool },
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: chunks without signatures, then a checksum.
    StreamingUnsigned,
}

impl PayloadMode {
    /// Whether the body is framed as aws-chunked.
    pub fn is_chunked(self) -> bool {
        matches!(self, Self::StreamingSigned { .. } | Self::StreamingUnsigned)
    }
}

/// Headers, or parameters of a URL, that hold what only the client may know.
const SECRETS: [&str; 3] = [
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-security-token",
];
/// Whether a text names one of them.
pub(crate) fn names_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    SECRETS.iter().any(|secret| text.contains(secret))
}

/// Parameters by which whoever reads them could make the request again.
const SIGNATURES: [&str; 2] = ["x-amz-signature", "signature"];

/// A query without what its reader must not know, however the names are written.
pub fn redacted_query(query: &str) -> String {
    let is_secret = |name: &str| {
        // A name that is no text is none of ours.
        let name = percent_decode(name, Plus::Space).unwrap_or_default();
        SECRETS.iter().chain(&SIGNATURES).any(|secret| name.eq_ignore_ascii_case(secret))
    };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=REDACTED"),
        _ => pair.to_owned(),
    });
    shown.collect::<Vec<_>>().join("&")
}

/// A line of what is signed, as it may be shown to others than its signer.
pub fn hide_secrets(line: &str) -> String {
    let is_secret = |name: &str| SECRETS.iter().any(|secret| name.eq_ignore_ascii_case(secret));
    if let Some((name, _)) = line.split_once(':')
        && is_secret(name)
    {
        return format!("{name}:(hidden)");
    }
    if !line.contains('=') {
        return line.to_owned();
    }
    let shown = line.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name.rsplit('?').next().unwrap_or(name)) => format!("{name}=(hidden)"),
        Some(_) | None => pair.to_owned(),
    });
    shown.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests;
