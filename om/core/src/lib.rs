//! What is true in the namespace: rows, the commands that change them, and the questions that are asked of them.
//!
//! Everything here is a function of its arguments. The leader samples time, ids and blocks and writes them into a [`Command`];
//! [`Command::apply`] gives the same rows and the same answer on every member and at every replay. Nothing reads a clock, rolls
//! dice, touches a file or waits.
//!
//! What always holds, and is checked by [`invariants`]:
//! - A block is referred to exactly as often as it is counted, and is never both live and in the deleted table.
//! - Whatever a key, a part or a session loses stands in the deleted table in the same entry.
//! - A bucket's contents are keyed by its id, which is never used again.

pub mod access_logs;
pub mod accounts;
pub mod authorise;
mod blocks;
mod commands;
mod condition;
pub mod iam;
pub mod invariants;
mod judged;
pub mod kms;
pub mod lifecycle;
pub mod listing;
pub mod namespace;
pub mod native_acl;
pub mod notifications;
pub mod pending;
pub mod policy;
pub mod rows;
pub mod sealed;
pub mod tables;
#[cfg(test)]
mod testing;
mod versions;

pub use commands::{
    AbortUpload, AbortUploadRejected, AppendBase, AppendKey, AppendKeyRejected, Belongings, CloseSession, CommitKey,
    CommitKeyRejected, CommitPart, CommitPartRejected, CommittedBlock, CompleteUpload, CompleteUploadRejected, CompletedPart,
    ConfigChange, CopyAttributes, CopyKey, CopyKeyRejected, CopyPart, CopyPartRejected, CopySource, CreateAccount,
    CreateAccountRejected, CreateBucket, CreateBucketRejected, CreateSecret, CreateSecretRejected, CreateUpload,
    CreateUploadRejected, DeleteAccount, DeleteAccountRejected, DeleteBucket, DeleteBucketRejected, DeleteKey, DeleteKeyRejected,
    DeleteKeys, DeleteKeysRejected, DeletedKey, EnsureUser, EnsureUserRejected, ExpireSessions, ExtendSession, ForgetCompleted,
    KeyCommitted, KeyCopied, KeyDeletion, NoSuchBucket, OpenSession, PartCommitted, PurgeBucket, RemoveReclaimed, RenameKey,
    RenameKeyRejected, RenameOnce, RenamedOnce, ReserveIds, RevokeSecret, RevokeSecretRejected, SealedPair, SetBucketConfig,
    SetBucketConfigRejected, SetBucketLock, SetBucketLockRejected, SetSealCheck, SetVersioning, SetVersioningRejected,
    UnfitLogTarget, UpdateAccount, UpdateAccountRejected, UpdateVersion, UpdateVersionRejected, UserAccount, VersionChange,
    VersioningStatus,
};
pub use commands::{CancelToken, MOST_DELEGATION_TOKENS, RenewToken};
pub use commands::{ChangeIam, EndCredentials, OpenCredential, RecordKeyUses, SetAccountBlock, SetAccountBlockRejected};
pub use commands::{
    ChangeKmsKey, ChangeKmsKeyRejected, CopyEncryption, CopyScheme, CreateKmsKey, CreateKmsKeyRejected, KmsKeyChange,
};
pub use commands::{ChangeNativeAcl, NativeChange, NativePlace};
pub use commands::{Command, Never, Outcome, Proposal};
pub use commands::{ExpireVersions, HowItEnds, VersionEnd, VersionsExpired};
pub use commands::{MoveBytes, MoveBytesRejected, MoveVersions, VersionMove, VersionPlace};
pub use commands::{ReviveEvents, SettleEvents, Undeliverable};
pub use condition::{ConditionFailed, ReadConditions, WriteCondition};
pub use judged::Judged;
