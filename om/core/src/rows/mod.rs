//! Rows, one file a kind, with their key layout.
//!
//! A row type is what the table holds for ever: a field number is never reused, a later field is an `Option` or has a default.

mod bucket;
mod bucket_config;
mod credential;
mod encryption;
mod event;
mod iam;
mod identity;
mod key;
mod meta;
mod native_acl;
mod reclaim;
mod session;
mod upload;
mod version;

pub use bucket::{BucketLayout, BucketRow, Versioning, VolumeRow};
pub use bucket_config::BucketConfigRow;
pub use credential::{CredentialHolder, CredentialRow, Delegation, Principal, TokenDigest};
pub use encryption::{
    Encryption, KeyCheck, KmsKeyId, KmsKeyRow, KmsKeyState, KmsKeyVersion, KmsSealed, Scheme, SealedKey, SessionEncryption,
};
pub use event::{DeadEventRow, EventKind, EventRow, Origin};
pub use iam::{
    AccountNumber, AccountRow, Holding, IamGroupRow, IamId, IamUserRow, InlinePolicy, KeyUseRow, ManagedPolicyRow,
    OidcProviderRow, PolicyVersion, RoleRow, Tags,
};
pub use identity::{AccessKeyId, AccessKeyRow, PairOrigin, RevokedKeyRow, UserId, UserRow};
pub use key::{Attributes, KeyBody, KeyHead, KeyRow, ObjectChecksum, PartEntry, Piece, Sequence, SystemHeader};
pub use meta::SealCheck;
pub use native_acl::{NativeAcl, NativeEntry, NativeRights, NativeScope, NativeWho};
pub use reclaim::{ReclaimKey, ReclaimRow};
pub use session::{Session, SessionRow, Storage};
pub use upload::{CompletedRow, PartRow, UploadKey, UploadRow};
pub use version::{DeleteMarker, VersionHead, VersionRow};

pub(crate) use bucket::{bucket_key, name_key, user_bucket_key, user_bucket_prefix};
pub(crate) use bucket_config::config_key;
pub(crate) use credential::{delegation_key, expiry_key};
pub(crate) use event::{decode_event_key, event_key, events_of};
pub(crate) use iam::{iam_access_key, iam_access_key_prefix, in_account, named};
pub(crate) use identity::{access_key_of_user, access_key_prefix, email_key};
pub(crate) use key::{key_key, key_prefix};
pub(crate) use meta::{LOCK_CLOCK, LOGS_CHANGED, SEAL_CHECK};
pub(crate) use native_acl::{prefix_acl_key, volume_acl_key};
pub(crate) use reclaim::block_key;
pub(crate) use session::session_key;
pub(crate) use upload::{completed_time_key, part_key, parts_prefix, upload_key};
pub(crate) use version::{decode_version_key, version_key, versions_of};

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, Table, Visit, WriteTables};

/// A row that lies under a key of its table.
pub(crate) fn get<R: for<'b> Decode<'b, ()>>(
    tables: &dyn ReadTables,
    table: Table,
    key: &[u8],
) -> Result<Option<R>, StorageFault> {
    tables.get(table, key)?.map(|bytes| tables::decode(&bytes, table.name)).transpose()
}

pub(crate) fn put<R: Encode<()>>(tables: &mut dyn WriteTables, table: Table, key: &[u8], row: &R) {
    tables.put(table, key, tables::encode(row));
}

/// Up to `limit` keys of a table that begin with `prefix`, and whether there are more.
pub(crate) fn keys_under(
    tables: &dyn ReadTables,
    table: Table,
    prefix: &[u8],
    limit: usize,
) -> Result<(Vec<Vec<u8>>, bool), StorageFault> {
    let mut keys = Vec::new();
    let mut more = false;
    tables.scan(table, prefix, &mut |key, _| {
        if !key.starts_with(prefix) {
            return Ok(Visit::Stop);
        }
        if keys.len() == limit {
            more = true;
            return Ok(Visit::Stop);
        }
        keys.push(key.to_vec());
        Ok(Visit::Next)
    })?;
    Ok((keys, more))
}

pub(crate) fn is_empty_under(tables: &dyn ReadTables, table: Table, prefix: &[u8]) -> Result<bool, StorageFault> {
    let (keys, more) = keys_under(tables, table, prefix, 0)?;
    Ok(keys.is_empty() && !more)
}

/// The first key behind every key that begins with `prefix`; none if there can be no such key.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// A key or value of ours that is not as we write it.
pub(crate) fn malformed(table: Table, what: &str) -> StorageFault {
    StorageFault(format!("table {}: {what}", table.name))
}

/// The eight bytes at `at` as a number.
pub(crate) fn be64(table: Table, key: &[u8], at: usize) -> Result<u64, StorageFault> {
    key.get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u64::from_be_bytes)
        .ok_or_else(|| malformed(table, "a key is too short"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_lies_right_behind_everything_in_it() {
        assert_eq!(prefix_end(b"a/"), Some(b"a0".to_vec()));
        assert_eq!(prefix_end(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(prefix_end(b"\xff"), None);
        assert_eq!(prefix_end(b""), None);
    }
}
