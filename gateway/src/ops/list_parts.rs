//! `ListParts`.

use gateway_core::S3Error;
use gateway_core::encryption::CustomerKey;
use gateway_core::listing::ListParts as Asked;
use gateway_core::xml::{ListPartsResult, ListedPart};
use http::StatusCode;
use om_api::{LifecycleEnd, PartPage, UploadRejected};
use rpc::CallError;
use types::{BucketPath, ObjectKey, PartNumber, UploadId};

use super::attributes::{owner, set_abort};
use super::encryption::check_key;
use super::upload_part::upload_id;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket, no_such_upload};
use crate::reply::{self, Reply};

pub(crate) struct ListParts {
    bucket: BucketPath,
    key: ObjectKey,
    upload: UploadId,
    asked: Asked,
    customer: Option<CustomerKey>,
}

impl Operation for ListParts {
    type Reply = (String, Option<LifecycleEnd>);

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let (bucket, key, upload) = (request.bucket()?, request.key()?, upload_id(request)?);
        let customer = CustomerKey::of_object(request)?;
        Ok(Self { bucket, key, upload, asked: Asked::parse(request.query())?, customer })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Self::Reply, S3Error> {
        let Self { bucket, key, upload, asked, customer } = &self;
        let page = list_parts(cx, bucket, key, *upload, asked.after, asked.max_parts, Purpose::List).await?;
        if page.upload.completed.is_some() {
            // Kept only to answer a second completion; to all others it is gone.
            return Err(no_such_upload(upload));
        }
        if customer.is_some() {
            // It needs none, and takes no other than the upload's.
            check_key(page.upload.encryption.as_ref(), customer.as_ref())?;
        }
        let parts = page.parts.into_iter().map(|part| ListedPart {
            number: part.number,
            last_modified: part.last_modified,
            etag: part.etag,
            size: part.size,
            checksum: part.checksum,
        });
        let result = ListPartsResult {
            bucket: bucket.name().as_str(),
            key: key.as_str(),
            upload: *upload,
            request: asked,
            owner: owner(&page.upload.owner),
            initiator: owner(&page.upload.initiator),
            checksum: page.upload.checksum,
            storage_class: page.upload.storage_class,
            parts: parts.collect(),
            is_truncated: page.more,
        };
        Ok((result.to_xml(), page.upload.ends))
    }

    fn render((document, ends): Self::Reply) -> Reply {
        let mut reply = reply::xml(StatusCode::OK, document);
        set_abort(reply.headers_mut(), ends.as_ref());
        reply
    }
}

/// Why the parts are listed: who may write into an upload need not be allowed to look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    List,
    Write,
}

pub(super) async fn list_parts(
    cx: &OpContext,
    bucket: &BucketPath,
    key: &ObjectKey,
    upload: UploadId,
    after: Option<PartNumber>,
    limit: u32,
    purpose: Purpose,
) -> Result<PartPage, S3Error> {
    let (bucket, key, after) = (bucket.clone(), key.clone(), after.map_or(0, PartNumber::get));
    let request = om_api::ListParts { by: cx.by(), bucket, key, upload, after, limit, to_write: purpose == Purpose::Write };
    let bucket = request.bucket.clone();
    match cx.om().list_parts(cx.call(), request).await {
        Ok(page) => Ok(page),
        Err(CallError::Rejected(UploadRejected::Denied(why))) => Err(cx.denied(why)),
        Err(CallError::Rejected(UploadRejected::NoSuchBucket)) => Err(no_such_bucket(&bucket)),
        Err(CallError::Rejected(UploadRejected::NoSuchUpload)) => Err(no_such_upload(upload)),
        Err(failure) => Err(call_failed(&failure)),
    }
}
