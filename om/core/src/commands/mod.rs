//! What changes the namespace: one file a command, with its fields, its rejection and its `apply`.
//!
//! A command's number and its fields' numbers are read by our own future from logs and snapshots: they are never reused. An old
//! form stays as a type of its own. `apply` returns two results: the outer one stops this replica, the inner one is the answer
//! on which all replicas agree.

mod abort_upload;
mod append_key;
mod change_kms_key;
mod change_native_acl;
mod close_session;
mod commit_key;
mod commit_part;
mod complete_upload;
mod copy_key;
mod copy_part;
mod create_account;
mod create_bucket;
mod create_kms_key;
mod create_secret;
mod create_upload;
mod credentials;
mod delegation;
mod delete_account;
mod delete_bucket;
mod delete_key;
mod delete_keys;
mod ensure_user;
mod expire_sessions;
mod expire_versions;
mod extend_session;
mod forget_completed;
mod move_bytes;
mod move_versions;
mod open_session;
mod purge_bucket;
mod remove_reclaimed;
mod rename_key;
mod reserve_ids;
mod revoke_secret;
mod set_account_block;
mod set_bucket_config;
mod set_bucket_lock;
mod set_seal_check;
mod set_versioning;
mod settle_events;
mod shared;
mod update_account;
mod update_version;

pub use crate::iam::ChangeIam;
pub use abort_upload::{AbortUpload, AbortUploadRejected};
pub use append_key::{AppendBase, AppendKey, AppendKeyRejected};
pub use change_kms_key::{ChangeKmsKey, ChangeKmsKeyRejected, KmsKeyChange};
pub use change_native_acl::{ChangeNativeAcl, NativeChange, NativePlace};
pub use close_session::CloseSession;
pub use commit_key::{CommitKey, CommitKeyRejected};
pub use commit_part::{CommitPart, CommitPartRejected, PartCommitted};
pub use complete_upload::{CompleteUpload, CompleteUploadRejected, CompletedPart};
pub use copy_key::{CopyAttributes, CopyEncryption, CopyKey, CopyKeyRejected, CopyScheme, KeyCopied};
pub use copy_part::{CopyPart, CopyPartRejected};
pub use create_account::{CreateAccount, CreateAccountRejected};
pub use create_bucket::{CreateBucket, CreateBucketRejected};
pub use create_kms_key::{CreateKmsKey, CreateKmsKeyRejected};
pub use create_secret::{CreateSecret, CreateSecretRejected};
pub use create_upload::{CreateUpload, CreateUploadRejected};
pub use credentials::{EndCredentials, OpenCredential, RecordKeyUses};
pub use delegation::{CancelToken, MOST_DELEGATION_TOKENS, RenewToken};
pub use delete_account::{Belongings, DeleteAccount, DeleteAccountRejected};
pub use delete_bucket::{DeleteBucket, DeleteBucketRejected};
pub use delete_key::{DeleteKey, DeleteKeyRejected, DeletedKey, KeyDeletion};
pub use delete_keys::{DeleteKeys, DeleteKeysRejected};
pub(crate) use ensure_user::access_keys;
pub use ensure_user::{EnsureUser, EnsureUserRejected, SealedPair, UserAccount};
pub use expire_sessions::ExpireSessions;
pub use expire_versions::{ExpireVersions, HowItEnds, VersionEnd, VersionsExpired};
pub use extend_session::ExtendSession;
pub use forget_completed::ForgetCompleted;
pub use move_bytes::{MoveBytes, MoveBytesRejected};
pub use move_versions::{MoveVersions, VersionMove, VersionPlace};
pub use open_session::OpenSession;
pub use purge_bucket::PurgeBucket;
pub use remove_reclaimed::RemoveReclaimed;
pub use rename_key::{RenameKey, RenameKeyRejected, RenameOnce, RenamedOnce};
pub use reserve_ids::ReserveIds;
pub use revoke_secret::{RevokeSecret, RevokeSecretRejected};
pub use set_account_block::{SetAccountBlock, SetAccountBlockRejected};
pub use set_bucket_config::{ConfigChange, SetBucketConfig, SetBucketConfigRejected, UnfitLogTarget};
pub use set_bucket_lock::{SetBucketLock, SetBucketLockRejected};
pub use set_seal_check::SetSealCheck;
pub use set_versioning::{SetVersioning, SetVersioningRejected, VersioningStatus};
pub use settle_events::{ReviveEvents, SettleEvents, Undeliverable};
pub use shared::{CommittedBlock, CopySource, KeyCommitted, NoSuchBucket};
pub use update_account::{UpdateAccount, UpdateAccountRejected};
pub use update_version::{UpdateVersion, UpdateVersionRejected, VersionChange};

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::LogIndex;

/// Outside: this replica cannot go on. Inside: the answer.
pub type Outcome<T, R> = Result<Result<T, R>, StorageFault>;

/// A command with the types of its answer.
pub trait Proposal: Into<Command> {
    type Reply: for<'b> Decode<'b, ()>;
    type Rejected: for<'b> Decode<'b, ()>;

