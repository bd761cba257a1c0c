//! What several operations ask of one version: its facts, or a change of them.

use gateway_core::{S3Error, S3ErrorCode};
use http::{HeaderName, HeaderValue};
use om_api::{
    BlocksWanted, LookupKey, LookupPurpose, LookupRejected, ObjectRead, UpdateVersion, UpdateVersionRejected, VersionChange,
};
use rpc::CallError;
use types::{BucketPath, ObjectKey, VersionId};

use super::encryption;
use super::object_reading::unreadable_version;
use crate::context::OpContext;
use crate::operation::S3Request;
use crate::rejections::{call_failed, no_such_bucket, no_such_key};
use crate::reply::{Reply, set};

/// The version that a request names, or the current one.
#[derive(Debug, Clone)]
pub(super) struct NamedVersion {
    pub(super) bucket: BucketPath,
    pub(super) key: ObjectKey,
    pub(super) version: Option<VersionId>,
}

impl NamedVersion {
    pub(super) fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, key: request.key()?, version: request.version()? })
    }

    /// What is known of it, without its blocks.
    pub(super) async fn look_up(
        &self,
        cx: &OpContext,
        purpose: LookupPurpose,
        wanted: BlocksWanted,
    ) -> Result<ObjectRead, S3Error> {
        let Self { bucket, key, version } = self.clone();
        let request = LookupKey { by: cx.by(), bucket, key, version, wanted, pinned: None, refresh: false, purpose };
        match cx.om().lookup_key(cx.call(), request).await {
            Ok(read) => Ok(read),
            Err(CallError::Rejected(rejection)) => Err(self.rejected(cx, rejection)),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    pub(super) fn rejected(&self, cx: &OpContext, rejection: LookupRejected) -> S3Error {
        match rejection {
            LookupRejected::Denied(why) => cx.denied(why),
            LookupRejected::NoSuchBucket => no_such_bucket(&self.bucket),
            // Said outright, so that nobody takes the key for one under a marker.
            LookupRejected::NoSuchKey | LookupRejected::Replaced => {
                let (name, value) = (HeaderName::from_static("x-amz-delete-marker"), HeaderValue::from_static("false"));
                no_such_key(&self.key).header(name, value)
            }
            LookupRejected::NoSuchVersion => no_such_version(&self.key),
            LookupRejected::DeleteMarker(marker) => unreadable_version(&self.key, self.version, marker),
            LookupRejected::NoSuchPart => S3ErrorCode::InvalidPartNumber.into(),
            LookupRejected::NoObjectLock => no_object_lock(),
            LookupRejected::Encryption(why) => encryption::rejected(&why),
        }
    }

    /// Answers with the version that was changed.
    pub(super) async fn update(self, cx: &OpContext, change: VersionChange) -> Result<Option<VersionId>, S3Error> {
        let Self { bucket, key, version } = self.clone();
        match cx.om().update_version(cx.call(), UpdateVersion { by: cx.by(), bucket, key, version, change }).await {
            Ok(updated) => Ok(updated.version),
            Err(CallError::Rejected(rejection)) => Err(match rejection {
                UpdateVersionRejected::Denied(why) => cx.denied(why),
                UpdateVersionRejected::NoSuchBucket => no_such_bucket(&self.bucket),
                UpdateVersionRejected::NoSuchKey => no_such_key(&self.key),
                UpdateVersionRejected::NoSuchVersion => no_such_version(&self.key),
                UpdateVersionRejected::DeleteMarker(marker) => unreadable_version(&self.key, self.version, marker),
                UpdateVersionRejected::NoObjectLock => no_object_lock(),
                UpdateVersionRejected::Locked => locked(),
                UpdateVersionRejected::Changed => S3ErrorCode::OperationAborted.into(),
            }),
            Err(failure) => Err(call_failed(&failure)),
        }
    }
}

pub(super) fn no_such_version(key: &ObjectKey) -> S3Error {
    S3Error::new(S3ErrorCode::NoSuchVersion).field("Key", key.as_str())
}

pub(super) fn no_object_lock() -> S3Error {
    S3Error::invalid_request("Bucket is missing Object Lock Configuration")
}

pub(super) fn locked() -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied because object protected by object lock.")
}

pub(super) fn set_version(reply: &mut Reply, version: Option<VersionId>) {
    if let Some(version) = version {
        set(reply.headers_mut(), "x-amz-version-id", version.to_string());
    }
}
