//! `trioxide admin …`: one signed request to an admin listener, and its answer for people or as JSON.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::show;
use crate::cli::{AdminArgs, AdminCommand, DatanodeCommand, GroupCommand, ScmCommand, SecretCommand, UserCommand};

#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("the endpoint {0} is not http://host:port")]
    Endpoint(String),
    #[error("no access key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give --access-key and --secret-key")]
    NoKeys,
    #[error("reaching {endpoint}: {what}")]
    Unreachable { endpoint: String, what: String },
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
            Self::Endpoint(_) | Self::NoKeys | Self::Signing(_) => 2,
            Self::Unreachable { .. } => 3,
        }
    }
}

const TIMEOUT: Duration = Duration::from_secs(30);

struct Request {
    method: &'static str,
    path: String,
}

fn request(command: &AdminCommand) -> Request {
    let get = |path: &str| Request { method: "GET", path: path.to_owned() };
    let transfer = |group: &str, to: &Option<u64>| Request {
        method: "POST",
        path: match to {
            Some(to) => format!("/admin/v1/{group}/transfer?to={to}"),
            None => format!("/admin/v1/{group}/transfer"),
        },
    };
    let secret = |method, user: &Option<String>| Request {
        method,
        path: match user {
            Some(user) => format!("/secret/{}", percent_encoding::utf8_percent_encode(user, percent_encoding::NON_ALPHANUMERIC)),
            None => "/secret".to_owned(),
        },
    };
    match command {
        AdminCommand::Status => get("/admin/v1/status"),
        AdminCommand::Om(GroupCommand::Roles) => get("/admin/v1/om/roles"),
        AdminCommand::Om(GroupCommand::Transfer { to }) => transfer("om", to),
        AdminCommand::Scm(ScmCommand::Roles) => get("/admin/v1/scm/roles"),
        AdminCommand::Scm(ScmCommand::Transfer { to }) => transfer("scm", to),
        AdminCommand::Scm(ScmCommand::SafeMode { leave: false }) => get("/admin/v1/scm/safe-mode"),
        AdminCommand::Scm(ScmCommand::SafeMode { leave: true }) => {
            Request { method: "DELETE", path: "/admin/v1/scm/safe-mode".to_owned() }
        }
        AdminCommand::Scm(ScmCommand::Pipelines) => get("/admin/v1/scm/pipelines"),
        AdminCommand::Scm(ScmCommand::Containers { unhealthy: false }) => get("/admin/v1/scm/containers"),
        AdminCommand::Scm(ScmCommand::Containers { unhealthy: true }) => get("/admin/v1/scm/containers?unhealthy=true"),
        AdminCommand::Datanode(DatanodeCommand::List) => get("/admin/v1/datanodes"),
        AdminCommand::Secret(SecretCommand::Create { user }) => secret("PUT", user),
        AdminCommand::Secret(SecretCommand::Revoke { user }) => secret("DELETE", user),
        AdminCommand::User(UserCommand::List) => get("/admin/v1/users"),
    }
}

pub(crate) async fn run(args: &AdminArgs) -> Result<String, AdminError> {
    let (Some(access_key), Some(secret_key)) = (&args.access_key, &args.secret_key) else {
        return Err(AdminError::NoKeys);
    };
    let answer = send(&args.endpoint, access_key, secret_key, &request(&args.command)).await?;
    Ok(if args.json { format!("{answer:#}") } else { show::for_people(&args.command, &answer) })
}

async fn send(endpoint: &str, access_key: &str, secret_key: &str, request: &Request) -> Result<Value, AdminError> {
    let authority = endpoint
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'))
        .filter(|rest| !rest.is_empty() && !rest.contains('/'))
        .ok_or_else(|| AdminError::Endpoint(endpoint.to_owned()))?;
    let signed = signed(authority, access_key, secret_key, request)?;
    let unreachable = |what: String| AdminError::Unreachable { endpoint: endpoint.to_owned(), what };
    let exchange = async {
        let stream = TcpStream::connect(authority).await.map_err(|e| unreachable(e.to_string()))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| unreachable(e.to_string()))?;
        tokio::spawn(connection);
        let response = sender.send_request(signed).await.map_err(|e| unreachable(e.to_string()))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|e| unreachable(e.to_string()))?.to_bytes();
        Ok((status, body))
    };
    let (status, body) = tokio::time::timeout(TIMEOUT, exchange).await.map_err(|_| unreachable("no answer".to_owned()))??;
    let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(answer);
    }
    let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    Err(AdminError::Refused { status: status.as_u16(), code: text("code"), message: text("message") })
}

fn signed(
    authority: &str,
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
    let uri = format!("http://{authority}{}", request.path);
    let signable = SignableRequest::new(request.method, &uri, std::iter::once(("host", authority)), SignableBody::Bytes(b""))
        .map_err(|e| signing(&e))?;
    let (instructions, _) = sign(signable, &params).map_err(|e| signing(&e))?.into_parts();
    let mut built = http::Request::builder()
        .method(request.method)
        .uri(&request.path)
        .header("host", authority)
        .body(Full::new(Bytes::new()))
        .map_err(|e| signing(&e))?;
    instructions.apply_to_request_http1x(&mut built);
    Ok(built)
}
