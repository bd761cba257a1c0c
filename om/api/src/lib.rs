//! What others may ask of the Ozone Manager, the namespace.
//!
//! Every request on behalf of a client carries its [`Requester`]; the OM checks that the access key is still good and decides
//! the authorisation itself, in every call. Conditions that S3 attaches to a write are decided in the OM's state machine.

mod accounts;
mod acls;
mod admin;
mod bucket_configs;
mod buckets;
mod changes;
mod context;
mod copies;
mod deletes;
mod encryption;
mod events;
mod iam;
mod identity;
mod keys;
mod listing;
mod moves;
mod uploads;
mod wanted;

pub use accounts::{
    AccountRejected, Belongings, CreateAccount, CreatedAccount, DeleteAccount, GetAccountBlock, SetAccountBlock, UpdateAccount,
};
pub use acls::{AclOf, AclRejected, AclSet, GetAcl, SetAcl, ShownAcl, ShownGrant, ShownGrantee};
pub use admin::{BackgroundStatus, Explain, Explanation, OmOverview, TransferLeadership, TransferRejected};
pub use bucket_configs::{
    BucketConduct, BucketConductRejected, BucketConfig, ConfigChange, GetBucketConduct, GetBucketConfig, GetLoggedBuckets,
    LoggedBucket, LoggedBuckets, SetBucketConfig, SetBucketConfigRejected, UnfitLogTarget,
};
pub use buckets::{
    BucketInfo, BucketLayout, BucketPage, BucketPurpose, BucketRejected, CreateBucket, CreateBucketRejected, DeleteBucket,
    DeleteBucketRejected, GetBucket, ListBuckets, ListBucketsRejected, SetBucketLock, SetBucketLockRejected, SetVersioning,
    SetVersioningRejected, Versioning,
};
pub use changes::{AppendBase, AppendKey, AppendRejected, RenameKey, RenameRejected};
pub use context::{AuthType, RequestContext};
pub use copies::{CopyAttributes, CopyKey, CopyRejected, KeyCopied};
pub use deletes::{DeleteKey, DeleteKeyRejected, DeleteKeys, DeleteKeysRejected, DeletedKey, KeyDeletion};
pub use encryption::{
    ChangeKmsKey, CreateKmsKey, DataKey, EncryptionInfo, EncryptionRejected, EncryptionScheme, EncryptionWanted, KeyCheck,
    KmsKeyChange, KmsKeyId, KmsKeyInfo, KmsRejected, ListKmsKeys, OpenWith, SealWith,
};
pub use events::{DeadEvent, DestinationState, GetUndelivered, Undelivered};
pub use iam::{IamCall, IamRejected, IamService};
pub use identity::{
    AccessKeyId, CreateSecret, Denied, DisplayUser, EnsureUser, EnsureUserRejected, IssuedSecret, KeyPair, ListUsers, Requester,
    RevokeSecret, SecretKey, SecretRejected, SignatureV2, SignatureV2Rejected, SignerV2, SigningKey, SigningKeyRejected,
    SigningKeyRequest, UserId, UserInfo,
};
pub use keys::{
    AbandonKey, AllocateBlocks, AllocateRejected, BlockPiece, BlocksWanted, ByteRange, CommitKey, CommitRejected, CommittedBlock,
    KeyCommitted, LifecycleEnd, LookupKey, LookupPurpose, LookupRejected, ObjectAttributes, ObjectChecksum, ObjectInfo,
    ObjectRead, OpenKey, OpenKeyRejected, OpenedKey, PartInfo, ReadConditions, SystemHeader, UpdateVersion,
    UpdateVersionRejected, VersionChange, VersionUpdated, WriteCondition, WriteSession,
};
pub use listing::{
    KeyPage, KeySummary, ListEntry, ListKeys, ListRejected, ListStart, ListVersions, MarkerSummary, VersionEntry, VersionPage,
    VersionStart,
};
pub use moves::{FinishMove, LocateMove, MoveOffer, MovePieces, MoveRejected, MoveWork};
pub use uploads::{
    AbortUpload, AbortUploadRejected, CommitPart, CommitPartRejected, CompleteUpload, CompleteUploadRejected, CompletedPart,
    CopyPart, CopyPartRejected, CreateUpload, CreateUploadRejected, ListParts, ListUploads, OpenPart, OpenPartRejected,
    PartCommitted, PartPage, PartSummary, UploadCreated, UploadInfo, UploadPage, UploadRejected, UploadSummary,
};
pub use wanted::{
    EnsureIdentities, EnsureIdentitiesRejected, NamedPolicy, Unmade, WantedGroup, WantedHolding, WantedRole, WantedUser,
};

