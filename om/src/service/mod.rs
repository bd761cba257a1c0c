//! The service: each call authorised, read from or proposed to the replicated namespace.

mod access_logs;
mod account_block;
mod accounts;
mod acls;
mod admin;
mod appends;
mod asks;
mod bucket_configs;
mod buckets;
mod calls;
mod copies;
mod delegation;
mod deletes;
mod encryption;
mod entry;
mod events;
mod explain;
mod iam;
mod identities;
mod kms;
mod lists;
mod moves;
mod native_acls;
mod reads;
mod renames;
mod sts;
mod uploads;
mod versions;
mod wanted;
mod writes;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use om_api as api;
use om_api::Om;
use parking_lot::Mutex;
use raft_node::Group;
use rpc::{CallContext, CallError, Never};
use runtime::{Clock, Entropy, Latest, Reconcile, Reconcilers, Shutdown};
use scm_api::Scm;
use tables::StorageFault;
use types::{BlockLocation, RaftStatus};

use crate::background::{CredentialCleanup, EventDelivery, EventLimits, KeyDeletion, Lifecycle, OpenKeyCleanup, UploadCleanup};
use crate::blocks::{BlockPool, Locations, ScmSide, Tokens};
use crate::guards::Guards;
use crate::ids::ObjectIds;
use crate::key_uses::KeyUses;
use crate::keys::{KeyService, NamedKeys, StoreKey, WrapError};
use crate::lifecycles::Lifecycles;
use crate::machine::OmMachine;
use crate::moves::Moves;
use crate::oidc::Oidc;
use crate::powers::KeptPowers;
use crate::secrets::{SealError, SecretSeal, SigningKeys};
use crate::{Config, ConfigError};
pub(crate) use calls::Log;

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("wrong setting: {0}")]
    Config(#[from] ConfigError),
    #[error("the key that seals secrets is not the one that this namespace was begun with")]
    WrongMasterKey,
    #[error("the key that seals secrets is unusable")]
    UnusableMasterKey,
    #[error("identity providers: {0}")]
    Oidc(#[from] web_client::WebError),
    #[error(transparent)]
    Storage(#[from] StorageFault),
}

/// Some hundreds of bytes each.
const KEPT_REFUSALS: usize = 4_096;

/// One member of the OM. Any member can be called; those that do not lead say who does.
pub struct OmService {
    config: Config,
    log: Log,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    ids: ObjectIds,
    pool: BlockPool,
    locations: Locations,
    tokens: Tokens,
    seal: SecretSeal,
    is_seal_settled: AtomicBool,
    store_key: StoreKey,
    named_keys: Arc<NamedKeys>,
    /// Behind SSE-KMS.
    key_service: Arc<dyn KeyService>,
    signing_keys: SigningKeys,
    lifecycles: Lifecycles,
    moves: Arc<Moves>,
    background: Reconcilers,
    digests: admin::Digests,
    guards: Guards,
    powers: KeptPowers,
    key_uses: Arc<KeyUses>,
    /// Why requests were refused. Whoever is refused learns nothing of it.
    refusals: Arc<Latest<api::Explanation>>,
    /// Of this member's configuration, when it was last tried.
    unmade: Mutex<Vec<String>>,
    oidc: Oidc,
}

impl fmt::Debug for OmService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OmService").field("log", &self.log).finish_non_exhaustive()
    }
}

