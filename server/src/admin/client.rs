//! `trioxide admin …`: one signed request to an admin listener, and its answer for people or as JSON.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::Full;
use serde_json::Value;
use web_client::{Limits, WebClient, WebError};

use super::endpoint::{Endpoint, EndpointError};
use super::iam;
use super::show;
use crate::cli::{
    AccountCommand, AclCommand, AdminArgs, AdminCommand, DatanodeCommand, GroupCommand, KmsCommand, ScmCommand, SecretCommand,
    TokenCommand,
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error("no access key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give --access-key and --secret-key")]
    NoKeys,
    #[error("the account is named behind the command: --account says whose identities others are about")]
    NoAccount,
    #[error(transparent)]
    Command(#[from] iam::CallError),
    #[error(transparent)]
    Authorities(#[from] WebError),
    #[error("reading the secret: {0}")]
    Secret(std::io::Error),
    #[error("signing the request: {0}")]
    Signing(String),
    #[error("{code} ({status}): {message}")]
    Refused { status: u16, code: String, message: String },
}

impl AdminError {
    /// 1: refused; 2: called wrongly; 3: nobody answered.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { .. } => 1,
            Self::Endpoint(EndpointError::Malformed(_))
            | Self::NoKeys
            | Self::NoAccount
            | Self::Authorities(_)
            | Self::Command(_)
            | Self::Secret(_)
            | Self::Signing(_) => 2,
            Self::Endpoint(_) => 3,
        }
    }
}

/// Lists come whole, however long they are.
const LIMITS: Limits = Limits { timeout: Duration::from_secs(30), most_bytes: 1 << 30 };

/// A name in the query that no write of S3 takes. Sent to S3's port by mistake, `PUT /secret` alone would make a bucket, and a secret that
/// is imported an object in it.
const NO_WRITE_OF_S3: &str = "?trioxide-admin=";

struct Request {
    method: &'static str,
    path: String,
    answer: Answer,
    /// JSON.
    body: Option<String>,
}

/// What a listener says when it has done what it was asked for.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Nothing,
    Fields(&'static [&'static str]),
    Rows,
    /// Of an ACL.
    Entries,
}

