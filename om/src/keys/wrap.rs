//! Sealing keys with keys.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use om_api::DataKey;
use om_core::rows::SealedKey;
use runtime::Entropy;
use zeroize::Zeroizing;

use super::NewDataKey;
use crate::MasterKey;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WrapError {
    #[error("a sealed key does not open: another key sealed it, or it is damaged")]
    DoesNotOpen,
    #[error("a key cannot be used")]
    Unusable,
}

const SALT: usize = 16;

/// Seals keys: `salt · ciphertext · tag`. Each under a key of its own, derived with a random salt: one wrapping key seals a data
/// key for every object there will ever be, and random nonces of 96 bits would repeat among so many.
///
/// What is sealed is bound to `purpose`, which says whose it is, so that no sealed key opens in another's place.
pub(super) struct Wrapping(Zeroizing<[u8; 32]>);

impl Wrapping {
    pub(super) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    fn derived(&self, salt: &[u8]) -> Result<LessSafeKey, WrapError> {
        let derived = Salt::new(HKDF_SHA256, salt).extract(self.0.as_slice());
        let derived = derived.expand(&[b"trioxide wraps a key"], &AES_256_GCM).map_err(|_| WrapError::Unusable)?;
        Ok(LessSafeKey::new(UnboundKey::from(derived)))
    }

    pub(super) fn seal(&self, entropy: &dyn Entropy, purpose: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, WrapError> {
        let mut salt = [0; SALT];
        entropy.fill(&mut salt);
        let mut text = Zeroizing::new(*key);
        let tag = self.derived(&salt)?.seal_in_place_separate_tag(only_nonce(), Aad::from(purpose), text.as_mut_slice());
        let tag = tag.map_err(|_| WrapError::Unusable)?;
        Ok([salt.as_slice(), text.as_slice(), tag.as_ref()].concat())
    }

    pub(super) fn open(&self, purpose: &[u8], sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>, WrapError> {
        let (salt, sealed) = sealed.split_first_chunk::<SALT>().ok_or(WrapError::DoesNotOpen)?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let opened = self.derived(salt)?.open_in_place(only_nonce(), Aad::from(purpose), &mut buffer);
        let opened: &[u8] = opened.map_err(|_| WrapError::DoesNotOpen)?;
        let key: &[u8; 32] = opened.try_into().map_err(|_| WrapError::DoesNotOpen)?;
        Ok(Zeroizing::new(*key))
    }
}

/// A derived key seals once.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// A key for one purpose, of the one that seals secrets: there is one key to guard and to back up, and none is used in two ways.
pub(super) fn of_master(master: &MasterKey, purpose: &[u8]) -> Result<Wrapping, WrapError> {
    let mut key = Zeroizing::new([0; 32]);
    let (extracted, purpose) = (Salt::new(HKDF_SHA256, b"trioxide").extract(master.bytes()), [purpose]);
    let derived = extracted.expand(&purpose, HKDF_SHA256).map_err(|_| WrapError::Unusable)?;
    derived.fill(key.as_mut_slice()).map_err(|_| WrapError::Unusable)?;
    Ok(Wrapping::new(key))
}

pub(super) fn new_key(entropy: &dyn Entropy) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    entropy.fill(key.as_mut_slice());
    key
}

/// The store's own key, behind SSE-S3.
pub(crate) struct StoreKey {
    wrapping: Wrapping,
    entropy: Arc<dyn Entropy>,
}

/// Of sealed keys, so that another way of making the store's key can come beside this one.
const VERSION: u32 = 0;
const PURPOSE: &[u8] = b"object of the store";

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(…)")
    }
}

impl StoreKey {
    pub(crate) fn new(master: &MasterKey, entropy: Arc<dyn Entropy>) -> Result<Self, WrapError> {
        Ok(Self { wrapping: of_master(master, b"trioxide seals objects with this key")?, entropy })
    }

    pub(crate) fn new_data_key(&self) -> Result<NewDataKey, WrapError> {
        let key = new_key(&*self.entropy);
        let bytes = self.wrapping.seal(&*self.entropy, PURPOSE, &key)?;
        Ok(NewDataKey { key: DataKey::new(key), sealed: SealedKey { version: VERSION, bytes } })
    }

    pub(crate) fn open_data_key(&self, sealed: &SealedKey) -> Result<DataKey, WrapError> {
        if sealed.version != VERSION {
            return Err(WrapError::DoesNotOpen);
        }
        self.wrapping.open(PURPOSE, &sealed.bytes).map(DataKey::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::SeededEntropy;

    fn store(master: u8) -> StoreKey {
        StoreKey::new(&MasterKey::new([master; 32]), Arc::new(SeededEntropy::new(u64::from(master)))).expect("a key")
    }

    #[test]
    fn a_data_key_opens_under_the_key_that_sealed_it_and_under_no_other() {
        let made = store(1).new_data_key().expect("seals");
        assert_eq!(store(1).open_data_key(&made.sealed), Ok(made.key.clone()));
        assert_eq!(store(2).open_data_key(&made.sealed), Err(WrapError::DoesNotOpen));
        assert!(!made.sealed.bytes.windows(8).any(|window| window == &made.key.bytes()[..8]));
    }

    #[test]
    fn a_damaged_or_foreign_sealed_key_does_not_open() {
        let store = store(1);
        let made = store.new_data_key().expect("seals");
        for at in 0..made.sealed.bytes.len() {
            let mut damaged = made.sealed.clone();
            damaged.bytes[at] ^= 1;
            assert_eq!(store.open_data_key(&damaged), Err(WrapError::DoesNotOpen), "byte {at}");
        }
        for bytes in [Vec::new(), vec![0; SALT], made.sealed.bytes[..50].to_vec()] {
            assert_eq!(store.open_data_key(&SealedKey { version: 0, bytes }), Err(WrapError::DoesNotOpen));
        }
        let other = SealedKey { version: 1, ..made.sealed };
        assert_eq!(store.open_data_key(&other), Err(WrapError::DoesNotOpen));
    }

    #[test]
    fn a_sealed_key_is_bound_to_what_it_is_for() {
        let (wrapping, entropy) = (Wrapping::new(Zeroizing::new([1; 32])), SeededEntropy::new(1));
        let sealed = wrapping.seal(&entropy, b"this", &[9; 32]).expect("seals");
        assert_eq!(wrapping.open(b"this", &sealed).as_deref(), Ok(&[9; 32]));
        assert_eq!(wrapping.open(b"that", &sealed), Err(WrapError::DoesNotOpen));
    }

    #[test]
    fn no_two_objects_have_one_key() {
        let store = store(1);
        let (first, second) = (store.new_data_key().expect("seals"), store.new_data_key().expect("seals"));
        assert_ne!(first.key, second.key);
        assert_ne!(first.sealed, second.sealed);
    }
}
