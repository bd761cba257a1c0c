//! IAM on the administrators' listener: as AWS's clients speak it, and for `trioxide admin`, which asks by its query and reads
//! JSON.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::Request as HttpRequest;
use axum::response::{IntoResponse, Response};
use gateway::{Client, IamIds, MOST_IAM_BYTES, Peer, is_iam_call};
use http_body_util::{BodyExt, Limited};
use om_api::{Explain, IamCall, IamRejected, IamService, Requester};
use rpc::CallError;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use types::{IamValue, RequestId};

use super::failure::Failure;
use super::listener::Trace;
use super::{Admin, Reply, Request};

/// A call as AWS's clients make it.
pub(super) async fn wire(
    State(admin): State<Arc<Admin>>,
    ConnectInfo(from): ConnectInfo<Peer>,
    request: HttpRequest<Body>,
) -> Response {
    let (head, body) = request.into_parts();
    if !is_iam_call(&head.method, head.uri.path(), &head.headers) {
        return Failure::not_here().into_response();
    }
    let Ok(operations) = admin.operations() else { return Failure::not_here().into_response() };
    let Ok(body) = Limited::new(body, MOST_IAM_BYTES).collect().await else { return Failure::too_large().into_response() };
    let ids = IamIds {
        request: Trace::of(&head).map_or_else(|| RequestId::from_u128(admin.entropy.u128()), Trace::id),
        first_call: admin.context(&head).request_id,
        second_call: admin.context(&head).request_id,
    };
    let (answer, record) = operations.iam.answer(&head, &body.to_bytes(), ids, Client::direct(from)).await;
    let mut answer = answer.map(Body::from);
    answer.extensions_mut().insert(Arc::new(record));
    answer
}

/// The same for people: `?Action=…`, signed like every request of an administrator's.
pub(super) async fn asked(
    State(admin): State<Arc<Admin>>,
    Query(mut parameters): Query<Vec<(String, String)>>,
    request: Request,
) -> Reply {
    Failure::unless_post(&request)?;
    let by = admin.signer(&request).await?;
    let at = parameters.iter().position(|(name, _)| name == "Action");
    let action = at.map(|at| parameters.swap_remove(at).1).ok_or_else(Failure::method)?;
    let mut result = ask(&admin, &request, &by, IamService::Iam, &action, &parameters).await?;
    // All pages: whoever reads them has no use for markers.
    while let Some(marker) = next_page(&result) {
        parameters.retain(|(name, _)| name != "Marker");
        parameters.push(("Marker".to_owned(), marker));
        let more = ask(&admin, &request, &by, IamService::Iam, &action, &parameters).await?;
        append(&mut result, more);
    }
    Ok(Json(json!({ "action": action, "result": show(&result) })))
}

pub(super) async fn ask(
    admin: &Admin,
    request: &Request,
    by: &Requester,
    service: IamService,
    action: &str,
    parameters: &[(String, String)],
) -> Result<IamValue, Failure> {
    let call = IamCall { by: by.clone(), service, action: action.to_owned(), parameters: parameters.to_vec() };
    admin.operations()?.om.iam(admin.context(request), call).await.map_err(|error| match error {
        CallError::Rejected(IamRejected::Denied(denied)) => Failure::call(CallError::Rejected(denied)),
        CallError::Rejected(IamRejected::Error(error)) => Failure::iam(&error),
        CallError::NotApplied(why) => Failure::call(CallError::<om_api::Denied>::NotApplied(why)),
        CallError::Unknown(why) => Failure::call(CallError::<om_api::Denied>::Unknown(why)),
    })
}

fn next_page(answer: &IamValue) -> Option<String> {
    let is_truncated = answer.get("IsTruncated").and_then(IamValue::as_text) == Some("true");
    answer.get("Marker").and_then(IamValue::as_text).filter(|_| is_truncated).map(str::to_owned)
}

fn append(answer: &mut IamValue, more: IamValue) {
    let (IamValue::Fields(fields), IamValue::Fields(later)) = (answer, more) else { return };
    for (name, value) in later {
        let known = fields.iter_mut().find(|(known, _)| *known == name).map(|(_, value)| value);
        match (known, value) {
            (Some(IamValue::List(values)), IamValue::List(more)) => values.extend(more),
            (Some(known), value) => *known = value,
            (None, value) => fields.push((name, value)),
        }
    }
    if let Some(at) = fields.iter().position(|(name, _)| name == "Marker")
        && fields.iter().any(|(name, value)| name == "IsTruncated" && value.as_text() == Some("false"))
    {
        fields.remove(at);
    }
}

pub(super) fn show(value: &IamValue) -> Value {
    match value {
        IamValue::Text(text) | IamValue::Secret(text) => Value::String(text.clone()),
        IamValue::Fields(fields) => fields.iter().map(|(name, value)| (name.clone(), show(value))).collect(),
        IamValue::List(values) => values.iter().map(show).collect(),
        IamValue::Map(entries) => {
            let entry = |entry: &IamValue| Some((entry.get("key")?.as_text()?.to_owned(), show(entry.get("value")?)));
            Value::Object(entries.iter().filter_map(entry).collect::<Map<_, _>>())
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Which {
    id: String,
}

/// Why a request was refused.
pub(super) async fn explain(State(admin): State<Arc<Admin>>, Query(Which { id }): Query<Which>, request: Request) -> Reply {
    let by = admin.signer(&request).await?;
    let asked: RequestId = id.parse().map_err(|_| Failure::no_such_request())?;
    let operations = admin.operations()?;
    let known = operations.om.explain(admin.context(&request), Explain { by, request: asked }).await.map_err(Failure::call)?;
    // A signature that is not right never comes to the OM: the gateway knows of it.
    let known = known.or_else(|| operations.authenticator.explain(asked));
    let found = known.ok_or_else(Failure::no_such_request)?;
    Ok(Json(json!({
        "id": id,
        "time": gateway_core::dates::format_iso8601(found.at),
        "caller": found.caller,
        "bucket": found.bucket,
        "why": found.why,
    })))
}
