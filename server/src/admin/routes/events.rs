//! Events that have not arrived where they should.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use om_api::GetUndelivered;
use serde::Deserialize;

use super::failure::Failure;
use super::{Admin, Reply, Request};
use crate::admin::view;

#[derive(Debug, Deserialize)]
pub(super) struct Which {
    destination: Option<String>,
}

/// `GET` lists what waits and what was put aside, `POST` with a destination lets what was put aside wait once more.
pub(super) async fn undelivered(
    State(admin): State<Arc<Admin>>,
    Query(Which { destination }): Query<Which>,
    request: Request,
) -> Reply {
    let by = admin.signer(&request).await?;
    let revive = match (request.method.as_str(), &destination) {
        ("GET", _) => false,
        ("POST", Some(_)) => true,
        ("POST", None) => return Err(Failure::argument("which destination?")),
        (_, _) => return Err(Failure::method()),
    };
    let (om, cx) = (&admin.operations()?.om, admin.context(&request));
    let found = om.undelivered(cx, GetUndelivered { by, destination, revive }).await.map_err(Failure::call)?;
    Ok(Json(view::undelivered(&found)))
}