fn request(command: &AdminCommand, account: Option<&str>) -> Result<Request, AdminError> {
    const ROLES: Answer = Answer::Fields(&["term", "members"]);
    let ask = |method, path: &str, answer| Request { method, path: path.to_owned(), answer, body: None };
    let get = |path: &str, answer| ask("GET", path, answer);
    let transfer = |group: &str, to: &Option<u64>| match to {
        Some(to) => ask("POST", &format!("/admin/v1/{group}/transfer?to={to}"), Answer::Nothing),
        None => ask("POST", &format!("/admin/v1/{group}/transfer"), Answer::Nothing),
    };
    let secret = |method, user: Option<&String>, query: &str, answer| match user {
        Some(user) => {
            let user = percent_encoding::utf8_percent_encode(user, percent_encoding::NON_ALPHANUMERIC);
            ask(method, &format!("/secret/{user}{query}"), answer)
        }
        None => ask(method, &format!("/secret{query}"), answer),
    };
    let beside = |rotate: bool| if rotate { "?rotate=" } else { "" };
    let kms_key = |method, name: &String, change| {
        let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        let answer = Answer::Fields(&["id", "state", "versions"]);
        ask(method, &format!("/admin/v1/kms/keys?name={name}{change}"), answer)
    };
    if let Some(call) = iam::call_of(command)? {
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let mut path = format!("/admin/v1/iam?Action={}", call.action);
        let account = account.map(|account| ("AccountId", account.to_owned()));
        for (name, value) in call.parameters.into_iter().chain(account) {
            path.push_str(&format!("&{name}={}", encode(&value)));
        }
        return Ok(Request { method: "POST", path, answer: Answer::Fields(&["action", "result"]), body: None });
    }
    Ok(match command {
        AdminCommand::Status => get("/admin/v1/status", Answer::Fields(&["problems", "om", "scm"])),
        AdminCommand::Om(GroupCommand::Roles) => get("/admin/v1/om/roles", ROLES),
        AdminCommand::Om(GroupCommand::Transfer { to }) => transfer("om", to),
        AdminCommand::Scm(ScmCommand::Roles) => get("/admin/v1/scm/roles", ROLES),
        AdminCommand::Scm(ScmCommand::Transfer { to }) => transfer("scm", to),
        AdminCommand::Scm(ScmCommand::SafeMode { leave: false }) => get("/admin/v1/scm/safe-mode", Answer::Fields(&["on"])),
        AdminCommand::Scm(ScmCommand::SafeMode { leave: true }) => ask("DELETE", "/admin/v1/scm/safe-mode", Answer::Nothing),
        AdminCommand::Scm(ScmCommand::Pipelines) => get("/admin/v1/scm/pipelines", Answer::Rows),
        AdminCommand::Scm(ScmCommand::Containers { unhealthy: false }) => get("/admin/v1/scm/containers", Answer::Rows),
        AdminCommand::Scm(ScmCommand::Containers { unhealthy: true }) => {
            get("/admin/v1/scm/containers?unhealthy=true", Answer::Rows)
        }
        AdminCommand::Datanode(DatanodeCommand::List) => get("/admin/v1/datanodes", Answer::Rows),
        AdminCommand::Secret(SecretCommand::Create { user, rotate }) => {
            secret("PUT", user.as_ref(), beside(*rotate), Answer::Fields(&["user", "access_key", "secret_key"]))
        }
        AdminCommand::Secret(SecretCommand::Import { user, key, secret_file, rotate }) => {
            let given = match secret_file {
                Some(path) => std::fs::read_to_string(path),
                None => std::io::read_to_string(std::io::stdin()),
            };
            let given = given.map_err(AdminError::Secret)?;
            let body = serde_json::json!({ "access_key": key, "secret_key": given.trim() }).to_string();
            let asked = secret("PUT", Some(user), beside(*rotate), Answer::Fields(&["user", "access_key"]));
            Request { body: Some(body), ..asked }
        }
        AdminCommand::Secret(SecretCommand::Revoke { user, key: None }) => secret("DELETE", user.as_ref(), "", Answer::Nothing),
        AdminCommand::Secret(SecretCommand::Revoke { user, key: Some(key) }) => {
            let key = percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC);
            secret("DELETE", user.as_ref(), &format!("?access_key={key}"), Answer::Nothing)
        }
        AdminCommand::Acl(command) => acl(command),
        AdminCommand::Token(command) => token(command, account),
        AdminCommand::Account(_) if account.is_some() => return Err(AdminError::NoAccount),
        AdminCommand::Account(command) => of_accounts(command),
        AdminCommand::Explain { request_id } => {
            let id = percent_encoding::utf8_percent_encode(request_id, percent_encoding::NON_ALPHANUMERIC);
            get(&format!("/admin/v1/explain?id={id}"), Answer::Fields(&["why"]))
        }
        AdminCommand::User(_)
        | AdminCommand::Group(_)
        | AdminCommand::Role(_)
        | AdminCommand::Policy(_)
        | AdminCommand::Key(_) => return Err(AdminError::NoKeys),
        AdminCommand::Notifications { destination, revive } => {
            let answer = Answer::Fields(&["destinations", "dead", "revived"]);
            let only = destination.as_ref().map_or(String::new(), |name| {
                format!("?destination={}", percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC))
            });
            ask(if *revive { "POST" } else { "GET" }, &format!("/admin/v1/notifications{only}"), answer)
        }
        AdminCommand::Kms(KmsCommand::List) => get("/admin/v1/kms/keys", Answer::Rows),
        AdminCommand::Kms(KmsCommand::Create { name }) => kms_key("PUT", name, ""),
        AdminCommand::Kms(KmsCommand::Rotate { name }) => kms_key("POST", name, "&change=rotate"),
        AdminCommand::Kms(KmsCommand::Enable { name }) => kms_key("POST", name, "&change=enable"),
        AdminCommand::Kms(KmsCommand::Disable { name }) => kms_key("POST", name, "&change=disable"),
    })
}

