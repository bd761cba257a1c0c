//! What stands guard over a bucket, read once and kept until it changes.

use bucket_config::access::ObjectOwnership;
use bucket_config::service::Payer;
use bucket_config::{BucketAcl, BucketPolicy, OwnershipControls, PublicAccessBlock, RequestPayment};
use tables::{ReadTables, StorageFault};
use types::{Acl, LogIndex};

use super::native::NativeGuard;
use crate::namespace;
use crate::policy::{MalformedPolicy, Policy, PolicyKind};
use crate::rows::{BucketRow, NativeAcl};

/// What an entry of a native ACL counts as, which takes no more room than a policy's text of this length.
const ENTRY_TEXT: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeptPolicy {
    pub(super) policy: Policy,
    pub(super) is_public: bool,
    pub(super) binds_owner: bool,
}

/// Everything set on a bucket that says who may reach it. Kept by whoever asks often; it is the one to ask as long as its bucket's
/// row names the same entry as having changed it last ([`Guard::is_of`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guard {
    at: Option<LogIndex>,
    pub(super) policy: Option<KeptPolicy>,
    pub(super) block: PublicAccessBlock,
    pub(super) ownership: Option<ObjectOwnership>,
    pub(super) acl: Option<Acl>,
    /// Ozone's.
    pub(super) native: Option<NativeGuard>,
    pub(super) requester_pays: bool,
    unreadable: Option<MalformedPolicy>,
    text: usize,
}

impl Guard {
    pub fn load(tables: &dyn ReadTables, bucket: &BucketRow) -> Result<Self, StorageFault> {
        if bucket.guarded.is_none() {
            return Ok(Self::default());
        }
        let mut guard = Self {
            at: bucket.guarded,
            block: namespace::bucket_document(tables, bucket.id)?.unwrap_or_default(),
            ownership: namespace::bucket_document::<OwnershipControls>(tables, bucket.id)?.map(|controls| controls.ownership),
            acl: namespace::bucket_document::<BucketAcl>(tables, bucket.id)?.map(|acl| acl.acl),
            requester_pays: namespace::bucket_document::<RequestPayment>(tables, bucket.id)?
                .is_some_and(|payment| payment.payer == Payer::Requester),
            ..Self::default()
        };
        guard.native = NativeGuard::load(tables, bucket)?;
        guard.text = guard.native.iter().flat_map(NativeGuard::acls).map(|acl| acl.entries.len() * ENTRY_TEXT).sum();
        if let Some(BucketPolicy { text, binds_owner }) = namespace::bucket_document(tables, bucket.id)? {
            guard.text += text.len();
            guard.policy = Some(match Policy::parse(&text, PolicyKind::Bucket) {
                Ok(policy) => KeptPolicy { is_public: policy.is_public(), policy, binds_owner },
                // What it denied must not be open. Its owner can still replace it.
                Err(why) => {
                    guard.unreadable = Some(why);
                    KeptPolicy { is_public: false, policy: Policy::shut(), binds_owner: false }
                }
            });
        }
        Ok(guard)
    }

    /// Why the bucket's policy lets nobody in: it was taken once, and can no longer be read.
    pub fn unreadable(&self) -> Option<&MalformedPolicy> {
        self.unreadable.as_ref()
    }

    /// Bytes of the policy's text and so many for each native entry, to which the room that a guard takes is in proportion.
    pub fn text_length(&self) -> usize {
        self.text
    }

    pub fn has_policy(&self) -> bool {
        self.policy.is_some()
    }

    pub fn is_of(&self, bucket: &BucketRow) -> bool {
        self.at == bucket.guarded
    }

    /// There are no ACLs, and everything belongs to the bucket's owner.
    pub fn is_owner_enforced(&self) -> bool {
        self.ownership == Some(ObjectOwnership::BucketOwnerEnforced)
    }

    /// The bucket's own, as it is in force.
    pub fn acl(&self, bucket: &BucketRow) -> Acl {
        match &self.acl {
            Some(acl) if !self.is_owner_enforced() => acl.clone(),
            _ => Acl::private(&bucket.owner.0),
        }
    }

    pub(super) fn is_public(&self, block: PublicAccessBlock) -> bool {
        let by_acl = !self.is_owner_enforced() && !block.ignore_public_acls && self.acl.as_ref().is_some_and(Acl::is_public);
        let by_native = !block.ignore_public_acls && self.native.iter().flat_map(NativeGuard::acls).any(NativeAcl::is_public);
        by_acl || by_native || self.policy.as_ref().is_some_and(|kept| kept.is_public)
    }
}
