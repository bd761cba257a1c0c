//! Delegation tokens, as calls of the OM's: `POST` gets one, `PUT` renews, `DELETE` cancels, `GET` lists.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use om_api::IamService;
use serde::Deserialize;

use super::failure::Failure;
use super::{Admin, Reply, Request, iam};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Asked {
    /// The access key of the token to renew or cancel.
    id: Option<String>,
    renewer: Option<String>,
    /// In seconds.
    max_lifetime: Option<String>,
    /// Another account than the requester's, for administrators.
    account: Option<String>,
}

pub(super) async fn tokens(State(admin): State<Arc<Admin>>, Query(asked): Query<Asked>, request: Request) -> Reply {
    let Asked { id, renewer, max_lifetime, account } = asked;
    let is_named = id.is_some();
    let is_described = renewer.is_some() || max_lifetime.is_some();
    let (action, fits) = match request.method.as_str() {
        "POST" => ("GetDelegationToken", !is_named),
        "PUT" => ("RenewDelegationToken", is_named && !is_described && account.is_none()),
        "DELETE" => ("CancelDelegationToken", is_named && !is_described && account.is_none()),
        "GET" => ("ListDelegationTokens", !is_named && !is_described),
        _ => return Err(Failure::method()),
    };
    let by = admin.signer(&request).await?;
    if !fits {
        return Err(Failure::argument("the parameters are not those of the method"));
    }
    let fields = [("AccessKeyId", id), ("Renewer", renewer), ("MaxLifetime", max_lifetime), ("AccountId", account)];
    let parameters: Vec<_> = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let answer = iam::ask(&admin, &request, &by, IamService::Delegation, action, &parameters).await?;
    Ok(Json(iam::show(&answer)))
}
