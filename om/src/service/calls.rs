//! What every call is made of: a read that shows all that was acknowledged, a proposal, and the way in through authorisation.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use om_api as api;
use om_core::authorise::{self, AdminAction, AuthType, Denied, Facts, Identity, identify};
use om_core::rows::{BucketRow, UserId};
use om_core::{Command, Proposal, namespace, native_acl};
use raft_node::Group;
use rpc::{CallContext, CallError};
use runtime::PassError;
use tables::{ReadTables, StorageFault};
use types::{BucketPath, RequestId, Timestamp};

use super::OmService;
use crate::convert::{IntoApi, IntoCore};
use crate::machine::OmMachine;

/// Why a look at the tables ends early: an answer of its own, or a fault.
#[derive(Debug)]
pub(crate) enum Stop<R> {
    Rejected(R),
    Fault(StorageFault),
}

impl<R> From<StorageFault> for Stop<R> {
    fn from(fault: StorageFault) -> Self {
        Self::Fault(fault)
    }
}

impl<R> From<Stop<R>> for CallError<R> {
    fn from(stop: Stop<R>) -> Self {
        match stop {
            Stop::Rejected(rejected) => Self::Rejected(rejected),
            Stop::Fault(fault) => {
                tracing::error!(%fault, "reading the namespace");
                Self::unavailable(fault)
            }
        }
    }
}

/// The replicated namespace: what was agreed on, and the way to agree on more.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    group: Group,
    machine: Arc<OmMachine>,
}

impl Log {
    pub(crate) fn new(group: Group, machine: Arc<OmMachine>) -> Self {
        Self { group, machine }
    }

    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    pub(crate) fn machine(&self) -> &Arc<OmMachine> {
        &self.machine
    }

    /// Asks a state that shows everything acknowledged before the call.
    pub(crate) async fn read<T, R>(
        &self,
        deadline: Instant,
        question: impl FnOnce(&dyn ReadTables) -> Result<T, Stop<R>>,
    ) -> Result<T, CallError<R>> {
        self.group.read_barrier(deadline).await?;
        Ok(self.machine.read(|tables, _| question(tables))?)
    }

    /// For background work, which needs no more than what this member has applied while it leads: its commands look again.
    pub(crate) fn glance<T>(&self, question: impl FnOnce(&dyn ReadTables) -> Result<T, StorageFault>) -> Result<T, PassError> {
        if !self.group.is_leader() {
            return Err(PassError::NotLeader);
        }
        self.machine.read(|tables, _| question(tables)).map_err(|fault| PassError::Failed(fault.to_string()))
    }

    pub(crate) async fn propose<C: Proposal>(
        &self,
        request: Option<RequestId>,
        command: C,
        deadline: Instant,
    ) -> Result<C::Reply, CallError<C::Rejected>> {
        let command: Command = command.into();
        let proposed = self.group.propose(request, tables::encode(&command), deadline).await?;
        // The command was applied; what is not known is only what it answered.
        let answer = C::answer(&proposed.answer).map_err(|fault| CallError::Unknown(fault.to_string()))?;
        answer.map_err(CallError::Rejected)
    }

    /// Puts a command into the log ahead of whatever is proposed next, without waiting for it.
    pub(crate) fn propose_unawaited<R>(&self, command: impl Into<Command>) -> Result<(), CallError<R>> {
        Ok(self.group.propose_unawaited(tables::encode(&command.into()))?)
    }
}

/// The kinds of proposal that a call makes. One client request makes several calls, perhaps under one id; each kind of
/// proposal has answers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    CreateBucket = 1,
    DeleteBucket,
    Commit,
    Close,
    Delete,
    DeleteMany,
    Copy,
    CreateUpload,
    CommitPart,
    CopyPart,
    Complete,
    Abort,
    CreateSecret,
    RevokeSecret,
    EnsureUser,
    SetVersioning,
    SetBucketLock,
    UpdateVersion,
    Rename,
    Append,
    SetConfig,
    CreateKmsKey,
    ChangeKmsKey,
    SetAcl,
    Iam,
    Move,
    SetAccountBlock,
    RenewToken,
    CancelToken,
    NativeAcl,
    CreateAccount,
    UpdateAccount,
    DeleteAccount,
}

