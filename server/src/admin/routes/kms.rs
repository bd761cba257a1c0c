//! The keys of the built-in key service.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use om_api::{ChangeKmsKey, CreateKmsKey, KmsKeyChange, KmsKeyId, ListKmsKeys};
use serde::Deserialize;

use super::failure::Failure;
use super::{Admin, Reply, Request};
use crate::admin::view;

#[derive(Debug, Deserialize)]
pub(super) struct Which {
    name: Option<String>,
    change: Option<Change>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Rotate,
    Enable,
    Disable,
}

/// `GET` lists them, `PUT` with a name makes one, `POST` with a name changes one. By query, since names may hold slashes.
pub(super) async fn keys(
    State(admin): State<Arc<Admin>>,
    Query(Which { name, change }): Query<Which>,
    request: Request,
) -> Reply {
    let by = admin.signer(&request).await?;
    let (om, cx) = (&admin.operations()?.om, admin.context(&request));
    match (request.method.as_str(), name.map(KmsKeyId), change) {
        ("GET", None, None) => {
            let keys = om.list_kms_keys(cx, ListKmsKeys { by }).await.map_err(Failure::call)?;
            Ok(Json(keys.iter().map(view::kms_key).collect()))
        }
        ("PUT", Some(key), None) => {
            let made = om.create_kms_key(cx, CreateKmsKey { by, key }).await.map_err(Failure::call)?;
            Ok(Json(view::kms_key(&made)))
        }
        ("POST", Some(key), Some(change)) => {
            let change = match change {
                Change::Rotate => KmsKeyChange::Rotate,
                Change::Enable => KmsKeyChange::Enable,
                Change::Disable => KmsKeyChange::Disable,
            };
            let changed = om.change_kms_key(cx, ChangeKmsKey { by, key, change }).await.map_err(Failure::call)?;
            Ok(Json(view::kms_key(&changed)))
        }
        ("GET" | "PUT" | "POST", _, _) => Err(Failure::argument("the parameters are not those of the method")),
        (_, _, _) => Err(Failure::method()),
    }
}
