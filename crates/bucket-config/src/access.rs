//! What bounds the access to a bucket: the block on public access, and who owns what others put into it.

use minicbor::{Decode, Encode};

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
