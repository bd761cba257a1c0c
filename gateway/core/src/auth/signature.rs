//! Keys and signatures. A signing key is derived from a secret for one day, region and service; it never shows itself.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;
use types::Timestamp;
use zeroize::Zeroizing;

use super::SERVICE;

/// The credential scope: what a signing key is good for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// `yyyymmdd`
    pub date: String,
    pub region: String,
    pub service: String,
}

impl Scope {
    pub fn s3(date: impl Into<String>, region: impl Into<String>) -> Self {
        Self { date: date.into(), region: region.into(), service: SERVICE.to_owned() }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

/// A key that signs for one scope.
#[derive(Clone)]
pub struct SigningKey(Zeroizing<[u8; 32]>);

impl SigningKey {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub fn derive(secret: &str, scope: &Scope) -> Self {
        let start = Zeroizing::new(format!("AWS4{secret}"));
        let date = hmac_sha256(start.as_bytes(), scope.date.as_bytes());
        let region = hmac_sha256(&*date, scope.region.as_bytes());
        let service = hmac_sha256(&*region, scope.service.as_bytes());
        Self(hmac_sha256(&*service, b"aws4_request"))
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn sign(&self, text: &str) -> Signature {
        Signature(*hmac_sha256(&*self.0, text.as_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// A signature. Compared only in constant time, and not shown: one from a URL opens what the URL opens.
#[derive(Clone, Copy)]
pub struct Signature([u8; 32]);

impl Signature {
    /// The 64 lower-case digits that signers write.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl PartialEq for Signature {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Signature {}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(…)")
    }
}

/// A request whose signature was right, and all that its body's signatures build on.
#[derive(Debug, Clone)]
pub struct Verified {
    pub(crate) key: SigningKey,
    pub(crate) scope: Scope,
    pub(crate) signed_at: Timestamp,
    /// The seed of the chain of chunk signatures.
    pub(crate) seed: Signature,
}

pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> Zeroizing<[u8; 32]> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}
