//! Ozone's native ACLs, as calls of the OM's: `GET` shows one, `POST` adds entries, `DELETE` removes some, `PUT` sets them all.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use om_api::IamService;

use super::failure::Failure;
use super::{Admin, Reply, Request, iam};

/// `object` is `volume[/bucket[/key or prefix/]]`; `acl` may come often.
pub(super) async fn acl(State(admin): State<Arc<Admin>>, Query(pairs): Query<Vec<(String, String)>>, request: Request) -> Reply {
    let action = match request.method.as_str() {
        "GET" => "GetAcl",
        "POST" => "AddAcl",
        "DELETE" => "RemoveAcl",
        "PUT" => "SetAcl",
        _ => return Err(Failure::method()),
    };
    let by = admin.signer(&request).await?;
    let mut parameters = Vec::with_capacity(pairs.len());
    let mut entries = 0;
    for (name, value) in pairs {
        match name.as_str() {
            "object" => parameters.push(("Object".to_owned(), value)),
            "acl" if action != "GetAcl" => {
                entries += 1;
                parameters.push((format!("Acl.member.{entries}"), value));
            }
            _ => return Err(Failure::argument("the parameters are not those of the method")),
        }
    }
    let answer = iam::ask(&admin, &request, &by, IamService::NativeAcl, action, &parameters).await?;
    Ok(Json(iam::show(&answer)))
}
