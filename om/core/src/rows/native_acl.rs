//! Ozone's native ACLs: of volumes, buckets, prefixes and keys.

use minicbor::{Decode, Encode};
use types::{BucketId, VolumeName};

use super::{IamId, Principal, UserId, bucket_key};

/// A set of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct NativeRights(pub u8);

impl NativeRights {
    pub const NONE: Self = Self(0);
    pub const READ: Self = Self(1);
    pub const WRITE: Self = Self(1 << 1);
    pub const CREATE: Self = Self(1 << 2);
    pub const LIST: Self = Self(1 << 3);
    pub const DELETE: Self = Self(1 << 4);
    pub const READ_ACL: Self = Self(1 << 5);
    pub const WRITE_ACL: Self = Self(1 << 6);
    pub const ALL: Self = Self((1 << 7) - 1);

    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub const fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Who is meant, as whom they were known when it was set: who comes later under the same name is another.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum NativeWho {
    #[n(0)]
    User(#[n(0)] Principal),
    #[n(1)]
    Group {
        #[n(0)]
        account: UserId,
        #[n(1)]
        name: String,
        #[n(2)]
        id: IamId,
    },
    /// Everybody who signs.
    #[n(2)]
    World,
    /// Everybody.
    #[n(3)]
    Anonymous,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum NativeScope {
    /// Of what it is set on alone.
    #[n(0)]
    Access,
    /// Also given to what is made below.
    #[n(1)]
    Default,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NativeEntry {
    #[n(0)]
    pub who: NativeWho,
    #[n(1)]
    pub rights: NativeRights,
    #[n(2)]
    pub scope: NativeScope,
}

/// ```text
/// VOLUME_ACLS  volume                     → NativeAcl
/// PREFIXES     bucket id be64 · prefix    → NativeAcl, the bucket's own under the empty prefix
/// ```
/// A key's lies in its row.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct NativeAcl {
    #[n(0)]
    pub entries: Vec<NativeEntry>,
}

impl NativeAcl {
    /// What lies below gets of it: the entries that are to be handed on, for itself alone.
    pub(crate) fn handed_on(&self) -> Option<Self> {
        let default = self.entries.iter().filter(|entry| entry.scope == NativeScope::Default);
        let entries: Vec<_> = default.map(|entry| NativeEntry { scope: NativeScope::Access, ..entry.clone() }).collect();
        (!entries.is_empty()).then_some(Self { entries })
    }

    /// It gives something to everybody.
    pub fn is_public(&self) -> bool {
        self.entries.iter().any(NativeEntry::is_public)
    }
}

impl NativeEntry {
    pub fn is_public(&self) -> bool {
        matches!(self.who, NativeWho::World | NativeWho::Anonymous) && self.rights != NativeRights::NONE
    }
}

pub(crate) fn prefix_acl_key(bucket: BucketId, prefix: &str) -> Vec<u8> {
    [bucket_key(bucket).as_slice(), prefix.as_bytes()].concat()
}

pub(crate) fn volume_acl_key(volume: &VolumeName) -> Vec<u8> {
    volume.as_str().as_bytes().to_vec()
}
