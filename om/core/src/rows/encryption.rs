//! How objects are encrypted: everything but the keys themselves, which lie sealed here or not here at all.

use std::fmt;

use minicbor::{Decode, Encode};
use types::{ObjectId, Salt, Timestamp};

/// The name of a key of the key service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct KmsKeyId(pub String);

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

/// A key that another key sealed.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct SealedKey {
    /// Which version of the key that sealed it.
    #[n(0)]
    pub version: u32,
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedKey(by version {})", self.version)
    }
}

/// Tells whether a key is the one that a client brought before. Made of the key and of the salt beside it; tells nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct KeyCheck(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

impl fmt::Debug for KeyCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyCheck(…)")
    }
}

/// Where a data key comes from that a key of the key service sealed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KmsSealed {
    #[n(0)]
    pub key: KmsKeyId,
    #[n(1)]
    pub sealed: SealedKey,
    /// Sealed together with the data key, as the client gave it; without it the data key does not open.
    #[n(2)]
    pub context: Option<String>,
    /// As the client asked and is told again.
    #[n(3)]
    pub bucket_key: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Scheme {
    /// SSE-S3: the data key is sealed by the store's own key.
    #[n(0)]
    Store(#[n(0)] SealedKey),
    /// SSE-KMS.
    #[n(1)]
    Kms(#[n(0)] KmsSealed),
    /// SSE-C: the data key is the client's, and nowhere here.
    #[n(2)]
    Customer(#[n(0)] KeyCheck),
}

/// Of an object, or of an upload and all its parts.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Encryption {
    #[n(0)]
    pub scheme: Scheme,
    /// Of an object that was put whole: its stream's. Of an upload and what became of it: what its tags and the check of its
    /// key are made with; its parts have salts of their own.
    #[n(1)]
    pub salt: Salt,
}

/// How a write under way seals its bytes. Kept with its session, so that what is committed is sealed as was decided when it was
/// opened, whatever the one who commits says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum SessionEncryption {
    #[n(0)]
    Object(#[n(0)] Encryption),
    /// The upload has the rest.
    #[n(1)]
    Part(#[n(0)] Salt),
    /// What is to follow the bytes of this object, which has the rest.
    #[n(2)]
    Append {
        #[n(0)]
        object: ObjectId,
        #[n(1)]
        salt: Salt,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum KmsKeyState {
    #[n(0)]
    Enabled,
    /// Neither seals nor opens, until it is enabled again.
    #[n(1)]
    Disabled,
}

/// ```text
/// KMS_KEYS  name  → KmsKeyRow
/// ```
/// A key of the built-in key service. Its last version seals; all of them open what they sealed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KmsKeyRow {
    #[n(0)]
    pub id: KmsKeyId,
    #[n(1)]
    pub state: KmsKeyState,
    #[n(2)]
    pub created: Timestamp,
    /// Ascending. Sealed by the key that seals secrets.
    #[n(3)]
    pub versions: Vec<KmsKeyVersion>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KmsKeyVersion {
    #[n(0)]
    pub sealed: SealedKey,
    #[n(1)]
    pub created: Timestamp,
}

impl KmsKeyRow {
    pub fn version(&self, number: u32) -> Option<&KmsKeyVersion> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.versions.get(at)
    }

    /// The number of the version that seals.
    pub fn latest(&self) -> u32 {
        u32::try_from(self.versions.len()).unwrap_or(u32::MAX)
    }
}
