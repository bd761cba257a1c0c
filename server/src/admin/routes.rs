//! The listener's routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use gateway::{AuditSink, Authenticator, Client, IamEndpoint, Limits, Peer};
use metrics_exporter_prometheus::PrometheusHandle;
use om_api::{Om, RequestContext, Requester};
use rpc::CallContext;
use runtime::{Clock, Entropy, Shutdown};
use scm_api::{ContainerPageRequest, Scm};
use serde::Deserialize;
use serde_json::{Value, json};
use types::{ContainerId, MemberId, RequestId};

use super::view;
use crate::admin::routes::failure::Failure;
use crate::admin::routes::listener::{AdminListener, Trace};
use crate::tls::Door;

mod accounts;
mod acls;
mod events;
mod failure;
mod hosts;
mod iam;
mod kms;
mod listener;
mod members;
mod secrets;
mod tokens;

pub(crate) use hosts::S3Hosts;
pub(crate) use members::MembersOf;

/// Whether this process can do its work now.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    ready: AtomicBool,
    ended: AtomicBool,
}

impl Readiness {
    pub(crate) fn set(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// It stops: whatever a watcher may still find, it is not ready again.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.ended.load(Ordering::Acquire)
    }
}

/// What signed requests act on; a process that is no server or gateway has none of it.
pub(crate) struct Operations {
    pub(crate) om: Arc<dyn Om>,
    pub(crate) scm: Arc<dyn Scm>,
    pub(crate) om_members: MembersOf<dyn Om>,
    pub(crate) scm_members: MembersOf<dyn Scm>,
    pub(crate) authenticator: Arc<Authenticator>,
    /// What is signed for these is none of an administrator's requests.
    pub(crate) s3: S3Hosts,
    pub(crate) iam: IamEndpoint,
    /// Where it is written down who asked for what.
    pub(crate) audit: Arc<dyn AuditSink>,
}

pub(crate) struct Admin {
    pub(crate) ready: Arc<Readiness>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) operations: Option<Operations>,
}

const CALL_TIMEOUT: Duration = Duration::from_secs(15);
const CONTAINERS_PER_PAGE: u32 = 1000;
/// Probes, scrapes and a few people: more at a time are somebody's mistake or attack, and must not cost the process its
/// descriptors.
const LIMITS: Limits = Limits {
    connections: 256,
    header_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(30),
    drain_timeout: Duration::from_secs(15),
};

pub(crate) async fn serve(door: Door, admin: Arc<Admin>, shutdown: Shutdown) -> std::io::Result<()> {
    let answers = AdminListener::new(router(admin.operations.is_some()).with_state(Arc::clone(&admin)), admin);
    gateway::serve(door.listener, door.tls, LIMITS, &shutdown, Arc::new(answers)).await;
    Ok(())
}

fn router(has_operations: bool) -> Router<Arc<Admin>> {
    let router = Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics));
    if !has_operations {
        return router.fallback(async || Failure::not_here().into_response());
    }
    router
        .route("/secret", any(secrets::own))
        .route("/secret/{user}", any(secrets::of))
        .route("/delegation-token", any(tokens::tokens))
        .route("/admin/v1/status", get(status))
        .route("/admin/v1/om/roles", get(om_roles))
        .route("/admin/v1/om/transfer", any(om_transfer))
        .route("/admin/v1/scm/roles", get(scm_roles))
        .route("/admin/v1/scm/transfer", any(scm_transfer))
        .route("/admin/v1/scm/safe-mode", any(safe_mode))
        .route("/admin/v1/scm/pipelines", get(pipelines))
        .route("/admin/v1/scm/containers", get(containers))
        .route("/admin/v1/datanodes", get(datanodes))
        .route("/admin/v1/accounts", any(accounts::accounts))
        .route("/admin/v1/kms/keys", any(kms::keys))
        .route("/admin/v1/iam", any(iam::asked))
        .route("/admin/v1/acl", any(acls::acl))
        .route("/admin/v1/explain", get(iam::explain))
        .route("/", any(iam::wire))
        .route("/admin/v1/notifications", any(events::undelivered))
}

type Reply = Result<Json<Value>, Failure>;
/// The head alone: hardly a route reads a body.
type Request = axum::http::request::Parts;

