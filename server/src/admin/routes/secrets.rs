//! S3 secrets: `PUT` and `DELETE` of `/secret` for one's own, of `/secret/{user}` for anybody's.
//!
//! `PUT` makes a pair, or takes the one in its body, which is an administrator's to give; with `?rotate` beside the pair that there is,
//! which works until it is revoked. `DELETE` ends all, or the one that `?access_key` names.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{Request as HttpRequest, header, request};
use gateway::is_body_of;
use http_body_util::{BodyExt, Limited};
use om_api::{AccessKeyId, CreateSecret, KeyPair, RevokeSecret, SecretKey, UserId};
use serde::Deserialize;
use serde_json::json;

use super::failure::Failure;
use super::{Admin, Reply};
use crate::admin::view;

/// More than two names and a secret of the longest kind, percent-encoded.
const MOST_BYTES: usize = 4 << 10;

#[derive(Debug, Deserialize)]
pub(super) struct Which {
    rotate: Option<String>,
    access_key: Option<String>,
}

/// A pair that is brought along. Never printed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    access_key: String,
    secret_key: String,
}

pub(super) async fn own(State(admin): State<Arc<Admin>>, Query(which): Query<Which>, request: HttpRequest<Body>) -> Reply {
    answer(&admin, None, which, request).await
}

pub(super) async fn of(
    State(admin): State<Arc<Admin>>,
    Path(user): Path<String>,
    Query(which): Query<Which>,
    request: HttpRequest<Body>,
) -> Reply {
    answer(&admin, Some(UserId(user)), which, request).await
}

async fn answer(admin: &Admin, user: Option<UserId>, which: Which, request: HttpRequest<Body>) -> Reply {
    let (head, body) = request.into_parts();
    let by = admin.signer(&head).await?;
    let om = &admin.operations()?.om;
    match (head.method.as_str(), which) {
        ("PUT" | "POST", Which { rotate, access_key: None }) => {
            let pair = given(&head, body).await?;
            let is_given = pair.is_some();
            let rotates = rotate.map(|_| true);
            let asked = CreateSecret { by, user, rotates, pair };
            let issued = om.create_secret(admin.context(&head), asked).await.map_err(Failure::call)?;
            // Whoever brought the secret knows it.
            Ok(Json(if is_given { view::imported(&issued) } else { view::secret(&issued) }))
        }
        ("DELETE", Which { rotate: None, access_key }) => {
            let asked = RevokeSecret { by, user, access_key: access_key.map(AccessKeyId) };
            om.revoke_secret(admin.context(&head), asked).await.map_err(Failure::call)?;
            Ok(Json(json!({})))
        }
        ("PUT" | "POST" | "DELETE", _) => Err(Failure::argument("the parameters are not those of the method")),
        _ => Err(Failure::method()),
    }
}

/// The pair in the body, if there is a body, as JSON or as a form. What is wrong with it is not told in its own words.
async fn given(head: &request::Parts, body: Body) -> Result<Option<KeyPair>, Failure> {
    let body = Limited::new(body, MOST_BYTES).collect().await.map_err(|_| Failure::too_large())?.to_bytes();
    if body.is_empty() {
        return Ok(None);
    }
    if !is_body_of(&head.headers, &body) {
        return Err(Failure::argument("x-amz-content-sha256 is not the hash of the body"));
    }
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let pair: Option<Given> = match kind.as_str() {
        "application/json" => serde_json::from_slice(&body).ok(),
        "application/x-www-form-urlencoded" => form(&body),
        _ => return Err(Failure::argument("a pair comes as application/json or as application/x-www-form-urlencoded")),
    };
    let Given { access_key, secret_key } =
        pair.ok_or_else(|| Failure::argument("the body is not access_key and secret_key, and nothing else"))?;
    Ok(Some(KeyPair { access_key: AccessKeyId(access_key), secret_key: SecretKey(secret_key) }))
}

fn form(body: &[u8]) -> Option<Given> {
    let (mut access_key, mut secret_key) = (None, None);
    for pair in std::str::from_utf8(body).ok()?.trim_end().split('&') {
        let (name, value) = pair.split_once('=')?;
        let value = value.replace('+', " ");
        let value = percent_encoding::percent_decode_str(&value).decode_utf8().ok()?.into_owned();
        let slot = match name {
            "access_key" => &mut access_key,
            "secret_key" => &mut secret_key,
            _ => return None,
        };
        // Which of two would count is a guess.
        if slot.replace(value).is_some() {
            return None;
        }
    }
    Some(Given { access_key: access_key?, secret_key: secret_key? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_a_pair_and_nothing_else() {
        let pair = form(b"access_key=AK&secret_key=a%2Bb%26c").expect("a pair");
        assert_eq!((pair.access_key.as_str(), pair.secret_key.as_str()), ("AK", "a+b&c"));
        for wrong in ["", "access_key=a", "access_key=a&secret_key=b&secret_key=c", "access_key=a&secret_key=b&x=y", "access_key"]
        {
            assert!(form(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