pub(super) fn scoped(cx: &CallContext, kind: Kind) -> Option<RequestId> {
    attempted(cx, kind, 0)
}

/// Of one that is judged and proposed several times: each has its answer.
pub(super) fn attempted(cx: &CallContext, kind: Kind, attempt: u8) -> Option<RequestId> {
    // An odd factor keeps the products of distinct kinds distinct, in all bits.
    const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let which = u128::from(attempt) << 8 | kind as u128;
    Some(RequestId::from_u128(cx.request_id.to_u128() ^ SPREAD.wrapping_mul(which)))
}

/// More often than this nothing changes in the moment between judging and applying, unless somebody is at it.
const MOST_ATTEMPTS: u8 = 16;

/// Judges by what lies there and proposes, until the command meets just that.
pub(super) async fn settle<T, R, F>(changed: R, mut attempt: impl FnMut(u8) -> F) -> Result<T, CallError<R>>
where
    R: PartialEq,
    F: Future<Output = Result<T, CallError<R>>>,
{
    for number in 0..MOST_ATTEMPTS {
        match attempt(number).await {
            Err(CallError::Rejected(rejected)) if rejected == changed => {}
            settled => return settled,
        }
    }
    Err(CallError::Rejected(changed))
}

/// A rejection that can say what stops most calls.
pub(super) trait Refusal {
    fn denied(denied: api::Denied) -> Self;
}

/// A rejection of a call about a bucket.
pub(super) trait BucketRefusal: Refusal {
    fn no_such_bucket() -> Self;
}

macro_rules! refusals {
    ($($name:ident),* $(,)?) => {$(
        impl Refusal for api::$name {
            fn denied(denied: api::Denied) -> Self { Self::Denied(denied) }
        }
    )*};
}

macro_rules! bucket_refusals {
    ($($name:ident),* $(,)?) => {$(
        refusals!($name);
        impl BucketRefusal for api::$name {
            fn no_such_bucket() -> Self { Self::NoSuchBucket }
        }
    )*};
}

refusals!(CreateBucketRejected, ListBucketsRejected, AllocateRejected, SecretRejected, AccountRejected);
refusals!(KmsRejected);
bucket_refusals!(
    DeleteBucketRejected,
    BucketRejected,
    OpenKeyRejected,
    CommitRejected,
    LookupRejected,
    DeleteKeyRejected,
    DeleteKeysRejected,
    CopyRejected,
    ListRejected,
    CreateUploadRejected,
    OpenPartRejected,
    CommitPartRejected,
    CopyPartRejected,
    UploadRejected,
    CompleteUploadRejected,
    AbortUploadRejected,
    SetVersioningRejected,
    SetBucketLockRejected,
    UpdateVersionRejected,
    RenameRejected,
    AppendRejected,
    SetBucketConfigRejected,
    AclRejected,
);

pub(super) fn denied<R: Refusal>(denied: Denied) -> Stop<R> {
    Stop::Rejected(R::denied(denied.into_api()))
}

impl OmService {
    /// Who asks, if their credential is still good.
    pub(super) fn identity<R: Refusal>(&self, tables: &dyn ReadTables, by: &api::Requester) -> Result<Identity, Stop<R>> {
        let now = self.clock.now();
        let identity = identify(tables, &by.clone().into_core(), now, &self.powers)?.map_err(denied)?;
        if let api::Requester::Signed { access_key, .. } = by {
            self.key_uses.note(access_key, now);
        }
        Ok(identity)
    }

