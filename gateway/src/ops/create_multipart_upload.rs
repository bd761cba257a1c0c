//! `CreateMultipartUpload`.

use gateway_core::payload::{parse_checksum_algorithm, parse_checksum_type};
use gateway_core::{S3Error, S3ErrorCode, checksum, lock, xml};
use http::StatusCode;
use om_api::{CreateUpload, CreateUploadRejected, LifecycleEnd, ObjectAttributes};
use rpc::CallError;
use types::{BucketPath, ChecksumAlgorithm, ChecksumType, ObjectKey, ObjectLock, UploadId};

use super::attributes::{parse_attributes, set_abort};
use super::encryption::{Asked, Shown};
use super::versions::no_object_lock;
use crate::context::OpContext;
use crate::data::UploadFacts;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket};
use crate::reply::{self, Reply};

pub(crate) struct CreateMultipartUpload {
    bucket: BucketPath,
    key: ObjectKey,
    attributes: ObjectAttributes,
    checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    lock: Option<ObjectLock>,
    encryption: Asked,
}

pub(crate) struct Created {
    bucket: BucketPath,
    key: ObjectKey,
    upload: UploadId,
    checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    encryption: Shown,
    ends: Option<LifecycleEnd>,
}

impl Operation for CreateMultipartUpload {
    type Reply = Created;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self {
            bucket: request.bucket()?,
            key: request.key()?,
            attributes: parse_attributes(request)?,
            checksum: parse_checksum(request)?,
            lock: lock::parse_headers(request)?,
            encryption: Asked::parse(request),
        })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Created, S3Error> {
        let Self { bucket, key, attributes, checksum, lock, encryption: asked } = self;
        lock::check_until(lock.and_then(|lock| lock.retention), cx.shared.clock.now())?;
        let (by, encryption) = (cx.by(), asked.wanted(cx)?);
        let request = CreateUpload { by, bucket: bucket.clone(), key: key.clone(), attributes, checksum, lock, encryption };
        match cx.om().create_upload(cx.call(), request).await {
            Ok(created) => {
                let scheme = created.encryption.as_ref().map(|encryption| &encryption.scheme);
                let encryption = Shown::of(scheme, asked.customer());
                cx.shared.uploads.put(created.upload, UploadFacts { checksum, encryption: created.encryption });
                Ok(Created { bucket, key, upload: created.upload, checksum, encryption, ends: created.ends })
            }
            Err(CallError::Rejected(CreateUploadRejected::Denied(why))) => Err(cx.denied(why)),
            Err(CallError::Rejected(CreateUploadRejected::NoObjectLock)) => Err(no_object_lock()),
            Err(CallError::Rejected(CreateUploadRejected::NoSuchBucket)) => Err(no_such_bucket(&bucket)),
            Err(CallError::Rejected(CreateUploadRejected::InvalidStorageClass)) => Err(S3ErrorCode::InvalidStorageClass.into()),
            Err(CallError::Rejected(CreateUploadRejected::Encryption(why))) => Err(asked.rejected(&why)),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    fn render(created: Created) -> Reply {
        let document =
            xml::initiate_multipart_upload_result(created.bucket.name().as_str(), created.key.as_str(), created.upload);
        let mut reply = reply::xml(StatusCode::OK, document);
        created.encryption.write_new(reply.headers_mut());
        set_abort(reply.headers_mut(), created.ends.as_ref());
        if let Some((algorithm, kind)) = created.checksum {
            reply::set(reply.headers_mut(), "x-amz-checksum-algorithm", xml::algorithm_name(algorithm));
            reply::set(reply.headers_mut(), "x-amz-checksum-type", xml::checksum_type_name(kind));
        }
        reply
    }
}

fn parse_checksum(request: &S3Request) -> Result<Option<(ChecksumAlgorithm, ChecksumType)>, S3Error> {
    let algorithm = request.header("x-amz-checksum-algorithm")?.map(|text| parse_checksum_algorithm(&text)).transpose()?;
    let kind = request.header("x-amz-checksum-type")?.map(|text| parse_checksum_type(&text)).transpose()?;
    match (algorithm, kind) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(S3Error::invalid_request(
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        )),
        (Some(algorithm), kind) => {
            let kind = kind.unwrap_or_else(|| checksum::default_type(algorithm));
            if checksum::is_supported(algorithm, kind) {
                return Ok(Some((algorithm, kind)));
            }
            let (kind, algorithm) = (xml::checksum_type_name(kind), xml::algorithm_name(algorithm));
            Err(S3Error::invalid_request(format!(
                "The {kind} checksum type cannot be used with the {algorithm} checksum algorithm."
            )))
        }
    }
}
