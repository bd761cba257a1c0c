//! Access logs: which buckets have one, and who may set one up. The gateways write them.

use bucket_config::LoggingConfiguration;
use om_api as api;
use om_core::access_logs;
use om_core::authorise::{Denied, Facts, Identity, LogSource, Scene};
use om_core::namespace;
use rpc::{CallContext, CallError, Never};
use tables::ReadTables;

use super::OmService;
use super::calls::{Stop, denied, find_bucket};
use super::entry::Entry;
use crate::convert::IntoApi;

/// Buckets of one page: some 200 bytes each.
const PAGE: usize = 1_000;

impl OmService {
    pub(super) async fn logged_buckets(
        &self,
        cx: CallContext,
        request: api::GetLoggedBuckets,
    ) -> Result<api::LoggedBuckets, CallError<Never>> {
        self.log
            .read(cx.deadline, |tables| {
                let state = access_logs::changed(tables)?;
                if request.after.is_none() && request.known == state && state.is_some() {
                    return Ok(api::LoggedBuckets::Unchanged);
                }
                let found = access_logs::logged_buckets(tables, request.after, PAGE)?;
                let more = found.len() == PAGE;
                let show = |logged: access_logs::LoggedBucket| api::LoggedBucket {
                    id: logged.bucket.id,
                    path: logged.bucket.path(),
                    owner: logged.bucket.owner.into_api(),
                    location: logged.bucket.location,
                    logging: logged.logging,
                };
                Ok::<_, Stop<Never>>(api::LoggedBuckets::Page { state, buckets: found.into_iter().map(show).collect(), more })
            })
            .await
    }

    /// Whether the target lets S3's own service deliver there. A target that is not there is for the command to tell.
    pub(super) fn check_log_target(
        &self,
        tables: &dyn ReadTables,
        source: &Entry<'_>,
        logging: &LoggingConfiguration,
    ) -> Result<(), Stop<api::SetBucketConfigRejected>> {
        let Some(target) = find_bucket(tables, &logging.target.within(&source.bucket.volume))? else { return Ok(()) };
        let guard = self.guards.of(tables, &target)?;
        let identity = Identity::LogDelivery(vec![LogSource::of(tables, &source.bucket, logging, Some(target.id))?]);
        // As at a delivery, of which nothing is known but the log.
        let facts = Facts { now: self.clock.now(), ..Facts::default() };
        let account_block = namespace::user(tables, &target.owner)?.and_then(|owner| owner.block).unwrap_or_default();
        let scene = Scene { identity: &identity, facts: &facts, bucket: &target, guard: &guard, account_block };
        if scene.takes_logs() { Ok(()) } else { Err(denied(Denied::AccessDenied)) }
    }
}

/// Whatever a policy says: a log tells who asks a bucket for what, and its owner alone says where that goes.
pub(super) fn only_the_owner(entry: &Entry<'_>) -> Result<(), Stop<api::SetBucketConfigRejected>> {
    match &entry.identity {
        Identity::System => Ok(()),
        Identity::User(user) if user.is_admin || user.id == entry.bucket.owner => Ok(()),
        Identity::Member(member) if member.account.is_admin || member.account.id == entry.bucket.owner => Ok(()),
        Identity::User(_) | Identity::Member(_) | Identity::Anonymous | Identity::LogDelivery(_) => {
            Err(denied(Denied::AccessDenied))
        }
    }
}
