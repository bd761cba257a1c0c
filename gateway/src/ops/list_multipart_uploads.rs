//! `ListMultipartUploads`.

use gateway_core::S3Error;
use gateway_core::listing::ListMultipartUploads as Asked;
use gateway_core::xml::{ListMultipartUploadsResult, Listed, ListedUpload};
use http::StatusCode;
use om_api::{BucketPurpose, BucketRejected, ListUploads, UploadPage, UploadSummary};
use rpc::CallError;
use types::BucketPath;

use super::attributes::owner;
use super::head_bucket::get_bucket;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket};
use crate::reply::{self, Reply};

pub(crate) struct ListMultipartUploads {
    bucket: BucketPath,
    asked: Asked,
}

impl Operation for ListMultipartUploads {
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, asked: Asked::parse(request.query())? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        let page = self.list(cx).await?;
        let last = page.next_key_marker.map(|key| (key, page.next_upload_marker));
        let listed = Listed { entries: page.uploads.into_iter().map(to_listed).collect(), common_prefixes: page.common_prefixes };
        Ok(ListMultipartUploadsResult { bucket: self.bucket.name().as_str(), request: &self.asked, listed, last }.to_xml())
    }

    fn render(document: String) -> Reply {
        reply::xml(StatusCode::OK, document)
    }
}

impl ListMultipartUploads {
    async fn list(&self, cx: &OpContext) -> Result<UploadPage, S3Error> {
        let Asked { scope, key_marker, upload_id_marker } = &self.asked;
        if scope.max_keys == 0 {
            get_bucket(cx, &self.bucket, BucketPurpose::Head).await?;
            return Ok(UploadPage {
                uploads: Vec::new(),
                common_prefixes: Vec::new(),
                next_key_marker: None,
                next_upload_marker: None,
            });
        }
        let request = ListUploads {
            by: cx.by(),
            bucket: self.bucket.clone(),
            prefix: scope.prefix.clone(),
            delimiter: scope.delimiter.clone(),
            key_marker: Some(key_marker.clone()).filter(|marker| !marker.is_empty()),
            upload_marker: *upload_id_marker,
            limit: scope.max_keys,
        };
        match cx.om().list_uploads(cx.call(), request).await {
            Ok(page) => Ok(page),
            Err(CallError::Rejected(BucketRejected::Denied(why))) => Err(cx.denied(why)),
            Err(CallError::Rejected(BucketRejected::NoSuchBucket)) => Err(no_such_bucket(&self.bucket)),
            Err(failure) => Err(call_failed(&failure)),
        }
    }
}

fn to_listed(upload: UploadSummary) -> ListedUpload {
    ListedUpload {
        key: upload.key.as_str().to_owned(),
        upload: upload.upload,
        owner: owner(&upload.info.owner),
        initiator: owner(&upload.info.initiator),
        initiated_at: upload.info.initiated,
        checksum: upload.info.checksum,
        storage_class: upload.info.storage_class,
    }
}
