//! `ListObjectVersions`. Versioning cannot be switched on yet, so the versions of a bucket are its current objects, each with
//! the id `null`.

use gateway_core::S3Error;
use gateway_core::listing::ListObjectVersions as Asked;
use gateway_core::xml::{ListObjectVersionsResult, Listed, ListedVersion};
use http::StatusCode;
use types::{BucketName, VersionId};

use super::page;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct ListObjectVersions {
    bucket: BucketName,
    asked: Asked,
}

impl Operation for ListObjectVersions {
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, asked: Asked::parse(request.query())? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        let page = page::list(cx, &self.bucket, &self.asked.scope, self.asked.start()).await?;
        let ends_with_key = page.listed.entries.last().is_some_and(|object| page.last.as_ref() == Some(&object.key));
        let last = page.last.map(|name| (name, ends_with_key.then_some(VersionId::NULL)));
        let null_version =
            |object| ListedVersion { object, version_id: VersionId::NULL, is_latest: true, is_delete_marker: false };
        let listed = Listed {
            entries: page.listed.entries.into_iter().map(null_version).collect(),
            common_prefixes: page.listed.common_prefixes,
        };
        Ok(ListObjectVersionsResult { bucket: self.bucket.as_str(), request: &self.asked, listed, last }.to_xml())
    }

    fn render(document: String) -> Reply {
        reply::xml(StatusCode::OK, document)
    }
}
