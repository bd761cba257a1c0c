//! Each request of the listener: its id, its answer when no route gives one, and its audit line.
//!
//! Probes and scrapes leave no line: they come every second, say nothing about who did what, and would bury what does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header, request};
use gateway::{Answers, AuditRecord, IamRecord, Peer, Signer};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use om_api::Requester;
use types::RequestId;

use super::Admin;
use super::failure::Failure;

/// What is known of a request beside its head. Calls for it have ids of their own that begin with its.
#[derive(Debug)]
pub(super) struct Trace {
    base: u128,
    calls: AtomicU64,
    signer: OnceLock<Signer>,
}

impl Trace {
    fn new(random: u128) -> Self {
        Self { base: random & !0xff_ffff, calls: AtomicU64::new(1), signer: OnceLock::new() }
    }

    pub(super) fn of(request: &request::Parts) -> Option<&Self> {
        request.extensions.get::<Arc<Self>>().map(Arc::as_ref)
    }

    /// The request's own, as the client is told it.
    pub(super) fn id(&self) -> RequestId {
        RequestId::from_u128(self.base)
    }

    pub(super) fn next_id(&self) -> RequestId {
        RequestId::from_u128(self.base | u128::from(self.calls.fetch_add(1, Ordering::Relaxed)))
    }

    pub(super) fn signed_by(&self, signer: &Signer) {
        let _ = self.signer.set(signer.clone());
    }
}

pub(super) struct AdminListener {
    router: TowerToHyperService<Router>,
    admin: Arc<Admin>,
}

impl AdminListener {
    pub(super) fn new(router: Router, admin: Arc<Admin>) -> Self {
        Self { router: TowerToHyperService::new(router), admin }
    }
}

impl Answers for AdminListener {
    const GAUGE: &'static str = "admin_connections";

    type Body = Body;

    async fn answer(&self, peer: Peer, mut request: Request<Incoming>) -> Response<Body> {
        let began = Instant::now();
        let trace = Arc::new(Trace::new(self.admin.entropy.u128()));
        let request_id = RequestId::from_u128(trace.base).to_string();
        let path = request.uri().path().to_owned();
        let query = request.uri().query().map(|query| shortened(query).to_owned());
        let agent = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let mut record = AuditRecord {
            time: gateway_core::dates::format_iso8601(self.admin.clock.now()),
            request_id: request_id.clone(),
            remote: peer.address.to_string(),
            method: request.method().as_str().to_owned(),
            operation: operation(request.method(), &path).map(Into::into),
            user_agent: agent.map(str::to_owned),
            ..AuditRecord::default()
        };
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(Arc::clone(&trace));
        let mut response = match self.router.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status();
        let is_probe = path == "/metrics" || path.starts_with("/health/");
        let is_answered = status.is_success() || (is_probe && status == StatusCode::SERVICE_UNAVAILABLE);
        let call = response.extensions().get::<Arc<IamRecord>>().cloned();
        if let Some(call) = &call {
            record.operation = call.action.clone().map(Into::into);
            record.user = call.user.as_ref().map(|user| user.0.clone());
            (record.access_key, record.error) = (call.access_key.clone(), call.error);
        }
        if !is_answered && call.is_none() {
            let failure = response.extensions().get::<Failure>().cloned().unwrap_or_else(|| Failure::of_status(status));
            record.error = Some(failure.code());
            response = failure.answer(&request_id);
        }
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-amz-request-id", id);
        }
        if let Some(operations) = self.admin.operations.as_ref().filter(|_| !is_probe) {
            if let Some(Signer { by, user }) = trace.signer.get() {
                record.user = Some(user.0.clone());
                record.access_key = match by {
                    Requester::Signed { access_key, .. } => Some(access_key.0.clone()),
                    Requester::Anonymous { .. } | Requester::System | Requester::LogDelivery { .. } => None,
                };
            }
            record.path = Some(percent_encoding::percent_decode_str(&path).decode_utf8_lossy().into_owned());
            record.query = query.filter(|_| is_ours(&path)).filter(|_| record.user.is_some());
            record.status = response.status().as_u16();
            record.milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            operations.audit.record(record.to_line());
        }
        response
    }
}

/// Whose parameters name what is changed, and hold no secret: those come in bodies, or in answers.
fn is_ours(path: &str) -> bool {
    path.starts_with("/admin/v1/") || path.starts_with("/secret") || path == "/delegation-token"
}

/// A policy may be long; who was meant stands in front of it.
fn shortened(query: &str) -> &str {
    query.get(..MOST_QUERY).unwrap_or(query)
}

const MOST_QUERY: usize = 512;

/// What a request asks for, by a name that audits can be searched for.
fn operation(method: &Method, path: &str) -> Option<&'static str> {
    let is_secret = path == "/secret" || path.starts_with("/secret/");
    Some(match (method.as_str(), path) {
        ("PUT" | "POST", _) if is_secret => "AdminCreateSecret",
        ("DELETE", _) if is_secret => "AdminRevokeSecret",
        ("POST", "/delegation-token") => "AdminGetDelegationToken",
        ("PUT", "/delegation-token") => "AdminRenewDelegationToken",
        ("DELETE", "/delegation-token") => "AdminCancelDelegationToken",
        ("GET", "/delegation-token") => "AdminListDelegationTokens",
        ("GET", "/admin/v1/status") => "AdminStatus",
        ("GET", "/admin/v1/om/roles") => "AdminOmRoles",
        ("POST", "/admin/v1/om/transfer") => "AdminOmTransfer",
        ("GET", "/admin/v1/scm/roles") => "AdminScmRoles",
        ("POST", "/admin/v1/scm/transfer") => "AdminScmTransfer",
        ("GET", "/admin/v1/scm/safe-mode") => "AdminSafeMode",
        ("DELETE", "/admin/v1/scm/safe-mode") => "AdminLeaveSafeMode",
        ("GET", "/admin/v1/scm/pipelines") => "AdminPipelines",
        ("GET", "/admin/v1/scm/containers") => "AdminContainers",
        ("GET", "/admin/v1/datanodes") => "AdminDatanodes",
        ("GET", "/admin/v1/accounts") => "AdminListAccounts",
        ("PUT", "/admin/v1/accounts") => "AdminCreateAccount",
        ("POST", "/admin/v1/accounts") => "AdminUpdateAccount",
        ("DELETE", "/admin/v1/accounts") => "AdminDeleteAccount",
        ("POST", "/admin/v1/iam") => "AdminIam",
        ("GET", "/admin/v1/acl") => "AdminGetAcl",
        ("POST", "/admin/v1/acl") => "AdminAddAcl",
        ("DELETE", "/admin/v1/acl") => "AdminRemoveAcl",
        ("PUT", "/admin/v1/acl") => "AdminSetAcl",
        ("GET", "/admin/v1/explain") => "AdminExplain",
        _ => return None,
    })
}
