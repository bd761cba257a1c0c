//! SigV4's derived keys.

use std::collections::HashMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use om_core::rows::AccessKeyId;
use parking_lot::Mutex;
use sha2::Sha256;
use zeroize::Zeroizing;

/// A credential scope: one day, region and service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub(crate) date: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

/// Far longer than any region or service that there is.
const MOST_LETTERS: usize = 64;

impl Scope {
    /// None if it is no scope that a client would sign for: it is not worth a key, nor a place in the cache.
    pub(crate) fn parse(date: String, region: String, service: String) -> Option<Self> {
        let is_date = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
        let is_short = region.len() <= MOST_LETTERS && service.len() <= MOST_LETTERS;
        (is_date && is_short).then_some(Self { date, region, service })
    }
}

/// The chain of HMACs from a secret to the key of a scope.
pub(crate) fn derive(secret: &str, scope: &Scope) -> [u8; 32] {
    let first = Zeroizing::new(format!("AWS4{secret}"));
    let day = hmac(first.as_bytes(), &scope.date);
    let region = hmac(&*day, &scope.region);
    let service = hmac(&*region, &scope.service);
    *hmac(&*service, "aws4_request")
}

fn hmac(key: &[u8], text: &str) -> Zeroizing<[u8; 32]> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length");
    mac.update(text.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// Derived keys of late. An entry is of one secret version, so a new secret never meets an old key.
#[derive(Default)]
pub(crate) struct SigningKeys(Mutex<HashMap<Of, Zeroizing<[u8; 32]>>>);

/// What a key was derived for: access key, version of its secret, scope.
type Of = (AccessKeyId, u64, Scope);

/// About 2 MB.
const MOST_KEYS: usize = 10_000;

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys(…)")
    }
}

impl SigningKeys {
    pub(crate) fn get(&self, access_key: &AccessKeyId, version: u64, scope: &Scope) -> Option<[u8; 32]> {
        self.0.lock().get(&(access_key.clone(), version, scope.clone())).map(|key| **key)
    }

    pub(crate) fn put(&self, access_key: &AccessKeyId, version: u64, scope: &Scope, key: [u8; 32]) {
        let mut keys = self.0.lock();
        if keys.len() >= MOST_KEYS {
            keys.clear();
        }
        keys.insert((access_key.clone(), version, scope.clone()), Zeroizing::new(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_gives_the_key_of_the_documented_example() {
        // <https://docs.aws.amazon.com/IAM/latest/UserGuide/signing-elements.html>, as in AWS's own test suite.
        let scope = Scope::parse("20150830".into(), "us-east-1".into(), "iam".into()).expect("a scope");
        let key = derive("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &scope);
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }

    #[test]
    fn nonsense_is_no_scope() {
        let scope = |date: &str, region: &str| Scope::parse(date.into(), region.into(), "s3".into());
        assert!(scope("20260101", "us-east-1").is_some());
        assert!(scope("20260101", "").is_some());
        assert!(scope("2026010", "us-east-1").is_none());
        assert!(scope("2026010x", "us-east-1").is_none());
        assert!(scope("20260101", &"r".repeat(65)).is_none());
    }
}
