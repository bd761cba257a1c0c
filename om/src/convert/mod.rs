//! Between what travels (`om-api`) and what is kept (`om-core`): two sets of types, so that either may change alone.

mod encryption;
mod rejections;

use om_api as api;
use om_core as core;
use om_core::authorise::{Denied, Requester};
use om_core::namespace::ByteRange;
use om_core::rows::{AccessKeyId, Attributes, ObjectChecksum, Session, SystemHeader, UserId};
use types::Bypass;

pub(crate) use encryption::shown;

pub(crate) trait IntoCore {
    type Core;
    fn into_core(self) -> Self::Core;
}

pub(crate) trait IntoApi {
    type Api;
    fn into_api(self) -> Self::Api;
}

impl<T: IntoCore> IntoCore for Vec<T> {
    type Core = Vec<T::Core>;
    fn into_core(self) -> Self::Core {
        self.into_iter().map(IntoCore::into_core).collect()
    }
}

impl<T: IntoCore> IntoCore for Option<T> {
    type Core = Option<T::Core>;
    fn into_core(self) -> Self::Core {
        self.map(IntoCore::into_core)
    }
}

impl<T: IntoApi> IntoApi for Option<T> {
    type Api = Option<T::Api>;
    fn into_api(self) -> Self::Api {
        self.map(IntoApi::into_api)
    }
}

impl IntoCore for api::UserId {
    type Core = UserId;
    fn into_core(self) -> UserId {
        UserId(self.0)
    }
}

impl IntoApi for UserId {
    type Api = api::UserId;
    fn into_api(self) -> api::UserId {
        api::UserId(self.0)
    }
}

impl IntoCore for api::AccessKeyId {
    type Core = AccessKeyId;
    fn into_core(self) -> AccessKeyId {
        AccessKeyId(self.0)
    }
}

impl IntoApi for AccessKeyId {
    type Api = api::AccessKeyId;
    fn into_api(self) -> api::AccessKeyId {
        api::AccessKeyId(self.0)
    }
}

impl IntoCore for api::Requester {
    type Core = Requester;
    fn into_core(self) -> Requester {
        match self {
            Self::Anonymous { .. } => Requester::Anonymous,
            Self::Signed { access_key, secret_version, .. } => {
                Requester::Signed { access_key: access_key.into_core(), secret_version }
            }
            Self::System => Requester::System,
            Self::LogDelivery { of } => Requester::LogDelivery { of },
        }
    }
}

impl IntoApi for Denied {
    type Api = api::Denied;
    fn into_api(self) -> api::Denied {
        match self {
            Self::AccessDenied => api::Denied::AccessDenied,
            Self::NoSuchAccessKey => api::Denied::NoSuchAccessKey,
            Self::StaleCredential => api::Denied::StaleCredential,
            Self::AclNotSupported => api::Denied::AclNotSupported,
            Self::UnknownGrantee => api::Denied::UnknownGrantee,
            Self::UnknownEmail => api::Denied::UnknownEmail,
            Self::ExpiredToken => api::Denied::ExpiredToken,
        }
    }
}

impl IntoCore for api::WriteSession {
    type Core = Session;
    fn into_core(self) -> Session {
        Session { object: self.object, bucket: self.bucket, opened: self.opened }
    }
}

impl IntoApi for Session {
    type Api = api::WriteSession;
    fn into_api(self) -> api::WriteSession {
        api::WriteSession { object: self.object, bucket: self.bucket, opened: self.opened, replication: None }
    }
}

impl IntoCore for api::CommittedBlock {
    type Core = core::CommittedBlock;
    fn into_core(self) -> core::CommittedBlock {
        core::CommittedBlock { block: self.block, length: self.length }
    }
}

impl IntoCore for api::ObjectChecksum {
    type Core = ObjectChecksum;
    fn into_core(self) -> ObjectChecksum {
        ObjectChecksum { checksum: self.checksum, kind: self.kind }
    }
}

impl IntoApi for ObjectChecksum {
    type Api = api::ObjectChecksum;
    fn into_api(self) -> api::ObjectChecksum {
        api::ObjectChecksum { checksum: self.checksum, kind: self.kind }
    }
}

impl IntoCore for api::WriteCondition {
    type Core = core::WriteCondition;
    fn into_core(self) -> core::WriteCondition {
        match self {
            Self::Always => core::WriteCondition::Always,
            Self::IfAbsent => core::WriteCondition::IfAbsent,
            Self::IfPresent => core::WriteCondition::IfPresent,
            Self::IfMatch(etag) => core::WriteCondition::IfMatch(etag),
            Self::IfNoneMatch(etag) => core::WriteCondition::IfNoneMatch(etag),
        }
    }
}

impl IntoCore for api::ReadConditions {
    type Core = core::ReadConditions;
    fn into_core(self) -> core::ReadConditions {
        core::ReadConditions {
            if_match: self.if_match,
            if_none_match: self.if_none_match,
            if_modified_since: self.if_modified_since,
            if_unmodified_since: self.if_unmodified_since,
        }
    }
}

impl IntoCore for api::ByteRange {
    type Core = ByteRange;
    fn into_core(self) -> ByteRange {
        match self {
            Self::Span(first, last) => ByteRange::Span(first, last),
            Self::From(first) => ByteRange::From(first),
            Self::Suffix(count) => ByteRange::Suffix(count),
        }
    }
}

