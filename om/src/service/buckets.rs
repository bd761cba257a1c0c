//! Buckets: make, delete, show, list.

use std::collections::BTreeMap;

use bucket_config::OwnershipControls;
use bucket_config::access::ObjectOwnership;
use om_api as api;
use om_core::authorise::{Action, AdminAction, Denied, Identity, bucket_acl};
use om_core::listing;
use om_core::rows::{BucketLayout, BucketRow, UserId, Versioning};
use om_core::{CreateBucketRejected, namespace};
use rpc::{CallContext, CallError};
use tables::{ReadTables, StorageFault};
use types::{Acl, AclRequest, BucketId, CannedAcl};

use super::OmService;
use super::calls::{Kind, Stop, denied, find_bucket, scoped};
use crate::convert::{IntoApi, IntoCore};

/// Display names for one answer; each user is looked up once.
pub(super) struct Names<'t> {
    tables: &'t dyn ReadTables,
    known: BTreeMap<UserId, String>,
}

impl<'t> Names<'t> {
    pub(super) fn new(tables: &'t dyn ReadTables) -> Self {
        Self { tables, known: BTreeMap::new() }
    }

    /// A user who is gone is shown by their id.
    pub(super) fn show(&mut self, id: &UserId) -> Result<api::DisplayUser, StorageFault> {
        if let Some(name) = self.known.get(id) {
            return Ok(api::DisplayUser { id: id.clone().into_api(), display_name: name.clone() });
        }
        let display_name = namespace::user(self.tables, id)?.map_or_else(|| id.0.clone(), |user| user.display_name);
        self.known.insert(id.clone(), display_name.clone());
        Ok(api::DisplayUser { id: id.clone().into_api(), display_name })
    }
}

fn show(bucket: BucketRow, names: &mut Names<'_>) -> Result<api::BucketInfo, StorageFault> {
    Ok(api::BucketInfo {
        owner: names.show(&bucket.owner)?,
        id: bucket.id,
        name: bucket.name,
        volume: bucket.volume,
        created: bucket.created,
        location: bucket.location,
        layout: match bucket.layout {
            BucketLayout::ObjectStore => api::BucketLayout::ObjectStore,
            BucketLayout::FileSystem => api::BucketLayout::FileSystem,
        },
        replication: bucket.replication,
        versioning: match bucket.versioning {
            Versioning::Unversioned => api::Versioning::Unversioned,
            Versioning::Enabled => api::Versioning::Enabled,
            Versioning::Suspended => api::Versioning::Suspended,
        },
        object_lock: bucket.object_lock,
    })
}

/// What a request wants besides to make the bucket, by what it sets on it.
fn beginning(request: &api::CreateBucket, acl: Option<&AclRequest>) -> Vec<Action> {
    let has_acl = acl.is_some_and(|acl| *acl != AclRequest::Canned(CannedAcl::Private));
    let wanted = [
        (has_acl, Action::PutBucketAcl),
        (request.ownership.is_some(), Action::PutBucketOwnershipControls),
        (request.object_lock, Action::PutBucketObjectLockConfiguration),
        // A lock is on versions, which it turns on.
        (request.object_lock, Action::PutBucketVersioning),
    ];
    wanted.into_iter().filter_map(|(is_asked, action)| is_asked.then_some(action)).collect()
}

impl OmService {
    pub(super) async fn create_bucket(
        &self,
        cx: CallContext,
        request: api::CreateBucket,
    ) -> Result<api::BucketInfo, CallError<api::CreateBucketRejected>> {
        type Rejected = api::CreateBucketRejected;
        let by_system = matches!(request.by, api::Requester::System);
        let asked_acl = request.by.context().and_then(|context| context.acl.as_ref());
        let sets = beginning(&request, asked_acl);
        let named_owner = request.owner.map(IntoCore::into_core);
        let (owner, acl) = self
            .log
            .read(cx.deadline, |tables| {
                let action = AdminAction::CreateBucket(&request.bucket);
                let identity = self.administer::<Rejected>(tables, &request.by, action, None)?;
                let volume = request.bucket.volume();
                if named_owner.is_some() || volume != identity.home() {
                    self.administer::<Rejected>(tables, &request.by, AdminAction::PlaceBucket(&request.bucket), None)?;
                }
                if !volume.is_s3v() && namespace::volume(tables, volume)?.is_none() {
                    return Err(Stop::Rejected(Rejected::NoSuchVolume));
                }
                for &permission in &sets {
                    let action = AdminAction::BeginBucket(permission, &request.bucket);
                    self.administer::<Rejected>(tables, &request.by, action, None)?;
                }
                // Trioxide itself owns nothing; it makes buckets for somebody.
                let nobody = || denied::<Rejected>(Denied::AccessDenied);
                let owner = named_owner.or_else(|| identity.user_id().cloned()).ok_or_else(nobody)?;
                let acl = bucket_acl(tables, asked_acl, &owner)?.map_err(denied)?;
                let block = namespace::user(tables, &owner)?.and_then(|account| account.block).unwrap_or_default();
                if block.block_public_acls && acl.as_ref().is_some_and(Acl::is_public) {
                    let why = || "s3:CreateBucket: the account's block on public access takes no public ACL".to_owned();
                    self.refused_bucket(&request.by, &identity, Some(&request.bucket), why);
                    return Err(denied(Denied::AccessDenied));
                }
                Ok((owner, acl))
            })
            .await?;
        if acl.is_some() && request.ownership == Some(ObjectOwnership::BucketOwnerEnforced) {
            return Err(CallError::Rejected(Rejected::AclWithoutAcls));
        }
        let (path, of) = (request.bucket.clone(), owner.clone());
        let command = om_core::CreateBucket {
            volume: request.bucket.volume().clone(),
            name: request.bucket.into_name(),
            owner,
            location: request.location,
            replication: self.config.replication,
            limit: self.config.max_buckets_per_user,
            now: self.clock.now(),
            object_lock: request.object_lock.then_some(true),
            acl,
            ownership: request.ownership.map(|ownership| OwnershipControls { ownership }),
        };
        let created = self.log.propose(scoped(&cx, Kind::CreateBucket), command, cx.deadline).await;
        self.log.machine().read(|tables, _| {
            let show = |bucket| show(bucket, &mut Names::new(tables)).map_err(|fault| CallError::from(Stop::Fault(fault)));
            match created {
                Ok(bucket) => show(bucket),
                Err(CallError::Rejected(CreateBucketRejected::OwnedByYou(bucket))) => {
                    Err(CallError::Rejected(Rejected::OwnedByYou(Box::new(show(*bucket)?))))
                }
                // What a configuration names has to be there, whatever its owner has made of it since.
                Err(CallError::Rejected(CreateBucketRejected::Exists)) if by_system => {
                    match find_bucket(tables, &path).map_err(|fault| CallError::from(Stop::Fault(fault)))? {
                        Some(bucket) if bucket.owner == of => {
                            Err(CallError::Rejected(Rejected::OwnedByYou(Box::new(show(bucket)?))))
                        }
                        _ => Err(CallError::Rejected(Rejected::Exists)),
                    }
                }
                Err(error) => Err(error.map_rejection(|rejected| match rejected {
                    CreateBucketRejected::Exists | CreateBucketRejected::OwnedByYou(_) => Rejected::Exists,
                    CreateBucketRejected::TooMany => Rejected::TooMany,
                    CreateBucketRejected::NoSuchVolume => Rejected::NoSuchVolume,
                    CreateBucketRejected::NoSuchUser => Rejected::Denied(api::Denied::AccessDenied),
                })),
            }
        })
    }

