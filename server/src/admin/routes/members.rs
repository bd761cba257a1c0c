//! What each member of a replicated role says of itself.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use om_api::Om;
use rpc::CallContext;
use scm_api::Scm;
use serde_json::{Value, json};
use types::{Endpoint, RaftRole, RaftStatus};

use super::view;

/// The members one by one, and not whoever leads.
pub(crate) struct MembersOf<S: ?Sized>(pub(crate) Vec<(Endpoint, Arc<S>)>);

/// A member that is well answers in milliseconds, and one that hashes its rows first in a second.
const PATIENCE: Duration = Duration::from_secs(3);

/// In the order of the members; why there is no answer, where there is none.
pub(super) type Views = Vec<(Endpoint, Result<RaftStatus, String>)>;

impl<S: ?Sized> MembersOf<S> {
    async fn ask<F, E>(&self, question: impl Fn(Arc<S>) -> F) -> Views
    where
        F: Future<Output = Result<RaftStatus, E>>,
        E: std::fmt::Display,
    {
        join_all(self.0.iter().map(|(endpoint, member)| {
            let answer = question(Arc::clone(member));
            async move { (endpoint.clone(), answer.await.map_err(|error| error.to_string())) }
        }))
        .await
    }
}

pub(super) async fn of_om(members: &MembersOf<dyn Om>, cx: impl Fn(Duration) -> CallContext) -> Views {
    members
        .ask(|member| {
            let cx = cx(PATIENCE);
            async move { member.roles(cx, ()).await }
        })
        .await
}

pub(super) async fn of_scm(members: &MembersOf<dyn Scm>, cx: impl Fn(Duration) -> CallContext) -> Views {
    members
        .ask(|member| {
            let cx = cx(PATIENCE);
            async move { member.roles(cx, ()).await }
        })
        .await
}

/// The leader's view of the group, or any member's while nobody leads.
pub(super) fn best(views: &Views) -> Option<&RaftStatus> {
    let answers = || views.iter().filter_map(|(_, view)| view.as_ref().ok());
    answers().filter(|view| view.role == RaftRole::Leader).max_by_key(|view| view.term).or_else(|| answers().next())
}

/// The group as [`best`] knows it, with how far each member says that it is.
pub(super) fn show(views: &Views) -> Option<Value> {
    let mut group = view::raft(best(views)?);
    group["views"] = views.iter().filter_map(|(_, view)| view.as_ref().ok()).map(view::member).collect();
    group["silent"] = silent(views).map(|(endpoint, why)| json!({"endpoint": endpoint.0, "why": why})).collect();
    Some(group)
}

pub(super) fn silent(views: &Views) -> impl Iterator<Item = (&Endpoint, &String)> {
    views.iter().filter_map(|(endpoint, view)| view.as_ref().err().map(|why| (endpoint, why)))
}