fn of_accounts(command: &AccountCommand) -> Request {
    const ACCOUNT: Answer = Answer::Fields(&["id", "account_id", "volume"]);
    let given = |name, value: &Option<String>| (name, value.clone());
    let (method, fields, answer) = match command {
        AccountCommand::List => ("GET", Vec::new(), Answer::Rows),
        AccountCommand::Create { id, name, email, volume, admin, without_key } => {
            let flag = |is_set: bool, value: &str| is_set.then(|| value.to_owned());
            let fields = vec![
                ("id", Some(id.clone())),
                given("name", name),
                given("email", email),
                given("volume", volume),
                ("admin", flag(*admin, "true")),
                ("key", flag(*without_key, "false")),
            ];
            ("PUT", fields, ACCOUNT)
        }
        AccountCommand::Update { id, name, email, admin } => {
            let admin = admin.map(|admin| admin.to_string());
            ("POST", vec![("id", Some(id.clone())), given("name", name), given("email", email), ("admin", admin)], ACCOUNT)
        }
        AccountCommand::Delete { id } => ("DELETE", vec![("id", Some(id.clone()))], Answer::Nothing),
    };
    Request { method, path: with_query("/admin/v1/accounts", fields), answer, body: None }
}

/// The path with those of the fields that have a value.
fn with_query(path: &str, fields: impl IntoIterator<Item = (&'static str, Option<String>)>) -> String {
    let mut path = path.to_owned();
    for (name, value) in fields {
        let Some(value) = value else { continue };
        let value = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
        path.push_str(&format!("{}{name}={value}", if path.contains('?') { '&' } else { '?' }));
    }
    path
}

fn acl(command: &AclCommand) -> Request {
    let (method, object, entries) = match command {
        AclCommand::Get { object } => ("GET", object, &[][..]),
        AclCommand::Add { object, entries } => ("POST", object, entries.as_slice()),
        AclCommand::Remove { object, entries } => ("DELETE", object, entries.as_slice()),
        AclCommand::Set { object, entries } => ("PUT", object, entries.as_slice()),
    };
    let encode = |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut path = format!("/admin/v1/acl?object={}", encode(object));
    for entry in entries {
        path.push_str(&format!("&acl={}", encode(entry)));
    }
    Request { method, path, body: None, answer: Answer::Entries }
}

fn token(command: &TokenCommand, account: Option<&str>) -> Request {
    let (method, answer) = match command {
        TokenCommand::Get { .. } => ("POST", Answer::Fields(&["Credentials", "Token"])),
        TokenCommand::Renew { .. } => ("PUT", Answer::Fields(&["Expiration"])),
        TokenCommand::Cancel { .. } => ("DELETE", Answer::Nothing),
        TokenCommand::List => ("GET", Answer::Fields(&["Tokens"])),
    };
    let (id, renewer, max_lifetime) = match command {
        TokenCommand::Get { renewer, max_lifetime } => (None, renewer.clone(), max_lifetime.map(|seconds| seconds.to_string())),
        TokenCommand::Renew { id } | TokenCommand::Cancel { id } => (Some(id.clone()), None, None),
        TokenCommand::List => (None, None, None),
    };
    let fields = [("id", id), ("renewer", renewer), ("max-lifetime", max_lifetime), ("account", account.map(str::to_owned))];
    Request { method, path: with_query("/delegation-token", fields), answer, body: None }
}

pub(crate) async fn run(args: &AdminArgs) -> Result<String, AdminError> {
    let (Some(access_key), Some(secret_key)) = (&args.access_key, &args.secret_key) else {
        return Err(AdminError::NoKeys);
    };
    let web = WebClient::new(args.ca_file.as_slice())?;
    let request = request(&args.command, args.account.as_deref())?;
    let answer = send(&web, &args.endpoint, access_key, secret_key, &request).await?;
    Ok(if args.json { format!("{answer:#}") } else { show::for_people(&args.command, &answer) })
}

async fn send(
    web: &WebClient,
    endpoint: &str,
    access_key: &str,
    secret_key: &str,
    request: &Request,
) -> Result<Value, AdminError> {
    let endpoint = Endpoint::parse(endpoint)?;
    let signed = signed(&endpoint.address, access_key, secret_key, request)?;
    let answer = web.send(signed, LIMITS).await.map_err(|error| endpoint.unreached(error))?;
    judge(answer.status(), answer.body(), request.answer).unwrap_or_else(|| Err(endpoint.strange(&answer).into()))
}

/// What was answered; none if it is nothing that an admin listener says. A page of something else that happens to listen there
/// must not be taken for "healthy" or "revoked".
fn judge(status: StatusCode, body: &[u8], expected: Answer) -> Option<Result<Value, AdminError>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    if !status.is_success() {
        let text = |field: &str| answer[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        return Some(Err(AdminError::Refused { status: status.as_u16(), code: text("code")?, message: text("message")? }));
    }
    let is_expected = match (expected, &answer) {
        (Answer::Nothing, Value::Object(fields)) => fields.is_empty(),
        (Answer::Fields(names), Value::Object(fields)) => names.iter().all(|name| fields.contains_key(*name)),
        (Answer::Rows, Value::Array(rows)) => rows.iter().all(|row| row["id"] != Value::Null),
        (Answer::Entries, Value::Array(entries)) => entries.iter().all(|entry| entry["aclList"] != Value::Null),
        (Answer::Nothing | Answer::Fields(_) | Answer::Rows | Answer::Entries, _) => false,
    };
    is_expected.then_some(Ok(answer))
}

fn signed(
    address: &Uri,
    access_key: &str,
    secret_key: &str,
    request: &Request,
) -> Result<http::Request<Full<Bytes>>, AdminError> {
    let signing = |what: &dyn std::fmt::Display| AdminError::Signing(what.to_string());
    let identity = Credentials::new(access_key, secret_key, None, None, "trioxide admin").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(SystemTime::now())
        .settings({
            let mut settings = SigningSettings::default();
            settings.payload_checksum_kind = aws_sigv4::http_request::PayloadChecksumKind::XAmzSha256;
            settings.percent_encoding_mode = aws_sigv4::http_request::PercentEncodingMode::Single;
            settings
        })
        .build()
        .map_err(|e| signing(&e))?
        .into();
    let authority = address.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let needs_guard = matches!(request.method, "PUT" | "DELETE") && !request.path.contains('?');
    let guard = if needs_guard { NO_WRITE_OF_S3 } else { "" };
    let uri = format!("{}://{authority}{}{guard}", address.scheme_str().unwrap_or("http"), request.path);
    let body = request.body.clone().unwrap_or_default();
    let signable =
        SignableRequest::new(request.method, &uri, std::iter::once(("host", authority)), SignableBody::Bytes(body.as_bytes()))
            .map_err(|e| signing(&e))?;
    let (instructions, _) = sign(signable, &params).map_err(|e| signing(&e))?.into_parts();
    let mut built = http::Request::builder()
        .method(request.method)
        .uri(&uri)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| signing(&e))?;
    instructions.apply_to_request_http1x(&mut built);
    Ok(built)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_admin_listener_says_is_believed_of_none() {
        for expected in [Answer::Nothing, Answer::Fields(&["problems"]), Answer::Rows] {
            for body in ["hello", "", "null", "7", "{\"other\":1}", "[{\"name\":1}]", "<Error/>"] {
                for status in [200, 204, 403, 404, 500] {
                    let status = StatusCode::from_u16(status).expect("a status");
                    assert!(judge(status, body.as_bytes(), expected).is_none(), "{status} {body} as {expected:?}");
                }
            }
        }
        assert!(matches!(judge(StatusCode::OK, b"{}", Answer::Nothing), Some(Ok(_))));
        assert!(matches!(judge(StatusCode::OK, b"[]", Answer::Rows), Some(Ok(_))));
        let refused = judge(StatusCode::FORBIDDEN, b"{\"code\":\"C\",\"message\":\"m\"}", Answer::Nothing);
        assert!(matches!(refused, Some(Err(AdminError::Refused { status: 403, .. }))));
    }
}
