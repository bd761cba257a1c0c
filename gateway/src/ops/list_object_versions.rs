//! `ListObjectVersions`.

use gateway_core::S3Error;
use gateway_core::listing::ListObjectVersions as Asked;
use gateway_core::xml::{ListObjectVersionsResult, Listed, ListedMarker, ListedVersion, VersionKind};
use http::StatusCode;
use om_api::{BucketPurpose, ListRejected, ListVersions, VersionEntry, VersionPage, VersionStart};
use rpc::CallError;
use types::{BucketPath, VersionId};

use super::attributes::owner;
use super::head_bucket::get_bucket;
use super::page::to_object;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket};
use crate::reply::{self, Reply};

pub(crate) struct ListObjectVersions {
    bucket: BucketPath,
    asked: Asked,
}

impl Operation for ListObjectVersions {
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, asked: Asked::parse(request.query())? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        let page = self.page(cx).await?;
        metrics::histogram!("gateway_list_seeks").record(page.seeks as f64);
        let last = page.entries.last().filter(|_| page.more).map(name);
        let mut listed = Listed { entries: Vec::with_capacity(page.entries.len()), common_prefixes: Vec::new() };
        for entry in page.entries {
            match entry {
                VersionEntry::CommonPrefix(prefix) => listed.common_prefixes.push(prefix),
                VersionEntry::Object { object, version, is_latest } => {
                    let kind = VersionKind::Object(to_object(object));
                    listed.entries.push(ListedVersion { kind, version_id: version, is_latest });
                }
                VersionEntry::DeleteMarker { marker, version, is_latest } => {
                    let kind = VersionKind::DeleteMarker(ListedMarker {
                        key: marker.key.as_str().to_owned(),
                        last_modified: marker.last_modified,
                        owner: owner(&marker.owner),
                    });
                    listed.entries.push(ListedVersion { kind, version_id: version, is_latest });
                }
            }
        }
        Ok(ListObjectVersionsResult { bucket: self.bucket.name().as_str(), request: &self.asked, listed, last }.to_xml())
    }

    fn render(document: String) -> Reply {
        reply::xml(StatusCode::OK, document)
    }
}

impl ListObjectVersions {
    async fn page(&self, cx: &OpContext) -> Result<VersionPage, S3Error> {
        let scope = &self.asked.scope;
        if scope.max_keys == 0 {
            // Asked for nothing, there is nothing more either; the bucket must be there all the same.
            get_bucket(cx, &self.bucket, BucketPurpose::Head).await?;
            return Ok(VersionPage { entries: Vec::new(), more: false, seeks: 0, needed_acl: false });
        }
        let request = ListVersions {
            by: cx.by(),
            bucket: self.bucket.clone(),
            prefix: scope.prefix.clone(),
            delimiter: scope.delimiter.clone(),
            start: self.start(),
            limit: scope.max_keys,
        };
        match cx.om().list_versions(cx.call(), request).await {
            Ok(page) => {
                cx.tell(|told| told.needed_acl = page.needed_acl);
                Ok(page)
            }
            Err(CallError::Rejected(ListRejected::Denied(why))) => Err(cx.denied(why)),
            Err(CallError::Rejected(ListRejected::NoSuchBucket)) => Err(no_such_bucket(&self.bucket)),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    /// A version of what is no key is behind nothing but that name.
    fn start(&self) -> VersionStart {
        let marker = &self.asked.key_marker;
        match (self.asked.version_id_marker, types::ObjectKey::parse(marker)) {
            _ if marker.is_empty() => VersionStart::Beginning,
            (Some(version), Ok(key)) => VersionStart::AfterVersion(key, version),
            (_, _) => VersionStart::AfterKey(marker.clone()),
        }
    }
}

fn name(entry: &VersionEntry) -> (String, Option<VersionId>) {
    match entry {
        VersionEntry::Object { object, version, .. } => (object.key.as_str().to_owned(), Some(*version)),
        VersionEntry::DeleteMarker { marker, version, .. } => (marker.key.as_str().to_owned(), Some(*version)),
        VersionEntry::CommonPrefix(prefix) => (prefix.clone(), None),
    }
}
