//! What Ozone's native ACLs give, in S3's terms. They allow, and never deny.
//!
//! Ozone asks for rights along the whole way to a key; here a right is enough where it is asked for. To write a key is S3's one word for
//! to make it and to replace it: it takes CREATE and WRITE, on the longest prefix above it or on its bucket. To read, change or
//! delete what is there takes the right on the key or on that prefix.

use std::collections::BTreeMap;
use std::ops::Bound::{Included, Unbounded};

use tables::{ReadTables, StorageFault, Visit};

use super::Identity;
use crate::policy::{Caller, Meant, Permission};
use crate::rows::{BucketRow, CredentialHolder, NativeAcl, NativeEntry, NativeRights, NativeWho, bucket_key};
use crate::tables::PREFIXES;

/// Where a right is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByNative {
    OfVolume(NativeRights),
    OfBucket(NativeRights),
    /// On the bucket, or on the prefix that is listed.
    Listing,
    /// On the bucket or the longest prefix, together.
    OfPlace(NativeRights),
    /// On the object or the longest prefix, together.
    OfObject(NativeRights),
}

/// Everything that a native ACL can give. What would make somebody more than the ACL's own rights say, such as to pass by retention,
/// none gives.
pub(super) fn by_native(permission: Permission) -> Option<ByNative> {
    use ByNative::{Listing, OfBucket, OfObject, OfPlace, OfVolume};
    use NativeRights as Right;
    use Permission as P;
    Some(match permission {
        P::CreateBucket => OfVolume(Right::CREATE),
        P::ListAllMyBuckets => OfVolume(Right::LIST),
        P::ListBucket | P::ListBucketVersions | P::ListBucketMultipartUploads => Listing,
        P::DeleteBucket => OfBucket(Right::DELETE),
        P::GetBucketLocation
        | P::GetBucketVersioning
        | P::GetBucketCORS
        | P::GetBucketWebsite
        | P::GetBucketTagging
        | P::GetBucketNotification
        | P::GetBucketLogging
        | P::GetBucketRequestPayment
        | P::GetBucketObjectLockConfiguration
        | P::GetBucketAbac
        | P::GetLifecycleConfiguration
        | P::GetEncryptionConfiguration
        | P::GetReplicationConfiguration
        | P::GetAccelerateConfiguration
        | P::GetAnalyticsConfiguration
        | P::GetInventoryConfiguration
        | P::GetMetricsConfiguration
        | P::GetIntelligentTieringConfiguration
        | P::GetBucketMetadataTableConfiguration => OfBucket(Right::READ),
        P::PutBucketVersioning
        | P::PutBucketCORS
        | P::PutBucketWebsite
        | P::DeleteBucketWebsite
        | P::PutBucketTagging
        | P::PutBucketNotification
        | P::PutBucketLogging
        | P::PutBucketRequestPayment
        | P::PutBucketObjectLockConfiguration
        | P::PutLifecycleConfiguration
        | P::PutEncryptionConfiguration
        | P::PutAccelerateConfiguration => OfBucket(Right::WRITE),
        P::GetBucketAcl
        | P::GetBucketPolicy
        | P::GetBucketPolicyStatus
        | P::GetBucketPublicAccessBlock
        | P::GetBucketOwnershipControls => OfBucket(Right::READ_ACL),
        P::PutBucketAcl
        | P::PutBucketPolicy
        | P::DeleteBucketPolicy
        | P::PutBucketPublicAccessBlock
        | P::PutBucketOwnershipControls => OfBucket(Right::WRITE_ACL),
        P::PutObject | P::AbortMultipartUpload | P::ListMultipartUploadParts => OfPlace(Right::CREATE.and(Right::WRITE)),
        P::GetObject
        | P::GetObjectVersion
        | P::GetObjectTagging
        | P::GetObjectVersionTagging
        | P::GetObjectAttributes
        | P::GetObjectVersionAttributes
        | P::GetObjectRetention
        | P::GetObjectLegalHold
        | P::GetObjectTorrent
        | P::GetObjectVersionTorrent => OfObject(Right::READ),
        P::PutObjectTagging
        | P::PutObjectVersionTagging
        | P::DeleteObjectTagging
        | P::DeleteObjectVersionTagging
        | P::PutObjectRetention
        | P::PutObjectLegalHold => OfObject(Right::WRITE),
        P::DeleteObject | P::DeleteObjectVersion => OfObject(Right::DELETE),
        P::GetObjectAcl | P::GetObjectVersionAcl => OfObject(Right::READ_ACL),
        P::PutObjectAcl | P::PutObjectVersionAcl => OfObject(Right::WRITE_ACL),
        _ => return None,
    })
}