impl OmService {
    /// `group` must run over `machine`. Background work begins at once, and does something only while this member leads.
    pub fn start(
        config: Config,
        group: Group,
        machine: Arc<OmMachine>,
        scm: Arc<dyn Scm>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        shutdown: Shutdown,
    ) -> Result<Arc<Self>, StartError> {
        config.validate()?;
        let seal = SecretSeal::new(&config.master_key, Arc::clone(&entropy)).map_err(|_| StartError::UnusableMasterKey)?;
        if let Some(check) = machine.read(|tables, _| om_core::accounts::seal_check(tables))? {
            seal.verify_check(&check.sealed).map_err(|_: SealError| StartError::WrongMasterKey)?;
        }
        let unusable = |_: WrapError| StartError::UnusableMasterKey;
        let store_key = StoreKey::new(&config.master_key, Arc::clone(&entropy)).map_err(unusable)?;
        let named_keys = NamedKeys::new(Arc::clone(&machine), &config.master_key, Arc::clone(&entropy)).map_err(unusable)?;
        let named_keys = Arc::new(named_keys);
        let oidc = Oidc::new(&config.oidc, Arc::clone(&clock))?;
        let log = Log::new(group.clone(), machine);
        let side = ScmSide { scm, clock: Arc::clone(&clock), entropy: Arc::clone(&entropy), shutdown: shutdown.clone() };
        let locations = Locations::new(&config, side.clone());
        let pool = BlockPool::new(&config, side.clone(), locations.clone());
        let tokens = Tokens::new(side.clone());

        let background = Reconcilers::new(Arc::clone(&clock), shutdown.clone());
        background.start(KeyDeletion::new(&config, log.clone(), side), config.reclaim_every);
        background.start(OpenKeyCleanup::new(&config, log.clone()), config.cleanup_every);
        background.start(UploadCleanup::new(&config, log.clone()), config.cleanup_every);
        let key_uses = Arc::new(KeyUses::default());
        background.start(CredentialCleanup::new(log.clone(), Arc::clone(&key_uses)), config.cleanup_every);
        let moves = Arc::new(Moves::default());
        background.start(Lifecycle::new(&config, log.clone(), Arc::clone(&moves)), Lifecycle::pause(&config));
        for (name, destination) in &config.notifications {
            let delivery = EventDelivery::new(log.clone(), name.clone(), destination.clone());
            background.start_named(format!("{}:{name}", EventDelivery::NAME), delivery, config.events_every);
        }
        background.start(EventLimits::new(log.clone(), &config.notifications), config.cleanup_every);

        Ok(Arc::new(Self {
            ids: ObjectIds::new(group, shutdown),
            config,
            log,
            clock,
            entropy,
            pool,
            locations,
            tokens,
            seal,
            is_seal_settled: AtomicBool::new(false),
            store_key,
            key_service: Arc::clone(&named_keys) as Arc<dyn KeyService>,
            named_keys,
            signing_keys: SigningKeys::default(),
            lifecycles: Lifecycles::default(),
            moves,
            background,
            digests: admin::Digests::default(),
            guards: Guards::default(),
            powers: KeptPowers::default(),
            key_uses,
            refusals: Arc::new(Latest::new(KEPT_REFUSALS)),
            unmade: Mutex::default(),
            oidc,
        }))
    }
}

/// Each method by its name in the module of its subject: checked at the door, and measured.
macro_rules! methods {
    ($($method:ident($request:ty) -> $reply:ty, rejects $rejection:ty;)*) => {
        #[rpc::async_trait]
        impl Om for OmService {
            $(async fn $method(&self, cx: CallContext, request: $request) -> Result<$reply, CallError<$rejection>> {
                let call = async {
                    asks::check(&cx, &request).map_err(CallError::NotApplied)?;
                    self.$method(cx, request).await
                };
                calls::measured(stringify!($method), call).await
            })*
        }
    };
}

