//! Numbers that name things. Each kind is its own type, so that a container id never opens a block.

use std::fmt;

use minicbor::{Decode, Encode};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty) = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, concat!($prefix, "{}"), self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
    )*};
}

ids! {
    /// A bucket's identity; never reused, so a bucket made again under an old name inherits nothing.
    BucketId(u64) = "bucket-";
    /// One written object or part: what a key or a part row points at while its blocks live.
    ObjectId(u64) = "object-";
    /// A container of blocks: the unit that is replicated, closed and repaired.
    ContainerId(u64) = "container-";
    /// The datanodes that take one container's writes together, and their Raft group.
    PipelineId(u64) = "pipeline-";
    /// A datanode's identity, given by the SCM at registration and never reused.
    DatanodeId(u64) = "datanode-";
    /// A member of a Raft group; never reused after its log was lost.
    MemberId(u64) = "member-";
    /// A Raft group among the many that a process hosts.
    GroupId(u64) = "group-";
    /// A position in a Raft log.
    LogIndex(u64) = "#";
}

/// Names one request across retries: the second arrival gets the first one's answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct RequestId {
    #[n(0)]
    high: u64,
    #[n(1)]
    low: u64,
}

impl RequestId {
    pub fn from_u128(value: u128) -> Self {
        Self { high: (value >> 64) as u64, low: value as u64 }
    }

    /// The id that the client was told: those of all calls that are made for its request begin as it does.
    pub fn of_client(self) -> Self {
        Self { low: self.low & !0xff_ffff, ..self }
    }

    pub fn to_u128(self) -> u128 {
        (u128::from(self.high) << 64) | u128::from(self.low)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}{:016X}", self.high, self.low)
    }
}

impl std::str::FromStr for RequestId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self::from_u128)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A cluster's identity, rolled once at its first start: certificates and tokens of another cluster mean nothing here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct ClusterId {
    #[n(0)]
    high: u64,
    #[n(1)]
    low: u64,
}

impl ClusterId {
    pub fn from_u128(value: u128) -> Self {
        Self { high: (value >> 64) as u64, low: value as u64 }
    }

    pub fn to_u128(self) -> u128 {
        (u128::from(self.high) << 64) | u128::from(self.low)
    }

    /// The 32 hexadecimal digits of `Display`.
    pub fn parse(text: &str) -> Option<Self> {
        UploadId::parse(text).map(|id| Self { high: id.high, low: id.low })
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.high, self.low)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An upload in flight. Opaque to clients; 128 random bits, so that it cannot be guessed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct UploadId {
    #[n(0)]
    high: u64,
    #[n(1)]
    low: u64,
}

impl UploadId {
    pub fn from_u128(value: u128) -> Self {
        Self { high: (value >> 64) as u64, low: value as u64 }
    }

    pub fn to_u128(self) -> u128 {
        (u128::from(self.high) << 64) | u128::from(self.low)
    }

    /// The 32 hexadecimal digits that clients carry; anything else was not issued by us.
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !well_formed {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(Self::from_u128)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.high, self.low)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A version of a key. Zero is S3's `null` version; the others grow with the log, so newest sorts last by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct VersionId(pub u64);

impl VersionId {
    pub const NULL: Self = Self(0);

    pub fn is_null(self) -> bool {
        self == Self::NULL
    }

    /// `null`, or the 16 hexadecimal digits of `Display`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "null" {
            return Some(Self::NULL);
        }
        let well_formed = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !well_formed {
            return None;
        }
        u64::from_str_radix(text, 16).ok().filter(|id| *id != 0).map(Self)
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_null() { f.write_str("null") } else { write!(f, "{:016x}", self.0) }
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A part's number within its upload, 1 to 10,000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct PartNumber(u16);

impl PartNumber {
    pub const MAX: Self = Self(10_000);

    pub fn new(number: u64) -> Option<Self> {
        (1..=u64::from(Self::MAX.0)).contains(&number).then_some(Self(number as u16))
    }

    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part-{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_id_reads_back_only_in_the_form_it_was_issued_in() {
        let id = UploadId::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(UploadId::parse(&id.to_string()), Some(id));
        for bad in ["", "1", "../../x", "0123456789ABCDEF0011223344556677", "+123456789abcdef0011223344556677"] {
            assert_eq!(UploadId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_null_version_has_its_own_word_and_no_digits() {
        assert_eq!(VersionId::parse("null"), Some(VersionId::NULL));
        assert_eq!(VersionId::parse("0000000000000000"), None);
        assert_eq!(VersionId::parse(&VersionId(77).to_string()), Some(VersionId(77)));
    }

    #[test]
    fn part_numbers_end_at_ten_thousand() {
        assert_eq!(PartNumber::new(0), None);
        assert_eq!(PartNumber::new(10_000).map(PartNumber::get), Some(10_000));
        assert_eq!(PartNumber::new(10_001), None);
        assert_eq!(PartNumber::new((1 << 32) + 1), None);
    }
}