    /// Who asks, if they may do what is about no bucket.
    pub(super) fn administer<R: Refusal>(
        &self,
        tables: &dyn ReadTables,
        by: &api::Requester,
        action: AdminAction<'_>,
        of: Option<&UserId>,
    ) -> Result<Identity, Stop<R>> {
        let identity = self.identity(tables, by)?;
        let volume = match (&identity, action) {
            (Identity::Member(member), AdminAction::CreateBucket(_) | AdminAction::ListBuckets) => {
                let home = identity.home();
                // Accounts that share a volume share its names. Whoever owns it gives nothing to the users of another.
                let owner = if home.is_s3v() { None } else { namespace::volume(tables, home)?.map(|row| row.owner) };
                let is_theirs = owner.is_none_or(|owner| owner == member.account.id);
                if is_theirs { native_acl::of_volume(tables, home)? } else { None }
            }
            _ => None,
        };
        let facts = Facts { volume: volume.as_ref(), ..facts(by, self.clock.now()) };
        authorise::administer(&identity, action, of, &facts).map_err(|why| {
            let bucket = match action {
                AdminAction::CreateBucket(path) | AdminAction::BeginBucket(_, path) | AdminAction::PlaceBucket(path) => {
                    Some(path)
                }
                _ => None,
            };
            self.refused_bucket(by, &identity, bucket, || authorise::explain(&identity, action, &facts));
            denied(why)
        })?;
        Ok(identity)
    }

    /// Keeps for administrators why a request about no bucket was refused.
    pub(super) fn refused(&self, by: &api::Requester, identity: &Identity, why: impl FnOnce() -> String) {
        self.refused_bucket(by, identity, None, why);
    }

    /// The same about a bucket that is yet to be.
    pub(super) fn refused_bucket(
        &self,
        by: &api::Requester,
        identity: &Identity,
        bucket: Option<&BucketPath>,
        why: impl FnOnce() -> String,
    ) {
        let Some(request) = by.context().and_then(|context| context.request) else { return };
        let caller = identity.principal().to_string();
        let bucket = bucket.map(BucketPath::to_string);
        self.refusals.note(request, api::Explanation { at: self.clock.now(), caller, bucket, why: why() });
    }
}

/// What the request says of itself, as the core weighs it.
pub(super) fn facts(by: &api::Requester, now: Timestamp) -> Facts<'_> {
    let Some(context) = by.context() else { return Facts { now, ..Facts::default() } };
    Facts {
        now,
        source: context.source,
        is_secure: context.is_secure,
        tls_version: context.tls_version.as_deref(),
        region: context.region.as_deref(),
        auth_type: context.auth_type.map(|auth_type| match auth_type {
            api::AuthType::Header => AuthType::Header,
            api::AuthType::Query => AuthType::Query,
            api::AuthType::Form => AuthType::Form,
        }),
        signature_version: context.signature_version.as_deref(),
        signature_age: context.signature_age,
        headers: &context.headers,
        query: &context.query,
        tags: &context.tags,
        resource_account: None,
        expected_owner: None,
        pays: context.pays,
        acl: context.acl.as_ref(),
        volume: None,
        more: Vec::new(),
    }
}

/// The one way from what a request names to a bucket.
pub(super) fn find_bucket(tables: &dyn ReadTables, path: &BucketPath) -> Result<Option<BucketRow>, StorageFault> {
    namespace::bucket_by_path(tables, path)
}

pub(super) async fn measured<T, R>(
    method: &'static str,
    call: impl Future<Output = Result<T, CallError<R>>>,
) -> Result<T, CallError<R>> {
    let started = Instant::now();
    let outcome = call.await;
    let word = match &outcome {
        Ok(_) => "ok",
        Err(CallError::Rejected(_)) => "rejected",
        Err(CallError::NotApplied(_)) => "not_applied",
        Err(CallError::Unknown(_)) => "unknown",
    };
    metrics::counter!("om_calls_total", "method" => method, "outcome" => word).increment(1);
    metrics::histogram!("om_call_seconds", "method" => method).record(started.elapsed().as_secs_f64());
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_request_id_names_another_proposal_of_each_kind() {
        let cx = CallContext::local(RequestId::from_u128(7), Duration::from_secs(1));
        assert_ne!(scoped(&cx, Kind::Commit), scoped(&cx, Kind::Close));
        assert_eq!(scoped(&cx, Kind::Commit), scoped(&cx, Kind::Commit));
    }
}