use rpc::Never;
use types::RaftStatus;

rpc::service! {
    /// The namespace. Any member answers `roles`; the rest is the leader's, and every read is linearizable.
    pub trait Om = 1, client OmClient, server OmServer {
        /// The key that signatures of this access key are made with on one day; the secret itself never leaves the OM.
        1 signing_key(SigningKeyRequest) -> SigningKey, rejects SigningKeyRejected, from [Gateway, Admin];
        /// Whether a signature by Version 2 is right. One call a request; gateways that do not take Version 2 never ask.
        2 verify_v2(SignatureV2) -> SignerV2, rejects SignatureV2Rejected, from [Gateway];

        10 create_bucket(CreateBucket) -> BucketInfo, rejects CreateBucketRejected, from [Gateway];
        11 delete_bucket(DeleteBucket) -> (), rejects DeleteBucketRejected, from [Gateway];
        12 get_bucket(GetBucket) -> BucketInfo, rejects BucketRejected, from [Gateway];
        13 list_buckets(ListBuckets) -> BucketPage, rejects ListBucketsRejected, from [Gateway];
        14 set_versioning(SetVersioning) -> (), rejects SetVersioningRejected, from [Gateway];
        15 set_bucket_lock(SetBucketLock) -> (), rejects SetBucketLockRejected, from [Gateway];

        /// What is set on a bucket of one kind.
        16 get_bucket_config(GetBucketConfig) -> BucketConfig, rejects BucketRejected, from [Gateway];
        17 set_bucket_config(SetBucketConfig) -> (), rejects SetBucketConfigRejected, from [Gateway];
        /// What the gateway acts on itself when it serves the bucket, whoever asks.
        18 bucket_conduct(GetBucketConduct) -> BucketConduct, rejects BucketConductRejected, from [Gateway];
        /// Which buckets have an access log. Asked every few seconds, so that requests to all others cost nothing for it.
        19 logged_buckets(GetLoggedBuckets) -> LoggedBuckets, rejects Never, from [Gateway];

        /// Authorises a write and hands out its first blocks. Not durable by itself: the commit stands behind it in the log.
        20 open_key(OpenKey) -> OpenedKey, rejects OpenKeyRejected, from [Gateway];
        /// More blocks for a write under way, or others in place of blocks that could not be written.
        21 allocate_blocks(AllocateBlocks) -> Vec<types::BlockLocation>, rejects AllocateRejected, from [Gateway];
        /// Makes the object visible, if its conditions hold. Durable when answered.
        22 commit_key(CommitKey) -> KeyCommitted, rejects CommitRejected, from [Gateway];
        /// The write will not be committed: its blocks may be freed now rather than when the session expires.
        23 abandon_key(AbandonKey) -> (), rejects Never, from [Gateway];
        /// Authorises a read and tells where the bytes are.
        24 lookup_key(LookupKey) -> ObjectRead, rejects LookupRejected, from [Gateway];
        25 delete_key(DeleteKey) -> DeletedKey, rejects DeleteKeyRejected, from [Gateway];
        /// Each key by itself, in one log entry; the outcomes stand in the order of the request.
        26 delete_keys(DeleteKeys) -> Vec<Result<DeletedKey, DeleteKeyRejected>>, rejects DeleteKeysRejected, from [Gateway];
        /// A new object on the source's blocks: no bytes move.
        27 copy_key(CopyKey) -> KeyCopied, rejects CopyRejected, from [Gateway];
        /// One page of current keys, from one state of the namespace.
        28 list_keys(ListKeys) -> KeyPage, rejects ListRejected, from [Gateway];
        /// One page of all versions, from one state of the namespace.
        29 list_versions(ListVersions) -> VersionPage, rejects ListRejected, from [Gateway];
        /// Another name for an object: no bytes move.
        31 rename_key(RenameKey) -> KeyCommitted, rejects RenameRejected, from [Gateway];
        /// Makes an object longer by what a session wrote. Durable when answered.
        32 append_key(AppendKey) -> KeyCommitted, rejects AppendRejected, from [Gateway];
        30 update_version(UpdateVersion) -> VersionUpdated, rejects UpdateVersionRejected, from [Gateway];
        33 get_acl(GetAcl) -> ShownAcl, rejects AclRejected, from [Gateway];
        34 set_acl(SetAcl) -> AclSet, rejects AclRejected, from [Gateway];

        40 create_upload(CreateUpload) -> UploadCreated, rejects CreateUploadRejected, from [Gateway];
        41 open_part(OpenPart) -> OpenedKey, rejects OpenPartRejected, from [Gateway];
        42 commit_part(CommitPart) -> PartCommitted, rejects CommitPartRejected, from [Gateway];
        /// A part on the source's blocks: no bytes move.
        43 copy_part(CopyPart) -> PartCommitted, rejects CopyPartRejected, from [Gateway];
        44 list_parts(ListParts) -> PartPage, rejects UploadRejected, from [Gateway];
        45 complete_upload(CompleteUpload) -> KeyCommitted, rejects CompleteUploadRejected, from [Gateway];
        46 abort_upload(AbortUpload) -> (), rejects AbortUploadRejected, from [Gateway];
        47 list_uploads(ListUploads) -> UploadPage, rejects BucketRejected, from [Gateway];

        /// An object whose bytes are to be copied to blocks of its new storage class, if there is one: gateways ask for work.
        50 take_move(()) -> MoveOffer, rejects MoveRejected, from [Gateway];
        /// More of what is to be copied.
        51 locate_move(LocateMove) -> MovePieces, rejects MoveRejected, from [Gateway];
        /// The bytes are there: they take the place of the old ones. Durable when answered.
        52 finish_move(FinishMove) -> (), rejects MoveRejected, from [Gateway];

        /// A new secret for a user's own key, or by an administrator for anybody's. Shown once.
        60 create_secret(CreateSecret) -> IssuedSecret, rejects SecretRejected, from [Gateway, Admin];
        61 revoke_secret(RevokeSecret) -> (), rejects SecretRejected, from [Gateway, Admin];
        62 list_users(ListUsers) -> Vec<UserInfo>, rejects SecretRejected, from [Gateway, Admin];
        /// Whether the requester is an administrator: what every other administrative listener asks first.
        64 authorise_admin(Requester) -> (), rejects Denied, from [Gateway, Admin];
        /// An account comes, changes and goes while the cluster runs.
        76 create_account(CreateAccount) -> CreatedAccount, rejects AccountRejected, from [Gateway, Admin];
        77 update_account(UpdateAccount) -> UserInfo, rejects AccountRejected, from [Gateway, Admin];
        78 delete_account(DeleteAccount) -> (), rejects AccountRejected, from [Gateway, Admin];
        /// Declarative bootstrap: the user exists afterwards with this key pair and these names. Idempotent.
        63 ensure_user(EnsureUser) -> UserInfo, rejects EnsureUserRejected, from [Admin];
        /// The same for identities of an account; tells how many changes it took.
        69 ensure_identities(EnsureIdentities) -> u32, rejects EnsureIdentitiesRejected, from [Admin];

        /// How far all buckets of an account may be public.
        67 get_account_block(GetAccountBlock) -> Option<bucket_config::PublicAccessBlock>, rejects Denied, from [Gateway];
        68 set_account_block(SetAccountBlock) -> (), rejects Denied, from [Gateway];

        /// A call of IAM's or STS's.
        65 iam(IamCall) -> types::IamValue, rejects IamRejected, from [Gateway, Admin];
        /// Why a request was refused, of those that this member refused lately.
        66 explain(Explain) -> Option<Explanation>, rejects Denied, from [Gateway, Admin];

        /// A key of the built-in key service. The configuration's are made at every start and need not be new.
        70 create_kms_key(CreateKmsKey) -> KmsKeyInfo, rejects KmsRejected, from [Gateway, Admin];
        71 list_kms_keys(ListKmsKeys) -> Vec<KmsKeyInfo>, rejects KmsRejected, from [Gateway, Admin];
        72 change_kms_key(ChangeKmsKey) -> KmsKeyInfo, rejects KmsRejected, from [Gateway, Admin];

        /// Events that have not arrived, and a second chance for those that were put aside.
        75 undelivered(GetUndelivered) -> Undelivered, rejects Denied, from [Gateway, Admin];

        80 overview(()) -> OmOverview, rejects Never, from [Admin];
        81 roles(()) -> RaftStatus, rejects Never, from [Admin];
        82 transfer_leadership(TransferLeadership) -> (), rejects TransferRejected, from [Admin];
    }
}