async fn ready(State(admin): State<Arc<Admin>>) -> Response {
    if admin.ready.is_ready() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

async fn metrics(State(admin): State<Arc<Admin>>, ConnectInfo(from): ConnectInfo<Peer>, request: Request) -> Response {
    if !from.address.ip().to_canonical().is_loopback() {
        // Nothing secret, but the names and loads of a cluster are nobody else's business.
        if let Err(failure) = admin.administrator(&request).await {
            return failure.into_response();
        }
    }
    admin.metrics.render().into_response()
}

impl Admin {
    fn operations(&self) -> Result<&Operations, Failure> {
        self.operations.as_ref().ok_or(Failure::not_here())
    }

    fn context(&self, request: &Request) -> CallContext {
        self.context_within(request, CALL_TIMEOUT)
    }

    fn context_within(&self, request: &Request, timeout: Duration) -> CallContext {
        let id = Trace::of(request).map_or_else(|| RequestId::from_u128(self.entropy.u128()), Trace::next_id);
        CallContext::local(id, timeout)
    }

    /// Who signed the request.
    async fn signer(&self, request: &Request) -> Result<Requester, Failure> {
        let id = self.context(request).request_id;
        let Operations { authenticator, s3, .. } = self.operations()?;
        let signer =
            authenticator.signer(&request.method, &request.uri, &request.headers, id).await.map_err(Failure::signature)?;
        if let Some(trace) = Trace::of(request) {
            trace.signed_by(&signer);
        }
        if s3.are_of(request) { Err(Failure::of_s3()) } else { Ok(signer.by.with_context(context_of(request))) }
    }

    /// Who signed the request, if the OM takes them for an administrator.
    async fn administrator(&self, request: &Request) -> Result<&Operations, Failure> {
        let by = self.signer(request).await?;
        let operations = self.operations()?;
        operations.om.authorise_admin(self.context(request), by).await.map_err(Failure::call)?;
        Ok(operations)
    }
}

/// What policies may ask about the request.
fn context_of(request: &Request) -> RequestContext {
    let known = RequestContext { request: Trace::of(request).map(Trace::id), ..RequestContext::default() };
    let Some(ConnectInfo(from)) = request.extensions.get::<ConnectInfo<Peer>>() else { return known };
    let client = Client::direct(*from);
    RequestContext {
        source: client.address,
        is_secure: client.is_secure,
        tls_version: client.tls.map(|tls| tls.version.to_owned()),
        ..known
    }
}

async fn status(State(admin): State<Arc<Admin>>, request: Request) -> Reply {
    let Operations { om, scm, om_members, scm_members, .. } = admin.administrator(&request).await?;
    let within = |patience| admin.context_within(&request, patience);
    let (om_overview, om_views) = tokio::join!(om.overview(admin.context(&request), ()), members::of_om(om_members, within));
    let (scm_overview, scm_views) = tokio::join!(scm.overview(admin.context(&request), ()), members::of_scm(scm_members, within));
    let mut problems = Vec::new();
    for (role, views) in [("OM", &om_views), ("SCM", &scm_views)] {
        problems.extend(members::silent(views).map(|(endpoint, why)| format!("the {role} at {endpoint} does not answer: {why}")));
    }
    if let Err(error) = &om_overview {
        problems.push(format!("the OM does not answer: {error}"));
    }
    if let Err(error) = &scm_overview {
        problems.push(format!("the SCM does not answer: {error}"));
    }
    if let Ok(om) = &om_overview
        && !om.can_write
    {
        problems.push(format!("writes are refused: {}", om.cannot_write_because.as_deref().unwrap_or("unknown reason")));
    }
    if let Ok(om) = &om_overview {
        problems.extend(om.unmade.iter().map(|why| format!("the configuration names what could not be made: {why}")));
    }
    if let Ok(scm) = &scm_overview {
        problems.extend(scm.safe_mode.is_on.then(|| format!("safe mode: {}", scm.safe_mode.reasons.join(", "))));
        problems.extend((scm.dead_datanodes > 0).then(|| format!("{} datanodes are dead", scm.dead_datanodes)));
        problems.extend((scm.stale_datanodes > 0).then(|| format!("{} datanodes do not answer", scm.stale_datanodes)));
        problems.extend((scm.missing > 0).then(|| format!("{} containers have no good replica", scm.missing)));
        problems.extend((scm.under_replicated > 0).then(|| format!("{} containers have too few replicas", scm.under_replicated)));
    }
    let leader = |views| {
        let roles = members::best(views)?;
        Some(roles.members.iter().find(|member| Some(member.id) == roles.leader)?.endpoint.0.clone())
    };
    Ok(Json(json!({
        "problems": problems,
        "om": om_overview.as_ref().ok().map(view::om),
        "scm": scm_overview.as_ref().ok().map(view::scm),
        "om_leader": leader(&om_views),
        "scm_leader": leader(&scm_views),
    })))
}

async fn om_roles(State(admin): State<Arc<Admin>>, request: Request) -> Reply {
    let operations = admin.administrator(&request).await?;
    let views = members::of_om(&operations.om_members, |patience| admin.context_within(&request, patience)).await;
    match members::show(&views) {
        Some(group) => Ok(Json(group)),
        // Nobody answered in time: the call that looks for a leader tells why.
        None => Ok(Json(view::raft(&operations.om.roles(admin.context(&request), ()).await.map_err(Failure::call)?))),
    }
}

async fn scm_roles(State(admin): State<Arc<Admin>>, request: Request) -> Reply {
    let operations = admin.administrator(&request).await?;
    let views = members::of_scm(&operations.scm_members, |patience| admin.context_within(&request, patience)).await;
    match members::show(&views) {
        Some(group) => Ok(Json(group)),
        // Nobody answered in time: the call that looks for a leader tells why.
        None => Ok(Json(view::raft(&operations.scm.roles(admin.context(&request), ()).await.map_err(Failure::call)?))),
    }
}

#[derive(Debug, Deserialize)]
struct TransferTo {
    to: Option<u64>,
}

async fn om_transfer(State(admin): State<Arc<Admin>>, Query(TransferTo { to }): Query<TransferTo>, request: Request) -> Reply {
    Failure::unless_post(&request)?;
    let operations = admin.administrator(&request).await?;
    let transfer = om_api::TransferLeadership { to: to.map(MemberId) };
    operations.om.transfer_leadership(admin.context(&request), transfer).await.map_err(Failure::call)?;
    Ok(Json(json!({})))
}

async fn scm_transfer(State(admin): State<Arc<Admin>>, Query(TransferTo { to }): Query<TransferTo>, request: Request) -> Reply {
    Failure::unless_post(&request)?;
    let operations = admin.administrator(&request).await?;
    let transfer = scm_api::TransferLeadership { to: to.map(MemberId) };
    operations.scm.transfer_leadership(admin.context(&request), transfer).await.map_err(Failure::call)?;
    Ok(Json(json!({})))
}

async fn safe_mode(State(admin): State<Arc<Admin>>, request: Request) -> Reply {
    let operations = admin.administrator(&request).await?;
    match request.method.as_str() {
        "GET" => {
            let overview = operations.scm.overview(admin.context(&request), ()).await.map_err(Failure::call)?;
            Ok(Json(view::scm(&overview)["safe_mode"].clone()))
        }
        "DELETE" => {
            operations.scm.leave_safe_mode(admin.context(&request), ()).await.map_err(Failure::call)?;
            Ok(Json(json!({})))
        }
        _ => Err(Failure::method()),
    }
}

async fn pipelines(State(admin): State<Arc<Admin>>, request: Request) -> Reply {
    let operations = admin.administrator(&request).await?;
    let pipelines = operations.scm.pipelines(admin.context(&request), ()).await.map_err(Failure::call)?;
    Ok(Json(pipelines.iter().map(view::pipeline).collect()))
}

#[derive(Debug, Deserialize)]
struct WhichContainers {
    #[serde(default)]
    unhealthy: bool,
}

async fn containers(
    State(admin): State<Arc<Admin>>,
    Query(WhichContainers { unhealthy }): Query<WhichContainers>,
    request: Request,
) -> Reply {
    let operations = admin.administrator(&request).await?;
    let mut found = Vec::new();
    let mut after: Option<ContainerId> = None;
    loop {
        let ask = ContainerPageRequest { after, limit: CONTAINERS_PER_PAGE };
        let page = operations.scm.containers(admin.context(&request), ask).await.map_err(Failure::call)?;
        found.extend(page.containers.iter().filter(|c| !unhealthy || !c.is_healthy).map(view::container));
        after = page.containers.last().map(|c| c.id);
        if !page.more || after.is_none() {
            return Ok(Json(Value::Array(found)));
        }
    }
}

async fn datanodes(State(admin): State<Arc<Admin>>, request: Request) -> Reply {
    let operations = admin.administrator(&request).await?;
    let datanodes = operations.scm.datanodes(admin.context(&request), ()).await.map_err(Failure::call)?;
    Ok(Json(datanodes.iter().map(view::datanode).collect()))
}
