//! One request from head to answer.
//!
//! The order is fixed: the head is taken apart, authenticated, dispatched, performed. Whose volume a bucket's name is in is known from
//! the moment of authentication, and nothing looks for a bucket before. Every answer, also that of a panic,
//! carries the request's id; every request ends in one audit line.

pub(crate) mod cors;
mod payer;
mod refusal;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use gateway_core::conditions::refuse_unbuilt_conditions;
use gateway_core::dispatch::{S3Operation, dispatch};
use gateway_core::encoding::from_latin1;
use gateway_core::encryption;
use gateway_core::error::Answering;
use gateway_core::metadata::refuse_unbuilt_headers;
use gateway_core::proxies::{Client, Peer};
use gateway_core::{RequestHead, S3Error, S3ErrorCode};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::body::Incoming;
use om_api::Requester;
use parking_lot::Mutex;
use tracing::{Instrument, error, info_span};
use types::BucketPath;

use crate::access_log::{Arrival, Entry};
use crate::audit::AuditRecord;
use crate::authenticator::Authentication;
use crate::context::{CallIds, OpContext, Shared};
use crate::data::RequestBody;
use crate::facts::{self, Signing};
use crate::front::{CountedBody, DoublyFramed};
use crate::iam::{IamIds, MOST_BYTES, is_call as is_iam_call};
use crate::operation::S3Request;
use crate::ops::{self, website};
use crate::reply::{self, Reply, ReplyBody};

use cors::CrossOrigin;
pub(crate) use refusal::refuse;
use website::Refused;

/// Names and values of all headers together. S3 takes 8 KiB; user metadata and long tokens must fit beside each other.
const MAX_HEADERS: usize = 16 << 10;
/// Read of a refused body before the answer, to keep the connection; more for methods that bring one. With a longer one the
/// connection ends after the answer.
const DRAIN: u64 = 64 << 10;
const DRAIN_UPLOAD: u64 = 1 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Which listener a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    S3,
    /// Buckets as their visitors see them.
    Website,
}

