//! Who may reach a bucket: its policy and its ACL, the block on public access, and who owns what others put into it.

use minicbor::{Decode, Encode};
use types::Acl;

use crate::Invalid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct PublicAccessBlock {
    /// No new public ACLs.
    #[n(0)]
    pub block_public_acls: bool,
    /// What is public by an ACL is as if it were not.
    #[n(1)]
    pub ignore_public_acls: bool,
    /// No new public policies.
    #[n(2)]
    pub block_public_policy: bool,
    /// A public policy lets in nobody but the owner's own.
    #[n(3)]
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// What is blocked by either.
    pub fn and(self, other: Self) -> Self {
        Self {
            block_public_acls: self.block_public_acls || other.block_public_acls,
            ignore_public_acls: self.ignore_public_acls || other.ignore_public_acls,
            block_public_policy: self.block_public_policy || other.block_public_policy,
            restrict_public_buckets: self.restrict_public_buckets || other.restrict_public_buckets,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// S3's list of rules has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct OwnershipControls {
    #[n(0)]
    pub ownership: ObjectOwnership,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ObjectOwnership {
    /// The bucket's owner owns everything, and there are no ACLs.
    #[n(0)]
    BucketOwnerEnforced,
    /// What is put with `bucket-owner-full-control` is the bucket owner's.
    #[n(1)]
    BucketOwnerPreferred,
    #[n(2)]
    ObjectWriter,
}

impl ObjectOwnership {
    pub const ALL: [Self; 3] = [Self::BucketOwnerEnforced, Self::BucketOwnerPreferred, Self::ObjectWriter];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::BucketOwnerEnforced => "BucketOwnerEnforced",
            Self::BucketOwnerPreferred => "BucketOwnerPreferred",
            Self::ObjectWriter => "ObjectWriter",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ownership| ownership.as_str() == text)
    }
}

impl OwnershipControls {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// A policy as it was given, letter by letter. What it says is read by who decides by it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BucketPolicy {
    #[n(0)]
    pub text: String,
    /// Whoever set it confirmed that it may keep themselves from changing it: else the bucket's owner always can.
    #[n(1)]
    pub binds_owner: bool,
}

impl BucketPolicy {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.text.is_empty() { Err(Invalid::Policy("Policies must be valid JSON".into())) } else { Ok(()) }
    }
}

/// The ACL of a bucket, its grantees known.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BucketAcl {
    #[n(0)]
    pub acl: Acl,
}

impl BucketAcl {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.acl.grants.len() > Acl::MAX_GRANTS { Err(Invalid::Schema) } else { Ok(()) }
    }
}