methods! {
    signing_key(api::SigningKeyRequest) -> api::SigningKey, rejects api::SigningKeyRejected;
    verify_v2(api::SignatureV2) -> api::SignerV2, rejects api::SignatureV2Rejected;
    create_bucket(api::CreateBucket) -> api::BucketInfo, rejects api::CreateBucketRejected;
    delete_bucket(api::DeleteBucket) -> (), rejects api::DeleteBucketRejected;
    get_bucket(api::GetBucket) -> api::BucketInfo, rejects api::BucketRejected;
    list_buckets(api::ListBuckets) -> api::BucketPage, rejects api::ListBucketsRejected;
    set_versioning(api::SetVersioning) -> (), rejects api::SetVersioningRejected;
    set_bucket_lock(api::SetBucketLock) -> (), rejects api::SetBucketLockRejected;
    get_bucket_config(api::GetBucketConfig) -> api::BucketConfig, rejects api::BucketRejected;
    set_bucket_config(api::SetBucketConfig) -> (), rejects api::SetBucketConfigRejected;
    bucket_conduct(api::GetBucketConduct) -> api::BucketConduct, rejects api::BucketConductRejected;
    logged_buckets(api::GetLoggedBuckets) -> api::LoggedBuckets, rejects Never;
    open_key(api::OpenKey) -> api::OpenedKey, rejects api::OpenKeyRejected;
    allocate_blocks(api::AllocateBlocks) -> Vec<BlockLocation>, rejects api::AllocateRejected;
    commit_key(api::CommitKey) -> api::KeyCommitted, rejects api::CommitRejected;
    abandon_key(api::AbandonKey) -> (), rejects Never;
    lookup_key(api::LookupKey) -> api::ObjectRead, rejects api::LookupRejected;
    delete_key(api::DeleteKey) -> api::DeletedKey, rejects api::DeleteKeyRejected;
    delete_keys(api::DeleteKeys) -> Vec<Result<api::DeletedKey, api::DeleteKeyRejected>>, rejects api::DeleteKeysRejected;
    copy_key(api::CopyKey) -> api::KeyCopied, rejects api::CopyRejected;
    list_keys(api::ListKeys) -> api::KeyPage, rejects api::ListRejected;
    list_versions(api::ListVersions) -> api::VersionPage, rejects api::ListRejected;
    rename_key(api::RenameKey) -> api::KeyCommitted, rejects api::RenameRejected;
    append_key(api::AppendKey) -> api::KeyCommitted, rejects api::AppendRejected;
    update_version(api::UpdateVersion) -> api::VersionUpdated, rejects api::UpdateVersionRejected;
    get_acl(api::GetAcl) -> api::ShownAcl, rejects api::AclRejected;
    set_acl(api::SetAcl) -> api::AclSet, rejects api::AclRejected;
    get_account_block(api::GetAccountBlock) -> Option<bucket_config::PublicAccessBlock>, rejects api::Denied;
    set_account_block(api::SetAccountBlock) -> (), rejects api::Denied;
    create_upload(api::CreateUpload) -> api::UploadCreated, rejects api::CreateUploadRejected;
    open_part(api::OpenPart) -> api::OpenedKey, rejects api::OpenPartRejected;
    commit_part(api::CommitPart) -> api::PartCommitted, rejects api::CommitPartRejected;
    copy_part(api::CopyPart) -> api::PartCommitted, rejects api::CopyPartRejected;
    list_parts(api::ListParts) -> api::PartPage, rejects api::UploadRejected;
    complete_upload(api::CompleteUpload) -> api::KeyCommitted, rejects api::CompleteUploadRejected;
    abort_upload(api::AbortUpload) -> (), rejects api::AbortUploadRejected;
    list_uploads(api::ListUploads) -> api::UploadPage, rejects api::BucketRejected;
    take_move(()) -> api::MoveOffer, rejects api::MoveRejected;
    locate_move(api::LocateMove) -> api::MovePieces, rejects api::MoveRejected;
    finish_move(api::FinishMove) -> (), rejects api::MoveRejected;
    create_secret(api::CreateSecret) -> api::IssuedSecret, rejects api::SecretRejected;
    revoke_secret(api::RevokeSecret) -> (), rejects api::SecretRejected;
    list_users(api::ListUsers) -> Vec<api::UserInfo>, rejects api::SecretRejected;
    create_account(api::CreateAccount) -> api::CreatedAccount, rejects api::AccountRejected;
    update_account(api::UpdateAccount) -> api::UserInfo, rejects api::AccountRejected;
    delete_account(api::DeleteAccount) -> (), rejects api::AccountRejected;
    iam(api::IamCall) -> types::IamValue, rejects api::IamRejected;
    explain(api::Explain) -> Option<api::Explanation>, rejects api::Denied;
    create_kms_key(api::CreateKmsKey) -> api::KmsKeyInfo, rejects api::KmsRejected;
    list_kms_keys(api::ListKmsKeys) -> Vec<api::KmsKeyInfo>, rejects api::KmsRejected;
    undelivered(api::GetUndelivered) -> api::Undelivered, rejects api::Denied;
    change_kms_key(api::ChangeKmsKey) -> api::KmsKeyInfo, rejects api::KmsRejected;
    authorise_admin(api::Requester) -> (), rejects api::Denied;
    ensure_identities(api::EnsureIdentities) -> u32, rejects api::EnsureIdentitiesRejected;
    ensure_user(api::EnsureUser) -> api::UserInfo, rejects api::EnsureUserRejected;
    overview(()) -> api::OmOverview, rejects Never;
    roles(()) -> RaftStatus, rejects Never;
    transfer_leadership(api::TransferLeadership) -> (), rejects api::TransferRejected;
}
