//! What an operator sees and does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use om_api as api;
use om_core::{pending, tables};
use raft_node::{MembershipError, ProposeError};
use rpc::{CallContext, CallError, Never};
use types::RaftStatus;

use super::OmService;
use super::calls::Stop;

/// Counts end here: an overview holds the namespace up for no longer than counting so many rows takes.
const MOST_COUNTED: usize = 10_000;

/// An overview waits this long for the SCM.
const SCM_PATIENCE: Duration = Duration::from_secs(2);

/// Digests of the whole state, as long as they are cheap: hashing so many rows takes about a second.
#[derive(Debug, Default)]
pub(super) struct Digests {
    rows: Arc<AtomicU64>,
}

const MOST_HASHED: u64 = 500_000;

impl OmService {
    pub(super) async fn overview(&self, cx: CallContext, (): ()) -> Result<api::OmOverview, CallError<Never>> {
        let (buckets, deleted_pending, open_keys) = self
            .log
            .read(cx.deadline, |rows| {
                Ok::<_, Stop<Never>>((
                    pending::count(rows, tables::BUCKETS, MOST_COUNTED)?,
                    pending::count(rows, tables::DELETED, MOST_COUNTED)?,
                    pending::count(rows, tables::OPEN_KEYS, MOST_COUNTED)?,
                ))
            })
            .await?;
        let patience = cx.deadline.min(Instant::now() + SCM_PATIENCE);
        let cannot_write_because = match self.pool.check(self.config.replication, patience).await {
            Err(why) => Some(why.to_string()),
            Ok(()) => self.tokens.sealer(patience).await.err(),
        };
        let background = self.background.status().into_iter().map(|(name, status)| api::BackgroundStatus {
            name: name.to_owned(),
            passes: status.passes,
            failures: status.failures,
            last_error: status.last_error,
        });
        Ok(api::OmOverview {
            buckets,
            deleted_pending,
            open_keys,
            background: background.collect(),
            can_write: cannot_write_because.is_none(),
            cannot_write_because,
            unmade: self.unmade.lock().clone(),
        })
    }

    /// What this member's configuration names and could not be made: overviews tell it while this member leads, until it is told
    /// another.
    pub fn tell_unmade(&self, unmade: Vec<String>) {
        *self.unmade.lock() = unmade;
    }

    pub(super) async fn roles(&self, cx: CallContext, (): ()) -> Result<RaftStatus, CallError<Never>> {
        let digest = self.digest(cx.deadline).await;
        Ok(self.log.group().status().to_raft_status(digest))
    }

    /// None where it would take long, or took too long.
    async fn digest(&self, deadline: Instant) -> Option<String> {
        if self.digests.rows.load(Ordering::Relaxed) > MOST_HASHED {
            return None;
        }
        let (machine, rows) = (Arc::clone(self.log.machine()), Arc::clone(&self.digests.rows));
        let hashing = tokio::task::spawn_blocking(move || {
            let digest = machine.digest();
            if let Ok(digest) = &digest {
                rows.store(digest.rows, Ordering::Relaxed);
            }
            digest
        });
        match tokio::time::timeout_at(deadline.into(), hashing).await {
            Ok(Ok(Ok(digest))) => Some(digest.to_string()),
            Ok(Ok(Err(fault))) => {
                tracing::error!(%fault, "hashing the namespace");
                None
            }
            Ok(Err(_)) | Err(_) => None,
        }
    }

    pub(super) async fn transfer_leadership(
        &self,
        cx: CallContext,
        request: api::TransferLeadership,
    ) -> Result<(), CallError<api::TransferRejected>> {
        let group = self.log.group();
        let status = group.status();
        let furthest = || {
            let others = status.members.iter().filter(|member| member.voter && member.id != status.me);
            others.max_by_key(|member| member.matched).map(|member| member.id)
        };
        let to = request.to.or_else(furthest).ok_or(CallError::Rejected(api::TransferRejected::NotAVoter))?;
        group.transfer_leadership(to, cx.deadline).await.map_err(|error| match error {
            MembershipError::NoSuchMember(_) => CallError::Rejected(api::TransferRejected::NotAVoter),
            // Asked for and not seen to have happened.
            MembershipError::Propose(ProposeError::TooLate) => {
                CallError::Unknown("the other member has not taken the leadership in time".to_owned())
            }
            MembershipError::Propose(error) => error.into(),
            other => CallError::unavailable(other),
        })
    }
}
