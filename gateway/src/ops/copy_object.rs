//! `CopyObject`: a new object on the source's blocks; no bytes move. For a checksum that the source does not have they are read,
//! and only read. Where the copy is encrypted or kept in another way than its source, they are read and written ([`anew`]).

mod anew;

use gateway_core::copy_source::CopySource;
use gateway_core::encryption::{CustomerKey, source_key};
use gateway_core::payload::{ChecksumHasher, parse_checksum_algorithm};
use gateway_core::range::RangeRequest;
use gateway_core::tagging::TagSet;
use gateway_core::xml::{CopyResult, copy_object_result};
use gateway_core::{S3Error, S3ErrorCode, lock};
use http::StatusCode;
use om_api::{
    BlocksWanted, CopyAttributes, CopyKey, CopyRejected, KeyCopied, ObjectAttributes, ObjectChecksum, ReadConditions,
    SystemHeader, WriteCondition,
};
use rpc::CallError;
use types::{BucketPath, ChecksumAlgorithm, ChecksumType, ObjectId, ObjectKey, ObjectLock};

use super::attributes::{parse_attributes, parse_source_conditions, parse_write_condition, set_expiration, to_core_conditions};
use super::encryption::{Asked, Shown, check_key, located};
use super::put_object::MAX_PUT;
use super::source::{look_up_source, parse_source, source_is_marker, source_too_large};
use super::versions::no_object_lock;
use crate::context::OpContext;
use crate::data::{ObjectSource, ReadObject, unreadable};
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket, no_such_key, precondition_failed};
use crate::reply::{self, Reply};

pub(crate) struct CopyObject {
    source: CopySource,
    source_conditions: ReadConditions,
    bucket: BucketPath,
    key: ObjectKey,
    attributes: CopyAttributes,
    /// A copy never inherits it.
    storage_class: Option<String>,
    /// Nor where readers of a website are sent.
    website_redirect: Option<String>,
    condition: WriteCondition,
    algorithm: Option<ChecksumAlgorithm>,
    lock: Option<ObjectLock>,
    tags: Option<Vec<(String, String)>>,
    encryption: Asked,
    source_customer: Option<CustomerKey>,
}

pub(crate) struct Copied {
    copied: KeyCopied,
    encryption: Shown,
}

impl Operation for CopyObject {
    type Reply = Copied;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        // Checked whether or not the copy takes its own attributes.
        let replacement = parse_attributes(request)?;
        let storage_class = replacement.storage_class.clone();
        let website_redirect = website_redirect(&replacement).cloned();
        let attributes = match request.header("x-amz-metadata-directive")?.as_deref() {
            None | Some("COPY") => CopyAttributes::Source,
            Some("REPLACE") => CopyAttributes::Replace(replacement),
            Some(other) => {
                return Err(S3Error::invalid_argument("Unknown metadata directive.", "x-amz-metadata-directive", other));
            }
        };
        let tags = match request.header("x-amz-tagging-directive")?.as_deref() {
            None | Some("COPY") => None,
            Some("REPLACE") => Some(TagSet::of_header(request)?.map(TagSet::into_inner).unwrap_or_default()),
            Some(other) => {
                return Err(S3Error::invalid_argument("Unknown tagging directive.", "x-amz-tagging-directive", other));
            }
        };
        let algorithm = request.header("x-amz-checksum-algorithm")?;
        Ok(Self {
            source: parse_source(request)?,
            source_conditions: parse_source_conditions(request)?,
            bucket: request.bucket()?,
            key: request.key()?,
            attributes,
            storage_class,
            website_redirect,
            condition: parse_write_condition(request)?,
            algorithm: algorithm.map(|text| parse_checksum_algorithm(&text)).transpose()?,
            lock: lock::parse_headers(request)?,
            tags,
            encryption: Asked::parse(request),
            source_customer: source_key(request)?,
        })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Copied, S3Error> {
        lock::check_until(self.lock.and_then(|lock| lock.retention), cx.shared.clock.now())?;
        let is_by_client = self.source_customer.is_some() || self.encryption.customer().is_some();
        let shared = if is_by_client { self.share_under_clients_key(cx).await? } else { self.share(cx, None).await? };
        match shared {
            Some(copied) => Ok(copied),
            None => self.write_anew(cx).await,
        }
    }

    fn render(copied: Copied) -> Reply {
        let Copied { copied: KeyCopied { committed, source_version, .. }, encryption } = copied;
        let result = CopyResult {
            etag: committed.etag,
            last_modified: committed.last_modified,
            checksum: committed.checksum.map(|sum| (sum.checksum, sum.kind, committed.etag.parts)),
        };
        let mut reply = reply::xml(StatusCode::OK, copy_object_result(&result));
        encryption.write_new(reply.headers_mut());
        if let Some(version) = committed.version {
            reply::set(reply.headers_mut(), "x-amz-version-id", version.to_string());
        }
        set_expiration(reply.headers_mut(), committed.ends.as_ref());
        if let Some(version) = source_version {
            reply::set(reply.headers_mut(), "x-amz-copy-source-version-id", version.to_string());
        }
        reply
    }
}