impl IntoCore for api::SystemHeader {
    type Core = SystemHeader;
    fn into_core(self) -> SystemHeader {
        match self {
            Self::CacheControl => SystemHeader::CacheControl,
            Self::ContentDisposition => SystemHeader::ContentDisposition,
            Self::ContentEncoding => SystemHeader::ContentEncoding,
            Self::ContentLanguage => SystemHeader::ContentLanguage,
            Self::ContentType => SystemHeader::ContentType,
            Self::Expires => SystemHeader::Expires,
            Self::WebsiteRedirectLocation => SystemHeader::WebsiteRedirectLocation,
        }
    }
}

impl IntoApi for SystemHeader {
    type Api = api::SystemHeader;
    fn into_api(self) -> api::SystemHeader {
        match self {
            Self::CacheControl => api::SystemHeader::CacheControl,
            Self::ContentDisposition => api::SystemHeader::ContentDisposition,
            Self::ContentEncoding => api::SystemHeader::ContentEncoding,
            Self::ContentLanguage => api::SystemHeader::ContentLanguage,
            Self::ContentType => api::SystemHeader::ContentType,
            Self::Expires => api::SystemHeader::Expires,
            Self::WebsiteRedirectLocation => api::SystemHeader::WebsiteRedirectLocation,
        }
    }
}

/// But for the storage class, which stands elsewhere: it is decided when a write is opened.
impl IntoCore for api::ObjectAttributes {
    type Core = Attributes;
    fn into_core(self) -> Attributes {
        let Self { headers, metadata, storage_class: _, tags } = self;
        let headers = headers.into_iter().map(|(header, value)| (header.into_core(), value)).collect();
        Attributes { headers, metadata, tags }
    }
}

/// A storage class lies in the head of a row, the rest in its body.
pub(crate) fn join_attributes(attributes: Attributes, storage_class: Option<String>) -> api::ObjectAttributes {
    let Attributes { headers, metadata, tags } = attributes;
    let headers = headers.into_iter().map(|(header, value)| (header.into_api(), value)).collect();
    api::ObjectAttributes { headers, metadata, storage_class, tags }
}

impl IntoApi for core::KeyCommitted {
    type Api = api::KeyCommitted;
    fn into_api(self) -> api::KeyCommitted {
        api::KeyCommitted {
            etag: self.etag,
            last_modified: self.modified,
            version: self.version,
            size: self.size,
            checksum: self.checksum.into_api(),
            // What rules say of it is for the service to add.
            ends: None,
        }
    }
}

impl IntoApi for core::KeyCopied {
    type Api = api::KeyCopied;
    fn into_api(self) -> api::KeyCopied {
        api::KeyCopied { committed: self.committed.into_api(), source_version: self.source_version, encryption: None }
    }
}

impl IntoApi for core::PartCommitted {
    type Api = api::PartCommitted;
    fn into_api(self) -> api::PartCommitted {
        api::PartCommitted { etag: self.etag, last_modified: self.modified, size: self.size, source_version: self.source_version }
    }
}

impl IntoApi for core::DeletedKey {
    type Api = api::DeletedKey;
    fn into_api(self) -> api::DeletedKey {
        api::DeletedKey { version: self.version, delete_marker: self.delete_marker }
    }
}

impl IntoCore for api::KeyDeletion {
    type Core = core::KeyDeletion;
    fn into_core(self) -> core::KeyDeletion {
        core::KeyDeletion {
            key: self.key,
            version: self.version,
            condition: self.condition.into_core(),
            if_modified: self.if_modified,
            if_size: self.if_size,
            bypass: (self.bypass != Bypass::No).then_some(self.bypass),
        }
    }
}

impl IntoCore for api::CompletedPart {
    type Core = core::CompletedPart;
    fn into_core(self) -> core::CompletedPart {
        core::CompletedPart { number: self.number, etag: self.etag, object: self.object }
    }
}

impl IntoCore for api::ConfigChange {
    type Core = core::ConfigChange;
    fn into_core(self) -> core::ConfigChange {
        match self {
            Self::Put(document) => core::ConfigChange::Put(document),
            Self::Delete(kind) => core::ConfigChange::Delete(kind),
        }
    }
}

impl IntoApi for core::SetBucketConfigRejected {
    type Api = api::SetBucketConfigRejected;
    fn into_api(self) -> api::SetBucketConfigRejected {
        match self {
            Self::NoSuchBucket => api::SetBucketConfigRejected::NoSuchBucket,
            Self::NoSuchLogTarget => api::SetBucketConfigRejected::NoSuchLogTarget,
            Self::UnfitLogTarget(why) => api::SetBucketConfigRejected::UnfitLogTarget(match why {
                core::UnfitLogTarget::Itself => api::UnfitLogTarget::Itself,
                core::UnfitLogTarget::HasLog => api::UnfitLogTarget::HasLog,
                core::UnfitLogTarget::IsEncrypted => api::UnfitLogTarget::IsEncrypted,
                core::UnfitLogTarget::RequesterPays => api::UnfitLogTarget::RequesterPays,
            }),
        }
    }
}