/// Answers one request. Never fails: what goes wrong is an answer too.
pub(crate) async fn handle(
    door: Door,
    shared: Arc<Shared>,
    peer: Peer,
    request: http::Request<Incoming>,
) -> http::Response<CountedBody> {
    let began = Instant::now();
    let ids = CallIds::new(shared.entropy.u128());
    let request_id = ids.request().to_string();
    let client = shared.config.trusted_proxies.client(peer, request.headers());
    let is_proxied = client.address != Client::direct(peer).address;
    let record = AuditRecord {
        time: gateway_core::dates::format_iso8601(shared.clock.now()),
        request_id: request_id.clone(),
        // The port is the connection's, which a proxy has made.
        remote: match client.address {
            Some(_) if !is_proxied => peer.address.to_string(),
            Some(address) => address.to_string(),
            None => "-".to_owned(),
        },
        proxy: is_proxied.then(|| peer.address.to_string()),
        method: request.method().as_str().to_owned(),
        user_agent: request.headers().get(header::USER_AGENT).map(|value| from_latin1(value.as_bytes()).into_owned()),
        ..AuditRecord::default()
    };
    let arrival = Arrival { version: request.version(), client, at: shared.clock.now(), began };
    let mut records = Records { audit: record, access: None, bucket: None, arrival };
    let is_head = request.method() == Method::HEAD;
    let resource = request.uri().path().to_owned();
    let span = info_span!("request", id = %request_id);
    let answer =
        AssertUnwindSafe(respond(door, &shared, ids, request, client, &mut records).instrument(span)).catch_unwind().await;
    let outcome = answer.unwrap_or_else(|_| {
        error!(request_id, "a request panicked");
        metrics::counter!("gateway_panics_total").increment(1);
        let result = Err(S3Error::new(S3ErrorCode::InternalError).into());
        Outcome { result, cross_origin: HeaderMap::new(), reusable: false }
    });
    let mut reply = outcome.result.unwrap_or_else(|Refused { error, own_page }| {
        records.audit.error = Some(error.code().as_str());
        let answering = Answering { resource: &resource, request_id: &request_id, host_id: &shared.host_id };
        match door {
            Door::S3 => error_reply(&error, is_head, || reply::xml(error.status(), error.to_xml(answering))),
            Door::Website => error_page(&error, own_page.as_ref(), answering, is_head),
        }
    });
    let headers = reply.headers_mut();
    headers.extend(outcome.cross_origin);
    reply::set(headers, "x-amz-request-id", &request_id);
    reply::set(headers, "x-amz-id-2", &shared.host_id);
    headers.insert(header::SERVER, HeaderValue::from_static("Trioxide"));
    if !outcome.reusable {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let Records { audit: mut record, access: mut entry, .. } = records;
    record.status = reply.status().as_u16();
    if let Some(entry) = &mut entry {
        entry.set_answer(record.status, record.error, &request_id, &shared.host_id);
    }
    reply.map(|body| CountedBody::new(body, record, entry, began, Arc::clone(&shared.audit)))
}

/// What is written down of a request.
struct Records {
    audit: AuditRecord,
    /// If it goes into an access log.
    access: Option<Box<Entry>>,
    bucket: Option<BucketPath>,
    arrival: Arrival,
}

impl Records {
    /// What the request is about, once it is known whose volume the head's names are in.
    fn set_target(&mut self, shared: &Shared, head: &RequestHead) {
        self.bucket = head.bucket_path();
        self.audit.bucket = self.bucket.as_ref().map(BucketPath::to_string);
        self.audit.key = head.target.key.as_ref().map(|key| key.as_str().to_owned());
        self.access = Entry::of(&shared.access_logs, head, self.arrival);
    }

    /// A form turned out to be about a bucket of the volume of whoever signed it.
    fn set_target_of_form(&mut self, cx: &OpContext, request: &S3Request, bucket: BucketPath) {
        if self.bucket.as_ref() == Some(&bucket) {
            return;
        }
        let head = RequestHead { home: cx.who.home.clone(), ..request.head.clone() };
        self.set_target(&cx.shared, &head);
        if let Some(entry) = &mut self.access {
            entry.set_operation(&head, S3Operation::PostObject);
        }
    }
}

struct Outcome {
    result: Result<Reply, Refused>,
    /// For a page of another origin.
    cross_origin: HeaderMap,
    /// The request was read to its end, so that another can follow it.
    reusable: bool,
}

async fn respond(
    door: Door,
    shared: &Arc<Shared>,
    ids: CallIds,
    request: http::Request<Incoming>,
    client: Client,
    records: &mut Records,
) -> Outcome {
    let (head, body) = request.into_parts();
    let expects_continue =
        head.headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if head.extensions.get::<DoublyFramed>().is_some() || !framing_is_plain(&head.headers) {
        // Whoever stands in front of us may see another end of this request than we do: nothing may follow it.
        let result = Err(S3Error::invalid_request("The framing of the request is not valid.").into());
        return Outcome { result, cross_origin: HeaderMap::new(), reusable: false };
    }
    if door == Door::S3 && is_iam_call(&head.method, head.uri.path(), &head.headers) {
        let body = RequestBody::new(body, shared.config.idle_timeout, expects_continue);
        return respond_iam(shared, &ids, head, body, client, records).await;
    }
    let from = CrossOrigin::of(&head.method, &head.headers).filter(|_| head.method != Method::OPTIONS);
    let call_ids = ids.clone();
    let drain = if matches!(head.method, Method::PUT | Method::POST) { DRAIN_UPLOAD } else { DRAIN };
    let mut body = RequestBody::new(body, shared.config.idle_timeout, expects_continue);
    let admitted = match door {
        Door::S3 => admit(shared, &ids, head, client, records).await,
        Door::Website => admit_visitor(shared, &ids, head, client, records).map(|(request, who)| (None, request, who)),
    };
    let result = match admitted {
        Err(error) => Err(error.into()),
        Ok((operation, request, who)) => {
            // Of a form it is not known yet whether it goes into a log.
            let is_told = records.access.is_some() || operation == Some(S3Operation::PostObject);
            let told = is_told.then(Mutex::default);
            let mut cx = OpContext { shared: Arc::clone(shared), who, ids, body, key: None, bucket: None, told };
            let mut result = match operation {
                Some(operation) => serve(operation, &request, &mut cx).await.map_err(Refused::from),
                None => website::serve(&request, &cx).await,
            };
            if let (Some(_), Ok(reply)) = (operation, &mut result) {
                tell_payer(&cx, &request, reply).await;
            }
            if let Some(bucket) = cx.bucket.take() {
                records.set_target_of_form(&cx, &request, bucket);
            }
            if let Some(key) = cx.key {
                records.audit.key = Some(key.as_str().to_owned());
                if let Some(entry) = &mut records.access {
                    entry.set_key(&key);
                }
                name_requester(records, &cx.who);
            }
            if let Some((entry, told)) = records.access.as_mut().zip(cx.told) {
                entry.set_told(told.into_inner());
            }
            body = cx.body;
            result
        }
    };
    let cross_origin = match (&from, &records.bucket) {
        (Some(from), Some(bucket)) => cors::headers(shared, &call_ids, bucket, from).await,
        (Some(_), None) | (None, _) => HeaderMap::new(),
    };
    records.audit.bytes_in = body.received();
    if let Some(entry) = &mut records.access {
        entry.set_received(body.ended());
    }
    body.drain(drain, DRAIN_TIME).await;
    Outcome { result, cross_origin, reusable: body.is_reusable() }
}

/// A call of IAM's or STS's, whose clients take this endpoint for theirs.
async fn respond_iam(
    shared: &Arc<Shared>,
    ids: &CallIds,
    head: http::request::Parts,
    mut body: RequestBody,
    client: Client,
    records: &mut Records,
) -> Outcome {
    let mut read = Vec::new();
    let refused = loop {
        match body.next().await {
            Ok(Some(bytes)) if read.len() + bytes.len() <= MOST_BYTES => read.extend_from_slice(&bytes),
            Ok(Some(_)) => break Some(S3ErrorCode::EntityTooLarge.into()),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let result = match refused {
        Some(error) => Err(Refused::from(error)),
        None => {
            let ids = IamIds { request: ids.request(), first_call: ids.next(), second_call: ids.next() };
            let (answer, record) = shared.iam.answer(&head, &read, ids, client).await;
            let audit = &mut records.audit;
            audit.operation = record.action.map(Into::into);
            audit.user = record.user.map(|user| user.0);
            (audit.access_key, audit.error) = (record.access_key, record.error);
            Ok(answer.map(ReplyBody::whole))
        }
    };
    records.audit.bytes_in = body.received();
    body.drain(DRAIN, DRAIN_TIME).await;
    Outcome { result, cross_origin: HeaderMap::new(), reusable: body.is_reusable() }
}

async fn tell_payer(cx: &OpContext, request: &S3Request, reply: &mut Reply) {
    let buckets = payer::buckets(request);
    if !buckets.is_empty() && payer::is_charged(&cx.shared, &cx.ids, buckets, cx.user()).await {
        reply::set(reply.headers_mut(), "x-amz-request-charged", "requester");
    }
}

/// One way to tell where the body ends, in the one form that everybody reads alike. A length beside it is not left in the
/// headers: the connection has looked for it.
fn framing_is_plain(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => true,
        (Some(encoding), None) => encoding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// What is decided from the head alone, and the signing key.
async fn admit(
    shared: &Shared,
    ids: &CallIds,
    head: http::request::Parts,
    client: Client,
    records: &mut Records,
) -> Result<(Option<S3Operation>, S3Request, Authentication), S3Error> {
    check_size(&head.headers)?;
    let mut head = RequestHead::parse(head.method, &head.uri, head.headers, &shared.addressing)?;
    let who = if head.method == Method::OPTIONS {
        // It is not signed, but the URL that it asks about may be.
        let home = shared.authenticator.claimed_home(&head, ids.next()).await;
        Ok(Authentication { home: home.flatten(), ..Authentication::of_nobody() })
    } else {
        shared.authenticator.authenticate(&head, ids.next()).await
    };
    // Whose signature is not right meant their own bucket all the same: a stranger's log must not tell of it.
    let home = match &who {
        Ok(who) => Some(who.home.clone()),
        Err(_) => shared.authenticator.claimed_home(&head, ids.next()).await,
    };
    if let Some(home) = home {
        head.home = home;
        records.set_target(shared, &head);
    }
    let who = who?;
    name_requester(records, &who);
    let is_signed = !who.is_anonymous();
    let signing = if is_signed { Signing::of(&head) } else { None };
    head.adopt_headers_of_query()?;
    let operation = dispatch(&head)?;
    records.audit.operation = Some(operation.name().into());
    if let Some(entry) = &mut records.access {
        entry.set_operation(&head, operation);
    }
    let mut facts = facts::of(&head, client, &shared.config.region, signing, shared.clock.now())?;
    facts.request = Some(ids.request());
    facts.is_logged = records.access.as_ref().is_some_and(|entry| entry.asks_for_acl());
    if let Some(entry) = &mut records.access {
        entry.set_signing(&facts);
    }
    let who = Authentication { by: who.by.with_context(facts), ..who };
    let request = S3Request { head, payload: who.payload, is_anonymous: !is_signed };
    Ok((Some(operation), request, who))
}

fn check_size(headers: &HeaderMap) -> Result<(), S3Error> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MAX_HEADERS {
        return Err(S3Error::new(S3ErrorCode::RequestHeaderSectionTooLarge).field("MaxSizeAllowed", MAX_HEADERS.to_string()));
    }
    Ok(())
}

/// To a website, where nobody has a name.
fn admit_visitor(
    shared: &Shared,
    ids: &CallIds,
    head: http::request::Parts,
    client: Client,
    records: &mut Records,
) -> Result<(S3Request, Authentication), S3Error> {
    check_size(&head.headers)?;
    let head = RequestHead::of_website(head.method, &head.uri, &head.headers, &shared.website_domains)?;
    records.set_target(shared, &head);
    records.audit.operation = Some("Website".into());
    if let Some(entry) = &mut records.access {
        entry.set_visit(&head);
    }
    let mut facts = facts::of(&head, client, &shared.config.region, None, shared.clock.now())?;
    facts.request = Some(ids.request());
    facts.is_logged = records.access.as_ref().is_some_and(|entry| entry.asks_for_acl());
    let nobody = Authentication::of_nobody();
    let who = Authentication { by: nobody.by.with_context(facts), ..nobody };
    let request = S3Request { head, payload: who.payload, is_anonymous: true };
    Ok((request, who))
}

fn name_requester(records: &mut Records, who: &Authentication) {
    if let Requester::Signed { access_key, .. } = &who.by {
        records.audit.access_key = Some(access_key.0.clone());
        records.audit.user = who.user.as_ref().map(|user| user.id.0.clone());
    }
    if let Some(entry) = &mut records.access {
        entry.set_requester(who.user.as_ref().map(|user| &user.id));
    }
}

async fn serve(operation: S3Operation, request: &S3Request, cx: &mut OpContext) -> Result<Reply, S3Error> {
    // Of every operation: a header that none of them obeys is accepted by none.
    refuse_unbuilt_headers(request)?;
    encryption::check_headers(operation, request)?;
    refuse_unbuilt_conditions(operation, request)?;
    ops::perform(operation, request, cx).await
}

/// What a visitor of a website sees of an error.
fn error_page(error: &S3Error, own_page: Option<&S3Error>, answering: Answering<'_>, is_head: bool) -> Reply {
    let mut reply = error_reply(error, is_head, || {
        let page = gateway_core::website::error_page(error, own_page, answering);
        reply::with_body(error.status(), ReplyBody::Whole(page.into()))
    });
    if error.status() != StatusCode::NOT_MODIFIED {
        let headers = reply.headers_mut();
        reply::set(headers, "content-type", "text/html; charset=utf-8");
        reply::set(headers, "x-amz-error-code", error.code().as_str());
        reply::set(headers, "x-amz-error-message", error.message());
    }
    reply
}

fn error_reply(error: &S3Error, is_head: bool, body: impl FnOnce() -> Reply) -> Reply {
    let mut reply = if is_head || error.status() == StatusCode::NOT_MODIFIED {
        let mut reply = reply::with_body(error.status(), ReplyBody::empty());
        if error.status() != StatusCode::NOT_MODIFIED {
            reply::set(reply.headers_mut(), "content-type", "application/xml");
        }
        reply
    } else {
        body()
    };
    for (name, value) in error.headers() {
        reply.headers_mut().insert(name.clone(), value.clone());
    }
    if matches!(error.code(), S3ErrorCode::SlowDown | S3ErrorCode::ServiceUnavailable) {
        reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    reply
}
