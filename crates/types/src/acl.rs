//! Access control lists: who else may do something with a bucket or an object, in S3's own and oldest terms.

use minicbor::{Decode, Encode};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum AclPermission {
    /// To list a bucket; to read an object.
    #[n(0)]
    Read,
    /// To put objects into a bucket and to delete them. Of an object it says nothing.
    #[n(1)]
    Write,
    #[n(2)]
    ReadAcp,
    #[n(3)]
    WriteAcp,
    #[n(4)]
    FullControl,
}

impl AclPermission {
    /// In the order in which headers grant them.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::ReadAcp, Self::WriteAcp, Self::FullControl];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::ReadAcp => "READ_ACP",
            Self::WriteAcp => "WRITE_ACP",
            Self::FullControl => "FULL_CONTROL",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == text)
    }

    pub fn includes(self, other: Self) -> bool {
        self == Self::FullControl || self == other
    }
}

/// Grantees that are not one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum AclGroup {
    /// Everybody, anonymous or not.
    #[n(0)]
    AllUsers,
    /// Everybody who signs.
    #[n(1)]
    AuthenticatedUsers,
    /// What delivers access logs.
    #[n(2)]
    LogDelivery,
}

impl AclGroup {
    pub const ALL: [Self; 3] = [Self::AllUsers, Self::AuthenticatedUsers, Self::LogDelivery];

    pub fn uri(self) -> &'static str {
        match self {
            Self::AllUsers => "http://acs.amazonaws.com/groups/global/AllUsers",
            Self::AuthenticatedUsers => "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
            Self::LogDelivery => "http://acs.amazonaws.com/groups/s3/LogDelivery",
        }
    }

    pub fn parse(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.uri() == uri)
    }

    /// S3 calls an ACL public that grants something to one of these.
    pub fn is_public(self) -> bool {
        matches!(self, Self::AllUsers | Self::AuthenticatedUsers)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Grantee {
    /// By canonical id.
    #[n(0)]
    User(#[n(0)] String),
    #[n(1)]
    Group(#[n(0)] AclGroup),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Grant {
    #[n(0)]
    pub grantee: Grantee,
    #[n(1)]
    pub permission: AclPermission,
}

/// The grants in the order in which they are shown. Without any, nobody but the owner may anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Acl {
    #[n(0)]
    pub grants: Vec<Grant>,
}

impl Acl {
    /// As many as S3 takes.
    pub const MAX_GRANTS: usize = 100;

    pub fn private(owner: &str) -> Self {
        Self { grants: vec![Grant { grantee: Grantee::User(owner.to_owned()), permission: AclPermission::FullControl }] }
    }

    pub fn is_public(&self) -> bool {
        self.grants.iter().any(|grant| matches!(grant.grantee, Grantee::Group(group) if group.is_public()))
    }

    /// Nobody but the owner is granted anything.
    pub fn is_private_to(&self, owner: &str) -> bool {
        self.grants.iter().all(|grant| matches!(&grant.grantee, Grantee::User(id) if id == owner))
    }
}

/// A set of grants that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CannedAcl {
    #[n(0)]
    Private,
    #[n(1)]
    PublicRead,
    #[n(2)]
    PublicReadWrite,
    #[n(3)]
    AuthenticatedRead,
    /// These two of objects: a bucket's owner has the bucket.
    #[n(4)]
    BucketOwnerRead,
    #[n(5)]
    BucketOwnerFullControl,
    #[n(6)]
    LogDeliveryWrite,
}

impl CannedAcl {
    pub const ALL: [Self; 7] = [
        Self::Private,
        Self::PublicRead,
        Self::PublicReadWrite,
        Self::AuthenticatedRead,
        Self::BucketOwnerRead,
        Self::BucketOwnerFullControl,
        Self::LogDeliveryWrite,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "public-read",
            Self::PublicReadWrite => "public-read-write",
            Self::AuthenticatedRead => "authenticated-read",
            Self::BucketOwnerRead => "bucket-owner-read",
            Self::BucketOwnerFullControl => "bucket-owner-full-control",
            Self::LogDeliveryWrite => "log-delivery-write",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|canned| canned.as_str() == text)
    }

    /// Groups first, as they are shown; the owner has full control behind them.
    pub fn groups(self) -> &'static [(AclGroup, AclPermission)] {
        match self {
            Self::Private | Self::BucketOwnerRead | Self::BucketOwnerFullControl => &[],
            Self::PublicRead => &[(AclGroup::AllUsers, AclPermission::Read)],
            Self::PublicReadWrite => &[(AclGroup::AllUsers, AclPermission::Read), (AclGroup::AllUsers, AclPermission::Write)],
            Self::AuthenticatedRead => &[(AclGroup::AuthenticatedUsers, AclPermission::Read)],
            Self::LogDeliveryWrite => {
                &[(AclGroup::LogDelivery, AclPermission::Write), (AclGroup::LogDelivery, AclPermission::ReadAcp)]
            }
        }
    }
}

/// A grantee as a client names one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum GranteeName {
    #[n(0)]
    Id(#[n(0)] String),
    #[n(1)]
    Email(#[n(0)] String),
    #[n(2)]
    Group(#[n(0)] AclGroup),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GrantRequest {
    #[n(0)]
    pub grantee: GranteeName,
    #[n(1)]
    pub permission: AclPermission,
}

/// An ACL as a client asks for it, before its grantees are known.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum AclRequest {
    #[n(0)]
    Canned(#[n(0)] CannedAcl),
    #[n(1)]
    Grants(#[n(0)] Vec<GrantRequest>),
}
