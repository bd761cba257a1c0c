//! Accounts while the cluster runs. By query, since ids may hold slashes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use om_api::{CreateAccount, DeleteAccount, DisplayUser, ListUsers, UpdateAccount, UserId};
use serde::Deserialize;
use serde_json::json;
use types::VolumeName;

use super::failure::Failure;
use super::{Admin, Reply, Request};
use crate::admin::view;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    admin: Option<bool>,
    volume: Option<String>,
    /// Whether a new account gets a pair of its own, as it does if this is absent.
    key: Option<bool>,
}

/// `GET` lists them. With an id `PUT` makes one and shows its pair, `POST` changes what is named, and `DELETE` ends one.
pub(super) async fn accounts(State(admin): State<Arc<Admin>>, Query(which): Query<Which>, request: Request) -> Reply {
    let by = admin.signer(&request).await?;
    let (om, cx) = (&admin.operations()?.om, admin.context(&request));
    match (request.method.as_str(), which) {
        ("GET", Which { id: None, name: None, email: None, admin: None, volume: None, key: None }) => {
            let accounts = om.list_users(cx, ListUsers { by }).await.map_err(Failure::call)?;
            Ok(Json(accounts.iter().map(view::account).collect()))
        }
        ("PUT", Which { id: Some(id), name, email, admin, volume, key }) => {
            let user = DisplayUser { display_name: name.unwrap_or_else(|| id.clone()), id: UserId(id) };
            let volume = volume.map(|volume| VolumeName::parse(&volume)).transpose();
            let volume = volume.map_err(|_| Failure::argument("the volume is not named as a bucket could be"))?;
            let (is_admin, rolls_pair) = (admin.unwrap_or(false), key.unwrap_or(true));
            let asked = CreateAccount { by, user, email, is_admin, volume, rolls_pair };
            let created = om.create_account(cx, asked).await.map_err(Failure::call)?;
            let mut shown = view::account(&created.account);
            if let Some(pair) = created.pair {
                shown["access_key"] = pair.access_key.0.into();
                shown["secret_key"] = pair.secret_key.0.into();
            }
            Ok(Json(shown))
        }
        ("POST", Which { id: Some(account), name, email, admin, volume: None, key: None }) => {
            let asked = UpdateAccount { by, account, display_name: name, email, is_admin: admin };
            let updated = om.update_account(cx, asked).await.map_err(Failure::call)?;
            Ok(Json(view::account(&updated)))
        }
        ("DELETE", Which { id: Some(account), name: None, email: None, admin: None, volume: None, key: None }) => {
            om.delete_account(cx, DeleteAccount { by, account }).await.map_err(Failure::call)?;
            Ok(Json(json!({})))
        }
        ("GET" | "PUT" | "POST" | "DELETE", _) => Err(Failure::argument("the parameters are not those of the method")),
        _ => Err(Failure::method()),
    }
}