    /// The answer from the bytes that [`Command::apply`] gave.
    fn answer(bytes: &[u8]) -> Outcome<Self::Reply, Self::Rejected> {
        tables::decode(bytes, "answer")
    }
}

/// The rejection of a command that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Never {}

impl<C> Encode<C> for Never {
    fn encode<W: minicbor::encode::Write>(
        &self,
        _: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match *self {}
    }
}

impl<'b, C> Decode<'b, C> for Never {
    fn decode(_: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Err(minicbor::decode::Error::message("a command without rejections was rejected"))
    }
}

macro_rules! commands {
    ($($number:tt $name:ident -> $reply:ty, rejects $rejected:ty;)*) => {
        /// An entry of the namespace's log.
        #[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
        pub enum Command {
            $(#[n($number)] $name(#[n(0)] $name),)*
        }

        impl Command {
            /// Changes the rows and gives the answer, encoded as [`Proposal::answer`] reads it.
            pub fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Result<Vec<u8>, StorageFault> {
                match self {
                    $(Self::$name(command) => {
                        let answer: Result<$reply, $rejected> = command.apply(log, tables)?;
                        Ok(tables::encode(&answer))
                    })*
                }
            }

            /// For metrics and traces.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }
        }

        $(
            impl From<$name> for Command {
                fn from(command: $name) -> Self { Self::$name(command) }
            }

            impl Proposal for $name {
                type Reply = $reply;
                type Rejected = $rejected;
            }
        )*
    };
}

commands! {
    0 ReserveIds -> types::ObjectId, rejects Never;
    1 SetSealCheck -> crate::rows::SealCheck, rejects Never;

    10 CreateBucket -> crate::rows::BucketRow, rejects CreateBucketRejected;
    11 DeleteBucket -> (), rejects DeleteBucketRejected;
    12 PurgeBucket -> bool, rejects Never;
    13 SetVersioning -> (), rejects SetVersioningRejected;
    14 SetBucketLock -> (), rejects SetBucketLockRejected;
    16 SetBucketConfig -> (), rejects SetBucketConfigRejected;

    20 OpenSession -> (), rejects Never;
    21 ExtendSession -> (), rejects Never;
    22 CloseSession -> (), rejects Never;
    23 ExpireSessions -> u32, rejects Never;
    24 CommitKey -> KeyCommitted, rejects CommitKeyRejected;
    25 DeleteKey -> DeletedKey, rejects DeleteKeyRejected;
    26 DeleteKeys -> Vec<Result<DeletedKey, DeleteKeyRejected>>, rejects DeleteKeysRejected;
    27 CopyKey -> KeyCopied, rejects CopyKeyRejected;
    28 RemoveReclaimed -> (), rejects Never;
    31 AppendKey -> KeyCommitted, rejects AppendKeyRejected;
    30 RenameKey -> KeyCommitted, rejects RenameKeyRejected;
    82 RenameOnce -> RenamedOnce, rejects Never;
    29 UpdateVersion -> Option<types::VersionId>, rejects UpdateVersionRejected;
    50 ExpireVersions -> VersionsExpired, rejects Never;
    51 MoveVersions -> u32, rejects Never;
    52 MoveBytes -> (), rejects MoveBytesRejected;

    55 SettleEvents -> (), rejects Never;
    56 ReviveEvents -> u32, rejects Never;

    40 CreateUpload -> types::UploadId, rejects CreateUploadRejected;
    41 CommitPart -> PartCommitted, rejects CommitPartRejected;
    42 CopyPart -> PartCommitted, rejects CopyPartRejected;
    43 CompleteUpload -> KeyCommitted, rejects CompleteUploadRejected;
    44 AbortUpload -> (), rejects AbortUploadRejected;
    45 ForgetCompleted -> u32, rejects Never;

    60 EnsureUser -> UserAccount, rejects EnsureUserRejected;
    85 CreateAccount -> UserAccount, rejects CreateAccountRejected;
    83 UpdateAccount -> UserAccount, rejects UpdateAccountRejected;
    84 DeleteAccount -> (), rejects DeleteAccountRejected;
    61 CreateSecret -> crate::rows::AccessKeyId, rejects CreateSecretRejected;
    62 RevokeSecret -> (), rejects RevokeSecretRejected;

    63 ChangeIam -> types::IamValue, rejects types::IamError;
    64 OpenCredential -> crate::rows::AccessKeyId, rejects types::IamError;
    65 EndCredentials -> u32, rejects Never;
    66 RecordKeyUses -> (), rejects Never;
    67 SetAccountBlock -> (), rejects SetAccountBlockRejected;
    73 RenewToken -> types::Timestamp, rejects types::IamError;
    74 CancelToken -> (), rejects types::IamError;
    75 ChangeNativeAcl -> crate::rows::NativeAcl, rejects types::IamError;

    80 CreateKmsKey -> crate::rows::KmsKeyRow, rejects CreateKmsKeyRejected;
    81 ChangeKmsKey -> crate::rows::KmsKeyRow, rejects ChangeKmsKeyRejected;
}