/// A bucket's, read once and kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct NativeGuard {
    pub(super) bucket: NativeAcl,
    prefixes: BTreeMap<Vec<u8>, NativeAcl>,
}

impl NativeGuard {
    pub(super) fn load(tables: &dyn ReadTables, bucket: &BucketRow) -> Result<Option<Self>, StorageFault> {
        if bucket.native_acls.is_none() {
            return Ok(None);
        }
        let inside = bucket_key(bucket.id);
        let mut guard = Self::default();
        tables.scan(PREFIXES, &inside, &mut |key, value| {
            let Some(prefix) = key.strip_prefix(inside.as_slice()) else { return Ok(Visit::Stop) };
            let acl: NativeAcl = tables::decode(value, PREFIXES.name)?;
            if prefix.is_empty() {
                guard.bucket = acl;
            } else {
                guard.prefixes.insert(prefix.to_vec(), acl);
            }
            Ok(Visit::Next)
        })?;
        Ok(Some(guard))
    }

    pub(super) fn acls(&self) -> impl Iterator<Item = &NativeAcl> {
        std::iter::once(&self.bucket).chain(self.prefixes.values())
    }

    /// Of the longest prefix that lies above a key, or that begins what is listed.
    pub(super) fn above(&self, key: &str) -> Option<&NativeAcl> {
        let key = key.as_bytes();
        let mut end = key.len();
        loop {
            // None that is longer than what the nearest below has in common with the key can lie above it.
            let (nearest, acl) = self.prefixes.range::<[u8], _>((Unbounded, Included(&key[..end]))).next_back()?;
            if key.starts_with(nearest) {
                return Some(acl);
            }
            end = nearest.iter().zip(key).take_while(|(one, other)| one == other).count();
        }
    }
}

/// How an entry means somebody, if it does.
fn meant(entry: &NativeEntry, identity: &Identity, caller: &Caller, ignores_public: bool) -> Option<Meant> {
    match &entry.who {
        NativeWho::User(who) => match who.holder {
            // An account is told that it may let its own in.
            CredentialHolder::Root => (identity.user_id() == Some(&who.account)).then_some(Meant::AsAccount),
            CredentialHolder::User { .. } | CredentialHolder::Role { .. } => {
                identity.is(&who.account, &who.holder).then_some(Meant::AsItself)
            }
        },
        NativeWho::Group { account, id, .. } => match identity {
            Identity::Member(member) if member.account.id == *account && member.powers.groups.contains(id) => Some(Meant::AsRole),
            _ => None,
        },
        NativeWho::World | NativeWho::Anonymous if ignores_public => None,
        NativeWho::World => caller.account().map(|_| Meant::AsAnybody),
        NativeWho::Anonymous => Some(Meant::AsAnybody),
    }
}

/// Whether some ACLs together give somebody all of these rights, and as whom.
pub(super) fn gives_native<'a>(
    acls: impl Iterator<Item = &'a NativeAcl> + Clone,
    identity: &Identity,
    caller: &Caller,
    needed: NativeRights,
    ignores_public: bool,
) -> Option<Meant> {
    // What everybody may is meant for clients: a service is let in by its name.
    if matches!(caller, Caller::Service(_)) {
        return None;
    }
    let mut rights = NativeRights::NONE;
    // By name first: what names somebody is not narrowed by what narrows their account.
    for level in [Meant::AsItself, Meant::AsRole, Meant::AsAnybody, Meant::AsAccount] {
        for entry in acls.clone().flat_map(|acl| &acl.entries) {
            if meant(entry, identity, caller, ignores_public) == Some(level) {
                rights = rights.and(entry.rights);
            }
        }
        if rights.includes(needed) {
            return Some(level);
        }
    }
    None
}
