//! AES-256-GCM over secrets at rest.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use om_core::rows::AccessKeyId;
use runtime::Entropy;
use zeroize::Zeroizing;

use crate::MasterKey;

/// Seals under a fresh random nonce each: `nonce · ciphertext · tag`. What is sealed is bound to its access key and version, so
/// that no row's secret can be put into another's place.
pub(crate) struct SecretSeal {
    key: LessSafeKey,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for SecretSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretSeal(…)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("the key that seals secrets is unusable")]
    Key,
    #[error("a sealed secret does not open: another key sealed it, or it is damaged")]
    DoesNotOpen,
}

const CHECK: &[u8] = b"trioxide seals secrets with this key";
const CHECK_NAME: &str = "seal check";

impl SecretSeal {
    pub(crate) fn new(key: &MasterKey, entropy: Arc<dyn Entropy>) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, key.bytes()).map_err(|_| SealError::Key)?;
        Ok(Self { key: LessSafeKey::new(key), entropy })
    }

    pub(crate) fn seal(&self, access_key: &AccessKeyId, version: u64, secret: &str) -> Result<Vec<u8>, SealError> {
        self.seal_bytes(&access_key.0, version, secret.as_bytes())
    }

    pub(crate) fn open(&self, access_key: &AccessKeyId, version: u64, sealed: &[u8]) -> Result<Zeroizing<String>, SealError> {
        let bytes = self.open_bytes(&access_key.0, version, sealed)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| SealError::DoesNotOpen)?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// A known text, to tell later whether the key is the same.
    pub(crate) fn new_check(&self) -> Result<Vec<u8>, SealError> {
        self.seal_bytes(CHECK_NAME, 0, CHECK)
    }

    pub(crate) fn verify_check(&self, sealed: &[u8]) -> Result<(), SealError> {
        let opened = self.open_bytes(CHECK_NAME, 0, sealed)?;
        if opened.as_slice() == CHECK { Ok(()) } else { Err(SealError::DoesNotOpen) }
    }

    fn seal_bytes(&self, name: &str, version: u64, text: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let mut text = Zeroizing::new(text.to_vec());
        let aad = Aad::from(bound_to(name, version));
        let tag = self.key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text);
        let tag = tag.map_err(|_| SealError::Key)?;
        Ok([&nonce, text.as_slice(), tag.as_ref()].concat())
    }

    fn open_bytes(&self, name: &str, version: u64, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError::DoesNotOpen)?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let aad = Aad::from(bound_to(name, version));
        let opened = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut buffer);
        let length = opened.map_err(|_| SealError::DoesNotOpen)?.len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

fn bound_to(name: &str, version: u64) -> Vec<u8> {
    [name.as_bytes(), b"\0", &version.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::SeededEntropy;

    fn seal(key: u8) -> SecretSeal {
        SecretSeal::new(&MasterKey::new([key; 32]), Arc::new(SeededEntropy::new(u64::from(key)))).expect("a key")
    }

    fn access_key(text: &str) -> AccessKeyId {
        AccessKeyId(text.into())
    }

    #[test]
    fn a_secret_opens_only_under_its_own_key_name_and_version() {
        let sealer = seal(1);
        let sealed = sealer.seal(&access_key("AK"), 7, "hush").expect("seals");
        assert!(!sealed.windows(4).any(|window| window == b"hush"));
        assert_eq!(sealer.open(&access_key("AK"), 7, &sealed).expect("its own").as_str(), "hush");
        assert_eq!(sealer.open(&access_key("AX"), 7, &sealed), Err(SealError::DoesNotOpen));
        assert_eq!(sealer.open(&access_key("AK"), 8, &sealed), Err(SealError::DoesNotOpen));
        assert_eq!(seal(2).open(&access_key("AK"), 7, &sealed), Err(SealError::DoesNotOpen));
        assert_eq!(sealer.open(&access_key("AK"), 7, b"short"), Err(SealError::DoesNotOpen));
    }

    #[test]
    fn sealing_twice_gives_different_bytes() {
        let sealer = seal(1);
        let once = || sealer.seal(&access_key("AK"), 7, "hush").expect("seals");
        assert_ne!(once(), once());
    }

    #[test]
    fn the_check_tells_another_key() {
        let check = seal(1).new_check().expect("seals");
        assert_eq!(seal(1).verify_check(&check), Ok(()));
        assert_eq!(seal(2).verify_check(&check), Err(SealError::DoesNotOpen));
    }
}
