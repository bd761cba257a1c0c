//! A multipart upload begins.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{Acl, ChecksumAlgorithm, ChecksumType, LogIndex, ObjectLock, Replication, Timestamp, UploadId};

use super::Outcome;
use crate::namespace;
use crate::rows::{self, Attributes, Encryption, UploadKey, UploadRow, UserId, upload_key};
use crate::tables::UPLOADS;

/// Answers with the upload's id: a retry, for which the leader rolled another, gets the first.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CreateUpload {
    #[n(0)]
    pub at: UploadKey,
    /// The bucket's owner if absent.
    #[n(1)]
    pub initiator: Option<UserId>,
    #[n(2)]
    pub attributes: Attributes,
    #[n(3)]
    pub storage_class: Option<String>,
    #[n(4)]
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    #[n(5)]
    pub now: Timestamp,
    #[n(6)]
    pub lock: Option<ObjectLock>,
    /// Of all its parts; none if their bytes are stored as they are.
    #[n(7)]
    pub encryption: Option<Encryption>,
    #[n(8)]
    pub acl: Option<Acl>,
    /// Of the object that it becomes: the initiator if absent.
    #[n(9)]
    pub owner: Option<UserId>,
    /// How the blocks of its parts are kept; as its bucket's if absent.
    #[n(10)]
    pub replication: Option<Replication>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum CreateUploadRejected {
    #[n(0)]
    NoSuchBucket,
    /// A lock is wanted and the bucket has none.
    #[n(1)]
    NoObjectLock,
}

impl CreateUpload {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<UploadId, CreateUploadRejected> {
        let Some(bucket) = namespace::bucket(tables, self.at.bucket)? else {
            return Ok(Err(CreateUploadRejected::NoSuchBucket));
        };
        if self.lock.is_some() && bucket.object_lock.is_none() {
            return Ok(Err(CreateUploadRejected::NoObjectLock));
        }
        let initiator = self.initiator.unwrap_or(bucket.owner);
        let row = UploadRow {
            owner: self.owner.unwrap_or_else(|| initiator.clone()),
            initiator,
            initiated: self.now,
            attributes: self.attributes,
            storage_class: self.storage_class,
            checksum: self.checksum,
            lock: self.lock,
            encryption: self.encryption,
            acl: self.acl,
            replication: self.replication,
        };
        rows::put(tables, UPLOADS, &upload_key(&self.at), &row);
        Ok(Ok(self.at.upload))
    }
}