fn website_redirect(attributes: &ObjectAttributes) -> Option<&String> {
    attributes.headers.iter().find(|(name, _)| *name == SystemHeader::WebsiteRedirectLocation).map(|(_, target)| target)
}

impl CopyObject {
    /// Keys of clients are compared here, since nobody else sees them.
    async fn share_under_clients_key(&self, cx: &OpContext) -> Result<Option<Copied>, S3Error> {
        let info = look_up_source(cx, &self.source, BlocksWanted::None).await?.info;
        check_key(info.encryption.as_ref(), self.source_customer.as_ref())?;
        match (&self.source_customer, self.encryption.customer()) {
            (Some(source), Some(own)) if source.is(own) => self.share(cx, Some(info.object)).await,
            (_, _) => Ok(None),
        }
    }

    /// On the source's blocks; none if what is stored there is not what is to be stored of the copy.
    async fn share(&self, cx: &OpContext, same_key_as: Option<ObjectId>) -> Result<Option<Copied>, S3Error> {
        let (checksum, source_conditions) = match self.algorithm {
            Some(algorithm) => self.checksum(cx, algorithm).await?,
            None => (None, self.source_conditions.clone()),
        };
        let request = CopyKey {
            by: cx.by(),
            source_bucket: self.source.bucket.clone(),
            source_key: self.source.key.clone(),
            source_version: self.source.version,
            source_conditions,
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            attributes: self.attributes.clone(),
            condition: self.condition.clone(),
            storage_class: self.storage_class.clone(),
            checksum,
            lock: self.lock,
            tags: self.tags.clone(),
            encryption: self.encryption.wanted(cx)?,
            same_key_as,
            website_redirect: self.website_redirect.clone(),
        };
        match cx.om().copy_key(cx.call(), request).await {
            Ok(copied) => {
                let encryption = Shown::of(copied.encryption.as_ref(), self.encryption.customer());
                Ok(Some(Copied { copied, encryption }))
            }
            Err(CallError::Rejected(CopyRejected::NeedsBytes)) => Ok(None),
            Err(CallError::Rejected(rejection)) => Err(match rejection {
                CopyRejected::Denied(why) => cx.denied(why),
                CopyRejected::NoSuchSourceBucket => no_such_bucket(&self.source.bucket),
                CopyRejected::NoSuchSourceKey => no_such_key(&self.source.key),
                CopyRejected::NoSuchSourceVersion => S3ErrorCode::NoSuchVersion.into(),
                CopyRejected::SourceIsDeleteMarker => source_is_marker(&self.source),
                CopyRejected::PreconditionFailed(which) => precondition_failed(which),
                CopyRejected::NoSuchBucket => no_such_bucket(&self.bucket),
                CopyRejected::NoSuchKey => no_such_key(&self.key),
                CopyRejected::OntoItself => S3Error::invalid_request(
                    "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
                     metadata, storage class, website redirect location or encryption attributes.",
                ),
                CopyRejected::TooLarge => source_too_large(),
                CopyRejected::NoObjectLock => no_object_lock(),
                CopyRejected::Encryption(why) => self.encryption.rejected(&why),
                CopyRejected::InvalidStorageClass => S3ErrorCode::InvalidStorageClass.into(),
                CopyRejected::NeedsBytes => S3ErrorCode::InternalError.into(),
                CopyRejected::Changed => S3ErrorCode::OperationAborted.into(),
            }),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    /// What the copy's checksum is to be, none if the source has it already, and the conditions under which it is: the bytes are
    /// read before the copy is made, which must then be of the same ones.
    async fn checksum(
        &self,
        cx: &OpContext,
        algorithm: ChecksumAlgorithm,
    ) -> Result<(Option<ObjectChecksum>, ReadConditions), S3Error> {
        let mut read = look_up_source(cx, &self.source, BlocksWanted::All).await?;
        let located = located(&mut read, self.source_customer.as_ref())?;
        let info = read.info;
        to_core_conditions(&self.source_conditions).check_copy_source(info.etag, info.last_modified)?;
        let conditions = ReadConditions { if_match: Some(vec![info.etag]), ..self.source_conditions.clone() };
        let is_it = |known: &ObjectChecksum| known.checksum.algorithm() == algorithm && known.kind == ChecksumType::FullObject;
        if info.checksum.as_ref().is_some_and(is_it) {
            return Ok((None, conditions));
        }
        if info.size > MAX_PUT {
            return Err(source_too_large());
        }
        let CopySource { bucket, key, version } = self.source.clone();
        let range = RangeRequest::From { first: 0, last: None }.resolve(info.size).ok();
        let mut bytes = ReadObject::new(cx, ObjectSource { bucket, key, version }, located, range);
        let mut hasher = ChecksumHasher::new(algorithm);
        while let Some(data) = bytes.next().await.map_err(|error| unreadable(&error))? {
            hasher.update(&data);
        }
        Ok((Some(ObjectChecksum { checksum: hasher.finish(), kind: ChecksumType::FullObject }), conditions))
    }
}
