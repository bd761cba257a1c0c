//! What is set on a bucket. One shape of get, put and delete serves all kinds; what is peculiar to a kind stands in a file of
//! its own.
//!
//! A document is read whole, checked, and replaces the one before it. What S3 answers where none is set, and the XML, is
//! `gateway-core`'s (`xml::configs`).

mod acceleration;
mod kinds;
mod lifecycle;
mod logging;
mod notification;
mod policy;
mod unset;
mod website;

use std::marker::PhantomData;

use bucket_config::{BucketDocument, ConfigKind};
use gateway_core::payload::PayloadPlan;
use gateway_core::xml::MAX_SMALL_BODY;
use gateway_core::xml::configs::{ConfigXml, parse_config, show_config};
use gateway_core::{S3Error, S3ErrorCode};
use http::StatusCode;
use om_api::{
    BucketConfig, BucketRejected, ConfigChange, GetBucketConfig, SetBucketConfig, SetBucketConfigRejected, UnfitLogTarget,
};
use rpc::CallError;
use types::BucketPath;

use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket};
use crate::reply::{self, Reply};

pub(super) use acceleration::PutAcceleration;
pub(super) use lifecycle::{GetLifecycle, PutLifecycle};
pub(super) use logging::{GetLogging, PutLogging};
pub(super) use notification::PutNotification;
pub(super) use policy::{DeletePolicy, GetPolicy, GetPolicyStatus, PutPolicy};
pub(super) use unset::{
    GetAnalytics, GetAttributeAccess, GetIntelligentTiering, GetInventory, GetMetadata, GetMetrics, GetReplication,
    ListAnalytics, ListIntelligentTiering, ListInventory, ListMetrics,
};
pub(super) use website::PutWebsite;

/// A kind that is put as it was sent.
pub(super) trait PlainConfig: ConfigXml + Send + Sync + 'static {
    const INTEGRITY: Integrity = Integrity::Optional;
    const PUT_STATUS: StatusCode = StatusCode::OK;
}

/// Whether something besides a signature must vouch for a body: without it, S3 does not take some documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Integrity {
    Required,
    Optional,
}

pub(super) struct GetConfig<D> {
    bucket: BucketPath,
    kind: PhantomData<D>,
}

impl<D: ConfigXml + Send + 'static> Operation for GetConfig<D> {
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, kind: PhantomData })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        let document: Option<D> = get(cx, &self.bucket).await?;
        show_config(document.as_ref())
    }

    fn render(document: String) -> Reply {
        reply::xml(StatusCode::OK, document)
    }
}

pub(super) struct PutConfig<D> {
    bucket: BucketPath,
    plan: PayloadPlan,
    kind: PhantomData<D>,
}

impl<D: PlainConfig> Operation for PutConfig<D> {
    type Reply = StatusCode;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, plan: plan(request, D::INTEGRITY)?, kind: PhantomData })
    }

    async fn run(self, cx: &mut OpContext) -> Result<StatusCode, S3Error> {
        let body = cx.read_document(self.plan, MAX_SMALL_BODY).await?;
        put::<D>(cx, self.bucket, parse_config(&body)?).await?;
        Ok(D::PUT_STATUS)
    }

    fn render(status: StatusCode) -> Reply {
        reply::empty(status)
    }
}

pub(super) struct DeleteConfig<D> {
    bucket: BucketPath,
    kind: PhantomData<D>,
}

impl<D: ConfigXml + Send + 'static> Operation for DeleteConfig<D> {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, kind: PhantomData })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        set(cx, self.bucket, ConfigChange::Delete(D::KIND)).await
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::NO_CONTENT)
    }
}

fn plan(request: &S3Request, integrity: Integrity) -> Result<PayloadPlan, S3Error> {
    let plan = request.plan()?;
    if integrity == Integrity::Required && !plan.has_integrity() {
        return Err(S3Error::invalid_request("Missing required header for this request: Content-MD5 OR x-amz-checksum-*"));
    }
    Ok(plan)
}

async fn get<D: ConfigXml>(cx: &OpContext, bucket: &BucketPath) -> Result<Option<D>, S3Error> {
    Ok(get_document(cx, bucket, D::KIND).await?.and_then(D::of))
}

async fn get_document(cx: &OpContext, bucket: &BucketPath, kind: ConfigKind) -> Result<Option<BucketDocument>, S3Error> {
    Ok(ask(cx, bucket, kind).await?.document)
}

async fn ask(cx: &OpContext, bucket: &BucketPath, kind: ConfigKind) -> Result<BucketConfig, S3Error> {
    let request = GetBucketConfig { by: cx.by(), bucket: bucket.clone(), kind };
    match cx.om().get_bucket_config(cx.call(), request).await {
        Ok(config) => Ok(config),
        Err(CallError::Rejected(BucketRejected::Denied(why))) => Err(cx.denied(why)),
        Err(CallError::Rejected(BucketRejected::NoSuchBucket)) => Err(no_such_bucket(bucket)),
        Err(failure) => Err(call_failed(&failure)),
    }
}

/// A document that says that nothing is set takes away what there is.
async fn put<D: ConfigXml>(cx: &OpContext, bucket: BucketPath, document: Option<D>) -> Result<(), S3Error> {
    let change = match document {
        Some(document) => ConfigChange::Put(Box::new(document.into())),
        None => ConfigChange::Delete(D::KIND),
    };
    set(cx, bucket, change).await
}

async fn set(cx: &OpContext, bucket: BucketPath, change: ConfigChange) -> Result<(), S3Error> {
    type Rejected = SetBucketConfigRejected;
    let request = SetBucketConfig { by: cx.by(), bucket: bucket.clone(), change };
    match cx.om().set_bucket_config(cx.call(), request).await {
        Ok(()) => Ok(()),
        Err(CallError::Rejected(Rejected::Denied(why))) => Err(cx.denied(why)),
        Err(CallError::Rejected(Rejected::NoSuchBucket)) => Err(no_such_bucket(&bucket)),
        Err(CallError::Rejected(Rejected::Invalid(why))) => Err(why.into()),
        Err(CallError::Rejected(Rejected::NoSuchStorageClass(class))) => {
            let error = S3Error::new(S3ErrorCode::InvalidStorageClass);
            Err(error.field("StorageClassRequested", class))
        }
        Err(CallError::Rejected(Rejected::AclIsNotPrivate)) => Err(S3ErrorCode::InvalidBucketAclWithObjectOwnership.into()),
        Err(CallError::Rejected(Rejected::NoSuchLogTarget)) => {
            Err(S3Error::with_message(S3ErrorCode::NoSuchKey, "The target bucket for logging does not exist"))
        }
        Err(CallError::Rejected(Rejected::NoSuchDestination(arn))) => Err(notification::unknown_destination(&arn)),
        Err(CallError::Rejected(Rejected::UnfitLogTarget(why))) => Err(unfit_log_target(why)),
        Err(failure) => Err(call_failed(&failure)),
    }
}

fn unfit_log_target(why: UnfitLogTarget) -> S3Error {
    let text = match why {
        UnfitLogTarget::Itself => "A bucket cannot take its own log",
        UnfitLogTarget::HasLog => "The target bucket for logging has logging itself",
        UnfitLogTarget::IsEncrypted => "The target bucket for logging has default encryption",
        UnfitLogTarget::RequesterPays => "The target bucket for logging lets the requester pay",
    };
    S3Error::with_message(S3ErrorCode::InvalidArgument, text)
}