    pub(super) async fn delete_bucket(
        &self,
        cx: CallContext,
        request: api::DeleteBucket,
    ) -> Result<(), CallError<api::DeleteBucketRejected>> {
        type Rejected = api::DeleteBucketRejected;
        let found = self
            .log
            .read(cx.deadline, |tables| {
                let identity = self.identity::<Rejected>(tables, &request.by)?;
                match find_bucket(tables, &request.bucket)? {
                    Some(_) => {
                        let entry = self.enter(tables, &request.by, &request.bucket, None, Action::DeleteBucket)?;
                        Ok(Some(entry.bucket.id))
                    }
                    None if identity == Identity::Anonymous => Err(Stop::Rejected(Rejected::NoSuchBucket)),
                    None => Ok(None),
                }
            })
            .await?;
        // An absent bucket is proposed too: this may be the retry of a call that has deleted it, and then gets its answer.
        let command = om_core::DeleteBucket { bucket: found.unwrap_or(NO_BUCKET) };
        let deleted = self.log.propose(scoped(&cx, Kind::DeleteBucket), command, cx.deadline).await;
        let deleted = deleted.map_err(|error| error.map_rejection(IntoApi::into_api));
        self.background.nudge(crate::background::UPLOAD_CLEANUP);
        deleted
    }

    pub(super) async fn get_bucket(
        &self,
        cx: CallContext,
        request: api::GetBucket,
    ) -> Result<api::BucketInfo, CallError<api::BucketRejected>> {
        self.log
            .read(cx.deadline, |tables| {
                let action = match request.purpose {
                    api::BucketPurpose::Head => Action::ListBucket,
                    api::BucketPurpose::Location => Action::GetBucketLocation,
                    api::BucketPurpose::Versioning => Action::GetBucketVersioning,
                    api::BucketPurpose::ObjectLock => Action::GetBucketObjectLockConfiguration,
                };
                let entry = self.enter(tables, &request.by, &request.bucket, None, action)?;
                Ok(show(entry.bucket, &mut Names::new(tables))?)
            })
            .await
    }

    pub(super) async fn list_buckets(
        &self,
        cx: CallContext,
        request: api::ListBuckets,
    ) -> Result<api::BucketPage, CallError<api::ListBucketsRejected>> {
        self.log
            .read(cx.deadline, |tables| {
                let identity = self.administer(tables, &request.by, AdminAction::ListBuckets, None)?;
                let Some(user) = identity.user_id() else {
                    return Ok(api::BucketPage { owner: None, buckets: Vec::new(), more: false });
                };
                let limit = usize::try_from(request.limit).unwrap_or(usize::MAX).min(MOST_BUCKETS);
                let after = request.after.as_deref();
                let page = listing::list_buckets(tables, user, identity.home(), &request.prefix, after, limit)?;
                let mut names = Names::new(tables);
                let owner = Some(names.show(user)?);
                let buckets = page.buckets.into_iter().map(|bucket| show(bucket, &mut names));
                Ok(api::BucketPage { owner, buckets: buckets.collect::<Result<_, _>>()?, more: page.more })
            })
            .await
    }
}

/// Ids are log indexes, and no entry that makes a bucket is the first.
const NO_BUCKET: BucketId = BucketId(0);

/// As many as S3 lists at once.
const MOST_BUCKETS: usize = 10_000;
