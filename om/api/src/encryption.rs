//! Encryption of objects: how a write asks for it, what an object has, and the keys that seal and open bytes.

use std::fmt;

use minicbor::{Decode, Encode};
use types::{Salt, SealedStream, Timestamp};
use zeroize::Zeroizing;

use crate::{Denied, Requester};

/// The key behind an object's bytes, in the clear: on its way from the OM to the gateway that seals or opens them. Never printed,
/// never stored, gone from memory with its owner.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

impl<C> Encode<C> for DataKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.bytes(self.0.as_slice())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for DataKey {
    fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes: &[u8; 32] =
            decoder.bytes()?.try_into().map_err(|_| minicbor::decode::Error::message("a data key has 32 bytes"))?;
        Ok(Self(Zeroizing::new(*bytes)))
    }
}

/// The name of a key of the key service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct KmsKeyId(pub String);

impl KmsKeyId {
    /// What such a name may be. It stands in headers, policies and logs; that it may look like an ARN lets a store take over
    /// names that clients already use.
    pub fn is_usable(&self) -> bool {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@+=".contains(&byte);
        (1..=256).contains(&self.0.len()) && self.0.bytes().all(is_letter)
    }
}

impl fmt::Display for KmsKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KmsKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells whether a client's key is the one that it brought before, and tells nothing else. Made by the gateway, which alone sees
/// the key, of the key and of a salt.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct KeyCheck(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

impl fmt::Debug for KeyCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyCheck(…)")
    }
}

/// How the bytes of a new object are to be encrypted. Where a request carries none of this, as its bucket says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum EncryptionWanted {
    /// As the bucket says, but for the bucket key.
    #[n(0)]
    ByDefault {
        #[n(0)]
        bucket_key: bool,
    },
    /// SSE-S3.
    #[n(1)]
    Store,
    /// SSE-KMS.
    #[n(2)]
    Kms {
        /// The configuration's if absent.
        #[n(0)]
        key: Option<KmsKeyId>,
        #[n(1)]
        context: Option<String>,
        #[n(2)]
        bucket_key: bool,
    },
    /// SSE-C: with a key that only the gateway knows.
    #[n(3)]
    Customer {
        #[n(0)]
        salt: Salt,
        #[n(1)]
        check: KeyCheck,
    },
    /// Nothing that can be done. The gateway knows what to answer; here it is only found out whether the requester may learn it.
    #[n(4)]
    Unusable,
}

/// How an object or an upload is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EncryptionInfo {
    #[n(0)]
    pub scheme: EncryptionScheme,
    /// Entity tags, and the check of a client's key, are made with it.
    #[n(1)]
    pub salt: Salt,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum EncryptionScheme {
    #[n(0)]
    Store,
    #[n(1)]
    Kms {
        #[n(0)]
        key: KmsKeyId,
        #[n(1)]
        context: Option<String>,
        #[n(2)]
        bucket_key: bool,
    },
    #[n(2)]
    Customer(#[n(0)] KeyCheck),
}

/// What a write seals its bytes with.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SealWith {
    #[n(0)]
    pub info: EncryptionInfo,
    /// None if the client brings it.
    #[n(1)]
    pub data_key: Option<DataKey>,
    /// Of the one stream that this write makes.
    #[n(2)]
    pub stream: Salt,
}

/// What a read opens its bytes with. The pieces beside it are stored bytes, and placed among these.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OpenWith {
    /// None if the client brings it.
    #[n(0)]
    pub data_key: Option<DataKey>,
    /// The whole segments under the wanted bytes: where they begin and end.
    #[n(1)]
    pub stored_first: u64,
    #[n(2)]
    pub stored_end: u64,
    /// Those that have bytes in the located pieces, in order.
    #[n(3)]
    pub streams: Vec<SealedStream>,
}

/// Why something cannot be encrypted or opened as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum EncryptionRejected {
    /// [`EncryptionWanted::Unusable`], of somebody who may write here.
    #[n(0)]
    #[error("the encryption that is asked for cannot be done")]
    Unusable,
    /// SSE-KMS without a key's name, and no key is configured for that.
    #[n(1)]
    #[error("no key is named")]
    NoKeyNamed,
    #[n(2)]
    #[error("there is no key {0}")]
    NoSuchKey(#[n(0)] KmsKeyId),
    #[n(3)]
    #[error("the key {0} is disabled")]
    KeyDisabled(#[n(0)] KmsKeyId),
    /// A bucket key where no key service is used.
    #[n(4)]
    #[error("a bucket key without SSE-KMS")]
    NotKms,
    /// The key service serves nobody who does not say who they are.
    #[n(5)]
    #[error("SSE-KMS without a signature")]
    Anonymous,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CreateKmsKey {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub key: KmsKeyId,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ListKmsKeys {
    #[n(0)]
    pub by: Requester,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChangeKmsKey {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub key: KmsKeyId,
    #[n(2)]
    pub change: KmsKeyChange,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum KmsKeyChange {
    /// Seals with new material from now on. What was sealed before still opens.
    #[n(0)]
    Rotate,
    #[n(1)]
    Enable,
    /// Neither seals nor opens until it is enabled again.
    #[n(2)]
    Disable,
}

/// A key of the built-in key service. Its material never leaves the OM.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KmsKeyInfo {
    #[n(0)]
    pub key: KmsKeyId,
    #[n(1)]
    pub created: Timestamp,
    #[n(2)]
    pub is_enabled: bool,
    /// How often it was given material.
    #[n(3)]
    pub versions: u32,
    #[n(4)]
    pub rotated: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum KmsRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("the key exists")]
    Exists,
    #[n(2)]
    #[error("no such key")]
    NoSuchKey,
    #[n(3)]
    #[error("not a usable name of a key: 1 to 256 letters, digits and - _ . : / @ + =")]
    BadName,
    #[n(4)]
    #[error("the key was rotated too often")]
    TooManyVersions,
    /// Somebody else changed it at the same time.
    #[n(5)]
    #[error("the key was changed at the same time")]
    Conflict,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_key_travels_and_is_not_shown() {
        let key = DataKey::new(Zeroizing::new([7; 32]));
        let bytes = minicbor::to_vec(&key).expect("memory");
        assert_eq!(minicbor::decode::<DataKey>(&bytes).expect("its own bytes"), key);
        assert!(minicbor::decode::<DataKey>(&bytes[..20]).is_err());
        assert!(
            minicbor::decode::<DataKey>(&minicbor::to_vec(minicbor::bytes::ByteVec::from(vec![7; 31])).expect("memory")).is_err()
        );
        assert_eq!(format!("{key:?}"), "DataKey(…)");
    }

    #[test]
    fn a_keys_name_can_stand_in_a_header() {
        for usable in ["testkey-1", "arn:aws:kms:us-east-1:111122223333:key/1234abcd", "alias/a_b.c@d"] {
            assert!(KmsKeyId(usable.into()).is_usable(), "{usable}");
        }
        for unusable in ["", "a b", "a\r\nb", "ключ", &"k".repeat(257)] {
            assert!(!KmsKeyId(unusable.into()).is_usable(), "{unusable}");
        }
    }
}
