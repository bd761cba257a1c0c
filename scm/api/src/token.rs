//! Block tokens: the only thing that opens a block on a datanode.
//!
//! A token is bound to one target, one access, a length and an expiry, and sealed with HMAC-SHA256 under a key that the SCM
//! rotates. The OM seals tokens for its clients; datanodes open them, and seal short ones for each other when a replica has to
//! be fetched. Nothing about a token is secret but the possession of it.

use std::fmt;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use minicbor::{Decode, Encode};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use types::{BlockId, ContainerId, Timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Access {
    #[n(0)]
    Read,
    #[n(1)]
    Write,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Target {
    #[n(0)]
    Block(#[n(0)] BlockId),
    /// A whole container, for a datanode that is to hold a copy.
    #[n(1)]
    Container(#[n(0)] ContainerId),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BlockToken {
    #[n(0)]
    pub target: Target,
    #[n(1)]
    pub access: Access,
    /// Bytes from the start of the block that may be read or written.
    #[n(2)]
    pub max_length: u64,
    #[n(3)]
    pub expires: Timestamp,
    /// On whose behalf, for the datanode's audit.
    #[n(4)]
    pub caller: String,
}

/// A key that seals tokens.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct TokenKey {
    #[n(0)]
    pub id: u32,
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub secret: [u8; 32],
    /// No token is sealed with it from here on; tokens that it sealed are opened until `expires`.
    #[n(2)]
    pub seals_until: Timestamp,
    #[n(3)]
    pub expires: Timestamp,
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({}, secret, until {:?})", self.id, self.expires)
    }
}

/// The keys of the moment, newest last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct TokenKeys {
    #[n(0)]
    pub keys: Vec<TokenKey>,
}

/// Why a token opens nothing. The sender learns only that it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    #[error("malformed")]
    Malformed,
    #[error("sealed with a key that is unknown or retired")]
    UnknownKey,
    #[error("forged")]
    Forged,
    #[error("expired")]
    Expired,
    #[error("for another block")]
    WrongTarget,
    #[error("for another access")]
    WrongAccess,
    #[error("for fewer bytes")]
    TooLong,
}

const TAG_BYTES: usize = 16;
/// A sealed token is about 70 bytes; whatever is far longer is not one.
const SEALED_MAX: usize = 512;

#[derive(Encode, Decode)]
struct Sealed {
    #[n(0)]
    key: u32,
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    token: Vec<u8>,
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    tag: Vec<u8>,
}

impl BlockToken {
    pub fn seal(&self, key: &TokenKey) -> Bytes {
        #[expect(clippy::expect_used, reason = "a Vec takes every byte")]
        let token = minicbor::to_vec(self).expect("a Vec takes every byte");
        let tag = tag(key, &token).to_vec();
        #[expect(clippy::expect_used, reason = "a Vec takes every byte")]
        let sealed = minicbor::to_vec(Sealed { key: key.id, token, tag }).expect("a Vec takes every byte");
        sealed.into()
    }

    /// Refuses unless the token covers `length` bytes from the start of `target` for `access`.
    pub fn allows(&self, target: Target, access: Access, length: u64) -> Result<(), TokenRefused> {
        if self.target != target {
            return Err(TokenRefused::WrongTarget);
        }
        if self.access != access {
            return Err(TokenRefused::WrongAccess);
        }
        if length > self.max_length { Err(TokenRefused::TooLong) } else { Ok(()) }
    }
}

impl TokenKeys {
    /// The key to seal with now.
    pub fn sealing(&self, now: Timestamp) -> Option<&TokenKey> {
        self.keys.iter().rev().find(|key| now < key.seals_until)
    }

    /// The token inside, if a key of ours sealed it and it has not expired.
    pub fn open(&self, sealed: &[u8], now: Timestamp) -> Result<BlockToken, TokenRefused> {
        if sealed.len() > SEALED_MAX {
            return Err(TokenRefused::Malformed);
        }
        let sealed: Sealed = minicbor::decode(sealed).map_err(|_| TokenRefused::Malformed)?;
        let key = self.keys.iter().find(|key| key.id == sealed.key && now < key.expires).ok_or(TokenRefused::UnknownKey)?;
        if !bool::from(tag(key, &sealed.token).as_slice().ct_eq(&sealed.tag)) {
            return Err(TokenRefused::Forged);
        }
        let token: BlockToken = minicbor::decode(&sealed.token).map_err(|_| TokenRefused::Malformed)?;
        if now >= token.expires { Err(TokenRefused::Expired) } else { Ok(token) }
    }
}

fn tag(key: &TokenKey, token: &[u8]) -> [u8; TAG_BYTES] {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.secret).expect("any key length");
    // The key id is covered, so that a token cannot be presented as another key's.
    mac.update(&key.id.to_be_bytes());
    mac.update(token);
    let full = mac.finalize().into_bytes();
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&full[..TAG_BYTES]);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const BLOCK: Target = Target::Block(BlockId { container: ContainerId(3), local: 9 });

    fn key(id: u32) -> TokenKey {
        TokenKey { id, secret: [id as u8; 32], seals_until: Timestamp(2_000_000), expires: Timestamp(3_000_000) }
    }

    fn token() -> BlockToken {
        BlockToken { target: BLOCK, access: Access::Read, max_length: 100, expires: Timestamp(1_500_000), caller: "ada".into() }
    }

    #[test]
    fn a_token_opens_what_it_was_sealed_for_and_nothing_else() {
        let keys = TokenKeys { keys: vec![key(1), key(2)] };
        let sealed = token().seal(keys.sealing(NOW).expect("a key"));
        let opened = keys.open(&sealed, NOW).expect("ours");
        assert_eq!(opened, token());
        assert_eq!(opened.allows(BLOCK, Access::Read, 100), Ok(()));
        assert_eq!(opened.allows(BLOCK, Access::Read, 101), Err(TokenRefused::TooLong));
        assert_eq!(opened.allows(BLOCK, Access::Write, 1), Err(TokenRefused::WrongAccess));
        let other = Target::Block(BlockId { container: ContainerId(3), local: 10 });
        assert_eq!(opened.allows(other, Access::Read, 1), Err(TokenRefused::WrongTarget));
        assert_eq!(opened.allows(Target::Container(ContainerId(3)), Access::Read, 1), Err(TokenRefused::WrongTarget));
    }

    #[test]
    fn expired_foreign_and_retired_are_refused() {
        let keys = TokenKeys { keys: vec![key(1)] };
        let sealed = token().seal(&key(1));
        assert_eq!(keys.open(&sealed, Timestamp(1_500_000)), Err(TokenRefused::Expired));
        assert_eq!(keys.open(&sealed, Timestamp(3_000_000)), Err(TokenRefused::UnknownKey));
        assert_eq!(keys.open(&token().seal(&key(2)), NOW), Err(TokenRefused::UnknownKey));
        let other_cluster = TokenKey { secret: [9; 32], ..key(1) };
        assert_eq!(keys.open(&token().seal(&other_cluster), NOW), Err(TokenRefused::Forged));
        assert_eq!(keys.open(&vec![0; 1 << 20], NOW), Err(TokenRefused::Malformed));
    }

    #[test]
    fn no_single_bit_of_a_token_may_change() {
        let keys = TokenKeys { keys: vec![key(1)] };
        let sealed = token().seal(&key(1));
        for bit in 0..sealed.len() * 8 {
            let mut bytes = sealed.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(keys.open(&bytes, NOW).is_err() || keys.open(&bytes, NOW) == Ok(token()), "bit {bit}");
        }
    }
}
