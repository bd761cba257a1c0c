//! What is derived from the key behind an object.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use aws_lc_rs::hmac;
use types::{Md5, Salt};
use zeroize::Zeroizing;

use crate::error::{S3Error, S3ErrorCode};

/// The key behind an object, or behind an upload and all its parts: the client's own, or one that was made for it.
#[derive(Clone)]
pub struct ContentKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(…)")
    }
}

/// What a derived key is for. Part of the derivation, so that no key is used in two ways; the numbers are versions.
const STREAM: &[u8] = b"trioxide object stream 1";
const CHECK: &[u8] = b"trioxide key check 1";
const TAG: &[u8] = b"trioxide entity tag 1";

fn unusable<E>(_: E) -> S3Error {
    S3ErrorCode::InternalError.into()
}

impl ContentKey {
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    fn extract(&self, salt: Salt) -> Prk {
        aws_lc_rs::hkdf::Salt::new(HKDF_SHA256, &salt.0).extract(self.0.as_slice())
    }

    /// The key of one stream.
    pub(super) fn stream(&self, salt: Salt) -> Result<LessSafeKey, S3Error> {
        let extracted = self.extract(salt);
        let key = extracted.expand(&[STREAM], &AES_256_GCM).map_err(unusable)?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    }

    fn derived(&self, salt: Salt, purpose: &[u8]) -> Result<Zeroizing<[u8; 32]>, S3Error> {
        let (extracted, purpose) = (self.extract(salt), [purpose]);
        let mut bytes = Zeroizing::new([0; 32]);
        extracted.expand(&purpose, HKDF_SHA256).and_then(|key| key.fill(bytes.as_mut_slice())).map_err(unusable)?;
        Ok(bytes)
    }

    /// Tells this key from others, without telling it.
    pub fn check(&self, salt: Salt) -> Result<[u8; 32], S3Error> {
        self.derived(salt, CHECK).map(|check| *check)
    }

    /// A tag for bytes of this MD5: the same for the same bytes, and without the key no help to one who guesses them.
    pub fn tag(&self, salt: Salt, md5: Md5) -> Result<Md5, S3Error> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.derived(salt, TAG)?.as_slice());
        let tag = hmac::sign(&key, &md5.0);
        tag.as_ref().first_chunk::<16>().copied().map(Md5).ok_or_else(|| unusable(()))
    }
}

/// The nonce of a segment: its number in its stream, and whether it is the last one.
pub(super) fn nonce(segment: u64, is_last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[0] = u8::from(is_last);
    bytes[4..].copy_from_slice(&segment.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}
