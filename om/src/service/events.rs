//! Events on their way to others: what a change notes of its origin, and what administrators see of those that do not arrive.

use bucket_config::NotificationConfiguration;
use bucket_config::notification::NotificationTarget;
use om_api as api;
use om_core::ReviveEvents;
use om_core::notifications::{self, DeadEvent};
use om_core::rows::Origin;
use rpc::{CallContext, CallError};

use super::OmService;
use super::calls::Stop;
use super::entry::Entry;
use crate::notifications::document;

/// Shown at once.
const MOST_SHOWN: usize = 1_000;
/// Counted at most.
const MOST_COUNTED: usize = 100_000;

impl Entry<'_> {
    /// For the events that the change makes, if the bucket has somebody told.
    pub(super) fn origin(&self, cx: &CallContext) -> Option<Origin> {
        self.bucket.notifies?;
        Some(Origin {
            user: self.identity.user_id().cloned(),
            source: self.facts.source,
            request: cx.request_id.of_client(),
            region: self.facts.region.map(str::to_owned),
            is_form: self.is_form,
        })
    }
}

impl OmService {
    /// Buckets may only name what an administrator has.
    pub(super) fn check_destinations(
        &self,
        configuration: &NotificationConfiguration,
    ) -> Result<(), Stop<api::SetBucketConfigRejected>> {
        let is_known =
            |target: &NotificationTarget| target.destination().is_some_and(|name| self.config.notifications.contains_key(name));
        match configuration.targets.iter().find(|target| !is_known(target)) {
            Some(unknown) => Err(Stop::Rejected(api::SetBucketConfigRejected::NoSuchDestination(unknown.arn.clone()))),
            None => Ok(()),
        }
    }

    pub(super) async fn undelivered(
        &self,
        cx: CallContext,
        request: api::GetUndelivered,
    ) -> Result<api::Undelivered, CallError<api::Denied>> {
        let mut names: Vec<String> = self.config.notifications.keys().cloned().collect();
        self.authorise_admin(cx.clone(), request.by).await?;
        let mut revived = 0;
        if let (true, Some(destination)) = (request.revive, request.destination.clone()) {
            let most = u32::try_from(MOST_SHOWN).unwrap_or(u32::MAX);
            let command = ReviveEvents { destination, most, now: self.clock.now() };
            let outcome = self.log.propose(None, command, cx.deadline).await;
            revived = outcome.map_err(|error| error.map_rejection(|never| match never {}))?;
        }
        self.log
            .read(cx.deadline, |tables| {
                let only = request.destination.as_deref();
                names.extend(notifications::destinations_waited_for(tables)?);
                names.sort_unstable();
                names.dedup();
                let mut destinations = Vec::new();
                for name in names.into_iter().filter(|name| only.is_none_or(|only| only == name)) {
                    destinations.push(api::DestinationState {
                        waiting: notifications::count_waiting(tables, &name, MOST_COUNTED)?,
                        dead: notifications::count_dead(tables, &name, MOST_COUNTED)?,
                        is_known: self.config.notifications.contains_key(&name),
                        name,
                    });
                }
                let dead = notifications::dead(tables, only, MOST_SHOWN)?.into_iter().map(show).collect();
                Ok(api::Undelivered { destinations, dead, revived })
            })
            .await
    }
}

fn show(dead: DeadEvent) -> api::DeadEvent {
    api::DeadEvent {
        event: document(dead.sequence, &dead.row.event).to_string(),
        destination: dead.destination,
        why: dead.row.why,
        died: dead.row.died,
    }
}
